"""Adding up what the requests of one reply took."""

from __future__ import annotations

from dataclasses import replace

from holychat.domain.usage import Cost, Timing, Usage


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
