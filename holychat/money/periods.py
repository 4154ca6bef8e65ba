"""Days and months where the person is, in the quarters of an hour that the store sums by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

from holychat.store.spending import QUARTER_MS

if TYPE_CHECKING:
    from datetime import tzinfo

    from holychat.store.spending import Quarters

_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Calendar:
    """Days from midnight to midnight, 23 or 25 hours long where the clocks change.

    Attributes:
        zone: The time zone; None for that of the machine.
    """

    zone: tzinfo | None = None

    def day_at(self, now_ms: int) -> date:
        """The day that a moment is in."""
        return datetime.fromtimestamp(now_ms / 1000, self.zone).date()  # None is the machine's own zone

    def quarters(self, first: date, last: date) -> Quarters:
        """From the beginning of a day to the end of another one."""
        return self._begins(first), self._begins(last + _ONE_DAY)

    def month(self, day: date) -> tuple[date, date]:
        """First and last day of the month that a day is in."""
        first = day.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1) - _ONE_DAY

    def _begins(self, day: date) -> int:
        # A midnight that the clocks leap over is the moment of the leap; of two midnights the first one begins the day.
        seconds = datetime.combine(day, time(), self.zone).timestamp()
        return round(seconds * 1000) // QUARTER_MS


def days_of(first: date, last: date) -> list[date]:
    """Every day from one to another, both included."""
    return [first + timedelta(days=count) for count in range((last - first).days + 1)]
