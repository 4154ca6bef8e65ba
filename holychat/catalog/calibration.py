"""Token estimates that learn: each model counts in its own way, and says how many tokens it counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.catalog.prices import model_names
from holychat.catalog.tokens import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holychat.domain.request import PromptMessage

_MESSAGE_TOKENS = 4
"""Tokens that a chat format puts around each message."""
_SMALLEST = 50
"""Tokens below which the format around a prompt says more than its text, so that nothing is learned."""
_LEAST, _MOST = 0.5, 2.0
"""Bounds of a ratio: beyond them the server has cut the prompt or added to it, which says nothing of tokens."""
_WEIGHT = 0.2
"""Of the newest sample."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One prompt: what we counted without calibration, and what the provider reported."""

    model: str
    counted: int
    reported: int

    @classmethod
    def of(cls, model: str, counted: int, reported: int) -> Sample | None:
        """A sample; None where the prompt is too short to say anything."""
        return cls(model, counted, reported) if counted >= _SMALLEST and reported > 0 else None


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


def calibration_key(model: str) -> str:
    """The name under which a model's calibration is kept: snapshots and makers count alike."""
    return list(model_names(model))[-1]


class TokenEstimator:
    """Counts tokens as a model is likely to. Safe to use from any thread.

    Args:
        known: Calibrations by `calibration_key`.
    """

    def __init__(self, known: Mapping[str, Calibration] | None = None) -> None:
        self._known: dict[str, Calibration] = dict(known or {})

    def text(self, text: str, model: str = "") -> int:
        """Tokens of a text; 0 for nothing, else at least 1."""
        return self._calibrated(estimate_tokens(text), model)

    def prompt(self, messages: Iterable[PromptMessage], model: str = "") -> int:
        """Tokens of a whole prompt, with what the chat format adds."""
        return self._calibrated(self.counted(messages), model)

    def counted(self, messages: Iterable[PromptMessage]) -> int:
        """Tokens of a whole prompt as they are counted without calibration."""
        return sum(estimate_tokens(message.text) + _MESSAGE_TOKENS for message in messages)

    def calibration(self, model: str) -> Calibration | None:
        """What was learned of a model; None where nothing was."""
        return self._known.get(calibration_key(model)) if model and self._known else None

    def learned(self, key: str, calibration: Calibration) -> None:
        """Estimate by this from now on."""
        self._known[key] = calibration

    def _calibrated(self, counted: int, model: str) -> int:
        known = self.calibration(model)
        return counted if known is None else math.ceil(counted * known.ratio)
