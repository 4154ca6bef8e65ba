"""What a reply took: as reported where the provider says, else counted by us and marked so."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holychat.catalog.calibration import calibration_key
from holychat.domain.calibration import Sample
from holychat.domain.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.catalog.calibration import TokenEstimator
    from holychat.catalog.prices import PriceBook
    from holychat.domain.request import PromptMessage
    from holychat.domain.usage import Cost

_OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Accounting:
    """Settles requests at the prices in force, with the token counts that each model was seen to report."""

    prices: PriceBook
    tokens: TokenEstimator

    def settle(
        self, model: str, reported: Usage | None, prompt: Sequence[PromptMessage], reply: str, *, whole: bool
    ) -> Usage:
        """Usage of one request.

        Args:
            model: The model that was asked.
            reported: The provider's last report, if there was one.
            prompt: What was sent.
            reply: Everything that came back, reasoning included.
            whole: Whether the reply came to its end. What is reported of one that was cut off is a state on the way.
        """
        reported = reported or Usage()
        if whole and reported.input_tokens is not None and reported.output_tokens is not None:
            return reported
        arrived = self.tokens.text(reply, model) if reply else 0
        input_tokens = reported.input_tokens
        if input_tokens is None:
            input_tokens = self.tokens.prompt(prompt, model)
        return replace(
            reported,
            input_tokens=input_tokens,
            output_tokens=max(arrived, reported.output_tokens or 0),
            estimated=True,
        )

    def price(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """What the usage costs, or None where the price is unknown."""
        return self.prices.cost_of(provider, model, usage)

    def batch_price(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """The same through the provider's batch service.

        Where that price is not known it is taken to be no higher than the usual one, and the cost is an estimate.
        """
        known = self.prices.batch_cost_of(provider, model, usage)
        if known is None and (usual := self.price(provider, model, usage)) is not None:
            known = replace(usual, estimated=usual.estimated or usual.micros > 0)
        return known

    def sample(
        self, provider: str, model: str, reported: Usage | None, prompt: Sequence[PromptMessage]
    ) -> Sample | None:
        """What this request teaches about the tokens of its model; None where it teaches nothing."""
        if provider == _OFFLINE or not model or reported is None or not reported.input_tokens:
            return None
        return Sample.of(calibration_key(model), self.tokens.counted(prompt), reported.input_tokens)
