"""Whether anything may be sent at all: one not-before for the whole lane. Pure control.

It is shut by what the provider asks for (Retry-After) and by refusals that follow each other; then a single request
looks, after longer and longer pauses, whether it is open again. A quota per minute that is used up in a burst shows as
being shut for long: how much went through, and when it opened, tell when the next minute begins.
"""

from __future__ import annotations

import math

_PAUSE, _LONGEST_PAUSE = 0.2, 15.0
_SHUT = 3
"""Refusals without anything accepted in between that mean that the gate is shut, and not only the rate too high."""
_LONG = 2.0
"""Seconds of being shut that no bucket which fills all the time explains."""
_LONG_WAIT = 5.0
"""Seconds of a Retry-After that tell of a quota and not of a rate."""
_MINUTE = 60.0
_LOOK_AGAIN = 5
"""Every how many minutes a little more than the known quota is tried."""


class Gate:
    """The gate of one lane."""

    def __init__(self) -> None:
        self._asked = -math.inf
        self._paused = -math.inf
        self._streak = 0
        self._last_refusal = -math.inf
        self._probe: float | None = None
        self._echo = 0.2
        self._shut_at: float | None = None
        self._minute_at: float | None = None
        self._in_minute = 0
        self._quota: int | None = None
        self._minutes = 0

    @property
    def is_shut(self) -> bool:
        """Nothing goes through, for longer than a rate explains."""
        return self._shut_at is not None

    def ready_at(self, now: float) -> float:
        """When something may be sent, as far as this goes."""
        until = max(self._asked, self._paused)
        if self._streak >= _SHUT and self._probe is not None:
            until = max(until, self._probe + self._survived())
        if self._quota is not None and self._minute_at is not None and self._in_minute >= self._allowance():
            until = max(until, self._minute_at + _MINUTE)
        return until if until > now else now

    def taken(self, now: float) -> None:
        """A request is sent."""
        if self._minute_at is None or now >= self._minute_at + _MINUTE:
            self._minute_at, self._in_minute = now, 0
            self._minutes += 1
        self._in_minute += 1
        if self._streak and self._probe is not None and now >= self._probe + self._survived():
            self.accepted(now, self._probe)
        if self._streak:
            self._probe = now if self._probe is None else self._probe

    def undone(self) -> None:
        """It was not sent after all."""
        self._in_minute -= 1
        self._probe = None

    def accepted(self, now: float, sent_at: float) -> None:
        """A request sent at `sent_at` was not turned away."""
        if sent_at <= self._last_refusal:
            return
        if self._shut_at is not None and now - self._shut_at < _MINUTE * 1.5:
            self._opened(sent_at)
        self._shut_at = None
        self._streak = 0
        self._probe = None

    def refused(self, now: float, sent_at: float, retry_after: float | None) -> None:
        """A request was turned away."""
        self._in_minute -= 1
        self._echo += 0.3 * (min(now - sent_at, 2.0) - self._echo)
        self._probe = None
        if retry_after is not None:
            self._asked = max(self._asked, now + retry_after)
            if retry_after >= _LONG_WAIT:
                self._shut_at = now
        if sent_at <= self._last_refusal:
            return
        self._streak += 1
        self._last_refusal = now
        if retry_after is None:
            self._pause(now)

    def _pause(self, now: float) -> None:
        pause = min(_LONGEST_PAUSE, _PAUSE * 2 ** (self._streak - 1))
        self._paused = now + pause
        if self._streak >= _SHUT and self._shut_at is None:
            self._shut_at = now
        if self._shut_at is not None and self._quota is not None and self._minute_at is not None:
            # It was shut before, so it is known when the minutes begin.
            self._quota = max(1, self._in_minute)
            if self._minute_at + _MINUTE > now:
                self._paused = self._minute_at + _MINUTE

    def _opened(self, sent_at: float) -> None:
        assert self._shut_at is not None
        if sent_at - self._shut_at >= _LONG and self._quota is None and self._in_minute > 1:
            self._quota = self._in_minute - 1
        self._minute_at, self._in_minute = sent_at, 1

    def _allowance(self) -> int:
        assert self._quota is not None
        return self._quota + (1 if self._minutes % _LOOK_AGAIN == 0 else 0)

    def _survived(self) -> float:
        """Seconds after which a request that was not turned away is taken to be worked on."""
        return 0.1 + 2 * self._echo
