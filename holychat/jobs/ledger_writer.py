"""The one who writes the ledger: a transaction takes whatever gathered while the one before it ran.

With one request at a time that is a transaction per step; with five hundred it is some dozens of steps per transaction.
An answer that came waits a moment for the request that takes its place: both go in one transaction then, and the
request does not have to wait for the answer's. What is safe already, because the answer is kept and only its reading is
to be written down, waits longer for company: so that a request which is about to leave waits for less.
Nothing is ever forgotten: what cannot be written, because the disk is full, is kept and tried again. Requests alone are
not kept: what cannot be written down is not sent.
"""

from __future__ import annotations

import asyncio
import logging
import time
from operator import attrgetter
from typing import TYPE_CHECKING, TypeVar

from holychat.errors import StoreDamaged, StoreError, StoreRefused
from holychat.store.ledger import write_entries
from holychat.store.ledger_entries import Back, Done, Doubt, Entries, Failed, Joined, Received, Repair

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holychat.domain.calibration import Sample
    from holychat.store.database import Connection, Database
    from holychat.store.ledger import Room
    from holychat.store.ledger_entries import Sending, Written

    Kept = Received | Done | Repair | Failed | Doubt | Back | Joined
    Told = Callable[[bool], None]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_AGAIN_SECONDS = 0.5
_MOMENT_SECONDS = 0.002
_LATER_SECONDS = 0.04
_LATER_MOST = 128
_MOST_KEPT = 2_000
"""Entries that may wait for the disk before nothing more is sent."""


class OverLimit(Exception):
    """The request could cost more than may still be spent today or this month."""


