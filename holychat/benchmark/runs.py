"""Runs a benchmark: every model over both roads, within what may be spent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import cycle, islice
from typing import TYPE_CHECKING

from holychat import __version__
from holychat.benchmark.desk import BatchRoad
from holychat.benchmark.live import LiveRoad
from holychat.benchmark.report import FORMAT, ModelReport, Report
from holychat.benchmark.trip import Cargo
from holychat.catalog.money import money_text
from holychat.domain.chat import Role
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.domain.spending import Spent
from holychat.domain.usage import Cost
from holychat.errors import HolychatError, LimitReached, UsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from holychat.benchmark.figures import Figures
    from holychat.benchmark.trip import Tell, Trip
    from holychat.jobs.needs import Services


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be measured."""

    provider: str
    models: tuple[str, ...]
    prompts: tuple[str, ...]
    """Repeated from the first where there are fewer than requests."""
    count: int
    """Requests of the batch road, per model."""
    live_count: int
    """Requests of the live road, per model."""
    max_tokens: int
    concurrency: int | None = None
    """Requests at once of the batch road; None: found out while running."""
    budget_micros: int | None = None

    def requests(self, model: str, count: int) -> tuple[ReplyRequest, ...]:
        """The first so many requests; both roads begin with the same."""
        each = [
            ReplyRequest(model, (PromptMessage(Role.USER, prompt),), max_tokens=self.max_tokens)
            for prompt in self.prompts
        ]
        return tuple(islice(cycle(each), count))


@dataclass(frozen=True, slots=True)
class Price:
    """What a benchmark costs at most."""

    micros: int
    """Worst cases of all requests of a known price."""
    unknown: tuple[str, ...]
    """Models whose price is not known."""
    allowance: int | None
    """What will be spent at most: the budget, or what a limit per day or month leaves; None: neither holds it back."""

    @property
    def is_free(self) -> bool:
        """Whether it surely costs nothing."""
        return not self.micros and not self.unknown


async def price_of(services: Services, plan: Plan) -> Price:
    """What a benchmark costs at most.

    Raises:
        UsageError: The budget cannot be kept, or a limit per day or month leaves nothing for it.
    """
    costs = services.costs
    worsts = {model: _worst(services, plan, model) for model in plan.models}
    unknown = tuple(model for model, worst in worsts.items() if worst is None)
    micros = sum(worst for worst in worsts.values() if worst is not None)
    now_ms = time.time_ns() // 1_000_000
    left = await services.database.read(lambda c: costs.room_left(c, now_ms)) if costs.has_limits else None
    room = min((limit for limit in (plan.budget_micros, left) if limit is not None), default=None)
    price = Price(micros, unknown, room)
    if room is None or price.is_free:
        return price
    if unknown and plan.budget_micros is not None:
        raise UsageError(
            f"The price of {unknown[0]} is not known, so no budget can be kept",
            "Write it into [prices] of config.toml, or leave the budget out.",
        )
    # Under a limit per day or month what has no known price is held only where that is reached, as in a chat.
    if not any(_one_fits(services, plan, model, room) for model in plan.models) and not (unknown and room > 0):
        what = f"Not one request fits into the {money_text(Cost(max(0, room)))} that may be spent"
        kind = UsageError if room == plan.budget_micros else LimitReached
        raise kind(what, "A larger --budget, a limit that leaves more, or shorter answers (--max-tokens) would help.")
    return price


async def run(services: Services, plan: Plan, allowance: int | None, tell: Tell, stop: asyncio.Event) -> Report:
    """Measure every model, the live road first. What was spent is written into the person's sums as it is spent.

    Args:
        services: Providers, prices, database of the person.
        plan: What is to be measured.
        allowance: Micro-dollars that may be spent; None: no limit.
        tell: Hears how far it is.
        stop: Once set, nothing more is sent, and the report tells of what was measured.

    Raises:
        HolychatError: Nothing at all could be measured.
    """
    return await _Run(services, plan, allowance, tell, stop).run()


