"""How many requests at once. Pure control.

Before the first refusal it doubles with every round of replies. A refusal sets it to what the provider was working on
at that moment, and from there it feels its way up: by one, by two, by four, and after ever longer waits where that is
refused.
"""

from __future__ import annotations

import math

_START = 16
_SATURATED, _SATURATED_IN_SEARCH = 0.8, 0.5
"""Part of it that counts as full; while nothing was refused yet it is the pacer that keeps it from being fuller."""
ROUND = 1.0
"""Seconds after which nothing refused counts as a round of replies, where replies take long."""
_SHORTEST, _LONGEST = 0.5, 60.0
_MEMORY = 60.0
_GAP = 1.0
"""Seconds that it may stay unused and still count as full."""
_SOON = 2.0
"""Seconds after a cut within which another refusal shows that the cut was not to the point."""


class Window:
    """The window of one lane.

    Args:
        fixed: As the person wants it: never more, and never less because of refusals.
        cap: Never more than this.
    """

    def __init__(self, fixed: int | None = None, cap: int = 512) -> None:
        self._fixed = fixed
        self._cap = cap
        self._size = float(min(_START, cap) if fixed is None else fixed)
        self._searching = True
        self._step = 1.0
        self._interval = _SHORTEST
        self._grown_at: float | None = None
        self._good = 0
        self._good_at = -math.inf
        self._frozen = -math.inf
        self._cut_at = -math.inf
        self._full_at = -math.inf
        self._before = self._size
        self._blamed = False
        self._cut_in_search = True

    @property
    def searching(self) -> bool:
        """Nothing was refused yet."""
        return self._searching

    @property
    def size(self) -> int:
        """Requests at once."""
        return int(self._size)

    def next_growth(self, now: float, in_flight: int) -> float:
        """When it grows by itself if it stays full; infinite where it does not."""
        if self._fixed is not None or self._size >= self._cap or in_flight < self._full:
            return math.inf
        grown_at = now if self._grown_at is None else self._grown_at
        return max(grown_at + (ROUND if self._searching else self._interval), self._frozen)

    def grow(self, now: float, in_flight: int) -> bool:
        """Look whether it was full for long enough without a refusal; True when it grew."""
        if in_flight < self._full:
            # A small window has a gap with every reply, which does not mean that it is not needed.
            if now - self._full_at > _GAP:
                self._grown_at = None
        elif self._grown_at is None:
            self._grown_at = now
        elif now >= self.next_growth(now, in_flight):
            if self._searching:
                self._become(self._size * 2)
            else:
                self._become(self._size + self._step)
                self._step *= 2
                if self._step > 2:
                    self._interval, self._blamed = _SHORTEST, False
            self._grown_at = now
            return True
        return False

    def seen(self, now: float, in_flight: int) -> None:
        """So many are under way, before one ends or after one was sent."""
        if in_flight >= self._full:
            self._full_at = now

    def clean(self, now: float, sent_at: float, level: int) -> None:
        """A reply came to a request that was the `level`th at once."""
        # One less: what was turned away at the same moment counted for a little while.
        if level > self._good or now - self._good_at > _MEMORY:
            self._good, self._good_at = level - 1, now
        if self._searching and now >= self._frozen and sent_at <= self._full_at:
            self._become(self._size + 1)

    def allow(self, size: float) -> None:
        """So many are needed to use what the provider says that it allows."""
        if self._searching:
            self._become(max(self._size, size))

    def search_again(self) -> None:
        """What was refused had nothing to do with how many there were at once."""
        self._searching, self._blamed = True, False

    def freeze(self, now: float, seconds: float) -> None:
        """The provider has trouble of its own: do not grow for some seconds."""
        self._frozen = max(self._frozen, now + seconds)

    def refused(self, now: float, sent_at: float, level: int, others: int) -> bool | None:
        """A request that was the `level`th at once was turned away while `others` were being worked on.

        Returns:
            Whether that was because of too many at once; None: it may have been.
        """
        if self._fixed is not None or level <= 1 or self._was_good(now, level):
            return False
        searching, self._searching = self._searching, False
        if sent_at <= self._cut_at:
            self._size = float(max(1, min(others, self.size)))
            return None if self._cut_in_search or not self._blamed else True
        if now - self._cut_at < _SOON:
            # The cut did not help, so there were not too many at once.
            self._size = max(self._size, self._before)
            return False
        self._cut_at, self._before, self._cut_in_search = now, self._size, searching
        self._size = float(max(1, min(others, self.size)))
        self._step, self._grown_at = 1.0, now
        if searching:
            return None
        self._interval = min(_LONGEST, self._interval * 2)
        # Two in a row: it may be the rate that lets too many of them meet, so that is asked as well.
        self._blamed = not self._blamed
        return True if self._blamed else None

    @property
    def _full(self) -> float:
        return (_SATURATED_IN_SEARCH if self._searching else _SATURATED) * self.size

    def _was_good(self, now: float, level: int) -> bool:
        return level <= self._good and now - self._good_at <= _MEMORY

    def _become(self, size: float) -> None:
        if self._fixed is None:
            self._size = min(size, float(self._cap))
