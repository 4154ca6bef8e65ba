"""Token estimates that learn: each model counts in its own way, and says how many tokens it counted."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from holychat.catalog.prices import model_names
from holychat.catalog.tokens import estimate_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holychat.domain.calibration import Calibration
    from holychat.domain.request import PromptMessage

_MESSAGE_TOKENS = 4
"""Tokens that a chat format puts around each message."""


def calibration_key(model: str) -> str:
    """The name under which a model's calibration is kept: snapshots and makers count alike."""
    return model_names(model)[-1]


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
