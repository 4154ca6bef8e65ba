"""A provider in virtual time, and a job that is sent to it through the control of a lane: hours take milliseconds."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holychat.errors import Outcome, RateLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.jobs.lane.control import Control, Ticket

ECHO = 0.1
"""Seconds until a refusal is known."""


class Quota:
    """What a provider lets through. `admit` says whether a request that arrives now is taken on."""

    def admit(self, now: float, in_flight: int) -> bool:
        raise NotImplementedError

    def free_at(self, now: float, in_flight: int) -> float:
        """When the next one would be taken on; infinite where another one must end first."""
        raise NotImplementedError

    def limits(self, now: float) -> RateLimits | None:
        return None

    def retry_after(self, now: float) -> float | None:
        return None


@dataclass
class Smoothed(Quota):
    """A bucket of `burst_s` seconds' worth that fills all the time."""

    per_minute: float
    burst_s: float = 1.0
    headers: bool = False
    hints: bool = False
    _level: float = math.nan
    _at: float = 0.0

    def admit(self, now: float, in_flight: int) -> bool:
        self._fill(now)
        if self._level < 1 - 1e-9:
            return False
        self._level -= 1
        return True

    def free_at(self, now: float, in_flight: int) -> float:
        self._fill(now)
        return now if self._level >= 1 - 1e-9 else now + (1 - self._level) * 60 / self.per_minute + 1e-9

    def limits(self, now: float) -> RateLimits | None:
        return RateLimits(self.per_minute, math.floor(self._level)) if self.headers else None

    def retry_after(self, now: float) -> float | None:
        return (1 - self._level) * 60 / self.per_minute if self.hints else None

    def _fill(self, now: float) -> None:
        depth = max(1.0, self.per_minute / 60 * self.burst_s)
        self._level = min(depth, self._level + (now - self._at) * self.per_minute / 60)
        if math.isnan(self._level):
            self._level = depth
        self._at = now


