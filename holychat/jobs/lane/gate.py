"""Whether anything may be sent at all: one not-before for the whole lane. Pure control.

It is shut by what the provider asks for (Retry-After) and by refusals that follow each other; then a single request
looks, after longer and longer pauses, whether it is open again. A quota per minute that is used up in a burst shows as
being shut for long: how much went through, and when it opened, tell when the next minute begins. What was seen once is
suspected, and in the next minute a single request tries whether one more goes through; then it is known, and nothing is
sent beyond it.
"""

from __future__ import annotations

import math

_PAUSE, _LONGEST_PAUSE = 0.2, 12.0
_SHUT = 3
"""Refusals without anything accepted in between that mean that the gate is shut, and not only the rate too high."""
_LONG = 2.0
"""Seconds of being shut that no bucket which fills all the time explains."""
_LONG_WAIT = 5.0
"""Seconds of a Retry-After that tell of a quota and not of a rate."""
_MINUTE = 60.0
_LATE = 0.25
"""Seconds after the end of a minute at which the next one is begun: it began there a little later than here."""
_NEARLY = 0.8
_SINGLE = 10.0
"""Seconds from one to the next that are taken for a quota of a single request: a slow bucket lets them through like
that as well, and below this the pacer is better at it.
"""
_LOOK_AGAIN = 5
"""Every how many minutes a little more than the known quota is tried."""


class Gate:
    """The gate of one lane."""

    def __init__(self) -> None:
        self._asked = -math.inf
        self._paused = -math.inf
        self._streak = 0
        self._tries = 0
        """Pauses since something was accepted, or since the end of a minute was waited for."""
        self._first = True
        """Nothing was accepted after a refusal yet."""
        self._last_refusal = -math.inf
        self._probe: float | None = None
        self._echo = 0.2
        self._shut_at: float | None = None
        self._level = self._lowest = 0
        """How many there were at once at the first refusal, and the fewest that were too many since."""
        self._minute = Minute()

    @property
    def is_shut(self) -> bool:
        """Nothing goes through, for longer than a rate explains."""
        return self._shut_at is not None

    @property
    def explains(self) -> bool:
        """A refusal now has its reason here, and not in how many there are at once."""
        return self._streak > 1 or self._minute.is_used_up

    @property
    def suspects(self) -> bool:
        """What was turned away last may have been over a quota per minute."""
        return self._minute.suspected is not None

    def ready_at(self, now: float) -> float:
        """When something may be sent, as far as this goes."""
        until = max(self._asked, self._paused, self._minute.used_up_until())
        if self._probe is not None:
            until = max(until, self._probe + self._survived())
        return until if until > now else now

    def taken(self, now: float) -> None:
        """A request is sent."""
        if self._probe is not None and now >= self._probe + self._survived():
            self.accepted(now, self._probe)
        doubtful = self._minute.taken(now, turn=self._shut_at is None or self._minute.is_known)
        if doubtful or self.is_shut or self._streak >= (1 if self._first else _SHUT):
            # It goes alone: all that is sent together is turned away together.
            self._probe = now

    def recalls(self, now: float, taken_at: float) -> bool:
        """What was let go at `taken_at` and has not left must not leave: something was turned away meanwhile."""
        return taken_at <= self._last_refusal and self.ready_at(now) > now

    def sent(self, now: float, taken_at: float) -> None:
        """What was let go at `taken_at` leaves now."""
        if self._probe == taken_at:
            self._probe = now
        self._minute.sent(now, taken_at)

    def undone(self, sent_at: float) -> None:
        """It was not sent after all."""
        self._minute.back(sent_at)
        if self._probe is not None and sent_at >= self._probe:
            self._probe = None

    def accepted(self, now: float, sent_at: float) -> None:
        """A request sent at `sent_at` was not turned away."""
        if sent_at <= self._last_refusal:
            return
        if self._shut_at is not None:
            long = sent_at - self._shut_at >= _LONG and now - self._shut_at < 1.5 * _MINUTE
            if long and not self._minute.is_known:
                self._minute.opened(sent_at, suspicious=self._lowest <= self._level / 2)
            self._shut_at = None
        self._first = self._first and not self._streak
        self._streak = self._tries = 0
        if self._probe is not None and sent_at >= self._probe:
            self._minute.exceeded()
            self._probe = None

    def refused(self, now: float, sent_at: float, level: int, retry_after: float | None) -> None:
        """A request, the `level`th at once, was turned away."""
        self._minute.back(sent_at)
        self._echo += 0.3 * (min(now - sent_at, 2.0) - self._echo)
        self._probe = None
        if retry_after is not None:
            self._asked = max(self._asked, now + retry_after)
        if sent_at <= self._last_refusal:
            return
        self._streak += 1
        self._last_refusal = now
        if self._streak == 1:
            self._level = self._lowest = level
        self._lowest = min(self._lowest, level)
        end = self._minute.end(now)
        if retry_after is None:
            self._paused = end or self._pause(now)
        asked_long = (retry_after or 0) >= _LONG_WAIT
        if self._shut_at is None and (end or self._streak >= _SHUT or asked_long):
            # Where the provider itself says for how long, that alone tells that there were not too many at once.
            self._shut_at = now
            if asked_long:
                self._lowest = 0

    def _pause(self, now: float) -> float:
        """Until when to wait: longer and longer, but not past the next minute by much."""
        pause: float = min(_LONGEST_PAUSE, _PAUSE * 2**self._tries)
        self._tries += 1
        if now + pause < self._minute.next < now + 1.5 * pause:
            # It may begin a moment later than it is thought to.
            self._tries = 0
            return self._minute.next
        return now + pause

    def _survived(self) -> float:
        """Seconds after which a request that was not turned away is taken to be worked on."""
        return 0.1 + 2 * self._echo


