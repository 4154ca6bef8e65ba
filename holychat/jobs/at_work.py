"""Every job that the worker has in hand, and the lanes that they go through."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from holychat.domain.jobs import JobState, PauseReason
from holychat.errors import HolychatError, StoreError
from holychat.jobs.chores import Chores
from holychat.jobs.feeder import Feeder
from holychat.jobs.finishing import finish
from holychat.jobs.lanes import Lanes
from holychat.jobs.pauses import Pauses, why_to_pause
from holychat.jobs.provider_batch.desk import ProviderBatches
from holychat.jobs.run import JobRun
from holychat.jobs.saying import say_progress
from holychat.store import ledger_jobs, ledger_tree
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.domain.jobs import Job
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.needs import Services
    from holychat.store.database import Connection
    from holychat.store.ledger_entries import Written

_log = logging.getLogger(__name__)


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
        self.batches = ProviderBatches(services, writer, self._runs, self.pause, self.written)
        self._chores = Chores(writer)
        self.pauses = Pauses(writer, self._chores, self._stop, self._has_changed)
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
            self._runs or self._finishing or self._chores or self.pauses or self._waiting or self.batches.is_busy
        )

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
        await self.batches.refresh()
        for job_id, run in list(self._runs.items()):
            job = jobs.get(job_id)
            if job is None or job.state is JobState.CANCELLED:
                self._stop(run)
                self._lanes.abort(run)
            elif run.active and job.state is not JobState.RUNNING:
                self._stop(run)
        for job_id in at_work:
            if (job := jobs.get(job_id)) is not None and job_id not in self.pauses:
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
            elif run.is_quiet and run.id not in self.pauses:
                self._forget(run)

    def pause(self, run: JobRun, reason: PauseReason, detail: str) -> None:
        """Send nothing more of a job until somebody, or something, resumes it."""
        self.pauses.pause(run, reason, detail)

    def freeze(self) -> None:
        """Stop everything that is active, because the ledger cannot be written."""
        self.pauses.freeze(run for run in self._runs.values() if run.active)

    def wake_senders(self) -> None:
        """Something may be sent that could not be before."""
        self._lanes.changed()
        self.batches.changed()

    def written(self, written: Written) -> None:
        """Something was written that other items follow from."""
        for job_id, item_id in written.ended:
            if (run := self._runs.get(job_id)) is not None:
                run.forget(item_id, ended=True)
        for job_id in written.ready:
            if (run := self._runs.get(job_id)) is not None and run.active:
                run.again()

    async def say_progress(self) -> None:
        """Write down how fast each job is."""
        if self._runs:
            await self._say(list(self._runs.values()))

    async def _say(self, runs: list[JobRun]) -> None:
        waits = {run.id: self._lanes.wait_of(run) or self.batches.wait_of(run) for run in runs}
        with contextlib.suppress(StoreError):
            await self._database.write(lambda connection: say_progress(connection, runs, waits))

    async def close(self, grace_seconds: float) -> None:
        """Stop sending, wait for what is under way, give up what does not come."""
        for run in self._runs.values():
            self._stop(run)
        await self.batches.close()
        await self._lanes.stop(grace_seconds, list(self._runs.values()))
        others = [*self._finishing.values(), *self._chores.tasks]
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
        self.batches.begin(run, lambda: feeder.is_dry)
        self._feeders[job.id] = (feeder, asyncio.create_task(feeder.run()))
        feeder.wake()

    async def _take_in_hand(self, job: Job) -> JobRun | None:
        async with self.batches.settling:
            now = await self.batches.job(job.id)
            if now is None:
                return None
            run = self._runs[job.id] = JobRun(now, self._services.settings.jobs, self.wake_senders, self._chores.take)
            self.batches.adopt(run)
        try:
            self._lanes.join(run)
        except HolychatError as error:
            self.pause(run, PauseReason.KEY, f"{error.title}. {error.hint}")
            return None
        return run

    def _has_changed(self) -> None:
        self.changed = True

    def _stop(self, run: JobRun) -> None:
        self.batches.stop(run)
        run.stop()
        if (known := self._feeders.pop(run.id, None)) is not None:
            known[1].cancel()

    def _forget(self, run: JobRun) -> None:
        self._lanes.leave(run)
        del self._runs[run.id]
        self._chores.do(self._say([run]))
        self.changed = True

    async def _tend(self, run: JobRun) -> None:
        if (why := why_to_pause(run)) is not None:
            self.pause(run, *why)
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
            ended = (await self._database.read(lambda c: ledger_jobs.by_number(c, [job.id]))).get(job.id)
            counts = {} if ended is None else ended.counts.documents
            told = ", ".join(f"{count:,} {state.value.replace('_', ' ')}" for state, count in counts.items())
            _log.info("Job %d has ended: %s", job.id, told or "there were no documents")
        finally:
            self._finishing.pop(job.id, None)
            self.changed = True
            self.job_ended.set()

    async def _awake(self, job_ids: list[int]) -> None:
        """A provider that could not be reached can be reached again."""

        def wake(connection: Connection) -> None:
            for job_id in job_ids:
                ledger_jobs.wake(connection, job_id, PauseReason.OFFLINE, _now_ms())

        await self._writer.transaction(wake)
        self.changed = True

    def _raise_of_feeder(self, run: JobRun) -> None:
        """A feeder that ended can only have failed: a fault of ours, which must not stop the other jobs."""
        _, task = self._feeders.get(run.id, (None, None))
        if task is None or not task.done() or task.cancelled():
            return
        _log.error("job %d cannot be fed", run.id, exc_info=task.exception())
        self.pause(run, PauseReason.USER, "Something went wrong inside holychat; the log has the details.")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
