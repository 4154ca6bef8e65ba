"""Learning how a model counts tokens from what providers report."""

from __future__ import annotations

from dataclasses import dataclass

_SMALLEST = 50
"""Tokens below which the format around a prompt says more than its text, so that nothing is learned."""
_LEAST, _MOST = 0.5, 2.0
"""Bounds of a ratio: beyond them the server has cut the prompt or added to it, which says nothing of tokens."""
_WEIGHT = 0.2
"""Of the newest sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt: what we counted without calibration, and what the provider reported."""

    key: str
    """The model, see `catalog.calibration.calibration_key`."""
    counted: int
    reported: int

    @classmethod
    def of(cls, key: str, counted: int, reported: int) -> Sample | None:
        """A sample; None where the prompt is too short to say anything."""
        return cls(key, counted, reported) if counted >= _SMALLEST and reported > 0 else None


@dataclass(frozen=True, slots=True)
class Calibration:
    """How a model counts."""

    ratio: float = 1.0
    """Reported tokens to counted ones, a moving average within 0.5 to 2."""
    error: float = 0.0
    """By how much the estimates missed what was reported, as a share of it, a moving average."""
    samples: int = 0

    def learn(self, sample: Sample) -> Calibration:
        """The calibration after one more prompt. The first one counts whole, each later one a fifth."""
        ratio = min(_MOST, max(_LEAST, sample.reported / sample.counted))
        missed = min(1.0, abs(sample.counted * self.ratio - sample.reported) / sample.reported)
        if not self.samples:
            return Calibration(ratio, missed, 1)
        return Calibration(
            self.ratio + _WEIGHT * (ratio - self.ratio), self.error + _WEIGHT * (missed - self.error), self.samples + 1
        )
