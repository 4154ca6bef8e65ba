"""Whether requests are turned away by chance, so that to go slower changes nothing. Pure control.

A quota that was measured refuses nothing while the rate is below it. A provider that sheds load refuses one in so many
all the same, and each of them would make the rate lower.
"""

from __future__ import annotations

_CUTS = 4
"""So many more cuts without than with a reason mean that there is none: the quota may have been measured too high."""
_TELLING = 5
"""Requests that must have been accepted before a cut tells: with a quota measured too high there are hardly any."""
_MEMORY = 60
_MOST = 0.3
"""Of the last so many requests: where more are refused it is no chance, or it is better to ask less."""


class Chance:
    """The refusals of one lane."""

    def __init__(self) -> None:
        self.found = False
        """They come by chance."""
        self._share = 0.0
        self._accepted = 0
        self._reasonless = 0

    def taken(self) -> None:
        """A request is sent. Refusals are heard of long before replies, so that it is these that they are part of."""
        self._share -= self._share / _MEMORY

    def refused(self) -> None:
        """A request was turned away."""
        self._share += 1 / _MEMORY
        self.found = self.found and self._share <= _MOST

    def cut(self, accepted: int, *, explained: bool) -> None:
        """The rate was cut after so many were accepted; `explained`: it was higher than what is known to go through."""
        if explained:
            self.doubted()
            return
        self._accepted += accepted
        if self._accepted >= _TELLING:
            self._accepted = 0
            self._reasonless += 1
        if self._reasonless >= _CUTS:
            self.found, self._reasonless = True, 0

    def doubted(self) -> None:
        """Something was turned away, and not by chance."""
        self._accepted = 0
        self._reasonless = max(0, self._reasonless - 1)
