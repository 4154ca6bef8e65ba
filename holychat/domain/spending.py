"""What was spent: sums of money and tokens, with what is estimated and unknown said as such."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.domain.usage import Cost

if TYPE_CHECKING:
    from datetime import date


@dataclass(frozen=True, slots=True)
class Spent:
    """A sum over requests that were answered."""

    requests: int = 0
    estimated: int = 0
    """Requests whose cost is an estimate."""
    unknown: int = 0
    """Requests whose cost is not known, and so not in `micros`."""
    micros: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    @property
    def cost(self) -> Cost | None:
        """The money; None where there were requests and the cost of none of them is known."""
        if self.requests and self.unknown == self.requests:
            return None
        return Cost(self.micros, estimated=self.estimated > 0)

    def __add__(self, other: Spent) -> Spent:
        return Spent(
            self.requests + other.requests,
            self.estimated + other.estimated,
            self.unknown + other.unknown,
            self.micros + other.micros,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
        )

    def __sub__(self, other: Spent) -> Spent:
        return Spent(
            self.requests - other.requests,
            self.estimated - other.estimated,
            self.unknown - other.unknown,
            self.micros - other.micros,
            self.input_tokens - other.input_tokens,
            self.output_tokens - other.output_tokens,
        )


@dataclass(frozen=True, slots=True)
class Share:
    """What was spent on one thing."""

    name: str
    """The model, the provider, the chat's title, the job's name, or the day as ISO 8601."""
    spent: Spent
    provider: str = ""
    """Of a model."""
    id: int | None = None
    """Of a chat or a job."""
    day: date | None = None


@dataclass(frozen=True, slots=True)
class Unsettled:
    """Requests that may have been billed: under way, not read yet, or in doubt."""

    requests: int = 0
    micros: int = 0
    """Their worst case together."""
    unknown: int = 0
    """Those whose worst case is not known."""
