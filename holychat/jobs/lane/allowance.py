"""What headers say of the requests that are allowed, and what may be made of it. Pure control.

Providers of two kinds use the same words. With one a bucket fills all the time; with the other everything is there
again when a minute is over. Which kind it is shows in whether something comes back while requests are sent. Until then
a rate is kept that suits both, and of what remains only what both let through at once is used.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from holychat.errors import RateLimits

_SHARE = 0.95
"""Of what headers allow: others may use the same key, and clocks differ."""
_KEPT, _KEPT_AT_LEAST = 0.1, 4
"""What is left alone of what remains when that is used at once: part of the most that was seen, and requests. Some
come late, and bunched with those that come after them.
"""
_TELLING = 5
"""Requests that must have come back, if it is a bucket, before an answer tells of which kind the limit is."""
_LATE = 0.25
"""Seconds after the end of a minute at which the next one is begun."""


class Seen(NamedTuple):
    """What an answer said of the moment at which its request, the `number`th, came in: between these two."""

    number: int
    sent_at: float
    heard_at: float
    remaining: float


class Allowance:
    """The requests per minute that a provider's headers name, and how many of them are left."""

    def __init__(self) -> None:
        self.per_second = 0.0
        """What is surely allowed of them."""
        self.refills: bool | None = None
        """Whether some come back all the time, or all of them after a minute; None: not known yet."""
        self._most = 0.0
        self._known_at = math.inf
        self._seen: Seen | None = None
        self._compared: Seen | None = None
        self._resets_at = -math.inf
        self._honest = True
        self._left = 0.0
        """How many remain now, counted from what an answer said."""
        self._counted_at = -math.inf
        self._counts: deque[tuple[int, float]] = deque()
        """Of requests whose answer is not there: number, and how many remained with it by the same count."""
        self._corrected = 0.0
        self._known_with = 0
        """The first request whose answer told how many remain."""
        self._undone: list[int] = []
        """Requests that were let go and never sent, in order."""
        self._full_with = 0
        """The last request before which the bucket was full."""

    def learn(self, now: float, sent_at: float, number: int, sends: int, limits: RateLimits) -> None:
        """An answer to request `number`, sent at `sent_at`, names a limit; `sends` were sent since."""
        assert limits.requests_per_minute is not None
        self.per_second = limits.requests_per_minute / 60 * _SHARE
        if limits.requests_remaining is None or (self._seen is not None and number < self._seen.number):
            return
        seen = Seen(number, sent_at, now, limits.requests_remaining)
        self._most = max(self._most, seen.remaining)
        self._compare(seen)
        self._correct(now, seen, sends)
        self._seen = seen
        if limits.requests_reset_s is not None:
            # An answer comes late, so of one minute's the earliest is the truest.
            resets_at = now + limits.requests_reset_s + _LATE
            self._resets_at = resets_at if self._resets_at < now else min(self._resets_at, resets_at)

    def take(self, now: float, number: int) -> None:
        """Request `number` is let go."""
        self._count(now)
        if self._left >= self._most:
            self._full_with = number
        self._left -= 1

    def sent(self, now: float, number: int, sends: int) -> None:
        """Request `number` of `sends` leaves."""
        self._count(now)
        self._counts.append((number, self._left + self._between(number, sends) - self._corrected))

    def undo(self, number: int) -> None:
        """Request `number` was let go, and never reached the provider."""
        insort(self._undone, number)
        if self._seen is None or number <= self._known_with:
            return  # it was never taken off
        self._left += 1
        self._counts = deque((one, left + (one > number)) for one, left in self._counts if one != number)

    def refused(self, sent_at: float) -> None:
        """A request was turned away although some remained: what remains is not what may be used at once."""
        if sent_at >= self._known_at:
            self._honest = False

    def rate(self, now: float) -> float:
        """Requests per second."""
        self._count(now)
        return 0.0 if self.changes_at(now) < math.inf and self._left < 1 else self.per_second

    def changes_at(self, now: float) -> float:
        """When all of them are there again, where that is what is waited for."""
        return self._resets_at if self.refills is False and self._resets_at > now else math.inf

    def spare(self, now: float) -> float:
        """How many may be sent at once, beside the rate."""
        if not self._honest or self._seen is None:
            return 0.0
        self._count(now)
        return self._left - max(_KEPT_AT_LEAST, _KEPT * self._most)

    def _count(self, now: float) -> None:
        """How many remain, without having heard anything new."""
        if self.refills:
            self._left = min(self._most, self._left + self.per_second * (now - self._counted_at))
        elif self.refills is False and self._counted_at < self._resets_at <= now:
            self._left = self._most
        self._counted_at = now

    def _between(self, first: int, last: int) -> int:
        """Requests after the first that reach the provider, the last included."""
        undone = bisect_right(self._undone, last) - bisect_right(self._undone, first)
        return last - first - undone

    def _correct(self, now: float, seen: Seen, sends: int) -> None:
        """Bring the count into line with what an answer said of an earlier moment."""
        self._count(now)
        if self._seen is None:
            self._known_at = now
            self._known_with = seen.number
            self._left = seen.remaining - self._between(seen.number, sends)
            self._counts.clear()
        while self._counts and self._counts[0][0] <= seen.number:
            number, left = self._counts.popleft()
            wrong = seen.remaining - (left + self._corrected)
            if number == seen.number and (wrong < 0 or number > self._full_with):
                # What was there beyond a full bucket is lost.
                self._left += wrong
                self._corrected += wrong

    def _compare(self, seen: Seen) -> None:
        """Whether something came back since an earlier answer, beside what was used."""
        before = self._compared
        if before is None:
            self._compared = seen
            return
        due = (seen.sent_at - before.heard_at) * self.per_second
        if due < _TELLING:
            return
        back = seen.remaining - before.remaining + self._between(before.number, seen.number)
        self._compared = seen
        if due / 2 < back < 2 * (seen.heard_at - before.sent_at) * self.per_second:
            self.refills = True
        elif back <= due / 2 and seen.remaining < self._most - 1:
            # A full bucket takes nothing in, and a new minute brings all of them at once.
            self.refills = False
