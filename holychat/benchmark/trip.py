"""What a road is asked to carry, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from holychat.benchmark.figures import figures
from holychat.domain.spending import Spent

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from holychat.benchmark.figures import Figures, Sample
    from holychat.domain.request import ReplyRequest
    from holychat.errors import HolychatError


@dataclass(frozen=True, slots=True)
class Cargo:
    """The requests of one model over one road."""

    provider: str
    model: str
    requests: tuple[ReplyRequest, ...]
    allowance: int | None = None
    """Micro-dollars that they may cost, each counted at its worst before it is sent; None: no limit."""


class Progress(NamedTuple):
    """How far a road is."""

    model: str
    road: str
    """"live" or "batch"."""
    done: int
    of: int
    errors: int
    seconds_left: float | None
    """None: too early to tell."""


Tell: TypeAlias = "Callable[[Progress], None]"
Record: TypeAlias = "Callable[[Spent], Awaitable[None]]"
"""Writes down what was spent, as soon as it is known."""


@dataclass(slots=True)
class Trip:
    """What came of it."""

    asked: int
    samples: list[Sample] = field(default_factory=list)
    errors: int = 0
    refused: int = 0
    spent: Spent = field(default_factory=Spent)
    note: str = ""
    """Why it ended early."""
    failure: HolychatError | None = None
    """The first error, for where nothing at all was answered."""

    def figures(self) -> Figures:
        """Its figures."""
        return figures(self.samples, asked=self.asked, errors=self.errors, refused=self.refused, note=self.note)
