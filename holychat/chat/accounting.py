"""What a reply took: as reported where the provider says, else counted by us and marked so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.usage import Cost, Timing, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.request import PromptMessage


def settle_usage(reported: Usage | None, prompt: Sequence[PromptMessage], reply: str, *, whole: bool) -> Usage:
    """Usage of one request.

    Args:
        reported: The provider's last report, if there was one.
        prompt: What was sent.
        reply: Everything that came back, reasoning included.
        whole: Whether the reply came to its end. What is reported of one that was cut off is a state on the way.
    """
    reported = reported or Usage()
    if whole and reported.input_tokens is not None and reported.output_tokens is not None:
        return reported
    from holychat.catalog.tokens import estimate_tokens

    arrived = estimate_tokens(reply) if reply else 0
    input_tokens = reported.input_tokens
    if input_tokens is None:
        input_tokens = sum(estimate_tokens(message.text) for message in prompt)
    return replace(
        reported,
        input_tokens=input_tokens,
        output_tokens=max(arrived, reported.output_tokens or 0),
        estimated=True,
    )


def price_of(provider: str, model: str, usage: Usage) -> Cost | None:
    """What the usage costs, or None where the price is unknown."""
    from holychat.catalog.prices import cost_of

    cost = cost_of(provider, model, usage)
    return cost if cost is None or not usage.estimated else replace(cost, estimated=True)


def add_usage(first: Usage, second: Usage) -> Usage:
    """Usage of two requests together."""
    return Usage(
        input_tokens=_sum(first.input_tokens, second.input_tokens),
        output_tokens=_sum(first.output_tokens, second.output_tokens),
        cached_input_tokens=_sum(first.cached_input_tokens, second.cached_input_tokens),
        reasoning_tokens=_sum(first.reasoning_tokens, second.reasoning_tokens),
        estimated=first.estimated or second.estimated,
    )


def add_cost(first: Cost | None, second: Cost | None) -> Cost | None:
    """Cost of two requests together; a part that is unknown makes the sum an estimate."""
    if first is None or second is None:
        known = first or second
        return None if known is None else replace(known, estimated=True)
    return Cost(first.micros + second.micros, first.estimated or second.estimated)


def add_timing(first: Timing, second: Timing) -> Timing:
    """Timing of a reply and its continuation: the waits add up, the first token stays the first."""
    return Timing(
        first_token_ms=second.first_token_ms if first.first_token_ms is None else first.first_token_ms,
        elapsed_ms=_sum(first.elapsed_ms, second.elapsed_ms),
        attempts=first.attempts + second.attempts,
    )


def _sum(first: int | None, second: int | None) -> int | None:
    return (first or 0) + (second or 0) if first is not None or second is not None else None