class Minute:
    """What is known of a quota per minute that may be used all at once."""

    def __init__(self) -> None:
        self.count = 0
        """Requests that went through in this minute."""
        self._begun: float | None = None
        self._last: tuple[float, int] | None = None
        """Begin and count of the one before."""
        self._length = _MINUTE
        """Seconds until the next one: a minute, until it is seen to be less."""
        self.suspected: int | None = None
        """How many a minute, by one end only that was seen."""
        self._step = 1
        self._quota: int | None = None
        self._more = 0
        self._quiet = 0
        self._ended = False

    @property
    def is_known(self) -> bool:
        """How many a minute, and when it begins."""
        return self._quota is not None

    @property
    def is_used_up(self) -> bool:
        """By all that is known or suspected no more goes through in this minute."""
        known = self._quota or self.suspected
        return known is not None and self.count >= _NEARLY * known

    def used_up_until(self) -> float:
        """When the next minute begins, where the quota of this one is used up."""
        if self._quota is None or self._begun is None or self.count < self._quota + self._more:
            return -math.inf
        return self.next

    def exceeded(self) -> None:
        """More went through than was suspected."""
        if self.suspected is not None and self.count > self.suspected:
            self.suspected = self.count + self._step
            self._step *= 2

    def taken(self, now: float, *, turn: bool) -> bool:
        """A request is sent. `turn`: a new minute may begin with it. True: it may be turned away."""
        doubtful = self.suspected is not None and self.count >= self.suspected
        if self._begun is None or (turn and now >= self._begun + self._length):
            self._look_again()
            self._last = None if self._begun is None else (self._begun, self.count)
            self._begun, self.count, self._ended = now, 0, False
            doubtful = self.is_known
        self.count += 1
        return doubtful

    def sent(self, now: float, taken_at: float) -> None:
        """What was let go at `taken_at` leaves now."""
        if self._begun == taken_at:
            self._begun = now

    def back(self, sent_at: float) -> None:
        """A request of this minute did not go through."""
        if self._begun is not None and sent_at >= self._begun:
            self.count -= 1
            if self._ended and self._quota is not None:
                # It was counted in when the first one was turned away.
                self._quota = max(1, self._quota - 1)

    def opened(self, at: float, *, suspicious: bool) -> None:
        """After being shut for long, a request that was sent at `at` was the first to go through.

        `suspicious`: that it was shut is not explained by how many there were at once.
        """
        if self._begun is not None:
            self._length = min(_MINUTE, at - self._begun)
        before = self.count - 1
        telling = suspicious and (before > 1 or self._length >= _SINGLE)
        self.suspected, self._step = before if telling else None, 1
        self._begun, self.count, self._ended = at, 1, False

    def end(self, now: float) -> float | None:
        """Something was turned away: until when it stays like that, if a quota per minute explains it."""
        known = self._quota or self.suspected
        if known is None or self._begun is None:
            return None
        if self.count == 0 and self._last is not None and now < self._last[0] + 1.5 * _MINUTE:
            # The one before is not over: its begin was not seen, and so it was taken for too short.
            self._length = _MINUTE
            self._begun, self.count = self._last
            return self.next if self.next > now else None
        expected = _NEARLY * known <= self.count <= max(known / _NEARLY, known + self._more)
        if not expected or now > self._begun + self._length:
            # It is shut much earlier or later than the last time, so that was something else.
            self._quota = self.suspected = None
            return None
        self._quota, self.suspected, self._ended = max(1, self.count), None, True
        self._more = self._quiet = 0
        return self.next

    @property
    def next(self) -> float:
        """When the next one begins, as far as is known."""
        return math.inf if self._begun is None else self._begun + self._length + _LATE

    def _look_again(self) -> None:
        """Every few minutes a little more than what is known is tried, and more and more while that goes well."""
        if self._quota is None or self.count < self._quota + self._more:
            return
        self._quota += self._more
        self._quiet += 1
        self._more = max(1, 2 * self._more) if self._quiet >= _LOOK_AGAIN else 0
