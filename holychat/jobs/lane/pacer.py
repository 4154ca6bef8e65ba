"""How many requests and tokens per second: as the person says, as headers say, or as refusals teach. Pure control.

A quota that nobody names is found out. A bucket at the provider is empty at every refusal, so that what was accepted
between two refusals, divided by the time between them, is what the quota lets through. The rate goes back to a little
below that and follows a cubic curve: soon near what is known, long beside it, then beyond it faster and faster.
"""

from __future__ import annotations

import math
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from holychat.jobs.lane.allowance import Allowance

if TYPE_CHECKING:
    from holychat.errors import RateLimits

_TOKEN_SHARE = 0.95
"""Of the tokens that headers allow: others may use the same key, and clocks differ."""
_LIVE_SHARE = 0.9
"""Of a known rate, while somebody chats."""
_DEPTH_SECONDS = 0.05
"""What may be caught up after a late wake-up."""
_FIRST_CUT, _CUT, _STEADY_CUT = 0.3, 0.1, 0.05
_FIRST_PERIOD, _PERIOD, _LONGEST_PERIOD = 2.0, 5.0, 30.0
_FIRST_REQUESTS, _REQUESTS, _MOST_REQUESTS = 6, 25, 120
"""A period lasts for so many requests at least, or a slow lane would look beyond its quota with every few of them."""
_LONGEST_FIRST, _LONGEST_UNSTEADY, _LONGEST_EVER = 15.0, 60.0, 120.0
"""No longer, though: after many refusals that had nothing to do with a quota a lane may hardly send anything."""
_LEAST = 0.02
"""Requests per second that no refusals make less: few quotas are below one a minute."""
_FLOOR = 0.25
"""Seconds over which a first rate is measured at least: buckets have some depth."""
_PROBE = 0.1
_FEW = 5
"""Requests between two refusals from which a rate can be told well."""
_SPAN, _CELL = 10.0, 0.5


class Bucket:
    """A token bucket that starts near empty and may be overdrawn by one large request."""

    def __init__(self) -> None:
        self.rate = math.inf
        """Per second."""
        self._level = 1.0
        self._at: float | None = None

    def fill_at(self, now: float, rate: float) -> None:
        """So many per second from now on."""
        if self.rate != math.inf:
            self._fill(now)
        self.rate = rate
        self._level = min(self._level, self._depth)

    def ready_at(self, now: float) -> float:
        """When the next one may be taken."""
        if self.rate == math.inf:
            return now
        self._fill(now)
        assert self._at is not None
        if self._level >= 1:
            return now
        return self._at + (1 - self._level) / self.rate if self.rate else math.inf

    def take(self, now: float, amount: float) -> None:
        """Take so many, whatever there is."""
        if self.rate != math.inf:
            self._fill(now)
            self._level -= amount

    def give_back(self, amount: float) -> None:
        """Less (or, if negative, more) was used than was taken."""
        if self.rate != math.inf:
            self._level += amount

    def drain(self, now: float) -> None:
        """Nothing is left to take at once."""
        self._level, self._at = min(self._level, 0.0), now

    @property
    def _depth(self) -> float:
        return 1 + self.rate * _DEPTH_SECONDS

    def _fill(self, now: float) -> None:
        if self._at is not None and now > self._at:
            self._level = min(self._depth, self._level + (now - self._at) * self.rate)
        self._at = now if self._at is None else max(now, self._at)


class Meter:
    """Counts over the last seconds."""

    def __init__(self) -> None:
        self._cells: deque[list[float]] = deque()
        self._total = 0.0

    def add(self, now: float, amount: float = 1.0) -> None:
        """Something happened."""
        if not self._cells or now - self._cells[-1][0] >= _CELL:
            self._cells.append([now, 0.0])
        self._cells[-1][1] += amount
        self._total += amount
        self._drop(now)

    def per_second(self, now: float) -> float:
        """The rate over the last ten seconds; lower than the truth before so much time has passed."""
        self._drop(now)
        return self._total / _SPAN

    def _drop(self, now: float) -> None:
        while self._cells and now - self._cells[0][0] > _SPAN:
            self._total -= self._cells.popleft()[1]


class Cut(NamedTuple):
    """Why the rate was cut."""

    accepted: int
    """Requests since the last time."""
    explained: bool
    """It was higher than what is known to go through."""


