"""The body of a streamed answer, at a pace."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from holychat.providers.offline.wire import Answer

_AT_ONCE = 64
"""Tokens that go out together when there is no pace to keep."""


class PacedBody(httpx.AsyncByteStream):
    """Events of an answer: one token each, `pace` of them in a second, or as fast as they are read at pace 0."""

    def __init__(self, answer: Answer, pace: float) -> None:
        self._answer = answer
        self._pace = pace

    async def __aiter__(self) -> AsyncIterator[bytes]:
        answer = self._answer
        yield answer.opening()
        if self._pace:
            due = asyncio.get_running_loop().time()
            for piece in answer.pieces:
                due += 1 / self._pace
                # Measured from the beginning: a late token does not delay those after it.
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                yield answer.piece(piece)
        else:
            for start in range(0, len(answer.pieces), _AT_ONCE):
                await asyncio.sleep(0)
                yield b"".join(map(answer.piece, answer.pieces[start : start + _AT_ONCE]))
        yield answer.closing()
