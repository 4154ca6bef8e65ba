"""A receiver of webhooks on 127.0.0.1 that answers as it is told and keeps what it got."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OK = b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n"
HANG = b"hang"
ENDLESS = b"endless"


def status(line: str, *headers: str) -> bytes:
    """An answer without a body."""
    return "\r\n".join([f"HTTP/1.1 {line}", *headers, "Content-Length: 0", "", ""]).encode()


@dataclass
class Receiver:
    """What came, and what is answered: the answers in turn, the last one for ever."""

    answers: list[bytes] = field(default_factory=lambda: [OK])
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/hook?from=holychat"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            # Values keep their case: signatures depend on it.
            headers |= {line.split(": ", 1)[0].lower(): line.split(": ", 1)[1] for line in head[1:] if line}
            self.headers.append({":request": head[0], **headers})
            self.bodies.append(await reader.readexactly(int(headers["content-length"])))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer == HANG:
                await reader.read()
            elif answer == ENDLESS:
                writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
                while True:
                    writer.write(b"x" * 65536)
                    await writer.drain()
            else:
                writer.write(answer)
                await writer.drain()
        self.closed.set()


@contextlib.asynccontextmanager
async def receiving(*answers: bytes) -> AsyncIterator[Receiver]:
    """A receiver that answers `answers` in turn."""
    receiver = Receiver(list(answers) or [OK])
    async with serving(receiver.serve) as receiver.port:
        yield receiver
