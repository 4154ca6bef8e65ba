"""Sends the requests of all jobs that use one model of one provider, as fast as its lane allows.

One loop chooses what goes next, the jobs of high priority first and those of the same priority in turn; each request
then has a task of its own, of which there are never more than the lane has slots.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.failures import Failure
from holychat.domain.jobs import PauseReason, Priority
from holychat.errors import (
    CredentialError,
    HolychatError,
    Outcome,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RequestRefused,
    StoreError,
    Unreachable,
)
from holychat.jobs.answers import legible
from holychat.jobs.fates import Fates
from holychat.jobs.ledger_writer import OverLimit
from holychat.jobs.preparing import unexpected
from holychat.store.ledger_entries import Sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.jobs.lane import Lane, Slot
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.preparing import Ready
    from holychat.jobs.run import JobRun
    from holychat.money.costs import Costs
    from holychat.providers.base import Provider

_log = logging.getLogger(__name__)

MOST_FAULTS = 2
"""How often a request is sent again that the provider failed at."""
_FAULT_PAUSE = 1.0
_FIRST_HOLD, _LONGEST_HOLD = 0.5, 30.0
PATIENCE = 120.0
"""Seconds without any connection after which the jobs are paused until the provider is there again."""
_ORDER = {Priority.HIGH: 0, Priority.MEDIUM: 1, Priority.LOW: 1}

ABORTED = Failure(
    "Aborted",
    "It was given up while it was under way; it may have been done and billed",
    "Send it again at the risk of paying twice, or skip it.",
    outcome=Outcome.AMBIGUOUS.value,
)


class Sender:
    """The jobs of one lane. Belongs to one event loop.

    Args:
        provider: Whom it is sent to.
        lane: Says when.
        writer: Writes the ledger.
        costs: Prices and token estimates.
        pause: Pauses a job for a reason that concerns all of the lane.
    """

    def __init__(
        self,
        provider: Provider,
        lane: Lane,
        writer: LedgerWriter,
        costs: Costs,
        pause: Callable[[JobRun, PauseReason, str], None],
    ) -> None:
        self.provider = provider
        self.lane = lane
        self.runs: list[JobRun] = []
        self._writer = writer
        self._fates = Fates(provider, writer, costs)
        self._pause = pause
        self._tasks: set[asyncio.Task[None]] = set()
        self._work = {False: asyncio.Event(), True: asyncio.Event()}
        self._unreachable_since: float | None = None
        self._hold_until = 0.0
        self._hold = 0.0

    @property
    def hold_until(self) -> float:
        """Time of the loop before which nothing is sent, because the provider could not be reached."""
        return self._hold_until

    @property
    def in_flight(self) -> int:
        """Requests that are under way or about to be."""
        return len(self._tasks)

    def changed(self) -> None:
        """There may be something to send."""
        for work in self._work.values():
            work.set()

    async def run(self, *, background: bool) -> None:
        """Send until cancelled; what is under way goes on then.

        Args:
            background: Send what is in no hurry; else everything but that.
        """
        work = self._work[background]
        while True:
            found = self._choose(background)
            if found is None:
                work.clear()
                await work.wait()
                continue
            await self._out_of_hold()
            slot = await self.lane.acquire(found[1].tokens, background=background)
            # While this waited a job may have been paused, or one that is more urgent have begun.
            found = self._choose(background)
            if found is None:
                slot.release(None)
                continue
            run, _ = found
            item = run.take()
            task = asyncio.create_task(self._attempt(run, item, slot))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def reachable(self) -> None:
        """The provider answered something."""
        self._unreachable_since = None
        self._hold = self._hold_until = 0.0

    async def wait_for_tasks(self, seconds: float) -> None:
        """Wait until nothing is under way, so long at most."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    def abort(self, run: JobRun) -> None:
        """Give up what is under way of a job: nobody will know what becomes of it."""
        run.aborted = True
        for task in list(run.on_the_wire):
            task.cancel()

    def _choose(self, background: bool) -> tuple[JobRun, Ready] | None:
        if not self._writer.may_send:
            return None
        best: tuple[int, int, JobRun, Ready] | None = None
        for run in self.runs:
            item = run.next() if (run.job.spec.priority is Priority.LOW) is background else None
            if item is None or not run.goes_live(item):
                continue
            order = _ORDER[run.job.spec.priority]
            if best is None or (order, run.in_flight) < best[:2]:
                best = (order, run.in_flight, run, item)
        return None if best is None else best[2:]

    async def _out_of_hold(self) -> None:
        loop = asyncio.get_running_loop()
        while (wait := self._hold_until - loop.time()) > 0:  # noqa: ASYNC110  # the time may move on meanwhile
            await asyncio.sleep(wait)

    # One request

    async def _attempt(self, run: JobRun, item: Ready, slot: Slot) -> None:
        try:
            entry = Sending(item.item_id, item.worst_micros, item.request_sha256, item.sha256, run.own_model(item))
            attempt_id = await self._writer.sending(entry)
        except StoreError:
            slot.release(None)
            self._fates.never_mind(run, item, again=True)
            return
        except OverLimit:
            slot.release(None)
            run.over_limit = True
            self._fates.never_mind(run, item, again=True)
            return
        if attempt_id is None:
            slot.release(None)
            self._fates.never_mind(run, item, again=False)
            return
        await self._send(run, item, slot, attempt_id)

    async def _send(self, run: JobRun, item: Ready, slot: Slot, attempt_id: int) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        if run.aborted or not slot.sent():
            slot.release(None)
            self._fates.back(run, item, attempt_id, Outcome.NEVER_SENT)
            return
        began = loop.time()
        run.on_the_wire.add(task)
        try:
            raw = await self.provider.send(item.request)
        except asyncio.CancelledError:
            self._fates.doubt(run, item, attempt_id, ABORTED)
            slot.release(Outcome.AMBIGUOUS)
            if not run.aborted:
                raise
        except HolychatError as error:
            # What became of it goes to the ledger first: nothing that follows can lose it then.
            self._failed(run, item, attempt_id, error)
            self._release(slot, error)
        except Exception as error:  # noqa: BLE001  # the item's boundary: one odd request must not stop the others
            _log.exception("item %d was sent and something went wrong inside holychat", item.item_id)
            self._fates.doubt(run, item, attempt_id, replace(unexpected(error), outcome=Outcome.AMBIGUOUS.value))
            slot.release(Outcome.AMBIGUOUS)
        else:
            self._fates.received(run, item, attempt_id, raw, round((loop.time() - began) * 1000))
            slot.release(None, tokens=None, limits=raw.limits)
            self.reachable()
        finally:
            run.on_the_wire.discard(task)

    # What went wrong

    def _release(self, slot: Slot, error: HolychatError) -> None:
        if not isinstance(error, ProviderError):
            slot.release(Outcome.NEVER_SENT)
            return
        slot.release(
            error.outcome,
            limits=error.limits,
            retry_after=error.retry_after,
            overloaded=isinstance(error, Overloaded),
        )
        if error.outcome is not Outcome.NEVER_SENT:
            self.reachable()

    def _failed(self, run: JobRun, item: Ready, attempt_id: int, error: HolychatError) -> None:
        outcome = error.outcome if isinstance(error, ProviderError) else Outcome.NEVER_SENT
        failure = Failure.of(error)
        if outcome is Outcome.AMBIGUOUS:
            partial = legible(error.partial) if isinstance(error, ProviderError) else None
            self._fates.doubt(run, item, attempt_id, failure, partial)
        elif outcome is Outcome.AUTH or isinstance(error, CredentialError):
            self._fates.back(run, item, attempt_id, outcome, failure)
            self._pause_all(PauseReason.QUOTA if isinstance(error, OutOfCredit) else PauseReason.KEY, error)
        elif outcome is Outcome.REFUSED:
            self._fates.back(run, item, attempt_id, outcome, failure, refusals=1)
        elif outcome is Outcome.NEVER_SENT and isinstance(error, Unreachable):
            self._fates.back(run, item, attempt_id, outcome, failure)
            self._hold_back(error)
        elif outcome is Outcome.NEVER_SENT and isinstance(error, RequestRefused):
            # The request cannot be written: a header that HTTP forbids, which is the key's.
            self._fates.back(run, item, attempt_id, outcome, failure)
            self._pause_all(PauseReason.KEY, error)
        elif outcome is Outcome.SERVER_FAULT and item.faults < MOST_FAULTS:
            item.faults += 1
            pause = _FAULT_PAUSE * item.faults
            self._fates.back(run, item, attempt_id, outcome, failure, faults=1, pause=pause)
        else:
            self._fates.fail(run, item, attempt_id, outcome, failure)

    def _hold_back(self, error: Unreachable) -> None:
        """Wait longer and longer before the next try; many requests that fail together count once."""
        now = asyncio.get_running_loop().time()
        if self._unreachable_since is None:
            self._unreachable_since = now
        if now - self._unreachable_since >= PATIENCE or not error.retryable:
            self._unreachable_since = None
            self._hold = 0.0
            self._pause_all(PauseReason.OFFLINE, error)
        elif now >= self._hold_until:
            self._hold = min(_LONGEST_HOLD, self._hold * 2 or _FIRST_HOLD)
            self._hold_until = now + self._hold

    def _pause_all(self, reason: PauseReason, error: HolychatError) -> None:
        detail = f"{error.title}. {error.hint}".strip()
        for run in list(self.runs):
            if run.active:
                self._pause(run, reason, detail)
