"""The rules of the quota server: what it is asked to do, and whether one more request is within its limits."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rules:
    """How requests are treated. None: no limit."""

    latency_ms: float | tuple[float, float] = 0.0
    """From the whole request to the answer; a pair is median and sigma of a lognormal distribution."""
    per_second: float | None = None
    """Requests per second, smoothed: a bucket of `burst_s` seconds' worth that is refilled all the time."""
    burst_s: float = 1.0
    per_minute: int | None = None
    """Requests per window of `minute_s`, all of which may come at once; the next window begins after it."""
    minute_s: float = 60.0
    concurrency: int | None = None
    refusals_count: bool = False
    """Whether a refused request uses up quota as well."""
    limit_headers: bool = False
    retry_after: bool = False
    rates: dict[str, float] = field(default_factory=dict)
    """Outcome -> probability; the rest is ok."""
    seed: int = 0
    slow_ms: float = 2000.0
    reply_words: int = 8
    paces: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    """Model -> milliseconds to the first token and to the end of a streamed reply, and to a whole one."""
    usage: bool = True


class Quota:
    """Says whether one more request is within the limits, and if not, for how long not."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._depth = max(1.0, (rules.per_second or 0) * rules.burst_s)
        self._level = self._depth
        self._filled = time.monotonic()
        self._window_ends = 0.0
        self._left = 0

    def take(self, in_flight: int) -> float | None:
        """Seconds until another try makes sense; None: within the limits, and now used up by one."""
        rules, now = self._rules, time.monotonic()
        if rules.concurrency is not None and in_flight >= rules.concurrency:
            return 0.05
        self._refresh(now)
        wait = 0.0
        if rules.per_second is not None and self._level < 1:
            wait = (1 - self._level) / rules.per_second
        if rules.per_minute is not None and self._left < 1:
            wait = max(wait, self._window_ends - now)
        if not wait or rules.refusals_count:
            self._level = max(0.0, self._level - 1)
            self._left = max(0, self._left - 1)
        return wait or None

    def _refresh(self, now: float) -> None:
        rules = self._rules
        if rules.per_second is not None:
            self._level = min(self._depth, self._level + (now - self._filled) * rules.per_second)
            self._filled = now
        if rules.per_minute is not None and now >= self._window_ends:
            self._left, self._window_ends = rules.per_minute, now + rules.minute_s

    def headers(self) -> bytes:
        """What OpenAI-compatible providers tell of their request limit."""
        rules, now = self._rules, time.monotonic()
        if rules.per_minute is not None:
            limit, left, reset = rules.per_minute * 60 / rules.minute_s, float(self._left), self._window_ends - now
        elif rules.per_second is not None:
            missing = self._depth - self._level
            limit, left, reset = rules.per_second * 60, self._level, missing / rules.per_second
        else:
            return b""
        lines = (
            f"limit-requests: {limit:.0f}",
            f"remaining-requests: {left:.0f}",
            f"reset-requests: {reset * 1000:.0f}ms",
        )
        return "".join(f"x-ratelimit-{line}\r\n" for line in lines).encode()
