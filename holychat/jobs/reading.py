"""Reading jobs: lists, one job, pages of items, one item, causes; and hearing of changes."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState
from holychat.jobs import views
from holychat.store import items, jobs, webhooks
from holychat.store.item_moves import Chosen

if TYPE_CHECKING:
    import builtins
    from collections.abc import AsyncGenerator, Callable, Collection, Sequence

    from holychat.domain.job_views import Cause, ItemDetail
    from holychat.domain.jobs import Item, Job, JobSpec, Priority
    from holychat.domain.roads import Choice, Work
    from holychat.domain.webhooks import Webhook
    from holychat.jobs.estimate import Estimate
    from holychat.money.costs import Costs
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings
    from holychat.store.database import Database

FAILED = (ItemState.FAILED,)


class JobReading:
    """What can be looked at without changing anything. Belongs to one event loop."""

    _registry: ProviderRegistry

    def __init__(self, database: Database, costs: Costs, settings: Settings) -> None:
        self._database = database
        self._costs = costs
        self._settings = settings
        self._closed = False

    async def list(
        self, *, limit: int = 50, include_drafts: bool = True, only_active: bool = False
    ) -> builtins.list[Job]:
        """Jobs, the newest first; those that have not ended come before drafts and ended ones."""
        return await self._database.read(
            lambda c: jobs.listed(c, limit, include_drafts=include_drafts, only_active=only_active)
        )

    async def get(self, job_id: int) -> Job:
        """The job with this number.

        Raises:
            UsageError: There is none.
        """
        return await self._database.read(lambda c: jobs.get(c, job_id))

    async def until_now(self, found: Sequence[Job]) -> builtins.list[Job]:
        """The same jobs, whose time at work has the stretch in it at which they are now."""
        ids, now_ms = [job.id for job in found], time.time_ns() // 1_000_000
        worked = await self._database.read(lambda c: jobs.worked(c, ids, now_ms))
        return [replace(job, worked_ms=worked.get(job.id, job.worked_ms)) for job in found]

    async def items(
        self,
        job_id: int,
        first: int,
        count: int,
        *,
        states: Collection[ItemState] | None = None,
        parent_id: int | None = None,
    ) -> builtins.list[Item]:
        """`count` documents from 0-based position `first` on, of those in `states`; or direct parts of `parent_id`.

        Usage and cost of a document include those of its parts.
        """
        return await self._database.read(lambda c: views.page(c, job_id, first, count, states, parent_id))

    async def item(self, item_id: int) -> ItemDetail:
        """One item with its texts and attempts; its file is read as it is now.

        Raises:
            UsageError: There is none.
        """
        return await views.detail(self._database, item_id, self._settings.jobs.max_document_bytes)

    async def causes(self, job_id: int) -> builtins.list[Cause]:
        """Documents that failed or are in doubt, by cause, the most frequent one first."""
        return await self._database.read(lambda c: items.causes(c, job_id))

    async def estimate(self, job_id: int, *, progress: Callable[[int], None] | None = None) -> Estimate:
        """What a job will take: documents, tokens, money, time. Every document is listed, some are read, none is sent.

        Args:
            job_id: The job, most often a draft.
            progress: Called on the event loop now and then with the number of documents so far.

        Raises:
            UsageError: There is no such job, or its recipe cannot be followed.
        """
        return await views.estimate(self._database, await self.get(job_id), self._costs, self._settings, progress)

    async def roads(self, order: JobSpec | int, estimate: Estimate) -> Choice:
        """The roads for an order, or for the job with this number, and the one that its priority takes.

        Raises:
            UsageError: There is no such job or provider.
        """
        from holychat.jobs.roads import roads_of

        spec = (await self.get(order)).spec if isinstance(order, int) else order
        return await roads_of(self._database, self._costs, self._registry, self._settings, spec, estimate)

    async def advise(self, provider: str, model: str, work: Work, priority: Priority | None = None) -> Choice:
        """The roads for any work, and the one to take: that of the priority, else what suits the work best.

        Raises:
            UsageError: There is no such provider.
        """
        from holychat.domain.roads import choose
        from holychat.jobs.roads import facts_of

        facts = await facts_of(self._database, self._costs, self._registry, self._settings, provider, model, work)
        return choose(work, facts, priority)

    async def worst_cost(
        self,
        job_id: int,
        states: Collection[ItemState] = FAILED,
        item_ids: Sequence[int] | None = None,
        cause: str | None = None,
    ) -> tuple[int, int | None]:
        """What `retry` of the same documents would do: how many there are, and their worst case in micro-dollars.

        None: the price is not known.
        """
        chosen, assumed = Chosen(job_id, states, item_ids, cause), self._settings.jobs.assumed_context
        return await self._database.read(lambda c: views.worst_cost(c, chosen, self._costs.prices, assumed))

    async def webhooks(self, job_id: int) -> builtins.list[Webhook]:
        """The messages that tell the job's `callback_url` of its end, oldest first: one for each time it ended."""
        return await self._database.read(lambda c: webhooks.of_job(c, job_id))

    async def changes(self, interval: float = 0.5) -> AsyncGenerator[None, None]:
        """Yields whenever another process (the worker, another window) has written; looks every `interval` seconds."""
        seen = await self._database.version_after(None)
        while not self._closed:
            await asyncio.sleep(interval)
            if not self._closed and seen != (seen := await self._database.version_after(seen)):
                yield
