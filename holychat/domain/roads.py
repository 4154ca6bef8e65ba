"""Which road: a live stream, the desk, or the provider's own batch service.

One function lays out what each road costs and how long it takes, another one chooses; both tell the facts they rest on,
and what is not known stays None. The same answer is shown by the submit form, by `--dry-run`, by `holychat advise` and
by the gateway.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from holychat.domain.jobs import Priority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.usage import Cost

_MINUTE = 60.0
_USUAL_TOKENS_PER_SECOND = 60.0
_USUAL_FIRST_TOKEN = 1.0
_SLOWER = 2.0
"""An end is told as a range: this many times longer where the speed was assumed and not measured."""
_BACKGROUND_SHARE = 0.5
"""Part of the known rate that the desk takes at low priority."""


class Road(StrEnum):
    """A way to the same model."""

    LIVE = "live"
    """Streamed, one request after the other."""
    DESK = "desk"
    """holychat's own batch: many requests at once, in the background."""
    PROVIDER_BATCH = "provider_batch"
    """The provider's batch service: slower, often cheaper."""

    @property
    def words(self) -> str:
        """What people call it, within a sentence."""
        return {"live": "live", "desk": "the desk"}.get(self.value, "the provider's batch service")


@dataclass(frozen=True, slots=True)
class Work:
    """What is to be done."""

    requests: int
    input_tokens: int
    """Of all requests together; an estimate."""
    output_tokens: int
    """Of all requests together; an estimate."""
    waiting: bool = False
    """Somebody looks at the screen until it is there."""
    within_seconds: float | None = None
    """How long it may take; None: no matter."""
    budget_micros: int | None = None


@dataclass(frozen=True, slots=True)
class RoadFacts:
    """What is known of a provider and a model."""

    live_cost: Cost | None = None
    """Of the whole work at live prices; None: the price is unknown."""
    batch_cost: Cost | None = None
    """Of the whole work at batch prices; None: unknown."""
    first_token_seconds: float | None = None
    """Measured here before; None: never."""
    reply_seconds: float | None = None
    """Request to end of reply, measured here before; None: never."""
    measured_replies: int = 0
    """How many replies these two rest on."""
    requests_per_minute: float | None = None
    """Rate that is known to be allowed; None: found out while running."""
    concurrency: int = 20
    """Requests at once on the desk, as set or assumed."""
    batch_service: bool | None = None
    """Whether the provider has one; None: nobody has asked it yet."""
    batch_window_seconds: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Offer:
    """One road for a piece of work."""

    road: Road
    available: bool
    cost: Cost | None
    first_token_seconds: float | None
    """Until the first text of the first reply can be read."""
    end_seconds: tuple[float, float]
    """Until the last reply is there, early and late."""
    requests_per_minute: float | None
    """None: not ours to say."""
    facts: tuple[str, ...]
    """What these numbers rest on, one sentence each."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The road that is taken, and why."""

    road: Road
    priority: Priority
    reasons: tuple[str, ...]
    offers: tuple[Offer, ...]

    @property
    def offer(self) -> Offer:
        """What the road that is taken offers."""
        return next(offer for offer in self.offers if offer.road is self.road)


def offers(work: Work, facts: RoadFacts, *, background: bool = False) -> tuple[Offer, ...]:
    """What each road offers for `work`: live, desk, provider batch, in this order.

    Args:
        work: What is to be done.
        facts: What is known.
        background: The desk runs at background rate, as it does at low priority.
    """
    reply, slower, speed = _reply_seconds(work, facts)
    first = facts.first_token_seconds
    count = max(1, work.requests)
    live = Offer(
        Road.LIVE,
        True,
        facts.live_cost,
        _USUAL_FIRST_TOKEN if first is None else first,
        (count * reply, count * reply * slower),
        _MINUTE / reply,
        (speed, "One request after the other."),
    )
    rate, rate_fact = _desk_rate(reply, facts, background=background)
    end = max(reply, count / rate * _MINUTE)
    desk = Offer(
        Road.DESK, True, facts.live_cost, reply, (end, end * slower), min(rate, count * _MINUTE), (speed, rate_fact)
    )
    return live, desk, _batch_offer(facts)


def choose(work: Work, facts: RoadFacts, priority: Priority | None = None) -> Choice:
    """The road for `work`.

    With a priority it is the road of that priority: high is live, medium the desk, low the provider's batch service, or
    the desk at background rate where there is none. Without one, the roads that keep to the time and the budget are
    compared: the soonest where somebody waits, else the cheapest.
    """
    if priority is not None:
        return _by_priority(work, facts, priority)
    laid_out = offers(work, facts)
    reasons = [reason for offer in laid_out if (reason := _against(offer, work))]
    fit = [offer for offer in laid_out if not _against(offer, work)]
    if not fit:
        reasons.append("No road keeps to all of it; the one that ends first is taken.")
        fit = [offer for offer in laid_out if offer.available]
        chosen = min(fit, key=lambda offer: offer.end_seconds[1])
    elif work.waiting:
        chosen = min(fit, key=lambda offer: (offer.end_seconds[0], offer.first_token_seconds or 0.0))
        reasons.append("Somebody is waiting, so the soonest is taken.")
    else:
        chosen = min(fit, key=_price_then_time)
        reasons.append(_why_not_waiting(chosen, fit))
    return Choice(chosen.road, _priority_of(chosen.road), tuple(reasons), laid_out)


