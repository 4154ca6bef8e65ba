"""Limits per day and month: warned of at 80 %, held at 100 %."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from holychat.catalog.money import money_text
from holychat.domain.usage import Cost
from holychat.errors import LimitReached

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from holychat.domain.spending import Spent, Unsettled

Name: TypeAlias = Literal["day", "month"]
_WARN_PERCENT = 80
_WORDS: dict[Name, str] = {"day": "today's limit", "month": "this month's limit"}


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit and how much of it is used."""

    name: Name
    micros: int
    """What may be spent."""
    spent: Spent
    unsettled: Unsettled
    """What is under way, or of jobs in doubt, at its worst: it counts until it is known."""
    since: date
    """The day on which it began."""

    @property
    def used(self) -> int:
        """Micro-dollars that are spent, or may be."""
        return self.spent.micros + self.unsettled.micros

    @property
    def left(self) -> int:
        """Micro-dollars that may still be spent."""
        return max(0, self.micros - self.used)

    @property
    def percent(self) -> int:
        """Whole per cent that are used, rounded down; 100 for a limit of nothing."""
        return self.used * 100 // self.micros if self.micros else 100

    @property
    def near(self) -> bool:
        """Whether 80 % are used."""
        return self.percent >= _WARN_PERCENT

    @property
    def reached(self) -> bool:
        """Whether all of it is used."""
        return self.used >= self.micros

    def text(self) -> str:
        """One line for people, for example "83 % of today's limit of $5.00 is spent"."""
        about = "~" if self.spent.estimated or self.unsettled.micros else ""
        doubt = ", requests under way or in doubt at their worst included" if self.unsettled.micros else ""
        return f"{about}{self.percent} % of {_WORDS[self.name]} of {money_text(Cost(self.micros))} is spent{doubt}"


def refuse_over(limits: Iterable[Limit], worst_micros: int | None) -> None:
    """Hold a request that could go beyond a limit.

    Args:
        limits: All that are in force.
        worst_micros: What the request costs at worst; None: nobody knows, and it is held where a limit is reached.

    Raises:
        LimitReached: It could.
    """
    for limit in limits:
        if worst_micros is None and limit.reached:
            raise LimitReached(
                f"{limit.text()}, and the price of this model is not known",
                "Give it a price under [prices] in config.toml, or raise the limit under [limits].",
            )
        if worst_micros and worst_micros > limit.left:
            could = money_text(Cost(worst_micros, estimated=True))
            left = money_text(Cost(limit.left)) if limit.left else "nothing"
            raise LimitReached(
                f"{limit.text()}; this request could cost {could} and {left} is left",
                "A shorter longest reply (max tokens) costs less at worst; [limits] in config.toml sets the limit.",
            )