class LedgerWriter:
    """Collects entries and writes them, as soon as the last transaction ended. Belongs to one event loop.

    Args:
        database: Where to.
        owner: The worker that sends.
        on_written: Called with the side effects of each transaction: what ended because a part did, what can go on.
        on_trouble: Called when something cannot be written, and with None when it can again.
        room: Micro-dollars that may still be spent; None: no limit.
        learn: Learns how a model counts tokens, in the transaction that keeps its answer; None: nobody does.
    """

    def __init__(
        self,
        database: Database,
        owner: str,
        on_written: Callable[[Written], None],
        on_trouble: Callable[[StoreError | None], None],
        room: Room | None = None,
        learn: Callable[[Connection, Sample, int], None] | None = None,
    ) -> None:
        self._database = database
        self._owner = owner
        self._on_written = on_written
        self._on_trouble = on_trouble
        self._room = room
        self._learn = learn
        self._sample: Sample | None = None
        self._kept: list[tuple[Kept, Told | None]] = []
        self._later: list[tuple[Kept, Told | None]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._moment: asyncio.TimerHandle | None = None
        self._sending: list[tuple[Sending, asyncio.Future[int | None]]] = []
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.trouble: StoreError | None = None

    @property
    def backlog(self) -> int:
        """Entries that are not written yet."""
        return len(self._kept) + len(self._later) + len(self._sending)

    @property
    def may_send(self) -> bool:
        """Whether more may be sent: the disk keeps up."""
        return self.trouble is None and len(self._kept) + len(self._later) < _MOST_KEPT

    def keep(self, entry: Kept, told: Told | None = None) -> None:
        """Write this, whatever it takes; `told` hears whether the item was moved, once that is for good."""
        self._idle.clear()
        if not isinstance(entry, _CAN_WAIT):
            self._kept.append((entry, told))
            if not isinstance(entry, Received):
                self._wake.set()
            elif self._moment is None:
                self._moment = asyncio.get_running_loop().call_later(_MOMENT_SECONDS, self._wake.set)
            return
        self._later.append((entry, told))
        if len(self._later) >= _LATER_MOST:
            self._take_later()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LATER_SECONDS, self._take_later)

    @property
    def wants_sample(self) -> bool:
        """Whether the next transaction has nothing to learn from yet: one answer of each is enough."""
        return self._learn is not None and self._sample is None

    def learn(self, sample: Sample | None) -> None:
        """Learn from this with the next transaction."""
        self._sample = sample

    def sending(self, entry: Sending) -> asyncio.Future[int | None]:
        """Write down that a request is about to leave.

        Returns:
            The number of the attempt, once it is safe; None: it must not be sent, somebody else moved the item or its
            job. A StoreError: it could not be written. OverLimit: it could cost more than may be spent.
        """
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        if self.trouble is not None:
            future.set_exception(self.trouble)
            return future
        self._sending.append((entry, future))
        self._wake.set()
        self._idle.clear()
        return future

    async def sending_together(
        self, entries: Sequence[Sending], then: Callable[[Connection, Written], None]
    ) -> Written:
        """Write down that these requests are about to leave together; `then` is part of the same transaction.

        Raises:
            StoreError: It could not be written; nothing of it may be sent.
        """

        def work(connection: Connection) -> Written:
            now_ms = time.time_ns() // 1_000_000
            written = write_entries(connection, Entries(sending=list(entries)), self._owner, now_ms, self._room)
            then(connection, written)
            return written

        return await self._database.write(work)

    async def transaction(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as a transaction of its own, however long it takes until the disk takes it.

        Raises:
            StoreDamaged: The database is broken.
        """
        while True:
            try:
                return await self._database.write(work)
            except StoreDamaged:
                raise
            except StoreError as error:
                self._troubled(error)
            await asyncio.sleep(_AGAIN_SECONDS)

    def else_written(self) -> None:
        """Something else was written: where nothing waits here to be tried again, the trouble is over."""
        if not self._kept and not self._sending:
            self._recovered()

    async def settled(self) -> None:
        """Wait until everything is written."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write until cancelled.

        Raises:
            StoreDamaged: The database is broken; nothing more can be written.
        """
        while True:
            if not self._kept and not self._sending:
                self._wake.clear()
                if not self._later:
                    self._idle.set()
                await self._wake.wait()
            kept = self._take_kept()
            sending, self._sending = self._sending, []
            try:
                written = await self._write([entry for entry, _ in kept], [entry for entry, _ in sending])
            except StoreError as error:
                await self._refused(error, kept, sending)
                continue
            self._recovered()
            self._release(written, sending)
            await asyncio.sleep(0)  # what may leave now goes before what came is read
            self._tell(written, kept)

    def _take_kept(self) -> list[tuple[Kept, Told | None]]:
        if self._moment is not None:
            self._moment.cancel()
            self._moment = None
        kept, self._kept = self._kept, []
        return kept

    def _take_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._kept += self._later
        self._later = []
        self._wake.set()

    async def _write(self, kept: list[Kept], sending: list[Sending]) -> Written:
        entries = Entries(sending=sending)
        for entry in kept:
            _LISTS[type(entry)](entries).append(entry)
        sample, self._sample = self._sample, None

        def work(connection: Connection) -> Written:
            now_ms = time.time_ns() // 1_000_000
            if sample is not None and self._learn is not None:
                self._learn(connection, sample, now_ms)
            return write_entries(connection, entries, self._owner, now_ms, self._room)

        return await self._database.write(work)

    def _release(self, written: Written, sending: list[tuple[Sending, asyncio.Future[int | None]]]) -> None:
        attempts = written.attempts
        for row, future in sending:
            if future.done():
                continue
            if row.item_id in written.over:
                future.set_exception(OverLimit())
            else:
                future.set_result(attempts.get(row.item_id))

    def _tell(self, written: Written, kept: list[tuple[Kept, Told | None]]) -> None:
        moved = written.moved
        for entry, told in kept:
            if told is not None:
                told(entry.item_id in moved)
        if written.ended or written.ready:
            self._on_written(written)

    async def _refused(
        self,
        error: StoreError,
        kept: list[tuple[Kept, Told | None]],
        sending: list[tuple[Sending, asyncio.Future[int | None]]],
    ) -> None:
        for _, future in sending:
            if not future.done():
                future.set_exception(error)
                future.exception()  # whoever waited may be gone
        self._kept[:0] = kept
        if isinstance(error, StoreDamaged):
            raise error
        self._troubled(error)
        if isinstance(error, StoreRefused):
            await self._one_by_one()
        if self._kept:
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            self._recovered()

    async def _one_by_one(self) -> None:
        """Find the entries that break a rule of the schema, so that one of them does not hold up all others."""
        kept = self._take_kept()
        for place, (entry, told) in enumerate(kept):
            try:
                written = await self._write([entry], [])
            except StoreRefused:
                _log.exception("an entry of item %d cannot be written and is left out", entry.item_id)
                if told is not None:
                    told(False)
            except StoreError:
                self._kept[:0] = kept[place:]
                return
            else:
                self._tell(written, [(entry, told)])

    def _troubled(self, error: StoreError) -> None:
        if self.trouble is None:
            _log.warning("the ledger cannot be written: %s", error.title)
            self.trouble = error
            self._on_trouble(error)

    def _recovered(self) -> None:
        if self.trouble is not None:
            self.trouble = None
            self._on_trouble(None)


_CAN_WAIT = (Done, Repair, Joined)
_LISTS: dict[type, Callable[[Entries], list[object]]] = {
    Received: attrgetter("received"),
    Done: attrgetter("done"),
    Repair: attrgetter("repair"),
    Failed: attrgetter("failed"),
    Doubt: attrgetter("doubt"),
    Joined: attrgetter("joined"),
    Back: attrgetter("back"),
}