def _by_priority(work: Work, facts: RoadFacts, priority: Priority) -> Choice:
    laid_out = offers(work, facts, background=priority is Priority.LOW)
    if priority is Priority.HIGH:
        return Choice(Road.LIVE, priority, ("High priority: streamed live, now.",), laid_out)
    if priority is Priority.MEDIUM:
        return Choice(Road.DESK, priority, ("Medium priority: on the desk, within minutes.",), laid_out)
    batch = laid_out[2]
    if batch.available:
        return Choice(Road.PROVIDER_BATCH, priority, ("Low priority: the provider's batch service.",), laid_out)
    why = "Low priority, and the provider has no batch service that is known of: on the desk, at background rate."
    return Choice(Road.DESK, priority, (*batch.facts, why), laid_out)


def _reply_seconds(work: Work, facts: RoadFacts) -> tuple[float, float, str]:
    """Seconds per reply, how many times longer it may take, and what that rests on."""
    if facts.reply_seconds is not None:
        told = f"A reply took {facts.reply_seconds:.1f} s here (median of {facts.measured_replies})."
        return max(facts.reply_seconds, 0.001), 1.5, told
    tokens = work.output_tokens / max(1, work.requests)
    seconds = _USUAL_FIRST_TOKEN + tokens / _USUAL_TOKENS_PER_SECOND
    told = (
        f"Assumed: {_USUAL_TOKENS_PER_SECOND:g} tokens per second after {_USUAL_FIRST_TOKEN:g} s; never measured here."
    )
    return seconds, _SLOWER, told


def _desk_rate(reply: float, facts: RoadFacts, *, background: bool) -> tuple[float, str]:
    """Requests per minute of the desk, and what that rests on."""
    rate = facts.concurrency * _MINUTE / reply
    fact = f"{facts.concurrency} requests at once."
    if facts.requests_per_minute is not None and facts.requests_per_minute < rate:
        rate, fact = (
            facts.requests_per_minute,
            f"The provider allows {facts.requests_per_minute:g} requests per minute.",
        )
    if background:
        return rate * _BACKGROUND_SHARE, f"{fact} Half of it, to leave room for others."
    return rate, fact


def _batch_offer(facts: RoadFacts) -> Offer:
    window = facts.batch_window_seconds
    if facts.batch_service:
        told: tuple[str, ...] = (f"The provider promises an end within {window / 3600:g} hours, not a time.",)
        if facts.batch_cost is None:
            told += ("Its price for batches is not known.",)
    elif facts.batch_service is None:
        told = ("Whether the provider has a batch service is not known; `holychat batch remote probe` asks it.",)
    else:
        told = ("The provider has no batch service.",)
    return Offer(Road.PROVIDER_BATCH, bool(facts.batch_service), facts.batch_cost, None, (_MINUTE, window), None, told)


def _against(offer: Offer, work: Work) -> str:
    """Why a road cannot be taken for `work`; "" where it can."""
    name = offer.road.words
    if not offer.available:
        return f"Not {name}: {offer.facts[0][0].lower()}{offer.facts[0][1:]}"
    if work.within_seconds is not None and offer.end_seconds[1] > work.within_seconds:
        return f"Not {name}: may take longer than there is time."
    if work.budget_micros is not None and offer.cost is not None and offer.cost.micros > work.budget_micros:
        return f"Not {name}: costs more than the budget."
    if work.waiting and offer.road is Road.PROVIDER_BATCH:
        return f"Not {name}: somebody is waiting."
    return ""


def _price_then_time(offer: Offer) -> tuple[bool, int, float]:
    # An unknown price is no reason to prefer a road; where all are unknown, the time decides.
    return (offer.cost is None, offer.cost.micros if offer.cost else 0, offer.end_seconds[1])


def _why_not_waiting(chosen: Offer, fit: Sequence[Offer]) -> str:
    dearer = [offer for offer in fit if offer.cost and chosen.cost and offer.cost.micros > chosen.cost.micros]
    if dearer:
        return "Nobody is waiting, so the cheapest is taken."
    return "Nobody is waiting and no road is cheaper, so the one that ends first is taken."


def _priority_of(road: Road) -> Priority:
    return {Road.LIVE: Priority.HIGH, Road.DESK: Priority.MEDIUM, Road.PROVIDER_BATCH: Priority.LOW}[road]
