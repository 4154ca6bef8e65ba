"""What a reply took: tokens, money, time."""

from __future__ import annotations

from dataclasses import dataclass

_SHORTEST_MS = 100
"""A reply that took less to stream came in one piece: its rate would tell of the network and not of the model."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider reported them, or as we counted them; None where neither is known."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    """True where the reply was cut off, or the provider did not say, and the numbers are our own count."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Money in whole micro-dollars (1 USD = 1,000,000)."""

    micros: int
    estimated: bool = False
    """True where the tokens were estimated and not reported."""


@dataclass(frozen=True, slots=True)
class Timing:
    """How long a reply took; milliseconds; None where it did not come that far."""

    first_token_ms: int | None = None
    elapsed_ms: int | None = None
    attempts: int = 1
    """How often the request was sent, retries included."""

    def tokens_per_second(self, output_tokens: int | None) -> float | None:
        """Output tokens per second between the first token and the end, or None where that means nothing."""
        if output_tokens is None or self.first_token_ms is None or self.elapsed_ms is None:
            return None
        streamed_ms = self.elapsed_ms - self.first_token_ms
        return output_tokens * 1000 / streamed_ms if output_tokens > 1 and streamed_ms >= _SHORTEST_MS else None


@dataclass(frozen=True, slots=True)
class ContextUse:
    """How much of what a model can read and write the next request would take."""

    tokens: int
    """Of the conversation and what is to be sent, estimated where it was not reported."""
    window: int
    """Tokens that the model reads and writes at most."""
    answer: int = 0
    """Longest answer that was asked for; 0: none in particular."""
    model: str = ""

    @property
    def percent(self) -> int:
        """Whole per cent of the window, rounded up."""
        return -(-self.tokens * 100 // self.window)

    @property
    def too_long(self) -> bool:
        """Whether it will not fit, with the answer that was asked for."""
        return self.tokens + self.answer > self.window

    def text(self) -> str:
        """A warning for people."""
        answer = f" and an answer of up to {self.answer:,}" if self.answer else ""
        return (
            f"About {self.tokens:,} tokens would be sent{answer}, but {self.model or 'the model'} reads and writes "
            f"{self.window:,} at most: the provider may refuse it or cut it silently."
        )