class _Run:
    def __init__(self, services: Services, plan: Plan, allowance: int | None, tell: Tell, stop: asyncio.Event) -> None:
        self._services = services
        self._plan = plan
        self._left = allowance
        self._tell = tell
        self._stop = stop
        self._spent = Spent()
        self._failure: HolychatError | None = None
        legs = [(model, count) for model in plan.models for count in (plan.live_count, plan.count)]
        worsts = [_leg_worst(services, plan, model, count) for model, count in legs]
        self._unpriced = {model for (model, _), worst in zip(legs, worsts, strict=True) if worst is None}
        self._weights = [worst or 0 for worst in worsts]

    async def run(self) -> Report:
        began = datetime.now(UTC)
        models = []
        for model in self._plan.models:
            if self._stop.is_set():
                break
            models.append(await self._measure(model))
        report = Report(
            FORMAT,
            __version__,
            began.isoformat(timespec="seconds"),
            self._plan.provider,
            len(self._plan.prompts),
            self._plan.max_tokens,
            self._plan.concurrency,
            tuple(models),
            self._spent.micros,
            spent_estimated=self._spent.estimated > 0,
            interrupted=self._stop.is_set(),
        )
        if not report.measured and self._failure is not None and not report.interrupted:
            raise self._failure
        return report

    async def _measure(self, model: str) -> ModelReport:
        live = await self._over_live(model)
        batch = None
        if not self._stop.is_set() and (live.answered or not live.errors):
            batch = await self._over_batch(model)
        else:
            self._weights = self._weights[1:]
        return ModelReport(model, live, batch)

    async def _over_live(self, model: str) -> Figures:
        async def record(spent: Spent) -> None:
            await self._record(model, spent)

        provider = self._services.registry.get(self._plan.provider)
        road = LiveRoad(provider, self._services.costs, record, self._tell, self._stop)
        return self._arrived(await road.go(self._cargo(model, self._plan.live_count)))

    async def _over_batch(self, model: str) -> Figures:
        async def record(spent: Spent) -> None:
            await self._record(model, spent)

        road = BatchRoad(self._services, self._plan.concurrency, record, self._tell, self._stop)
        return self._arrived(await road.go(self._cargo(model, self._plan.count)))

    def _cargo(self, model: str, count: int) -> Cargo:
        """The next leg. What may be spent is shared out by worst cases; what one leaves over, the others get."""
        allowance = None
        weights, self._weights = self._weights, self._weights[1:]
        if self._left is not None and model not in self._unpriced:
            allowance = self._left * weights[0] // sum(weights) if sum(weights) else self._left
        return Cargo(self._plan.provider, model, self._plan.requests(model, count), allowance)

    async def _record(self, model: str, spent: Spent) -> None:
        self._spent += spent
        if self._left is not None:
            self._left = max(0, self._left - spent.micros)
        await self._services.costs.record(self._plan.provider, model, spent)

    def _arrived(self, trip: Trip) -> Figures:
        self._failure = self._failure or trip.failure
        return trip.figures()


def _worst(services: Services, plan: Plan, model: str) -> int | None:
    legs = [_leg_worst(services, plan, model, count) for count in (plan.live_count, plan.count)]
    return None if None in legs else sum(worst or 0 for worst in legs)


def _leg_worst(services: Services, plan: Plan, model: str, count: int) -> int | None:
    """Micro-dollars that so many requests cost at worst; None: unknown. Each prompt is looked at once."""
    total, repeated, rest = 0, *divmod(count, len(plan.prompts))
    for place, worst in enumerate(_each_worst(services, plan, model, plan.prompts[:count])):
        if worst is None:
            return None
        total += worst * (repeated + (place < rest))
    return total


def _each_worst(services: Services, plan: Plan, model: str, prompts: Sequence[str]) -> list[int | None]:
    costs = services.costs
    return [
        costs.worst_cost(plan.provider, model, (PromptMessage(Role.USER, prompt),), plan.max_tokens)
        for prompt in prompts
    ]


def _one_fits(services: Services, plan: Plan, model: str, room: int) -> bool:
    return any(worst is not None and worst <= room for worst in _each_worst(services, plan, model, plan.prompts))
