"""What the loopback server can answer in the way of Anthropic Messages."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.script import Script, events_reply, json_reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

MODEL = "claude-test-1"
USAGE = {"input_tokens": 12, "output_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def named(kind: str, **fields: Any) -> bytes:
    """One event, named by its type."""
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **fields}, ensure_ascii=False)}\n\n".encode()


def started(usage: Mapping[str, Any] = USAGE, model: str = MODEL) -> bytes:
    """message_start."""
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [], "stop_reason": None,
        "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    return named("message_start", message=message)


def opened(index: int = 0, kind: str = "text", **fields: Any) -> bytes:
    """content_block_start."""
    empty = {"text": {"text": ""}, "thinking": {"thinking": "", "signature": ""}}.get(kind, {})
    return named("content_block_start", index=index, content_block={"type": kind, **empty, **fields})


def text(piece: str, index: int = 0) -> bytes:
    """content_block_delta with text."""
    return named("content_block_delta", index=index, delta={"type": "text_delta", "text": piece})


def thinking(piece: str, index: int = 0) -> bytes:
    """content_block_delta with thinking."""
    return named("content_block_delta", index=index, delta={"type": "thinking_delta", "thinking": piece})


def other_delta(index: int = 0, **delta: Any) -> bytes:
    """content_block_delta with something else."""
    return named("content_block_delta", index=index, delta=delta)


def closed(index: int = 0) -> bytes:
    """content_block_stop."""
    return named("content_block_stop", index=index)


def ended(reason: str | None = "end_turn", **usage: Any) -> bytes:
    """message_delta."""
    return named(
        "message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage={"output_tokens": 34, **usage}
    )


PING = named("ping")
STOPPED = named("message_stop")


def message_events(tokens: Iterable[str], *, thoughts: Iterable[str] = (), reason: str = "end_turn") -> list[bytes]:
    """The events of an ordinary streamed message."""
    pieces, place = [started(), PING], 0
    if thoughts := list(thoughts):
        signature = other_delta(0, type="signature_delta", signature="c2ln")
        pieces += [opened(0, "thinking"), *(thinking(piece) for piece in thoughts), signature, closed(0)]
        place = 1
    pieces += [opened(place), *(text(piece, place) for piece in tokens), closed(place)]
    return [*pieces, ended(reason), STOPPED]


def message_stream(
    *tokens: str, thoughts: Iterable[str] = (), reason: str = "end_turn", request_id: str = "req-1"
) -> Script:
    """An ordinary streamed message, one piece for each event."""
    return events_reply(message_events(tokens, thoughts=thoughts, reason=reason), request_id=request_id)


def whole_message(
    said: str, *, thought: str = "", reason: str = "end_turn", request_id: str = "req-1", **usage: Any
) -> Script:
    """A message without streaming."""
    content: list[dict[str, Any]] = [{"type": "text", "text": said, "citations": None}]
    if thought:
        content.insert(0, {"type": "thinking", "thinking": thought, "signature": "c2ln"})
    body = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "content": content,
        "stop_reason": reason, "stop_sequence": None, "usage": {**USAGE, "output_tokens": 34, **usage},
    }  # fmt: skip
    return json_reply(body, headers={"request-id": request_id})


def trouble(kind: str, message: str = "Something is wrong") -> dict[str, Any]:
    """An error as Anthropic words it."""
    return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req-body"}


def refusal(
    status: int, kind: str, message: str = "what it says", *, headers: Mapping[str, str] | None = None
) -> Script:
    """An answer with an error status; 529 has no usual phrase."""
    answer = json_reply(trouble(kind, message), status, {"request-id": "req-7", **(headers or {})})
    return replace(answer, reason="Because")
