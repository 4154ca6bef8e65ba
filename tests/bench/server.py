"""A chat-completions server on 127.0.0.1 that costs its clients no waiting: every reply is serialised beforehand.

It is a process of its own. On standard input it is told, one JSON object per line, what the next request gets:

    {"kind": "mixed", "count": 2000, "rate": 0, "tag": "A001"}      rate: pieces per second; 0 writes all at once

On standard output it says, one JSON object per line: `{"port": …}` at first, `{"prepared": tag}` when a reply is ready,
and `{"served": tag, "received": …, "first": …, "last": …, "marks": {mark: …}}` after each request. Times are seconds
of CLOCK_MONOTONIC, as the driver's: request complete, first piece handed to the socket, last piece, and, for a paced
reply, every piece with a mark.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.bench.texts import TAG, pieces

_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_MODELS = json.dumps({"object": "list", "data": [{"id": "bench-model", "object": "model"}]}).encode()
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MARK = re.compile(r"zq\w{4}(?:m\d{5}|F|L)z")
_WRITE_BYTES = 65536


@dataclass(slots=True)
class Reply:
    """A reply in the form in which it goes over the wire."""

    tag: str
    rate: float
    start: bytes
    chunks: list[bytes]
    end: bytes
    marks: dict[int, str] = field(default_factory=dict)


def _chunk(event: dict[str, Any] | str) -> bytes:
    text = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    data = f"data: {text}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(data), data)


def _event(delta: dict[str, str], finish: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "bench-model",
        "choices": [choice],
    }  # fmt: skip


class Replies:
    """Serialises replies; a kind and length is serialised once and given its tag by replacing bytes."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], tuple[list[bytes], dict[int, str]]] = {}

    def make(self, kind: str, count: int, rate: float, tag: str) -> Reply:
        if (kind, count) not in self._known:
            texts = pieces(kind, count)
            marks = {i: found[0] for i, text in enumerate(texts) if (found := _MARK.search(text))}
            self._known[kind, count] = ([_chunk(_event({"content": text})) for text in texts], marks)
        chunks, marks = self._known[kind, count]
        old, new = TAG.encode(), tag.encode()
        usage = {"prompt_tokens": 10, "completion_tokens": count, "total_tokens": count + 10}
        end = _chunk(_event({}, "stop")) + _chunk({**_event({}), "choices": [], "usage": usage}) + _chunk("[DONE]")
        return Reply(
            tag,
            rate,
            _HEAD + _chunk(_event({"role": "assistant", "content": ""})),
            [chunk.replace(old, new) for chunk in chunks],
            end + b"0\r\n\r\n",
            {i: mark.replace(TAG, tag) for i, mark in marks.items()},
        )


class Connection(asyncio.Protocol):
    """One client; requests are answered one after the other."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""
        self._task: asyncio.Task[None] | None = None
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._writable.set()
        if self._task is not None:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, rest = self._received.partition(b"\r\n\r\n")
        length = int(found[1]) if (found := _LENGTH.search(head)) else 0
        if not separator or len(rest) < length:
            return
        received = time.monotonic()
        self._received = rest[length:]
        if head.startswith(b"POST"):
            self._task = asyncio.create_task(self._stream(self._server.take(), received))
        else:
            self._transport.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
                % (len(_MODELS), _MODELS)
            )

    async def _stream(self, reply: Reply, received: float) -> None:
        marks: dict[str, float] = {}
        first = time.monotonic()
        if reply.rate:
            await self._pace(reply, first, marks)
        else:
            data = memoryview(reply.start + b"".join(reply.chunks))
            for at in range(0, len(data), _WRITE_BYTES):
                await self._writable.wait()
                self._transport.write(data[at : at + _WRITE_BYTES])
        last = time.monotonic()
        self._transport.write(reply.end)
        say({"served": reply.tag, "received": received, "first": first, "last": last, "marks": marks})

    async def _pace(self, reply: Reply, first: float, marks: dict[str, float]) -> None:
        self._transport.write(reply.start)
        for i, chunk in enumerate(reply.chunks):
            wait = first + i / reply.rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            if (mark := reply.marks.get(i)) is not None:
                marks[mark] = time.monotonic()
            self._transport.write(chunk)


class Server:
    """Takes orders from standard input and listens on a free port of 127.0.0.1."""

    def __init__(self) -> None:
        self._replies = Replies()
        self._next: Reply | None = None

    def take(self) -> Reply:
        """The reply that was prepared, or a short one for a request that nobody announced."""
        reply, self._next = self._next, None
        return reply or self._replies.make("mixed", 8, 0, "none")

    async def run(self) -> None:
        """Until standard input ends."""
        loop = asyncio.get_running_loop()
        listening = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        orders = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        say({"port": listening.sockets[0].getsockname()[1]})
        async for line in orders:
            order = json.loads(line)
            self._next = self._replies.make(order["kind"], order["count"], order["rate"], order["tag"])
            say({"prepared": order["tag"]})


def say(fact: dict[str, Any]) -> None:
    """Tell the driver."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Server().run())
