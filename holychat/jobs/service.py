"""Background jobs as the screen and the shell use them."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, TypeVar

from holychat.domain.jobs import ItemState, Job, JobState
from holychat.errors import UsageError
from holychat.jobs import commands, conversation, lists, ordering, views
from holychat.jobs.away import JobsAway
from holychat.jobs.reading import FAILED
from holychat.jobs.session_keys import SessionKeys
from holychat.jobs.sweeping import Sweeper
from holychat.store import items, jobs, later_answers, ledger_jobs, webhooks
from holychat.store.item_moves import Chosen

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from holychat.credentials.chain import KeyChain
    from holychat.domain.chat import Chat
    from holychat.domain.jobs import JobSpec
    from holychat.jobs.estimate import Estimate
    from holychat.jobs.spawn import WorkerNotStarted
    from holychat.money.costs import Costs
    from holychat.paths import Paths
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings
    from holychat.store.database import Connection, Database

_T = TypeVar("_T")

_SWEEP_SECONDS = 2.0
"""How long deleting waits for the rows to go; they go on going afterwards."""


class JobService(JobsAway):
    """Everything that can be done with jobs. One per process; belongs to one event loop.

    Commands are rows: each is one transaction here, and the worker, which may be another process, sees it and acts.

    Attributes:
        session_keys: Hands keys that were typed here to the worker again; a window that stays calls it.
        worker_trouble: Why no worker could be started when one was last wanted; None: it could, or one is there.
    """

    def __init__(
        self,
        database: Database,
        registry: ProviderRegistry,
        keychain: KeyChain,
        settings: Settings,
        paths: Paths,
        costs: Costs,
    ) -> None:
        super().__init__(database, costs, settings)
        self._registry = registry
        self._keychain = keychain
        self._paths = paths
        self._sweeper = Sweeper(database)
        self.worker_trouble: WorkerNotStarted | None = None
        self.session_keys = SessionKeys(database, registry, keychain, paths)

    # Orders

    async def create(self, spec: JobSpec) -> Job:
        """Write an order down as a draft; nothing is sent before it is confirmed.

        Raises:
            UsageError: It cannot be worked at: an unknown provider, no such file, a recipe that lacks something.
        """
        spec = await self._checked(spec)
        return await self._database.write(lambda c: commands.create(c, spec, _now_ms()))

    async def revise(self, job_id: int, spec: JobSpec) -> Job:
        """Order a draft differently.

        Raises:
            UsageError: As for `create`, or it is no draft any more.
        """
        spec = await self._checked(spec)
        return await self._database.write(lambda c: commands.revise(c, job_id, spec, _now_ms()))

    async def preview(self, spec: JobSpec, *, progress: Callable[[int], None] | None = None) -> Estimate:
        """What an order would take, without writing anything down; see `create` and `estimate`.

        Raises:
            UsageError: It cannot be worked at.
        """
        job = Job(id=0, spec=await self._checked(spec), state=JobState.DRAFT, created_ms=_now_ms())
        return await views.estimate(self._database, job, self._costs, self._settings, progress)

    async def confirm(self, job_id: int, *, trial: int | None = None) -> Job:
        """Let a draft be worked at.

        Args:
            job_id: The draft.
            trial: Pause after so many documents, to look at their results; None: send them all.

        Raises:
            UsageError: There is no such draft.
        """
        return await self._command(job_id, lambda c: commands.confirm(c, job_id, trial, _now_ms()))

    # Steering

    async def pause(self, job_id: int) -> Job:
        """Send nothing more of a job; what is under way is finished.

        Raises:
            UsageError: It is not at work.
        """
        return await self._database.write(lambda c: commands.pause(c, job_id, _now_ms()))

    async def resume(self, job_id: int, *, budget_micros: int | None = None) -> Job:
        """Go on with a paused job; after a trial the rest is sent.

        Args:
            job_id: The job.
            budget_micros: Another budget for the whole job; None: as it is.

        Raises:
            UsageError: It is not paused.
        """
        return await self._command(job_id, lambda c: commands.resume(c, job_id, budget_micros, _now_ms()))

    async def cancel(self, job_id: int) -> Job:
        """End a job: what was not sent never is, what is under way is aborted and may be billed.

        Raises:
            UsageError: It has ended.
        """
        return await self._command(job_id, lambda c: commands.cancel(c, job_id, _now_ms()))

    async def delete(self, job_id: int) -> None:
        """Delete a job that has ended, or a draft, with all it holds. It is gone at once; its rows go bit by bit.

        Raises:
            UsageError: There is no such job, or it has not ended.
        """

        def hide(connection: Connection) -> Job:
            job = jobs.get(connection, job_id)
            later_answers.deliver(connection, _now_ms())
            if later_answers.is_held(connection, job_id):
                raise UsageError(
                    f"The answer of job {job_id} is not in its chat yet", "Another reply is arriving there: try again."
                )
            if not jobs.hide(connection, job_id, _now_ms()):
                raise jobs.impossible(job, "deleted", "Cancel it first.")
            return job

        job = await self._database.write(hide)
        await asyncio.to_thread(lists.forget, self._paths, job.spec.sources)
        await self._sweeper.sweep(_SWEEP_SECONDS)

    async def sweep(self) -> None:
        """Take away what is left of deleted jobs; an app does it when it starts. Never fails."""
        await self._sweeper.sweep()

    # Items

    async def retry(
        self,
        job_id: int,
        states: Collection[ItemState] = FAILED,
        item_ids: Sequence[int] | None = None,
        cause: str | None = None,
    ) -> int:
        """Send documents again, with those of their parts that failed. Files are taken as they are now.

        Args:
            job_id: The job.
            states: Which ones: FAILED, IN_DOUBT (may be paid for twice), SKIPPED, CANCELLED.
            item_ids: Only these.
            cause: Only those that failed for this reason.

        Returns:
            How many documents there were.

        Raises:
            UsageError: There is no such job, or its results are being written.
        """
        chosen = Chosen(job_id, states, item_ids, cause)
        return await self._command(job_id, lambda c: commands.retry(c, chosen, _now_ms()))

    async def skip(
        self,
        job_id: int,
        states: Collection[ItemState] | None = None,
        item_ids: Sequence[int] | None = None,
        cause: str | None = None,
    ) -> int:
        """Leave documents out for good, as `retry` chooses them; without states those that failed or are in doubt.

        Where `item_ids` are given and no states, pending ones are left out, too.
        """
        given = (ItemState.FAILED, ItemState.IN_DOUBT, *(() if item_ids is None else (ItemState.PENDING,)))
        chosen = Chosen(job_id, given if states is None else states, item_ids, cause)
        return await self._command(job_id, lambda c: commands.skip(c, chosen, _now_ms()))

    async def accept(self, item_ids: Sequence[int]) -> int:
        """Take what arrived of answers in doubt as the answers; how many there were."""

        def unit(connection: Connection) -> tuple[int, bool]:
            job_ids = {item.job_id for item in items.select(connection, item_ids)}
            accepted = commands.accept(connection, item_ids, _now_ms())
            return accepted, bool(accepted) and commands.has_work(connection, job_ids)

        accepted, to_do = await self._database.write(unit)
        if to_do:
            await self.ensure_worker()
        return accepted

    async def tell_again(self, job_id: int) -> bool:
        """Send the last message about the end of a job again, under the same id; False where there is none."""
        again = await self._database.write(lambda c: webhooks.send_again(c, job_id, _now_ms()))
        if again:
            await self.ensure_worker()
        return bool(again)

    # Results out

    async def open_as_chat(self, item_id: int) -> Chat:
        """A new chat with the document and its answer, to go on talking about it.

        Raises:
            UsageError: There is no such item, or it has no answer.
        """
        detail = await self.item(item_id)
        return await self._database.write(lambda c: conversation.open_as_chat(c, detail, _now_ms()))

    async def export(self, job_id: int, format: str, target: Path, *, overwrite: bool = False) -> int:  # noqa: A002
        """Write the results of a job, see `jobs.export.export`.

        Raises:
            UsageError: There is no such job, or something is there already.
            OSError: It cannot be written.
        """
        from holychat.jobs import export

        return await asyncio.to_thread(export.export, self._database, job_id, format, target, overwrite=overwrite)

    # Life

    async def ensure_worker(self) -> bool:
        """Start the worker process where none is there; whether it was started.

        What keeps it from being started is in `worker_trouble`, and whoever calls this the next time tries again.
        """
        if self._database.path is None:
            return False
        from holychat.jobs import spawn

        keys = self._keychain.session_keys()
        started, self.worker_trouble = await spawn.ask_for_worker(self._paths, keys, self._database)
        return started

    async def look_after(self) -> bool:
        """Start a worker where there is something to do and none is there, after a reboot for example."""
        return await self._database.read(ledger_jobs.has_work) and await self.ensure_worker()

    async def close(self) -> None:
        """End what watches and what sweeps; the database belongs to whoever opened it."""
        self._closed = True
        await self._sweeper.close()

    async def _checked(self, spec: JobSpec) -> JobSpec:
        info = self._registry.info(spec.provider)
        await asyncio.to_thread(ordering.check, spec, info)
        await ordering.check_callback(spec.callback_url, self._settings, self._keychain)
        return await ordering.completed(spec, self._registry)

    async def _command(self, job_id: int, work: Callable[[Connection], _T]) -> _T:
        """Run a command as one transaction; where it leaves something to do there is a worker to do it."""

        def unit(connection: Connection) -> tuple[_T, bool]:
            return work(connection), commands.has_work(connection, [job_id])

        answer, to_do = await self._database.write(unit)
        if to_do:
            await self.ensure_worker()
        return answer


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
