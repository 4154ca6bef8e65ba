"""A line that breaks: a proxy on loopback that cuts connections after some bytes, either way, by a reset or an end."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from dataclasses import dataclass

from tests.support.serving import serving

_DEADLINE = 10.0


@dataclass
class Cuts:
    """Which connections are cut; may be changed at any time."""

    share: float = 0.3
    """Of the exchanges, how many are cut at a random byte."""
    seed: int = 0
    most_bytes: int = 900
    """A cut comes within so many bytes of an exchange: in the request, or in the answer."""


class TornLine:
    """`with TornLine(port, Cuts()) as line:` listens on `line.port` and hands on to `port`, until it cuts."""

    def __init__(self, port: int, cuts: Cuts, *, listen_on: int = 0) -> None:
        self._target = port
        self.cuts = cuts
        self.made = 0
        """Cuts so far."""
        self.port = listen_on
        self._chance = random.Random(cuts.seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="torn line", daemon=True)
        self._ready = threading.Event()
        self._stop: asyncio.Event

    @property
    def base_url(self) -> str:
        """What belongs into a provider's `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> TornLine:
        self._thread.start()
        assert self._ready.wait(_DEADLINE)
        return self

    def __exit__(self, *exception: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(_DEADLINE)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with serving(self._carry, self.port) as self.port:
            self._ready.set()
            await self._stop.wait()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Both ways at once; the first way that ends, or is cut, ends the connection."""
        their_reader, their_writer = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [
            asyncio.create_task(self._way(reader, their_writer)),
            asyncio.create_task(self._way(their_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, their_writer):
                if self._chance.random() < 0.5:
                    linger = struct.pack("ii", 1, 0)
                    end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                end.close()

    async def _way(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                if self._chance.random() < self.cuts.share / 2:
                    # The other side gets a piece of it, or nothing, or all and then no answer.
                    self.made += 1
                    writer.write(data[: self._chance.randint(0, min(len(data), self.cuts.most_bytes))])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()
