"""Chat completions as the offline provider reads and writes them: requests in, JSON and events out."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any

import msgspec

from holychat.catalog.tokens import estimate_tokens
from holychat.providers.offline.prompt import Turn

MODEL = "extractive"
_PIECE = re.compile(
    "\\s*(?:[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]"
    "|[^\\s\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]{1,6})"
    "[\u0300-\u036f]*|\\s+"
)

Limit = Annotated[int, msgspec.Meta(ge=1)]


class _Part(msgspec.Struct):
    type: str = ""
    text: str = ""


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Part] | None = None

    def turn(self) -> Turn:
        content = self.content or ""
        return Turn(self.role, content if isinstance(content, str) else "".join(part.text for part in content))


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class Question(msgspec.Struct):
    """Body of POST /chat/completions; parameters that mean nothing here are ignored."""

    messages: list[_Message]
    stream: bool = False
    stream_options: _StreamOptions | None = None
    max_tokens: Limit | None = None
    max_completion_tokens: Limit | None = None

    @property
    def turns(self) -> list[Turn]:
        """The conversation."""
        return [message.turn() for message in self.messages]

    @property
    def limit(self) -> int | None:
        """The most tokens that are wanted."""
        return self.max_completion_tokens or self.max_tokens


class Answer:
    """An answer in pieces of a token each, cut at the limit, with its usage.

    There is no vocabulary here, so the counts are estimates: the pieces sent, and `estimate_tokens` of what came in.
    The id is a hash of the request, and the time of creation is 0: the same request gets the same bytes.
    """

    def __init__(self, body: bytes, question: Question, text: str) -> None:
        pieces = _PIECE.findall(text)
        limit = question.limit
        self.id = f"offline-{hashlib.sha256(body).hexdigest()[:16]}"
        self.pieces: list[str] = pieces if limit is None else pieces[:limit]
        self.finish_reason = "stop" if len(self.pieces) == len(pieces) else "length"
        self._asked = sum(estimate_tokens(turn.text) for turn in question.turns)
        self._with_usage = question.stream_options is not None and question.stream_options.include_usage

    def whole(self) -> bytes:
        """The answer as one JSON object."""
        message = {"role": "assistant", "content": "".join(self.pieces)}
        choice = {"index": 0, "message": message, "finish_reason": self.finish_reason}
        return self._encode("chat.completion", [choice], usage=self._usage())

    def opening(self) -> bytes:
        """The first event of a stream: who speaks."""
        return self._event({"role": "assistant", "content": ""})

    def piece(self, text: str) -> bytes:
        """One token as an event."""
        return self._event({"content": text})

    def closing(self) -> bytes:
        """The last events of a stream: why it ends, the usage if it was asked for, and the mark of the end."""
        events = self._event({}, self.finish_reason)
        if self._with_usage:
            events += b"data: " + self._encode("chat.completion.chunk", [], usage=self._usage()) + b"\n\n"
        return events + b"data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return b"data: " + self._encode("chat.completion.chunk", [choice]) + b"\n\n"

    def _encode(self, kind: str, choices: list[dict[str, Any]], **more: Any) -> bytes:
        head = {"id": self.id, "object": kind, "created": 0, "model": MODEL, "choices": choices}
        return msgspec.json.encode(head | more)

    def _usage(self) -> dict[str, int]:
        said = len(self.pieces)
        return {"prompt_tokens": self._asked, "completion_tokens": said, "total_tokens": self._asked + said}


def model_list() -> bytes:
    """Body of GET /models."""
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "holychat"}
    return msgspec.json.encode({"object": "list", "data": [model]})


def error_body(message: str) -> bytes:
    """Body of an error, as OpenAI words them."""
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return msgspec.json.encode({"error": error})
