"""A real HTTP server on loopback that plays scripts: the other end of every test that needs a provider.

It runs in its own thread with its own event loop, so that asynchronous tests, plain tests and subprocesses can all
talk to it. Use the `loopback` fixture of `tests/conftest.py`:

    def test_something(loopback):
        loopback.chat(stream_of("Hel", "lo"))                     # POST /v1/chat/completions
        ... point a provider at loopback.base_url ...
        assert loopback.requests[0].json["messages"][-1]["content"] == "Hi"

Scripts
    `Script(status, headers, pieces, framing)` is one answer. `pieces` is any iterable of
        bytes            written at once, one HTTP chunk each when the framing is chunked
        Pause(seconds)   waits
        Gate()           waits until the test calls `gate.open()`; `gate.wait_reached()` tells that the server got there
        RESET            cuts the connection with a TCP reset
        CUT              closes the connection without ending the answer properly
        FOREVER          sends nothing more and keeps the connection open until the client goes
    `framing` is "chunked" (default), "length" (Content-Length), "close" (ends with the connection) or "raw" (the
    pieces are everything that is sent, status line included).

Routes
    `loopback.on(path, *answers, method="POST")` queues answers for a path; the last one is given again for ever.
    An answer is a Script or a function from the Request to a Script. `loopback.chat(*answers)` is the route of chat
    completions, `loopback.models(*ids)` that of GET /v1/models. Any other path is a 404 with a JSON error.

Answers ready made
    stream_of(*tokens, reasoning=(), model=, finish=, usage=, done=)   an ordinary streamed reply
    sse(*payloads)          events from dicts or strings, a list of bytes; `event(payload)` is one of them
    chunk(content, ...)     the dict of one chat.completion.chunk
    usage_chunk(i, o)       the dict of a usage chunk with empty choices
    whole(text, ...)        a reply without streaming
    json_reply(value, status, headers), error_reply(status, message, code=, type=, headers=)

What was asked
    `loopback.requests` lists `Request(method, path, query, headers, body, connection)`, headers with lower-case names;
    `.json` decodes the body; `.gone` is a threading.Event set when the client closed before the answer had ended.
    `loopback.wait_for(n)` waits until n requests have arrived. `loopback.connections` counts accepted connections.
"""

from __future__ import annotations

import asyncio
import contextlib
import http
import socket
import struct
import threading
from typing import TYPE_CHECKING, Any

from tests.support.script import (
    CUT,
    DEADLINE,
    FOREVER,
    RESET,
    Answer,
    Gate,
    Pause,
    Piece,
    Request,
    Script,
    chunk,
    error_reply,
    event,
    events_reply,
    json_reply,
    reply_events,
    sse,
    stream_of,
    usage_chunk,
    whole,
)  # fmt: skip
from tests.support.serving import serving

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

__all__ = [
    "CUT", "DEADLINE", "FOREVER", "RESET", "Answer", "Gate", "Loopback", "Pause", "Piece", "Request", "Script",
    "chunk", "error_reply", "event", "events_reply", "json_reply", "reply_events", "sse", "stream_of", "usage_chunk",
    "whole",
]  # fmt: skip


class Loopback:
    """The server. `with Loopback() as server:` starts it on a free port, or that port, and stops it at the end.

    With `tls` it speaks https and calls itself localhost.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, port: int = 0) -> None:
        self._tls = tls
        self.requests: list[Request] = []
        self.connections = 0
        self.port = port
        self._routes: dict[tuple[str, str], list[Answer]] = {}
        self._arrived = threading.Condition()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="loopback", daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"https://localhost:{self.port}" if self._tls else f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What belongs into a provider's `base_url`."""
        return f"{self.url}/v1"

    def on(self, path: str, *answers: Answer, method: str = "POST") -> None:
        """Answer requests to `path` with these, in turn; the last one is repeated. Replaces what was set before."""
        self._routes[method, path] = list(answers)

    def chat(self, *answers: Answer) -> None:
        """Answer chat completions."""
        self.on("/v1/chat/completions", *answers)

    def models(self, *ids: str) -> None:
        """Answer the question for models."""
        data = [{"id": name, "object": "model", "owned_by": "tests"} for name in ids]
        self.on("/v1/models", json_reply({"object": "list", "data": data}), method="GET")

    def wait_for(self, count: int, timeout: float = DEADLINE) -> Sequence[Request]:
        """Wait until `count` requests have arrived, and give all of them."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self.requests) >= count, timeout)
        assert arrived, f"{len(self.requests)} of {count} requests arrived"
        return self.requests

    def __enter__(self) -> Loopback:
        self._thread.start()
        assert self._ready.wait(DEADLINE), "the loopback server did not start"
        return self

    def __exit__(self, *_: object) -> None:
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(DEADLINE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with serving(self._connection, self.port, tls=self._tls) as self.port:
            self._ready.set()
            await self._stop.wait()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await _Connection(self, reader, writer, self.connections).serve()

    def take(self, request: Request) -> Script:
        """Record a request and choose its answer (called on the server's thread)."""
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        answers = self._routes.get((request.method, request.path))
        if not answers:
            return error_reply(404, f"no route for {request.method} {request.path}", code="not_found")
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Script) else answer(request)


