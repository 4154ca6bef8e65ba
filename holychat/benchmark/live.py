"""The live road: requests streamed one after another, the way a chat does it."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holychat.benchmark.figures import Sample
from holychat.benchmark.trip import Progress, Trip
from holychat.catalog.money import money_text
from holychat.domain.events import ReasoningDelta, ReplyStarted, TextDelta, TurnFinished, UsageReported
from holychat.domain.spending import Spent
from holychat.domain.usage import Cost
from holychat.errors import CredentialError, HolychatError, Outcome, ProviderError

if TYPE_CHECKING:
    from holychat.benchmark.trip import Cargo, Record, Tell
    from holychat.domain.request import ReplyRequest
    from holychat.domain.usage import Usage
    from holychat.money.costs import Costs
    from holychat.providers.base import Provider

_MOST_IN_A_ROW = 5
"""Errors one after another after which the rest would fail as well."""
_LONGEST_WAIT = 30.0
"""Seconds that a provider which turns requests away is waited for."""


class LiveRoad:
    """Streams the requests of one model.

    Args:
        provider: Whom they are sent to.
        costs: Prices and token counts.
        record: Writes down what each has cost.
        tell: Hears how far it is.
        stop: Once set, the reply under way is broken off and no other begun.
    """

    def __init__(self, provider: Provider, costs: Costs, record: Record, tell: Tell, stop: asyncio.Event) -> None:
        self._provider = provider
        self._costs = costs
        self._record = record
        self._tell = tell
        self._stop = stop

    async def go(self, cargo: Cargo) -> Trip:
        """Send them all; what went wrong is in the result."""
        await self._provider.warm()
        trip = Trip(len(cargo.requests))
        in_a_row = 0
        for number, request in enumerate(cargo.requests):
            if self._stop.is_set():
                break
            if not self._fits(cargo, trip, request):
                left = money_text(Cost(max(0, (cargo.allowance or 0) - trip.spent.micros)))
                trip.note = f"ended after {number:,} requests: the next one could cost more than the {left} left for it"
                break
            heard = await self._hear(request)
            await self._settle(cargo, trip, request, heard)
            in_a_row = 0 if heard.error is None else in_a_row + 1
            self._tell(_progress(cargo, trip, number + 1))
            if heard.error is not None and (self._is_hopeless(heard.error) or in_a_row == _MOST_IN_A_ROW):
                trip.note = f"ended after {number + 1:,} requests: {heard.error.title}"
                break
            await self._wait_after(heard.error)
        return trip

    async def _hear(self, request: ReplyRequest) -> _Heard:
        heard = _Heard()
        hearing = asyncio.create_task(self._listen(request, heard))
        stopping = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({hearing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not hearing.done():
                hearing.cancel()
        try:
            await hearing
        except asyncio.CancelledError:
            heard.broken_off = True
        except (ProviderError, CredentialError) as error:
            heard.error = error
        return heard

    async def _listen(self, request: ReplyRequest, heard: _Heard) -> None:
        loop = asyncio.get_running_loop()
        heard.began = loop.time()
        async with contextlib.aclosing(self._provider.stream(request)) as events:
            async for event in events:
                if isinstance(event, ReplyStarted):
                    # What the provider took, and not this program: finding the key, connecting, writing the request.
                    heard.began = heard.began if event.sent_at is None else event.sent_at
                elif isinstance(event, TextDelta | ReasoningDelta):
                    if heard.first is None:
                        heard.first = loop.time()
                    heard.pieces.append(event.text)
                elif isinstance(event, UsageReported):
                    heard.usage = event.usage
                elif isinstance(event, TurnFinished):
                    heard.ended = loop.time()

    async def _settle(self, cargo: Cargo, trip: Trip, request: ReplyRequest, heard: _Heard) -> None:
        """Count it, and what it has cost. One that was broken off is no figure, but may have been billed."""
        whole = heard.ended is not None and heard.error is None
        if heard.error is not None:
            trip.errors += 1
            trip.failure = trip.failure or heard.error
        outcome = heard.error.outcome if isinstance(heard.error, ProviderError) else None
        if not whole and not heard.pieces and outcome is not Outcome.AMBIGUOUS and not heard.broken_off:
            return
        accounting = self._costs.accounting
        usage = accounting.settle(cargo.model, heard.usage, request.messages, "".join(heard.pieces), whole=whole)
        cost = accounting.price(cargo.provider, cargo.model, usage)
        estimated = cost is not None and cost.estimated
        spent = Spent(
            1, int(estimated), int(cost is None), 0 if cost is None else cost.micros,
            usage.input_tokens or 0, usage.output_tokens or 0,
        )  # fmt: skip
        trip.spent += spent
        if heard.ended is not None and heard.error is None:
            first = None if heard.first is None else (heard.first - heard.began) * 1000
            elapsed = (heard.ended - heard.began) * 1000
            micros = None if cost is None else cost.micros
            tokens = usage.output_tokens or 0
            trip.samples.append(Sample(heard.began * 1000, elapsed, first, tokens, usage.estimated, micros, estimated))
        await self._record(spent)

    def _fits(self, cargo: Cargo, trip: Trip, request: ReplyRequest) -> bool:
        if cargo.allowance is None:
            return True
        worst = self._costs.worst_cost(cargo.provider, cargo.model, request.messages, request.max_tokens)
        return worst is not None and trip.spent.micros + worst <= cargo.allowance

    async def _wait_after(self, error: HolychatError | None) -> None:
        """Give a provider that turned a request away the time that it asks for."""
        if not isinstance(error, ProviderError) or error.outcome is not Outcome.REFUSED:
            return
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), min(error.retry_after or 1.0, _LONGEST_WAIT))

    @staticmethod
    def _is_hopeless(error: HolychatError) -> bool:
        """Whether the next request must fail as well."""
        return isinstance(error, CredentialError) or (
            isinstance(error, ProviderError) and error.outcome in (Outcome.AUTH, Outcome.FATAL)
        )


@dataclass(slots=True)
class _Heard:
    """One reply; times are those of the loop, in seconds."""

    began: float = 0.0
    first: float | None = None
    ended: float | None = None
    pieces: list[str] = field(default_factory=list)
    usage: Usage | None = None
    error: ProviderError | CredentialError | None = None
    broken_off: bool = False


def _progress(cargo: Cargo, trip: Trip, done: int) -> Progress:
    left = None
    if trip.samples:
        each = sum(sample.elapsed_ms for sample in trip.samples) / len(trip.samples) / 1000
        left = each * (len(cargo.requests) - done)
    return Progress(cargo.model, "live", done, len(cargo.requests), trip.errors, left)
