"""What the loopback server can be told to answer; `tests/support/loopback.py` explains it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Framing = Literal["chunked", "length", "close", "raw"]
DEADLINE = 20.0
"""Seconds after which a wait of a test is a failure."""


@dataclass(frozen=True)
class Pause:
    """Wait before the next piece."""

    seconds: float


class Gate:
    """Hold the answer until the test opens the gate."""

    def __init__(self) -> None:
        self._opened = threading.Event()
        self._reached = threading.Event()

    def open(self) -> None:
        """Let the answer go on."""
        self._opened.set()

    def wait_reached(self, timeout: float = DEADLINE) -> None:
        """Wait until the server stands at the gate."""
        assert self._reached.wait(timeout), "the server never came to the gate"

    async def pass_through(self) -> None:
        """Server side: wait for `open`."""
        self._reached.set()
        while not self._opened.is_set():  # noqa: ASYNC110  # opened from another thread, made before the loop
            await asyncio.sleep(0.002)


class _Mark:
    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return self._name


RESET = _Mark("RESET")
CUT = _Mark("CUT")
FOREVER = _Mark("FOREVER")

Piece = bytes | Pause | Gate | _Mark


@dataclass(frozen=True)
class Script:
    """One answer of the server."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    pieces: Iterable[Piece] = ()
    framing: Framing = "chunked"
    reason: str | None = None


@dataclass(frozen=True)
class Request:
    """One request as it arrived."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    connection: int
    """1 for the first connection accepted, 2 for the second …"""
    gone: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set when the client closed the connection before the answer had ended."""

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


Answer = Script | Callable[[Request], Script]


def chunk(
    content: Any = None,
    *,
    reasoning: str | None = None,
    role: str | None = None,
    finish: str | None = None,
    index: int = 0,
    model: str = "test-model",
    delta: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One chat.completion.chunk; `delta` adds fields to the delta, other keywords to the chunk."""
    fields: dict[str, Any] = {}
    if role is not None:
        fields["role"] = role
    if content is not None:
        fields["content"] = content
    if reasoning is not None:
        fields["reasoning_content"] = reasoning
    choice = {"index": index, "delta": {**fields, **(delta or {})}, "finish_reason": finish}
    base = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model}
    return {**base, "choices": [choice], **more}


def usage_chunk(input_tokens: int, output_tokens: int, **more: Any) -> dict[str, Any]:
    """The chunk that `include_usage` asks for: totals and empty choices."""
    usage = {
        "prompt_tokens": input_tokens,
        "completion_tokens": output_tokens,
        "total_tokens": input_tokens + output_tokens,
        **more,
    }
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "test-model", "choices": [], "usage": usage}


def event(payload: Mapping[str, Any] | str) -> bytes:
    """One server-sent event; a string goes out as it is."""
    text = payload if isinstance(payload, str) else json.dumps(payload, ensure_ascii=False)
    return f"data: {text}\n\n".encode()


def sse(*payloads: Mapping[str, Any] | str) -> list[bytes]:
    """Server-sent events, one piece each."""
    return [event(payload) for payload in payloads]


def reply_events(
    tokens: Iterable[str],
    *,
    reasoning: Iterable[str] = (),
    model: str = "test-model",
    finish: str | None = "stop",
    usage: tuple[int, int] | None = (12, 34),
    done: bool = True,
) -> list[bytes]:
    """The events of an ordinary streamed reply."""
    payloads: list[Mapping[str, Any] | str] = [chunk("", role="assistant", model=model)]
    payloads += [chunk(reasoning=text, model=model) for text in reasoning]
    payloads += [chunk(text, model=model) for text in tokens]
    if finish is not None:
        payloads.append(chunk(finish=finish, model=model))
    if usage is not None:
        payloads.append(usage_chunk(*usage))
    if done:
        payloads.append("[DONE]")
    return sse(*payloads)


def events_reply(pieces: Iterable[Piece], *, framing: Framing = "chunked", **headers: str) -> Script:
    """A 200 with the media type of server-sent events; keywords become headers (`x_request_id` is `x-request-id`)."""
    named = {"content-type": "text/event-stream", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Script(200, named, pieces, framing)


def stream_of(
    *tokens: str,
    reasoning: Iterable[str] = (),
    model: str = "test-model",
    finish: str | None = "stop",
    usage: tuple[int, int] | None = (12, 34),
    done: bool = True,
    request_id: str = "req-1",
) -> Script:
    """An ordinary streamed reply, one piece for each token."""
    events = reply_events(tokens, reasoning=reasoning, model=model, finish=finish, usage=usage, done=done)
    return events_reply(events, x_request_id=request_id)


def whole(
    text: str, *, reasoning: str = "", finish: str = "stop", model: str = "test-model", request_id: str = "req-1"
) -> Script:
    """A reply without streaming."""
    message = {"role": "assistant", "content": text, **({"reasoning_content": reasoning} if reasoning else {})}
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        "usage": {"prompt_tokens": 12, "completion_tokens": 34, "total_tokens": 46},
    }
    return json_reply(body, headers={"x-request-id": request_id})


def json_reply(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Script:
    """Any JSON with its length."""
    named = {"content-type": "application/json", **(headers or {})}
    return Script(status, named, [json.dumps(value).encode()], "length")


def error_reply(
    status: int,
    message: str = "Something is wrong",
    *,
    code: str | int | None = None,
    type: str = "test_error",  # noqa: A002  # the wire's own name
    headers: Mapping[str, str] | None = None,
) -> Script:
    """An error as OpenAI words it."""
    body = {"error": {"message": message, "type": type, "param": None, "code": code}}
    return json_reply(body, status, headers)
