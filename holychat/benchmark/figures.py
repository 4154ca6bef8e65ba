"""The figures of a road out of the requests that went over it. Pure: no clock, no input, no output."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST = 20
"""Requests from which the rate of the second half says something."""
_MINUTE_MS = 60_000.0


@dataclass(frozen=True, slots=True)
class Sample:
    """One request that was answered. Milliseconds; all samples of a road are on one clock."""

    started_ms: float
    elapsed_ms: float
    """From sending to the last byte of the reply."""
    first_token_ms: float | None = None
    """None: it came whole, or brought no text."""
    output_tokens: int = 0
    tokens_estimated: bool = False
    cost_micros: int | None = None
    """None: the price is unknown."""
    cost_estimated: bool = False

    @property
    def ended_ms(self) -> float:
        """When the reply was whole."""
        return self.started_ms + self.elapsed_ms


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Two percentiles, in milliseconds."""

    p50: float
    p95: float


class Figures(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What came of one road."""

    asked: int
    """Requests that were sent, or were to be."""
    answered: int
    errors: int
    """Requests that failed, or of which nobody knows what became."""
    refused: int = 0
    """How often a request was turned away and sent again."""
    seconds: float = 0.0
    """From the first request to the last reply."""
    first_token: Spread | None = None
    end_to_end: Spread | None = None
    per_minute: float | None = None
    """Requests answered per minute, the way up to full speed and the last reply included."""
    up_to_speed_per_minute: float | None = None
    """Requests sent per minute in the second half of the run; None: too few to tell."""
    tokens_per_second: float | None = None
    """Output of all requests together."""
    tokens_estimated: bool = False
    micros_per_thousand: int | None = None
    """Micro-dollars that 1,000 such requests cost; None: the price is unknown."""
    cost_estimated: bool = False
    note: str = ""
    """Why it ended early; empty: it did not."""


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which so large a share of all lies, between two of them in proportion.

    Args:
        values: At least one, in any order.
        share: 0 to 1; 0.5 is the median.

    Raises:
        ValueError: There are no values, or the share is none.
    """
    if not values or not 0 <= share <= 1:
        raise ValueError("a percentile needs values and a share from 0 to 1")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    low, high = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    # Never outside of the two, whatever floating point makes of the sum.
    return min(max(low + (high - low) * (place - below), low), high)


def spread(values: Sequence[float]) -> Spread | None:
    """Median and 95th percentile, to a tenth of a millisecond; None of nothing."""
    return Spread(round(percentile(values, 0.5), 1), round(percentile(values, 0.95), 1)) if values else None


def figures(samples: Sequence[Sample], *, asked: int, errors: int = 0, refused: int = 0, note: str = "") -> Figures:
    """What the requests of one road amount to.

    Args:
        samples: Those that were answered.
        asked: How many were sent, or were to be.
        errors: How many failed.
        refused: How often one was turned away and sent again.
        note: Why it ended early.
    """
    if not samples:
        return Figures(asked, 0, errors, refused, note=note)
    took_ms = max(sample.ended_ms for sample in samples) - min(sample.started_ms for sample in samples)
    priced = [sample.cost_micros for sample in samples if sample.cost_micros is not None]
    tokens = sum(sample.output_tokens for sample in samples)
    return Figures(
        asked,
        len(samples),
        errors,
        refused,
        seconds=round(took_ms / 1000, 3),
        first_token=spread([sample.first_token_ms for sample in samples if sample.first_token_ms is not None]),
        end_to_end=spread([sample.elapsed_ms for sample in samples]),
        per_minute=_per_minute(len(samples), took_ms),
        up_to_speed_per_minute=_up_to_speed(sorted(sample.started_ms for sample in samples)),
        tokens_per_second=round(tokens * 1000 / took_ms, 1) if took_ms > 0 else None,
        tokens_estimated=any(sample.tokens_estimated for sample in samples),
        micros_per_thousand=round(sum(priced) * 1000 / len(priced)) if priced else None,
        cost_estimated=any(sample.cost_estimated for sample in samples) or 0 < len(priced) < len(samples),
        note=note,
    )


def ratio(batch: float | None, live: float | None) -> float | None:
    """How many times the one is the other; None where that cannot be told."""
    return None if batch is None or not live else batch / live


def _per_minute(count: int, took_ms: float) -> float | None:
    return round(count * _MINUTE_MS / took_ms, 1) if took_ms > 0 else None


def _up_to_speed(starts: Sequence[float]) -> float | None:
    if len(starts) < _FEWEST:
        return None
    middle = len(starts) // 2
    return _per_minute(len(starts) - 1 - middle, starts[-1] - starts[middle])
