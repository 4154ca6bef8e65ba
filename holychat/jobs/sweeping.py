"""Taking away the rows of deleted jobs."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from holychat.errors import StoreError
from holychat.store import jobs

if TYPE_CHECKING:
    from holychat.store.database import Database

_log = logging.getLogger(__name__)

_AT_ONCE = 500
"""Items that go in one transaction, some 20 ms: nobody else who writes waits for longer."""


class Sweeper:
    """Works in the background of one event loop. What a process that ended leaves, the next one that sweeps takes."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def sweep(self, seconds: float | None = None) -> None:
        """Take rows away, waiting for the end of it so long at most (None: to the end). Never fails."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._sweep())
        await asyncio.wait([self._task], timeout=seconds)

    async def close(self) -> None:
        """Stop after the transaction that is under way."""
        self._closed = True
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _sweep(self) -> None:
        try:
            while not self._closed and await self._database.write(lambda c: jobs.erase_some(c, _AT_ONCE)):
                pass
        except StoreError as error:
            _log.warning("rows of a deleted job are still there: %s", error.title)