class _Gone(Exception):
    """The client closed the connection."""


class _BrokenOff(Exception):
    """The script broke the connection off."""


class _Connection:
    """One accepted connection; a pump reads ahead so that a client that goes is noticed while an answer is written."""

    def __init__(
        self, server: Loopback, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int
    ) -> None:
        self._server = server
        self._reader = reader
        self._writer = writer
        self._number = number
        self._buffer = bytearray()
        self._fresh = asyncio.Event()
        self._gone = asyncio.Event()

    async def serve(self) -> None:
        pump = asyncio.create_task(self._pump())
        try:
            while (request := await self._read_request()) is not None:
                if not await self._answer(request):
                    break
        except (_Gone, _BrokenOff, ConnectionError):
            pass
        finally:
            pump.cancel()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await pump
            self._writer.close()
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(self._writer.wait_closed(), 1)

    async def _pump(self) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(65536):
                self._buffer += data
                self._fresh.set()
        self._gone.set()
        self._fresh.set()

    async def _until(self, enough: Callable[[], bool]) -> bool:
        while not enough():
            if self._gone.is_set():
                return False
            self._fresh.clear()
            await self._fresh.wait()
        return True

    async def _read_request(self) -> Request | None:
        if not await self._until(lambda: b"\r\n\r\n" in self._buffer):
            return None
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])
        }
        length = int(headers.get("content-length", "0"))
        self._buffer[:] = rest
        if not await self._until(lambda: len(self._buffer) >= length):
            return None
        body = bytes(self._buffer[:length])
        del self._buffer[:length]
        path, _, query = target.partition("?")
        return Request(method, path, query, headers, body, self._number)

    async def _answer(self, request: Request) -> bool:
        """Play the script; False when the connection is not to be used again."""
        script = self._server.take(request)
        try:
            return await self._play(script)
        except (_Gone, ConnectionError):
            request.gone.set()
            raise

    async def _play(self, script: Script) -> bool:
        body: list[bytes] | None = None
        if script.framing == "length":
            body = [piece for piece in script.pieces if isinstance(piece, bytes)]
        if script.framing != "raw":
            self._writer.write(self._head(script, None if body is None else sum(map(len, body))))
        async for data in self._pieces(script.pieces):
            if script.framing == "chunked":
                self._writer.write(b"%x\r\n%b\r\n" % (len(data), data))
            else:
                self._writer.write(data)
            await self._writer.drain()
        if script.framing == "chunked":
            self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()
        return script.framing in ("chunked", "length")

    @staticmethod
    def _head(script: Script, length: int | None) -> bytes:
        headers = dict(script.headers)
        if script.framing == "chunked":
            headers["transfer-encoding"] = "chunked"
        elif length is not None:
            headers.setdefault("content-length", str(length))
        else:
            headers["connection"] = "close"
        reason = http.HTTPStatus(script.status).phrase if script.reason is None else script.reason
        lines = [f"HTTP/1.1 {script.status} {reason}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    async def _pieces(self, pieces: Iterable[Piece]) -> AsyncIterator[bytes]:
        for piece in pieces:
            if isinstance(piece, bytes):
                if piece:
                    yield piece
            elif isinstance(piece, Pause):
                await self._or_gone(asyncio.sleep(piece.seconds))
            elif isinstance(piece, Gate):
                await self._or_gone(piece.pass_through())
            elif piece is FOREVER:
                await self._gone.wait()
                raise _Gone
            else:
                self._break_off(reset=piece is RESET)
                raise _BrokenOff
            if self._gone.is_set():
                raise _Gone

    async def _or_gone(self, waiting: Any) -> None:
        wait = asyncio.ensure_future(waiting)
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({wait, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not wait.done():
                raise _Gone
        finally:
            wait.cancel()
            gone.cancel()

    def _break_off(self, *, reset: bool) -> None:
        if reset:
            linger = struct.pack("ii", 1, 0)
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self._writer.transport.abort()
        else:
            self._writer.close()