def _first_period(rate: float) -> float:
    return min(_LONGEST_FIRST, max(_FIRST_PERIOD, _FIRST_REQUESTS / rate))


class Pacer:
    """Says when the next request may be sent. All times are seconds of one steady clock.

    Args:
        requests_per_minute: What the person knows to be allowed; None: headers, or found out.
        tokens_per_minute: The same for tokens; None: headers, or no limit.
    """

    def __init__(self, requests_per_minute: float | None = None, tokens_per_minute: float | None = None) -> None:
        self._own_requests = requests_per_minute
        self._own_tokens = tokens_per_minute
        self._allowance: Allowance | None = None
        self._requests = Bucket()
        self._tokens = Bucket()
        if tokens_per_minute is not None:
            self._tokens.rate = tokens_per_minute / 60
        self._meter = Meter()
        self.sends = 0
        """Requests that were sent; the number of one tells how many went before it."""
        self._searching = math.inf
        """The rate before the first refusal: that of a window which doubles once a round."""
        self.live = False
        """Somebody chats, and some of a known rate is left to them."""
        self._known: float | None = None
        """What refusals say of the quota, per second."""
        self._kept: float | None = None
        self._depth = _FIRST_CUT
        self._period = _FIRST_PERIOD
        self._cut_at = -math.inf
        self._mark_at: float | None = None
        self._mark = 0
        self._refused = 0
        """Of those sent since the mark, how many did not count: turned away, or never sent."""
        self._frozen = 0.0
        self._held = -math.inf

    def allow(self, requests_per_minute: float | None) -> None:
        """Take the rate that the person knows from now on; None: as headers say, or as it was found out."""
        if requests_per_minute == self._own_requests:
            return
        self._own_requests = requests_per_minute
        self._allowance = None

    def rate(self, now: float) -> float:
        """Requests per second at this moment; infinite where nothing limits them."""
        rate = self._found(now)
        if (named := self.named) is not None:
            if self._allowance is not None:
                named = self._allowance.rate(now)
            rate = min(rate, named * (_LIVE_SHARE if self.live else 1))
        return rate

    @property
    def named(self) -> float | None:
        """Requests per second as the person or the provider says; None: nobody does."""
        if self._own_requests is not None:
            return self._own_requests / 60
        return None if self._allowance is None else self._allowance.per_second

    @property
    def source(self) -> str:
        """Where the rate comes from, in a few words for a person."""
        if self._own_requests is not None:
            return "your limit"
        if self._allowance is not None:
            return "the provider's limits"
        return "" if self._known is None else "found out by refusals"

    def ready_at(self, now: float) -> float:
        """When the next request may be sent."""
        rate = self.rate(now)
        if self._spare(now) >= 1:
            # As carefully as if nobody had named a limit: what remains may be smoothed as well.
            rate = max(rate, self._searching)
        self._requests.fill_at(now, rate)
        ready = self._requests.ready_at(now)
        if ready > now:
            self._held = now
            if self._allowance is not None:
                ready = min(ready, self._allowance.changes_at(now))
        return max(ready, self._tokens.ready_at(now))

    def take(self, now: float, tokens: int) -> int:
        """A request is sent that will use about so many tokens; its number."""
        if self._mark_at is None:
            self._mark_at, self._mark, self._refused = now, self.sends, 0
        self.sends += 1
        if self._allowance is not None:
            self._allowance.take(now, self.sends)
        self._meter.add(now)
        self._requests.take(now, 1)
        self._tokens.take(now, tokens)
        return self.sends

    def sent(self, now: float, number: int) -> None:
        """Request `number` leaves."""
        if self._allowance is not None:
            self._allowance.sent(now, number, self.sends)

    def settle(self, estimated: int, used: int | None) -> None:
        """A request used so many tokens; None: nobody knows."""
        if used is not None:
            self._tokens.give_back(estimated - used)

    def unreached(self, number: int) -> None:
        """Request `number` never reached the provider, and took nothing of what it allows."""
        if self._allowance is not None:
            self._allowance.undo(number)

    def undo(self, estimated: int, number: int) -> None:
        """Request `number` was not sent after all."""
        self.unreached(number)
        self._refused += 1
        self._requests.give_back(1)
        self._tokens.give_back(estimated)

    def forget(self) -> None:
        """Refusals said nothing of the rate."""
        self._known = self._kept = self._mark_at = None

    def search(self, per_second: float) -> None:
        """Before the first refusal: so fast at most."""
        self._searching = per_second

    def freeze(self, now: float, seconds: float) -> None:
        """The provider has trouble of its own: do not go faster for some seconds."""
        if now + seconds > self._frozen:
            self._cut_at += now + seconds - max(self._frozen, now)
            self._frozen = now + seconds

    def keep(self) -> None:
        """Remember what is known, for the case that what is turned away from now on has nothing to do with the rate."""
        self._kept = self._known

    def undo_cuts(self) -> None:
        """What was turned away since `keep` had nothing to do with the rate."""
        if self._kept is not None:
            self._known = max(self._known or 0.0, self._kept)
            self._kept = None

    def learn(self, now: float, sent_at: float, number: int, limits: RateLimits) -> None:
        """What the answer to request `number`, sent at `sent_at`, says of the limits."""
        if self._own_requests is None and limits.requests_per_minute:
            if self._allowance is None:
                # What was sent before anything was known teaches nothing now.
                self._allowance, self._known, self._cut_at = Allowance(), None, now
            self._allowance.learn(now, sent_at, number, self.sends, limits)
        if self._own_tokens is None and limits.tokens_per_minute:
            self._tokens.rate = limits.tokens_per_minute / 60 * _TOKEN_SHARE

    def refused(self, now: float, sent_at: float, number: int, until: float, *, cut: bool) -> Cut | None:
        """Request `number`, sent at `sent_at`, was turned away. Refusals of one episode cut once.

        Args:
            now: The time.
            sent_at: When it was sent.
            number: As `take` gave it.
            until: Nothing is sent before.
            cut: Whether the rate may be what was too much.

        Returns:
            How the rate was cut, where it was not for the first time.
        """
        self._refused += 1
        self._meter.add(now, -1)
        self._requests.drain(max(now, until))
        if self._allowance is not None:
            self._allowance.refused(sent_at)
        if sent_at <= self._cut_at or not cut:
            return None
        before, rate = self._known, self._found(sent_at)
        accepted = number - self._mark - self._refused
        elapsed = sent_at - (sent_at if self._mark_at is None else self._mark_at)
        self._measure(now, accepted, elapsed)
        self._mark_at, self._mark, self._refused = sent_at, number, 0
        self._cut_at = now
        return None if before is None else Cut(max(0, accepted), rate > before)

    def _measure(self, now: float, accepted: int, elapsed: float) -> None:
        before = self._known
        measured = max(_LEAST, (max(0, accepted) + 0.5) / max(_FLOOR, elapsed))
        if elapsed >= _SPAN:
            # Over a time with little to send the quota was not used up, and the quotient is too low.
            measured = max(measured, self._meter.per_second(now))
        if before is None:
            self._known, self._depth = measured, _FIRST_CUT
            self._period = _first_period(measured)
            return
        rate = self._found(now)
        if rate > before:
            # It was as fast as this for a while and nobody minded, so the quota is not below it.
            measured = max(measured, (before + min(rate, 1.1 * before)) / 2)
        elif accepted < _FEW:
            measured = min(before, max(before / 2, measured))
        self._known = measured
        if abs(measured / before - 1) < 0.15:
            self._depth = _STEADY_CUT
            most = min(_LONGEST_EVER, max(_LONGEST_PERIOD, _MOST_REQUESTS / measured))
            self._period = min(most, self._period * 1.5)
        else:
            self._depth = _CUT
            self._period = min(_LONGEST_UNSTEADY, max(_PERIOD, _REQUESTS / measured))

    def _found(self, now: float) -> float:
        if self._known is None:
            return self._searching if self.named is None else math.inf
        x = (now - self._cut_at) / self._period - 1
        if x <= 0:
            return self._known * (1 + self._depth * max(x, -1) ** 3)
        if x**3 * _PROBE < 1:
            return self._known * (1 + _PROBE * x**3)
        if now - self._held <= self._period:
            # Twice as fast as what was known, and nobody minds: that is the new place to look from.
            self._known, self._cut_at = 2 * self._known, now - self._period
            self._period = _first_period(self._known)
            return self._known
        return 2 * self._known

    def _spare(self, now: float) -> float:
        """So many may be sent at once of what a provider says that remains."""
        return 0.0 if self._allowance is None or self.live else self._allowance.spare(now)
