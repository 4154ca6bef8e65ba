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
        self._minute = Minute()

    @property
    def is_shut(self) -> bool:
        """Nothing goes through, for longer than a rate explains."""
        return self._shut_at is not None

    def ready_at(self, now: float) -> float:
        """When something may be sent, as far as this goes."""
        until = max(self._asked, self._paused, self._minute.used_up_until())
        if self._streak >= _SHUT and self._probe is not None:
            until = max(until, self._probe + self._survived())
        return until if until > now else now

    def taken(self, now: float) -> None:
        """A request is sent."""
        if self._streak and self._probe is not None and now >= self._probe + self._survived():
            self.accepted(now, self._probe)
        self._minute.taken(now, turn=self._shut_at is None)
        if self._streak and self._probe is None:
            self._probe = now

    def undone(self) -> None:
        """It was not sent after all."""
        self._minute.count -= 1
        self._probe = None

    def accepted(self, now: float, sent_at: float) -> None:
        """A request sent at `sent_at` was not turned away."""
        if sent_at <= self._last_refusal:
            return
        if self._shut_at is not None:
            if sent_at - self._shut_at >= _LONG and now - self._shut_at < 1.5 * _MINUTE:
                self._minute.opened(sent_at)
            self._shut_at = None
        self._streak = 0
        self._probe = None

    def refused(self, now: float, sent_at: float, retry_after: float | None) -> None:
        """A request was turned away."""
        self._minute.count -= 1
        self._echo += 0.3 * (min(now - sent_at, 2.0) - self._echo)
        self._probe = None
        if retry_after is not None:
            self._asked = max(self._asked, now + retry_after)
        if sent_at <= self._last_refusal:
            return
        self._streak += 1
        self._last_refusal = now
        end = self._minute.end(now)
        if end is not None:
            self._paused = end
        elif retry_after is None:
            self._paused = now + min(_LONGEST_PAUSE, _PAUSE * 2 ** (self._streak - 1))
        if self._shut_at is None and (end or self._streak >= _SHUT or (retry_after or 0) >= _LONG_WAIT):
            self._shut_at = now

    def _survived(self) -> float:
        """Seconds after which a request that was not turned away is taken to be worked on."""
        return 0.1 + 2 * self._echo


class Minute:
    """What is known of a quota per minute that may be used all at once."""

    def __init__(self) -> None:
        self.count = 0
        """Requests that went through in this minute."""
        self._begun: float | None = None
        self._suspected: int | None = None
        self._quota: int | None = None
        self._more = 0
        self._quiet = 0

    def used_up_until(self) -> float:
        """When the next minute begins, where the quota of this one is used up."""
        if self._quota is None or self._begun is None or self.count < self._quota + self._more:
            return -math.inf
        return self._begun + _MINUTE

    def taken(self, now: float, *, turn: bool) -> None:
        """A request is sent. `turn`: a new minute may begin with it."""
        if self._begun is None or (turn and now >= self._begun + _MINUTE):
            self._look_again()
            self._begun, self.count = now, 0
        self.count += 1

    def opened(self, at: float) -> None:
        """After being shut for long, a request that was sent at `at` was the first to go through."""
        if self._quota is None:
            self._suspected = self.count - 1
        self._begun, self.count = at, 1

    def end(self, now: float) -> float | None:
        """Something was turned away: until when it stays like that, if a quota per minute explains it."""
        known = self._quota or self._suspected
        if known is None or self._begun is None:
            return None
        if self.count < known / 2 or now > self._begun + _MINUTE:
            # It is shut much earlier than the last time, so that was something else.
            self._quota = self._suspected = None
            return None
        self._quota, self._suspected = self.count, None
        self._more = self._quiet = 0
        return self._begun + _MINUTE

    def _look_again(self) -> None:
        """Every few minutes a little more than what is known is tried, and more and more while that goes well."""
        if self._quota is None or self.count < self._quota + self._more:
            return
        self._quota += self._more
        self._quiet += 1
        self._more = max(1, 2 * self._more) if self._quiet >= _LOOK_AGAIN else 0