@dataclass
class PerMinute(Quota):
    """So many in each window of a minute (or of `seconds`), all at once if somebody likes."""

    per_minute: int
    headers: bool = False
    hints: bool = False
    offset: float = 0.0
    seconds: float = 60.0
    _window: int = -1
    _used: int = 0

    def admit(self, now: float, in_flight: int) -> bool:
        self._turn(now)
        if self._used >= self.per_minute:
            return False
        self._used += 1
        return True

    def free_at(self, now: float, in_flight: int) -> float:
        self._turn(now)
        return now if self._used < self.per_minute else now + self._left(now) + 1e-6

    def limits(self, now: float) -> RateLimits | None:
        self._turn(now)
        return RateLimits(self.per_minute, self.per_minute - self._used, self._left(now)) if self.headers else None

    def retry_after(self, now: float) -> float | None:
        return self._left(now) if self.hints else None

    def _left(self, now: float) -> float:
        return self.seconds - (now + self.offset) % self.seconds

    def _turn(self, now: float) -> None:
        window = int((now + self.offset) // self.seconds)
        if window != self._window:
            self._window, self._used = window, 0


@dataclass
class AtOnce(Quota):
    """So many at once and no more, as fast as they are done."""

    limit: int
    hints: bool = False

    def admit(self, now: float, in_flight: int) -> bool:
        return in_flight < self.limit

    def free_at(self, now: float, in_flight: int) -> float:
        return now if in_flight < self.limit else math.inf

    def retry_after(self, now: float) -> float | None:
        return 1.0 if self.hints else None


@dataclass
class Accelerating(Smoothed):
    """Smoothed, and refuses whoever speeds up by more than the half within ten seconds."""

    _times: list[float] = field(default_factory=list)

    def admit(self, now: float, in_flight: int) -> bool:
        self._times = [time for time in self._times if now - time <= 20]
        recent = sum(1 for time in self._times if now - time <= 10)
        before = len(self._times) - recent
        if recent >= max(40, 1.5 * before):
            return False
        if not super().admit(now, in_flight):
            return False
        self._times.append(now)
        return True

    def free_at(self, now: float, in_flight: int) -> float:
        recent = [time for time in self._times if now - time <= 10]
        before = [time for time in self._times if 10 < now - time <= 20]
        if len(recent) >= max(40, 1.5 * len(before)):
            return now + 0.1
        return super().free_at(now, in_flight)


@dataclass
class Shedding(Quota):
    """No quota, but a part of the requests is turned away because there are too many of everybody's."""

    share: float
    named: bool = True
    """Whether a refusal says that there are too many (503) and not that a quota is used up (429)."""
    _chance: random.Random = field(default_factory=lambda: random.Random(1))

    def admit(self, now: float, in_flight: int) -> bool:
        return self._chance.random() >= self.share


@dataclass
class Storm(Quota):
    """A provider that turns away a part of all requests until a time, whatever its quota says, and is well then."""

    quota: Quota
    share: float
    until: float
    hint: float | None = None
    _chance: random.Random = field(default_factory=lambda: random.Random(3))

    def admit(self, now: float, in_flight: int) -> bool:
        if now < self.until and self._chance.random() < self.share:
            return False
        return self.quota.admit(now, in_flight)

    def retry_after(self, now: float) -> float | None:
        return self.hint if now < self.until else self.quota.retry_after(now)


class Unlimited(Quota):
    """A server on this machine."""

    def admit(self, now: float, in_flight: int) -> bool:
        return True

    def free_at(self, now: float, in_flight: int) -> float:
        return now


@dataclass
class Result:
    """How a job went."""

    seconds: float
    refused: int
    most_at_once: int
    sent_at: list[float]


def best(
    quota: Quota, items: int, latency: Callable[[random.Random], float], *, cap: int = 512, seed: int = 1
) -> float:
    """Seconds that somebody would take who knows the quota."""
    chance, now, last, left = random.Random(seed), 0.0, 0.0, items
    ends: list[float] = []
    while left:
        free = math.inf if len(ends) >= cap else quota.free_at(now, len(ends))
        if free <= now:
            assert quota.admit(now, len(ends))
            heapq.heappush(ends, now + latency(chance))
            left -= 1
        else:
            now = min(free, ends[0] if ends else math.inf)
            while ends and ends[0] <= now:
                last = max(last, heapq.heappop(ends))
    return max(ends, default=last)


def run(
    control: Control,
    quota: Quota,
    items: int,
    latency: Callable[[random.Random], float],
    *,
    faults: Callable[[float], bool] = lambda _: False,
    seed: int = 1,
    echo: float = ECHO,
    written: float = 0.0,
) -> Result:
    """Send `items` requests; refused ones go back to the queue.

    Args:
        control: Of the lane.
        quota: Of the provider.
        items: How many.
        latency: Seconds of a reply.
        faults: Whether a request sent at a time gets a 500.
        seed: Of the latencies.
        echo: Seconds until a refusal is known.
        written: Seconds from the right to send a request until it leaves, because it is written down first.
    """
    chance, order = random.Random(seed), itertools.count()
    now, left, done, refused, in_flight, most = 0.0, items, 0, 0, 0, 0
    leaving: deque[tuple[float, Ticket]] = deque()
    ends: list[tuple[float, int, Ticket, Outcome | None, RateLimits | None, float | None]] = []
    sent_at: list[float] = []
    while done < items:
        ready = control.ready_at(now) if left else math.inf
        if ready <= now:
            leaving.append((now + written, control.take(now, 0)))
            left -= 1
            most = max(most, control.in_flight)
        elif not leaving or leaving[0][0] > now:
            now = min(ready, ends[0][0] if ends else math.inf, leaving[0][0] if leaving else math.inf)
            assert now < 1e6, "the lane waits for ever"
        while leaving and leaving[0][0] <= now:
            _, ticket = leaving.popleft()
            if not control.sent(now, ticket):
                control.undo(ticket)
                left += 1
                continue
            if quota.admit(now, in_flight):
                in_flight += 1
                sent_at.append(now)
                outcome = Outcome.SERVER_FAULT if faults(now) else None
                end = now + latency(chance)
                hint = None
            else:
                outcome, end, hint = Outcome.REFUSED, now + echo, quota.retry_after(now)
            heapq.heappush(ends, (end, next(order), ticket, outcome, quota.limits(now), hint))
        while ends and ends[0][0] <= now:
            _, _, ticket, outcome, limits, hint = heapq.heappop(ends)
            shed = isinstance(quota, Shedding) and quota.named and outcome is Outcome.REFUSED
            control.give_back(now, ticket, outcome, limits=limits, retry_after=hint, overloaded=shed)
            if outcome is Outcome.REFUSED:
                refused += 1
                left += 1
                continue
            in_flight -= 1
            if outcome is None:
                done += 1
            else:
                left += 1
    return Result(now, refused, most, sent_at)
