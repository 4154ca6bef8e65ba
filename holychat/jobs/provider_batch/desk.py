"""All batches at providers that the worker looks after, and the jobs that feed them."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, TypeVar

from holychat.domain.jobs import PauseReason, Priority
from holychat.errors import HolychatError, UsageError
from holychat.jobs.lanes import Wait
from holychat.jobs.provider_batch.capacity import Capacity
from holychat.jobs.provider_batch.files import BatchFiles
from holychat.jobs.provider_batch.handing import Handing
from holychat.jobs.provider_batch.harvest import clean
from holychat.jobs.provider_batch.keeper import Keeper
from holychat.jobs.provider_batch.road import BatchRoad, no_file, pause_reason
from holychat.jobs.provider_batch.words import wait_words
from holychat.store import ledger_jobs, submissions
from holychat.store.ledger import write_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence

    from holychat.domain.batches import Submission
    from holychat.domain.jobs import Job
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.needs import Services
    from holychat.jobs.provider_batch.gathering import Gathering
    from holychat.jobs.provider_batch.ingest import Fate, Fates
    from holychat.jobs.run import JobRun
    from holychat.providers.base import Provider
    from holychat.providers.batch_service import BatchService
    from holychat.store.ledger_entries import Written

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_BELIEVED_MS = 7 * 86_400_000
"""How long it is believed whether a provider has a batch service."""


class ProviderBatches:
    """Belongs to one event loop.

    Args:
        services: Database, providers, prices.
        writer: Writes the ledger.
        runs: The jobs in hand, by number.
        pause: Pauses a job.
        written: Hears what writing brought about besides.
    """

    def __init__(
        self,
        services: Services,
        writer: LedgerWriter,
        runs: Mapping[int, JobRun],
        pause: Callable[[JobRun, PauseReason, str], None],
        written: Callable[[Written], None],
    ) -> None:
        self.files = BatchFiles(services.paths.batches)
        self.bounds = services.settings.provider_batch
        self.costs = services.costs
        self.pause = pause
        self.write = writer.transaction
        self.settling = asyncio.Lock()
        """Held while money of a batch is settled, and while a job is taken in hand: neither sees half of the other."""
        self._database = services.database
        self._registry = services.registry
        self._writer = writer
        self._runs = runs
        self._written = written
        self._services: dict[str, BatchService] = {}
        self._keepers: dict[int, Keeper] = {}
        self._roads: dict[int, tuple[BatchRoad, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.capacity = Capacity(self.bounds, lambda: [keeper.submission for keeper in self._keepers.values()])

    @property
    def is_busy(self) -> bool:
        """Whether a batch is under way, or one that is over is cleaned up after."""
        return bool(self._tasks)

    async def open(self) -> None:
        """Take up what other workers left."""
        rows, done = await self._database.read(lambda c: (submissions.open_ones(c), submissions.to_clean(c)))
        await asyncio.to_thread(self.files.tidy, {row.token for row in rows})
        for row in rows:
            self._keep(row, fresh=False)
        for row in done:
            if (service := self._service(row.provider)) is not None:
                self._do(clean(self, row, service))

    async def refresh(self) -> None:
        """See which batches nobody wants any more."""
        if not self._keepers:
            return
        for number in await self._database.read(submissions.unwanted):
            if (keeper := self._keepers.get(number)) is not None and not keeper.unwanted:
                keeper.unwanted = True
                keeper.wake()

    def adopt(self, run: JobRun) -> None:
        """A job is taken in hand; some of it may be with its provider from before."""
        run.away = sum(keeper.submission.job_id == run.id for keeper in self._keepers.values())
        run.budget.reserve(run.job.money.reserved)

    def begin(self, run: JobRun, is_dry: Callable[[], bool]) -> None:
        """A job may be sent: decide whether it goes this way, and gather."""
        spec = run.job.spec
        service = self._service(spec.provider) if spec.priority is Priority.LOW else None
        # A trial is to be looked at soon.
        run.by_batch = service is not None and spec.limits.trial is None
        if service is not None and run.by_batch:
            road = BatchRoad(self, run, service, is_dry)
            self._roads[run.id] = (road, asyncio.create_task(road.work()))

    def stop(self, run: JobRun) -> None:
        """Hand nothing more over; what the provider has is looked after all the same."""
        if (known := self._roads.pop(run.id, None)) is not None:
            known[1].cancel()
            known[0].drop()

    def changed(self) -> None:
        """There may be something to gather."""
        for road, _ in self._roads.values():
            road.changed()

    def wait_of(self, run: JobRun) -> Wait | None:
        """What a job waits for."""
        mine = [keeper.submission for keeper in self._keepers.values() if keeper.submission.job_id == run.id]
        if mine:
            return wait_words(mine)
        if (pause := self.capacity.held(run.lane)) > 0 and run.id in self._roads:
            return Wait(_now_ms() + round(pause * 1000), "the provider's batch service takes no more for now")
        return None

    async def close(self) -> None:
        """Leave everything as it is written down; the next worker goes on."""
        tasks = [*self._tasks, *(task for _, task in self._roads.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # For roads

    async def is_offered(self, provider: str, service: BatchService) -> bool:
        """Whether a provider has a batch service; it is asked where nobody knows.

        Raises:
            ProviderError: It cannot be asked.
            CredentialError: There is no key.
        """
        url = self._registry.info(provider).base_url
        known = await self._database.read(lambda c: submissions.offered(c, provider, url, _now_ms() - _BELIEVED_MS))
        if known is None:
            found = known = await service.is_offered()
            await self.write(lambda c: submissions.found_out(c, provider, url, found, _now_ms()))
        return known

    def put_back(self, run: JobRun, gathering: Gathering) -> None:
        """Nothing of it was written down or handed over."""
        gathering.drop()
        for row in gathering.rows:
            run.budget.release(row.entry.worst_micros)
            run.forget(row.entry.item_id, ended=False)
        run.away -= len(gathering.rows)

    def hand_over(self, run: JobRun, gathering: Gathering, service: BatchService) -> asyncio.Task[None]:
        """Write down and hand over what was gathered."""
        return self._do(self._hand_over(run, gathering, service))

    async def _hand_over(self, run: JobRun, gathering: Gathering, service: BatchService) -> None:
        handing = Handing(run, gathering, self.files, self._writer)
        row: Submission | None = None
        try:
            row = await handing.submission()
        finally:
            if row is not None:
                self._keepers[row.id] = keeper = Keeper(self, row, service, fresh=True)
                self._do(self._look_after(keeper))
            run.away += (row is not None) - len(gathering.rows)
            run.over_limit = handing.over_limit
            for gathered in gathering.rows:
                if gathered.entry.item_id not in handing.sent:
                    run.budget.release(gathered.entry.worst_micros)
                run.forget(gathered.entry.item_id, ended=False)
            if row is None:
                gathering.drop()
            if handing.trouble is not None:
                self.pause(run, PauseReason.STORE, no_file(handing.trouble))
            run.again()

    # For keepers

    async def job(self, job_id: int) -> Job | None:
        """The job as it stands; None where it is deleted."""
        return (await self._database.read(lambda c: ledger_jobs.by_number(c, [job_id]))).get(job_id)

    async def known_batches(self, provider: str) -> Collection[str]:
        """Batches at a provider that are known to be of some submission."""
        return await self._database.read(lambda c: submissions.by_batch(c, provider))

    async def under_way(self, submission_id: int, item_ids: Sequence[int] | None = None) -> list[submissions.UnderWay]:
        """Items that a batch decides about."""
        return await self._database.read(lambda c: submissions.under_way(c, submission_id, item_ids))

    def provider(self, name: str) -> Provider:
        """Who reads answers; one that is not configured any more is read like all others."""
        try:
            return self._registry.get(name)
        except UsageError:
            return self._registry.get("openai")

    async def is_unwanted(self, submission_id: int) -> bool:
        """Whether the job of a batch was cancelled or deleted by now."""
        return submission_id in await self._database.read(submissions.unwanted)

    def allows_doubt(self, job_id: int, worst_micros: int | None) -> bool:
        """Whether an item in doubt may be sent again without asking."""
        run = self._runs.get(job_id)
        return run is not None and run.allows_doubt(worst_micros)

    def troubled(self, job_id: int, error: HolychatError) -> None:
        """Something is in the way that a person has to mend."""
        run, reason = self._runs.get(job_id), pause_reason(error)
        if run is not None and run.active and reason not in (None, PauseReason.OFFLINE):
            assert reason is not None
            self.pause(run, reason, f"{error.title}. {error.hint}".strip())

    async def settle(self, submission: Submission, fates: Fates) -> None:
        """Write down what became of items, for good, and let their job know."""
        async with self.settling:
            written = await self.write(lambda c: write_entries(c, fates.entries, "", _now_ms()))
            if (run := self._runs.get(submission.job_id)) is not None:
                for fate in fates.all:
                    _tell(run, fate)
                run.over_limit = False
        if any(fate.billed for fate in fates.all):
            self.capacity.goes_on((submission.provider, submission.model))
        if fates.lack is not None:
            self.troubled(submission.job_id, fates.lack)
        self._written(written)

    def _keep(self, row: Submission, *, fresh: bool) -> None:
        if (service := self._service(row.provider)) is None:
            _log.warning("provider %s is not configured any more; its batch waits", row.provider)
            return
        keeper = self._keepers[row.id] = Keeper(self, row, service, fresh=fresh)
        self._do(self._look_after(keeper))

    async def _look_after(self, keeper: Keeper) -> None:
        await keeper.run()
        row = keeper.submission
        del self._keepers[row.id]
        if not row.remote_done and row.failure is not None:
            self.capacity.hold((row.provider, row.model))
        if (run := self._runs.get(row.job_id)) is not None:
            run.away -= 1
            run.again()
        self.changed()
        await clean(self, row, keeper.service)

    def _service(self, provider: str) -> BatchService | None:
        if provider not in self._services:
            try:
                service = self._registry.batches(provider)
            except UsageError:
                return None
            if service is None:
                return None
            self._services[provider] = service
        return self._services[provider]

    def _do(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("unexpected error around a batch", exc_info=error)


def _tell(run: JobRun, fate: Fate) -> None:
    if fate.billed:
        run.budget.settle(fate.worst_micros, fate.cost_micros)
    else:
        run.budget.release(fate.worst_micros)
    run.forget(fate.item_id, ended=fate.ended)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
