"""What a job may still spend: the worst case of a request is set aside before it is sent."""

from __future__ import annotations


class Budget:
    """Money of one job at work, in micro-dollars.

    Args:
        limit: What it may spend; None: no limit.
        committed: What is spent already, and what may have been and is not known.
    """

    def __init__(self, limit: int | None, committed: int) -> None:
        self.limit = limit
        self._committed = committed
        self._reserved = 0

    @property
    def taken(self) -> int:
        """Spent, in doubt, or set aside for what is under way."""
        return self._committed + self._reserved

    def fits(self, worst: int | None) -> bool:
        """Whether a request may be sent that costs so much at worst; None: nobody knows what it costs."""
        if self.limit is None:
            return True
        return worst is not None and self.taken + worst <= self.limit

    def reserve(self, worst: int | None) -> None:
        """A request is sent."""
        self._reserved += worst or 0

    def release(self, worst: int | None) -> None:
        """It cost nothing: it was refused, or never left."""
        self._reserved -= worst or 0

    def settle(self, worst: int | None, cost: int | None) -> None:
        """It was answered and cost so much; None: unknown, so the worst is assumed."""
        self._reserved -= worst or 0
        self._committed += (worst or 0) if cost is None else cost

    def doubt(self, worst: int | None) -> None:
        """Nobody knows what became of it: the worst is assumed from now on."""
        self.settle(worst, None)
