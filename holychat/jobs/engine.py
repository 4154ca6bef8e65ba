"""The desk at work: every job that is queued or running, whatever its provider.

The database says what is to be done; this looks at it whenever somebody else has written, starts and stops jobs
accordingly, and keeps no state that it could not read there again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from holychat.errors import StoreDamaged, StoreError
from holychat.jobs.at_work import AtWork
from holychat.jobs.ledger_writer import LedgerWriter
from holychat.jobs.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from holychat.jobs.needs import Services
    from holychat.store.ledger_entries import Written

_log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
_PROGRESS_SECONDS = 1.0


class Engine:
    """Works at jobs until there is nothing to do. Only the process that holds the worker's lock may have one.

    Args:
        services: Database, providers, prices.
        owner: The name of this worker, kept with everything it sends.
        is_needed: Asked before it leaves because there is no job: whether there is something else to stay for.
    """

    def __init__(self, services: Services, owner: str, is_needed: Callable[[], Awaitable[bool]] | None = None) -> None:
        self._database = services.database
        self._services = services
        costs = services.costs
        room = costs.room_left if costs.has_limits else None
        self._writer = LedgerWriter(services.database, owner, self._has_written, self._trouble, room, costs.learn)
        self._desk = AtWork(services, self._writer)
        self._is_needed = is_needed
        self._seen = -1
        self._stopping = asyncio.Event()
        self._grace: float | None = None
        self._dirty = True
        self._store_trouble: StoreError | None = None
        self._pause_for_store = False
        self._idle_since: float | None = None

    @property
    def job_ended(self) -> asyncio.Event:
        """Set when a job has ended; whoever waits for it clears it."""
        return self._desk.job_ended

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._desk.in_flight

    def stop(self, grace_seconds: float | None = None) -> None:
        """Send nothing more; `run` returns when what is under way has come back, or its grace is over.

        Args:
            grace_seconds: Another grace than the one `run` was given.
        """
        self._grace = grace_seconds
        self._stopping.set()

    async def run(self, idle_seconds: float | None, grace_seconds: float) -> None:
        """Recover, then work until `stop`, or until there was nothing to do for so long.

        Args:
            idle_seconds: None: stay for ever.
            grace_seconds: What is under way has so long to come back once it is to stop; then it is in doubt.

        Raises:
            StoreDamaged: The database is broken.
        """
        writing = asyncio.create_task(self._writer.run())
        try:
            await self._until(writing, self._work(idle_seconds))
            await self._until(writing, self._end(grace_seconds if self._grace is None else self._grace))
        finally:
            writing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writing

    async def _until(self, writing: asyncio.Task[None], work: Coroutine[None, None, None]) -> None:
        """Do the work; the end of the writer, which cannot be but an error, ends it."""
        working = asyncio.create_task(work)
        done, _ = await asyncio.wait({working, writing}, return_when=asyncio.FIRST_COMPLETED)
        if working not in done:
            working.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await working
            await writing
        await working

    async def _work(self, idle_seconds: float | None) -> None:
        await recover(self._database, self._writer, self._services.registry, self._services.costs)
        await self._desk.batches.open()
        said = 0.0
        while not self._stopping.is_set():
            await self._look()
            now = asyncio.get_running_loop().time()
            if now - said >= _PROGRESS_SECONDS:
                said = now
                await self._desk.say_progress()
            if self._is_idle(now, idle_seconds):
                if self._is_needed is None or not await self._is_needed():
                    return
                self._idle_since = None
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _LOOK_SECONDS)

    async def _end(self, grace_seconds: float) -> None:
        await self._desk.close(grace_seconds)
        await self._writer.settled()

    def _is_idle(self, now: float, idle_seconds: float | None) -> bool:
        if self._desk.is_busy or self._writer.backlog or idle_seconds is None:
            self._idle_since = None
            return False
        if self._idle_since is None:
            self._idle_since = now
        return now - self._idle_since >= idle_seconds

    # Looking

    async def _look(self) -> None:
        """See what others wrote, and act."""
        await self._pause_where_full()
        try:
            version = await self._database.data_version()
            if version != self._seen or self._dirty or self._desk.changed:
                self._seen, self._dirty, self._desk.changed = version, False, False
                await self._desk.refresh()
        except StoreDamaged:
            raise
        except StoreError as error:
            # Another process holds it for too long, or its disk is away: what is under way comes back all the same.
            self._dirty = True
            _log.warning("cannot look at the jobs: %s", error.title)
        await self._desk.tend()

    async def _pause_where_full(self) -> None:
        if not self._pause_for_store or self._store_trouble is None:
            return
        detail = f"{self._store_trouble.title}. {self._store_trouble.hint}".strip()
        try:
            await self._database.write(lambda c: self._desk.pauses.write_frozen(c, detail))
        except StoreError:
            return
        self._pause_for_store = False
        self._desk.pauses.thaw()
        # The transaction that met the trouble may have been given up since: nobody else would see the end of it.
        self._writer.else_written()
        if self._writer.trouble is None:
            self._store_trouble = None

    def _trouble(self, error: StoreError | None) -> None:
        """The ledger cannot be written, or (None) it can again. Jobs are paused either way: a person frees space."""
        if error is not None:
            self._store_trouble = error
            self._pause_for_store = True
            self._desk.freeze()
        elif not self._pause_for_store:
            self._store_trouble = None
        self._desk.wake_senders()

    def _has_written(self, written: Written) -> None:
        self._desk.written(written)
