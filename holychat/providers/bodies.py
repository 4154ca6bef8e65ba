"""Reading of answers with a bound on every size: what a server sends is never trusted to be small.

httpx inflates a compressed answer in one go, so that half a megabyte can become gigabytes. Here the raw bytes are
inflated in pieces of at most 64 KiB, and reading stops at a limit.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import httpx

PIECE = 64 * 1024
"""Bytes of one inflated piece at most."""


class BodyError(Exception):
    """The body can not be read: too large, badly compressed, or compressed in a way that was not asked for."""


class Inflater:
    """Undoes gzip and deflate piece by piece."""

    def __init__(self, encoding: str) -> None:
        self._gzip = encoding in ("gzip", "x-gzip")
        if not self._gzip and encoding != "deflate":
            raise BodyError(f"it is compressed as {encoding!r}, which was not asked for")
        self._inflate = zlib.decompressobj(31 if self._gzip else 15)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The inflated pieces of some more compressed bytes, at most 64 KiB each.

        Raises:
            BodyError: The data is not what its header says.
        """
        full = False
        while data or full:
            if self._inflate.eof:
                # Another gzip member may follow; anything else behind the end is ignored, as browsers do.
                if not self._gzip or not b"\x1f\x8b".startswith(data[:2]):
                    return
                self._inflate = zlib.decompressobj(31)
            try:
                piece = self._inflate.decompress(data, PIECE)
            except zlib.error:
                if self._gzip or self._begun:
                    raise BodyError("its compression is damaged") from None
                # Some servers send raw deflate without the zlib header.
                self._inflate = zlib.decompressobj(-15)
                self._begun = True
                continue
            self._begun = True
            data = self._inflate.unconsumed_tail or self._inflate.unused_data
            full = len(piece) == PIECE and not self._inflate.eof
            if piece:
                yield piece


class BodyReader:
    """Turns the raw bytes of an answer into inflated pieces, and counts them."""

    def __init__(self, headers: Mapping[str, str], limit: int) -> None:
        self._limit = limit
        self.size = 0
        """Inflated bytes so far."""
        encoding = headers.get("content-encoding", "").strip().lower()
        self._inflater = None if encoding in ("", "identity") else Inflater(encoding)

    def feed(self, raw: bytes) -> Iterator[bytes]:
        """The inflated pieces of some more raw bytes.

        Raises:
            BodyError: Larger than the limit, or badly compressed.
        """
        for piece in (raw,) if self._inflater is None else self._inflater.feed(raw):
            self.size += len(piece)
            if self.size > self._limit:
                raise BodyError(f"it is larger than {self._limit // (1024 * 1024) or 1} MiB")
            yield piece


async def read_whole(response: httpx.Response, limit: int) -> bytes:
    """The whole body.

    Raises:
        BodyError: Larger than `limit` bytes, or badly compressed.
    """
    reader = BodyReader(response.headers, limit)
    pieces = [piece async for raw in response.aiter_raw() for piece in reader.feed(raw)]
    return b"".join(pieces)


async def read_beginning(response: httpx.Response, into: bytearray, limit: int) -> None:
    """Fill `into` with the beginning of the body, at most `limit` bytes, and stop there without complaint.

    What was read stays in `into` whatever ends the reading, a cancellation included: the beginning of an error is
    often all that is needed to report it.
    """
    try:
        reader = BodyReader(response.headers, 2 * limit)
        async for raw in response.aiter_raw():
            for piece in reader.feed(raw):
                into += piece[: limit - len(into)]
                if len(into) >= limit:
                    return
    except BodyError:
        return
