"""Money as people and programs read it, exact to the micro-dollar."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holychat.domain.usage import Cost

_MILLION = 1_000_000


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


def bar(part: int, whole: int, width: int) -> str:
    """A bar of blocks, `part` of `whole` of `width` cells long, to an eighth of a cell; something is never nothing."""
    if part <= 0 or whole <= 0 or width <= 0:
        return ""
    eighths = max(1, round(min(part, whole) * width * 8 / whole))
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def usd(cost: Cost | None) -> float | None:
    """A cost for programs, in dollars; None where it is unknown."""
    return None if cost is None else cost.micros / _MILLION
