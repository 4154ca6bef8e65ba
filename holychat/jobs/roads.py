"""Gathers what is known of the roads to a model, so that `domain.roads` can lay them out."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.jobs import Priority
from holychat.domain.roads import RoadFacts, Work, choose
from holychat.domain.usage import Usage
from holychat.store import submissions
from holychat.store.speeds import speed_of

if TYPE_CHECKING:
    from holychat.domain.jobs import JobSpec
    from holychat.domain.roads import Choice
    from holychat.jobs.estimate import Estimate
    from holychat.money.costs import Costs
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings
    from holychat.store.database import Database

ASKED_AGAIN_MS = 7 * 86_400_000
"""How long it is believed whether a provider has a batch service."""
_ASSUMED_CONCURRENCY = 20
"""Requests at once that the desk is assumed to reach where nothing is set: the careful figure."""


async def facts_of(
    database: Database,
    costs: Costs,
    registry: ProviderRegistry,
    settings: Settings,
    provider: str,
    model: str,
    work: Work,
    *,
    concurrency: int | None = None,
    requests_per_minute: float | None = None,
) -> RoadFacts:
    """What is known of a provider and a model. Nothing is sent: who has a batch service was found out before, or not.

    An empty `model` is the provider's default; `concurrency` and `requests_per_minute` are what this work may take;
    None leaves them to the settings.

    Raises:
        UsageError: There is no such provider.
    """
    info = registry.info(provider)
    model = model or info.model
    since = time.time_ns() // 1_000_000 - ASKED_AGAIN_MS
    speed, offered = await database.read(
        lambda c: (speed_of(c, provider, model), submissions.offered(c, provider, info.base_url, since))
    )
    if registry.batches(provider) is None:
        offered = False
    usage = Usage(work.input_tokens, work.output_tokens, estimated=True)
    return RoadFacts(
        live_cost=costs.prices.cost_of(provider, model, usage),
        batch_cost=costs.prices.batch_cost_of(provider, model, usage),
        first_token_seconds=None if speed.first_token_ms is None else speed.first_token_ms / 1000,
        reply_seconds=None if speed.reply_ms is None else speed.reply_ms / 1000,
        measured_replies=speed.replies,
        requests_per_minute=requests_per_minute or settings.jobs.requests_per_minute.get(provider),
        concurrency=concurrency or settings.jobs.max_concurrency or _ASSUMED_CONCURRENCY,
        batch_service=offered,
    )


async def roads_of(
    database: Database, costs: Costs, registry: ProviderRegistry, settings: Settings, spec: JobSpec, estimate: Estimate
) -> Choice:
    """The roads for a job that was estimated, and the one that its priority takes."""
    work = work_of(estimate, spec.limits.budget_micros)
    facts = await facts_of(
        database,
        costs,
        registry,
        settings,
        spec.provider,
        spec.model,
        work,
        concurrency=spec.limits.concurrency,
        requests_per_minute=spec.limits.requests_per_minute,
    )
    choice = choose(work, facts, Priority.MEDIUM if spec.priority is Priority.HIGH else spec.priority)
    if spec.priority is Priority.HIGH:
        # Documents are never streamed: for them, now is before everything else on the desk.
        return replace(choice, priority=Priority.HIGH, reasons=("High priority: on the desk, before other jobs.",))
    return choice


def work_of(estimate: Estimate, budget_micros: int | None = None) -> Work:
    """What an estimate says of the work."""
    return Work(
        requests=estimate.requests or estimate.documents,
        input_tokens=estimate.input_tokens,
        output_tokens=estimate.output_tokens,
        budget_micros=budget_micros,
    )
