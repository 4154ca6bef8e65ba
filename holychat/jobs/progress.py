"""How fast a job is, and when it will have ended."""

from __future__ import annotations

from collections import deque

from holychat.domain.jobs import Progress

_WINDOW = 60.0
"""Seconds over which a rate is taken."""
_FEWEST = 5
"""Answers before anything is said of the future."""
_EARLY, _LATE = 0.85, 1.35


class Pace:
    """Answers of the last minute, counted per second so that it takes the same room for any rate."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._seconds: deque[list[float]] = deque()
        self._answers = 0
        self.total = 0

    def answered(self, now: float) -> None:
        """One more document or part is done with."""
        self.total += 1
        self._answers += 1
        if self._seconds and now - self._seconds[-1][0] < 1.0:
            self._seconds[-1][1] += 1
        else:
            self._seconds.append([now, 1])

    def per_minute(self, now: float) -> float | None:
        """Answers per minute over the last minute, or since the beginning; None: too few to tell."""
        while self._seconds and now - self._seconds[0][0] > _WINDOW:
            self._answers -= int(self._seconds.popleft()[1])
        if self.total < _FEWEST:
            return None
        return self._answers * 60.0 / max(1.0, min(_WINDOW, now - self._began))


def progress_of(
    *, in_flight: int, rate: float | None, left: int | None, now_ms: int, waiting_until_ms: int | None, waiting_for: str
) -> Progress:
    """What is said of a job.

    Args:
        in_flight: Requests under way.
        rate: Answers per minute.
        left: Items that have not ended; None: not all are listed yet.
        now_ms: Unix time in milliseconds.
        waiting_until_ms: Nothing is sent before.
        waiting_for: Why, in words.
    """
    eta: tuple[int, int] | None = None
    if rate and left is not None:
        milliseconds = left * 60_000 / rate
        start = max(now_ms, waiting_until_ms or 0)
        eta = (start + round(milliseconds * _EARLY), start + round(milliseconds * _LATE) + 1_000)
    return Progress(
        in_flight=in_flight,
        rate_per_minute=rate,
        eta_ms=eta,
        waiting_until_ms=waiting_until_ms,
        waiting_for=waiting_for,
    )
