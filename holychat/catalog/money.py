"""Money as people and programs read it: exact to the micro-dollar, or rounded where many things are looked over."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holychat.domain.spending import Unsettled
    from holychat.domain.usage import Cost

_MILLION = 1_000_000
_CENTS_FROM, _LEAST = 100_000, 100
"""Micro-dollars from which cents are enough, and below which an amount is only said to be less."""


def money_text(cost: Cost | None) -> str:
    """A cost for people: "$0.000131", "$2.50", "~$0.02" for an estimate, "$0" for what is known to cost nothing.

    Every digit that counts is shown, and no less than cents. An unknown cost is "", never zero: it is left out.
    """
    if cost is None:
        return ""
    about = "~" if cost.estimated else ""
    dollars, micros = divmod(cost.micros, _MILLION)
    if not cost.micros:
        return f"{about}$0"
    digits = f"{micros:06}".rstrip("0")
    return f"{about}${dollars:,}.{digits:0<2}"


def short_money(cost: Cost | None) -> str:
    """A cost in an overview: "$4.11", "$0.0031", "<$0.0001"; never "$0" for what is not zero, "" for an unknown one."""
    if cost is None:
        return ""
    about = "~" if cost.estimated else ""
    if not cost.micros:
        return f"{about}$0"
    if cost.micros < _LEAST:
        return f"{about}<$0.0001"
    if cost.micros >= _CENTS_FROM:
        return f"{about}${cost.micros / _MILLION:,.2f}"
    whole, digits = f"{cost.micros / _MILLION:.4f}".rstrip("0").split(".")
    return f"{about}${whole}.{digits:0<2}"


def worst_words(unsettled: Unsettled) -> str:
    """What requests that may have been billed cost at worst: "~$0.02 at worst, 3 of unknown price"."""
    from holychat.domain.usage import Cost

    known = unsettled.unknown < unsettled.requests
    most = f"{short_money(Cost(unsettled.micros, estimated=True))} at worst" if known else ""
    unknown = f"{unsettled.unknown:,} of unknown price" if unsettled.unknown else ""
    return ", ".join(piece for piece in (most, unknown) if piece)


def bar(part: int, whole: int, width: int) -> str:
    """A bar of blocks, `part` of `whole` of `width` cells long, to an eighth of a cell; something is never nothing."""
    if part <= 0 or whole <= 0 or width <= 0:
        return ""
    eighths = max(1, round(min(part, whole) * width * 8 / whole))
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def usd(cost: Cost | None) -> float | None:
    """A cost for programs, in dollars; None where it is unknown."""
    return None if cost is None else cost.micros / _MILLION
