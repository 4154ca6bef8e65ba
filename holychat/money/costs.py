"""What things cost, what was spent and what may still be spent: the one door of the screen, the shell and the desk."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from holychat.catalog.calibration import TokenEstimator
from holychat.catalog.prices import PriceBook, longest_answer, to_micros
from holychat.domain.spending import Share
from holychat.money.accounting import Accounting
from holychat.money.limits import Limit, refuse_over
from holychat.money.periods import Calendar, days_of
from holychat.providers.message_types import usual_answer
from holychat.providers.registry import kind_of
from holychat.store import calibrations, spending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from holychat.domain.calibration import Calibration, Sample
    from holychat.domain.request import PromptMessage
    from holychat.domain.spending import Spent, Unsettled
    from holychat.money.limits import Name
    from holychat.settings import Settings
    from holychat.store.database import Connection, Database

By: TypeAlias = Literal["model", "provider", "day", "chat", "job"]

_ASSUMED_ANSWER = 8192
"""Tokens of the longest answer of a model of which that is not known, where none is asked for."""
_UNCALIBRATED = 0.25
"""How far an estimate may be off before a model has reported anything."""
_LEAST_ERROR = 0.1
_MOST_DAYS = 3660
"""Days that are summed one by one at most."""


@dataclass(frozen=True, slots=True)
class Overview:
    """What the cost screen shows, read in one transaction."""

    first: date
    last: date
    """First and last day of the month that is shown."""
    today: Spent
    month: Spent
    month_days: tuple[Share, ...]
    """The days of the month, those to come left out."""
    models: tuple[Share, ...]
    """Of the month, the dearest first."""
    unsettled: Unsettled
    """Of the month."""
    limits: tuple[Limit, ...]


class Costs:
    """One per process. Days and months are those of the person's clock.

    Attributes:
        prices: Prices and context windows in force.
        tokens: Token estimates, calibrated by what providers reported.
        accounting: Settles requests with both.
        calendar: When days and months begin.
    """

    def __init__(self, database: Database, settings: Settings, calendar: Calendar | None = None) -> None:
        """Blocking: reads what was learned of token counts.

        Raises:
            SettingsError: A price of the settings lacks what belongs to it.
            StoreError: The database cannot be read.
        """
        self._database = database
        self._settings = settings
        self._limits: dict[Name, int] = {}
        for name, dollars in (("day", settings.limits.day), ("month", settings.limits.month)):
            if dollars is not None:
                self._limits["day" if name == "day" else "month"] = to_micros(dollars)
        self._passes = 0
        self.prices = PriceBook(settings.prices)
        self.tokens = TokenEstimator(database.read_now(calibrations.known))
        self.accounting = Accounting(self.prices, self.tokens)
        self.calendar = calendar or Calendar()

    # What was spent

    def today(self, now_ms: int | None = None) -> date:
        """The day it is."""
        return self.calendar.day_at(_now_ms() if now_ms is None else now_ms)

    async def total(self, first: date, last: date) -> Spent:
        """All that was spent from one day to another, both included."""
        when = self.calendar.quarters(first, last)
        return await self._database.read(lambda c: spending.total(c, when))

    async def shares(self, by: By, first: date, last: date) -> list[Share]:
        """What was spent on each model, provider, chat or job, the dearest first, or on each day, in order."""
        return await self._database.read(lambda c: self._shares(c, by, first, last))

    async def unsettled(self, first: date, last: date) -> Unsettled:
        """Requests of that time that may have been billed and have no cost yet, see `spending.unsettled`."""
        when = self.calendar.quarters(first, last)
        return await self._database.read(lambda c: spending.unsettled(c, when))

    async def of_chat(self, chat_id: int) -> Spent:
        """All that a chat has cost, replaced answers included."""
        return await self._database.read(lambda c: spending.of_chat(c, chat_id))

    async def of_job(self, job_id: int) -> Spent:
        """All that a job has cost, attempts that were made again included."""
        return await self._database.read(lambda c: spending.of_job(c, job_id))

    async def first_day(self) -> date | None:
        """The day on which something was first spent; None where nothing was."""
        quarter = await self._database.read(spending.first_quarter)
        return None if quarter is None else self.calendar.day_at(quarter * spending.QUARTER_MS)

    async def overview(self, day: date | None = None, now_ms: int | None = None) -> Overview:
        """Today, and the month that a day is in; None: this month."""
        now = _now_ms() if now_ms is None else now_ms
        return await self._database.read(lambda c: self._overview(c, day, now))

    async def record(self, provider: str, model: str, spent: Spent) -> None:
        """Add what was spent beside chats and jobs to the sums of today and to what limits count."""
        now = _now_ms()
        await self._database.write(lambda c: spending.add(c, provider, model, spent, now))

    # What may be spent

    @property
    def has_limits(self) -> bool:
        """Whether there is a limit per day or month."""
        return bool(self._limits)

    async def limits(self, now_ms: int | None = None) -> tuple[Limit, ...]:
        """The limits in force and how much of each is used."""
        now = _now_ms() if now_ms is None else now_ms
        return await self._database.read(lambda c: self.limits_at(c, now)) if self._limits else ()

    def limits_at(self, connection: Connection, now_ms: int) -> tuple[Limit, ...]:
        """The same in the caller's transaction."""
        day = self.calendar.day_at(now_ms)
        found = []
        for name, micros in self._limits.items():
            first, last = (day, day) if name == "day" else self.calendar.month(day)
            when = self.calendar.quarters(first, last)
            spent, open_ = spending.total(connection, when), spending.unsettled(connection, when)
            found.append(Limit(name, micros, spent, open_, first))
        return tuple(found)

    def room_left(self, connection: Connection, now_ms: int) -> int | None:
        """Micro-dollars that may still be spent, what is under way or in doubt counted at its worst; None: no limit.

        For the desk, in the transaction that writes down what is sent next.
        """
        return min((limit.left for limit in self.limits_at(connection, now_ms)), default=None)

    def worst_cost(
        self, provider: str, model: str, prompt: Sequence[PromptMessage], max_tokens: int | None
    ) -> int | None:
        """Micro-dollars that a request costs at worst; None where the price is unknown.

        The prompt counts with the error of its estimate on top, the answer with the longest that can come.
        """
        known = self.tokens.calibration(model)
        margin = _UNCALIBRATED if known is None else max(_LEAST_ERROR, known.error)
        given = math.ceil(self.tokens.prompt(prompt, model) * (1 + margin))
        window = self.prices.context_window(model, provider)
        answer = max_tokens or longest_answer(model) or self._assumed_answer(provider, window)
        return self.prices.worst_cost(provider, model, given, answer if window is None else min(answer, window))

    def _assumed_answer(self, provider: str, window: int | None) -> int:
        if kind_of(provider, self._settings) == "anthropic":
            return usual_answer(None, window, stream=True)  # what is asked for
        return _ASSUMED_ANSWER

    def allow_one(self) -> None:
        """Let the next live request pass whatever the limits say: the person said so."""
        self._passes += 1

    def refuse_over(
        self, connection: Connection, provider: str, model: str, prompt: Sequence[PromptMessage], max_tokens: int | None
    ) -> int | None:
        """Hold a live request that could go beyond a limit, in the transaction that would write it down.

        Returns:
            Micro-dollars that it costs at worst, for limits to count while it is under way; None: unknown, or no limit.

        Raises:
            LimitReached: It could; `allow_one` lets it pass.
        """
        if not self._limits:
            return None
        worst = self.worst_cost(provider, model, prompt, max_tokens)
        if self._passes:
            self._passes -= 1
        else:
            refuse_over(self.limits_at(connection, _now_ms()), worst)
        return worst

    # Tokens

    def learn(self, connection: Connection, sample: Sample, now_ms: int) -> None:
        """Learn how a model counts from one more answer, in the transaction that keeps it."""
        self.tokens.learned(*calibrations.learn(connection, sample, now_ms))

    async def calibrations(self) -> Mapping[str, Calibration]:
        """What was learned of how models count, by model."""
        return await self._database.read(calibrations.known)

    def _overview(self, connection: Connection, day: date | None, now_ms: int) -> Overview:
        today = self.calendar.day_at(now_ms)
        first, last = self.calendar.month(day or today)
        when = self.calendar.quarters(first, last)
        return Overview(
            first,
            last,
            today=spending.total(connection, self.calendar.quarters(today, today)),
            month=spending.total(connection, when),
            month_days=tuple(self._shares(connection, "day", first, min(last, today))),
            models=tuple(spending.by_model(connection, when)),
            unsettled=spending.unsettled(connection, when),
            limits=self.limits_at(connection, now_ms),
        )

    def _shares(self, connection: Connection, by: By, first: date, last: date) -> list[Share]:
        when = self.calendar.quarters(first, last)
        if by == "model":
            return spending.by_model(connection, when)
        if by == "provider":
            return spending.by_provider(connection, when)
        if by == "day":
            days = days_of(first, last)[-_MOST_DAYS:]
            spent = spending.by_time(connection, [self.calendar.quarters(day, day) for day in days])
            return [Share(day.isoformat(), sums, day=day) for day, sums in zip(days, spent, strict=True)]
        return spending.by_thing(connection, when, by)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
