"""When to send a request again. Pure: no clock, no randomness of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holychat.errors import ProviderError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and after how long a request that brought nothing visible is sent again."""

    retries: int = 2
    first_delay: float = 0.5
    """Seconds before the first retry where the provider does not say; doubles each time."""
    longest_delay: float = 8.0
    longest_wait: float = 60.0
    """Seconds that a provider may ask us to wait; beyond that the person decides."""

    @property
    def attempts(self) -> int:
        """How often a request is sent at most."""
        return self.retries + 1

    def delay(self, error: ProviderError, attempt: int, jitter: float) -> float | None:
        """Seconds to wait before the next attempt, or None to give up.

        Args:
            error: Why the attempt failed.
            attempt: Which attempt it was, from 1.
            jitter: From 0 to 1; spreads clients that failed together. What the provider asks for is a lower bound.
        """
        if not error.retryable or attempt >= self.attempts:
            return None
        if error.retry_after is not None:
            return error.retry_after * (1 + 0.1 * jitter) if error.retry_after <= self.longest_wait else None
        return float(min(self.longest_delay, self.first_delay * 2 ** (attempt - 1)) * (0.75 + 0.25 * jitter))

    def hint(self, error: ProviderError) -> str:
        """What to do about an error that is not retried, the wait a provider asked for included."""
        wait = error.retry_after
        if not error.retryable or wait is None or wait <= self.longest_wait:
            return error.hint
        return f"{error.provider or 'The provider'} asks to wait {spoken(wait)}. {error.hint}".rstrip()


def spoken(seconds: float) -> str:
    """A duration as people say it: "45 s", "3 min 20 s", "2 h 5 min"."""
    whole = max(1, round(seconds))
    if whole < 60:
        return f"{whole} s"
    big, small, units = (whole // 60, whole % 60, ("min", "s")) if whole < 3600 else (
        whole // 3600, whole % 3600 // 60, ("h", "min")
    )  # fmt: skip
    return f"{big} {units[0]} {small} {units[1]}" if small else f"{big} {units[0]}"
