"""Every job that the worker has in hand, and the lanes that they go through."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from holychat.catalog.money import money_text
from holychat.domain.jobs import JobState, PauseReason
from holychat.domain.usage import Cost
from holychat.errors import HolychatError, StoreError
from holychat.jobs.feeder import Feeder
from holychat.jobs.finishing import finish
from holychat.jobs.lanes import Lanes
from holychat.jobs.preparing import Joined, Ready, TooLong, Unusable
from holychat.jobs.provider_batch.desk import ProviderBatches
from holychat.jobs.run import JobRun
from holychat.jobs.saying import say_progress
from holychat.store import ledger_entries, ledger_jobs, ledger_tree
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable

    from holychat.domain.jobs import Job
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.needs import Services
    from holychat.jobs.preparing import Prepared
    from holychat.store.database import Connection
    from holychat.store.ledger_entries import Written

_log = logging.getLogger(__name__)

_OVER = (
    "The next request could cost more than [limits] of config.toml leave for today or this month."
    " Resume when the day or the month is over, or raise the limit."
)


class AtWork:
    """Starts and stops jobs as the database says. Belongs to one event loop.

    Args:
        services: Database, providers, prices.
        writer: Writes the ledger.
    """

    def __init__(self, services: Services, writer: LedgerWriter) -> None:
        self._services = services
        self._database = services.database
        self._writer = writer
        self._lanes = Lanes(services, writer, self.pause)
        self._runs: dict[int, JobRun] = {}
        self._feeders: dict[int, tuple[Feeder, asyncio.Task[None]]] = {}
        self._finishing: dict[int, asyncio.Task[None]] = {}
        self._batches = ProviderBatches(services, writer, self._runs, self.pause, self.written)
        self._pausing: set[int] = set()
        """Jobs that are to be paused, which is not written yet: they must not be taken up again."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting = False
        self.changed = True
        """Whether something was written here that `refresh` should see."""
        self.job_ended = asyncio.Event()

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return self._lanes.in_flight

    @property
    def is_busy(self) -> bool:
        """Whether there is something to do, or to wait for."""
        return bool(
            self._runs or self._finishing or self._tasks or self._pausing or self._waiting or self._batches.is_busy
        )

    async def open(self) -> None:
        """Take up the batches that providers work at."""
        await self._batches.open()

    async def refresh(self) -> None:
        """Look at all jobs and do what their states ask for.

        Raises:
            StoreError: They cannot be read.
        """
        in_hand = list(self._runs)

        def read(connection: Connection) -> tuple[dict[int, Job], list[int], list[tuple[str, str]]]:
            ids = ledger_jobs.at_work(connection)
            return ledger_jobs.by_number(connection, {*ids, *in_hand}), ids, ledger_jobs.live_turns(connection)

        jobs, at_work, live = await self._database.read(read)
        self._lanes.make_room(live)
        await self._batches.refresh()
        for job_id, run in list(self._runs.items()):
            job = jobs.get(job_id)
            if job is None or job.state is JobState.CANCELLED:
                self._stop(run)
                self._lanes.abort(run)
            elif run.active and job.state is not JobState.RUNNING:
                self._stop(run)
        for job_id in at_work:
            if (job := jobs.get(job_id)) is not None and job_id not in self._pausing:
                await self._act(job)
        paused = [jobs[job_id] for job_id in at_work if job_id in jobs and jobs[job_id].state is JobState.PAUSED]
        self._waiting = bool(paused)
        self._lanes.probe_for(paused, self._awake)

    async def tend(self) -> None:
        """See what came to an end of itself: a trial, the money, a whole job."""
        for run in list(self._runs.values()):
            self._raise_of_feeder(run)
            if run.active:
                await self._tend(run)
            elif run.is_quiet and run.id not in self._pausing:
                self._forget(run)

    def pause(self, run: JobRun, reason: PauseReason, detail: str) -> None:
        """Send nothing more of a job until somebody, or something, resumes it."""
        if run.id in self._pausing:
            return
        self._stop(run)
        self._pausing.add(run.id)
        self._do(self._pause(run.id, reason, detail))

    def freeze(self) -> None:
        """Stop everything that is active, because the ledger cannot be written."""
        for run in self._runs.values():
            if run.active:
                self._stop(run)
                self._pausing.add(run.id)

    def pause_frozen(self, connection: Connection, detail: str) -> None:
        """Write down that what was frozen is paused."""
        for job_id in list(self._pausing):
            ledger_jobs.pause(connection, job_id, PauseReason.STORE, detail, _now_ms())

    def thaw(self) -> None:
        """It is written down."""
        self._pausing.clear()
        self.changed = True

    def wake_senders(self) -> None:
        """Something may be sent that could not be before."""
        self._lanes.changed()
        self._batches.changed()

    def written(self, written: Written) -> None:
        """Something was written that other items follow from."""
        self.parts_ended(written.ended)
        for job_id in written.ready:
            self.feed_again(job_id)

    def feed_again(self, job_id: int) -> None:
        """The database has something to send of a job that it had not before."""
        if (run := self._runs.get(job_id)) is not None and run.active:
            run.again()

    def parts_ended(self, ended: Iterable[tuple[int, int]]) -> None:
        """Documents ended because a part of them did."""
        for job_id, item_id in ended:
            if (run := self._runs.get(job_id)) is not None:
                run.forget(item_id, ended=True)

    async def say_progress(self) -> None:
        """Write down how fast each job is."""
        runs = list(self._runs.values())
        if not runs:
            return
        waits = {run.id: self._lanes.wait_of(run) or self._batches.wait_of(run) for run in runs}
        with contextlib.suppress(StoreError):
            await self._database.write(lambda connection: say_progress(connection, runs, waits))

    async def close(self, grace_seconds: float) -> None:
        """Stop sending, wait for what is under way, give up what does not come."""
        for run in self._runs.values():
            self._stop(run)
        await self._batches.close()
        await self._lanes.stop(grace_seconds, list(self._runs.values()))
        others = [*self._finishing.values(), *self._tasks]
        if others:
            await asyncio.wait(others, timeout=1.0)
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._lanes.close()

    # One job

    async def _act(self, job: Job) -> None:
        if job.state is JobState.QUEUED:
            if await self._writer.transaction(lambda c: ledger_jobs.begin(c, job.id, _now_ms())):
                await self._start(job)
        elif job.state is JobState.RUNNING:
            run = self._runs.get(job.id)
            if run is None or not run.active:
                await self._start(job)
            else:
                run.revise(job)
                known = self._feeders[job.id]
                if known[0].is_empty:
                    known[0].wake(from_start=True)
        elif job.state is JobState.FINISHING and job.id not in self._finishing:
            self._finishing[job.id] = asyncio.create_task(self._finish(job))

    async def _start(self, job: Job) -> None:
        if (run := self._runs.get(job.id)) is not None:
            run.revise(job)
        elif (run := await self._take_in_hand(job)) is None:
            return
        begun, doubts = await self._writer.transaction(
            lambda c: (
                ledger_tree.mend(c, job.id, _now_ms()),
                (ledger_jobs.begun_documents(c, job.id), ledger_jobs.doubts_allowed(c, job.id)),
            )[1]
        )
        limits = job.spec.limits
        run.doubts_left = max(0, limits.doubt_retries - doubts[0])
        run.doubt_micros_left = None if limits.doubt_micros is None else max(0, limits.doubt_micros - doubts[1])
        run.begin(*begun)
        _log.info("Job %d begins: %s", job.id, clean_line(job.spec.name, 80))
        feeder = Feeder(run, self._database, self._writer, self._services.settings, self._services.costs)

        def again() -> None:
            run.make_room()
            feeder.wake(from_start=True)

        run.again = again
        run.room = feeder.wake
        self._batches.begin(run, lambda: feeder.is_dry)
        self._feeders[job.id] = (feeder, asyncio.create_task(feeder.run()))
        feeder.wake()

    async def _take_in_hand(self, job: Job) -> JobRun | None:
        async with self._batches.settling:
            now = await self._batches.job(job.id)
            if now is None:
                return None
            run = self._runs[job.id] = JobRun(now, self._services.settings.jobs, self.wake_senders, self._not_request)
            self._batches.adopt(run)
        try:
            self._lanes.join(run)
        except HolychatError as error:
            self.pause(run, PauseReason.KEY, f"{error.title}. {error.hint}")
            return None
        return run

    def _stop(self, run: JobRun) -> None:
        self._batches.stop(run)
        run.stop()
        if (known := self._feeders.pop(run.id, None)) is not None:
            known[1].cancel()

    def _forget(self, run: JobRun) -> None:
        self._lanes.leave(run)
        del self._runs[run.id]
        self._do(self._say_last(run))
        self.changed = True

    async def _say_last(self, run: JobRun) -> None:
        with contextlib.suppress(StoreError):
            await self._database.write(lambda connection: say_progress(connection, [run], {}))

    async def _tend(self, run: JobRun) -> None:
        limits = run.job.spec.limits
        if run.trial_is_over:
            self.pause(run, PauseReason.TRIAL, f"{limits.trial} documents were tried. Look at them, then resume.")
        elif run.over_limit and run.is_quiet:
            self.pause(run, PauseReason.BUDGET, _OVER)
        elif run.short and run.is_quiet:
            self.pause(run, PauseReason.BUDGET, _money_left(run))
        elif self._feeders[run.id][0].is_dry and not run.ready and run.is_quiet:
            await self._end(run)

    async def _end(self, run: JobRun) -> None:
        """Nothing is left to send and nothing under way."""
        feeder = self._feeders[run.id][0]

        def end(connection: Connection) -> bool:
            if ledger_jobs.finishing(connection, run.id, _now_ms()):
                return True
            ledger_tree.mend(connection, run.id, _now_ms())
            return False

        if await self._writer.transaction(end):
            self._stop(run)
            self.changed = True
        else:
            # Somebody made something pending in the meantime, or a merge had lost its parts.
            feeder.wake(from_start=True)

    async def _finish(self, job: Job) -> None:
        try:
            await finish(job, self._database, self._writer)
            counts = (await self._database.read(lambda c: ledger_jobs.by_number(c, [job.id])))[job.id].counts.documents
            told = ", ".join(f"{count:,} {state.value.replace('_', ' ')}" for state, count in counts.items() if count)
            _log.info("Job %d has ended: %s", job.id, told or "there were no documents")
        finally:
            self._finishing.pop(job.id, None)
            self.changed = True
            self.job_ended.set()

    async def _pause(self, job_id: int, reason: PauseReason, detail: str) -> None:
        try:
            await self._writer.transaction(lambda c: ledger_jobs.pause(c, job_id, reason, detail, _now_ms()))
            _log.info("Job %d is paused: %s", job_id, clean_line(detail, 300))
        finally:
            self._pausing.discard(job_id)
            self.changed = True

    async def _awake(self, job_ids: list[int]) -> None:
        """A provider that could not be reached can be reached again."""

        def wake(connection: Connection) -> None:
            for job_id in job_ids:
                ledger_jobs.wake(connection, job_id, PauseReason.OFFLINE, _now_ms())

        await self._writer.transaction(wake)
        self.changed = True

    def _not_request(self, run: JobRun, prepared: Prepared) -> None:
        """Take what came up in its turn and is no request."""
        run.unsettled += 1
        if isinstance(prepared, TooLong):
            self._do(self._split(run, prepared))
        elif isinstance(prepared, Unusable | Joined):
            entry = (
                ledger_entries.Joined(prepared.item_id, prepared.text)
                if isinstance(prepared, Joined)
                else ledger_entries.Failed(prepared.item_id, run.id, prepared.failure)
            )
            self._writer.keep(entry, lambda _: run.settled(prepared.item_id, ended=True))

    async def _split(self, run: JobRun, document: TooLong) -> None:
        await self._writer.transaction(
            lambda c: ledger_tree.split(c, document.item_id, document.parts, document.sha256, _now_ms())
        )
        run.settled(document.item_id, ended=False)
        run.again()

    def _raise_of_feeder(self, run: JobRun) -> None:
        """A feeder that ended can only have failed: a fault of ours, which must not stop the other jobs."""
        known = self._feeders.get(run.id)
        if known is None or not known[1].done() or known[1].cancelled():
            return
        error = known[1].exception()
        _log.error("job %d cannot be fed", run.id, exc_info=error)
        self.pause(run, PauseReason.USER, "Something went wrong inside holychat; the log has the details.")

    def _do(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("unexpected error at the desk", exc_info=error)


def _money_left(run: JobRun) -> str:
    limit = run.budget.limit or 0
    worst = run.worst_of(run.head) if isinstance(run.head, Ready) else None
    if worst is None:
        return (
            f"The price of {run.job.spec.model} is not known, so no budget can be kept."
            " Write it into [prices] of config.toml, or resume without a budget."
        )
    left = money_text(Cost(max(0, limit - run.budget.taken)))
    return f"The next request could cost {money_text(Cost(worst))}; {left} of {money_text(Cost(limit))} are left."


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
