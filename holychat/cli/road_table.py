"""The roads side by side, as `holychat advise` and `holychat batch … --dry-run` print them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holychat.catalog.money import usd
from holychat.cli.output import table
from holychat.text import clean_line
from holychat.tui.road_words import ROAD_TITLES, ROWS, cells, facts_of, reasons_of

if TYPE_CHECKING:
    from holychat.domain.roads import Choice


def road_table(choice: Choice) -> str:
    """A line for each thing that is compared, a column for each road; a mark is at the road that is taken."""
    head = [f"{ROAD_TITLES[offer.road]}{' <' if offer.road is choice.road else ''}" for offer in choice.offers]
    columns = [cells(offer) for offer in choice.offers]
    return table([["", *head], *([name, *(column[at] for column in columns)] for at, name in enumerate(ROWS))])


def road_text(choice: Choice) -> str:
    """The table, the facts it rests on, the road that is taken and why."""
    facts = "".join(f"  {roads}: {clean_line(fact)}\n" for roads, fact in facts_of(choice))
    reasons = "".join(f"  {clean_line(reason)}\n" for reason in reasons_of(choice))
    taken = f"Road: {choice.road.words} (priority {choice.priority.value})\n"
    return f"{road_table(choice)}\nThese rest on:\n{facts}\n{taken}{reasons}"


def road_fields(choice: Choice) -> dict[str, Any]:
    """The same for programs; null where it is not known."""
    return {
        "road": choice.road.value,
        "priority": choice.priority.value,
        "reasons": list(reasons_of(choice)),
        "offers": [
            {
                "road": offer.road.value,
                "available": offer.available,
                "cost_usd": usd(offer.cost),
                "cost_estimated": offer.cost is not None and offer.cost.estimated,
                "first_token_seconds": offer.first_token_seconds,
                "end_seconds": list(offer.end_seconds),
                "requests_per_minute": offer.requests_per_minute,
                "facts": list(offer.facts),
            }
            for offer in choice.offers
        ],
    }
