"""What people are told of the roads to a model: what each offers, which one is taken and why. Pure functions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.roads import Road
from holychat.tui.job_words import dollars, duration, range_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holychat.domain.roads import Choice, Offer

ROAD_TITLES: Mapping[Road, str] = {Road.LIVE: "Live", Road.DESK: "Desk", Road.PROVIDER_BATCH: "Provider's batch"}
"""As they stand above a column."""
ROAD_NAMES: Mapping[Road, str] = {Road.LIVE: "Live", Road.DESK: "Desk", Road.PROVIDER_BATCH: "Batch"}
"""As they stand in a narrow panel."""
UNKNOWN = "unknown"
_NOT_OFFERED = "not offered"
ROWS = ("Price", "First token", "End", "Requests/min")
"""What is compared; `cells` gives the values in this order."""


def cells(offer: Offer) -> tuple[str, str, str, str]:
    """What a road offers, in the order of ROWS."""
    if not offer.available:
        return (UNKNOWN if _may_be_there(offer) else _NOT_OFFERED, "–", "–", "–")
    return price_words(offer), first_words(offer), end_words(offer), rate_cell(offer)


def price_words(offer: Offer) -> str:
    """What the work costs on a road."""
    return UNKNOWN if offer.cost is None else dollars(offer.cost.micros, about=offer.cost.micros > 0)


def first_words(offer: Offer) -> str:
    """When the first text can be read."""
    return UNKNOWN if offer.first_token_seconds is None else f"~{duration(offer.first_token_seconds)}"


def end_words(offer: Offer) -> str:
    """When the last answer is there; a batch service promises a latest time and no more."""
    early, late = offer.end_seconds
    if offer.road is Road.PROVIDER_BATCH:
        return f"within {duration(late)}"
    return f"~{range_words(early, late)}" if late >= 20 else range_words(early, late)


def rate_cell(offer: Offer) -> str:
    """Requests per minute, without the unit."""
    if offer.requests_per_minute is None:
        return UNKNOWN
    return f"~{offer.requests_per_minute:,.0f}" if offer.requests_per_minute >= 1 else "~<1"


def taken_words(choice: Choice) -> str:
    """Which road is taken and why, in one line; a reason that names the road says it all."""
    name = choice.road.words
    why = choice.reasons[-1] if choice.reasons else ""
    if name in why:
        return why
    return f"{name[0].upper()}{name[1:]}: {why[0].lower()}{why[1:]}" if why else f"{name[0].upper()}{name[1:]}."


def reasons_of(choice: Choice) -> tuple[str, ...]:
    """Why, one sentence each, none twice."""
    return tuple(dict.fromkeys(choice.reasons))


def facts_of(choice: Choice) -> tuple[tuple[str, str], ...]:
    """The facts that the offers rest on, each with the roads that it counts for."""
    roads: dict[str, list[str]] = {}
    for offer in choice.offers:
        for fact in offer.facts:
            roads.setdefault(fact, []).append(ROAD_TITLES[offer.road])
    return tuple((", ".join(names), fact) for fact, names in roads.items())


def short_words(offer: Offer) -> str:
    """A road in one line of a narrow panel: price and end."""
    if not offer.available:
        return cells(offer)[0]
    return f"{price_words(offer)} · {end_words(offer)}"


def _may_be_there(offer: Offer) -> bool:
    # Nobody asked yet is another thing than no.
    return "not known" in offer.facts[0]
