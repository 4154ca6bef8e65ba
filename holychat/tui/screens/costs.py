"""What was spent: today, this month, by model and by day, and how much of the limits is left."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Vertical

from holychat.errors import HolychatError
from holychat.tui.keymap import bindings
from holychat.tui.screens.dialog import Dialog
from holychat.tui.widgets.cost_view import CostView
from holychat.tui.widgets.footer import KeyFooter
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from datetime import date

    from textual.app import ComposeResult

    from holychat.money.costs import Costs, Overview


_LOW = 32
"""Lines below which nothing is left around the dialog."""


class CostScreen(Dialog[None]):
    """Left and right mark a day, page up and down go to other months.

    Args:
        costs: Where the sums are.
    """

    BINDINGS: ClassVar = bindings("costs")

    def __init__(self, costs: Costs) -> None:
        super().__init__()
        self._costs = costs
        self._today = costs.today()
        self._marked = self._today
        self.overview: Overview | None = None
        """What is shown; None before it was read."""

    def compose(self) -> ComposeResult:
        """One painting."""
        with Vertical(classes="dialog tall"):
            yield CostView(id="costs")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Add up."""
        self._read_again()

    def on_resize(self) -> None:
        """A chart and a list want every line there is."""
        self.set_class(self.size.height < _LOW, "-tight")

    async def history_changed(self) -> None:
        """Another process has spent something."""
        await self._read()

    def action_day(self, days: int) -> None:
        """Mark another day."""
        self._mark(self._marked + timedelta(days=days))

    def action_month(self, direction: int) -> None:
        """Show another month, its last day marked."""
        first, last = self._costs.calendar.month(self._marked)
        self._mark(first - timedelta(days=1) if direction < 0 else self._end_of(last + timedelta(days=1)))

    def _end_of(self, day: date) -> date:
        return self._costs.calendar.month(day)[1]

    def _mark(self, day: date) -> None:
        self._marked = min(day, self._today)
        overview = self.overview
        if overview is not None and overview.first <= self._marked <= overview.last:
            self.query_one(CostView).show(overview, self._marked)
        else:
            self._read_again()

    def _read_again(self) -> None:
        start_work(self, "costs", self._read)

    async def _read(self) -> None:
        self._today = self._costs.today()
        try:
            self.overview = await self._costs.overview(self._marked)
        except HolychatError as error:
            self.app.notify(str(error), severity="error", markup=False)
            return
        self.query_one(CostView).show(self.overview, self._marked)
