"""The roads side by side: what each costs and takes, which one is taken, and the facts that this rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from holychat.tui.screens.dialog import Dialog
from holychat.tui.widgets.footer import KeyFooter
from holychat.tui.widgets.road_view import RoadView

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from holychat.domain.roads import Choice

_LOW = 32
"""Lines below which nothing is left around the dialog."""


class RoadsScreen(Dialog[None]):
    """A comparison to be read.

    Args:
        choice: The roads, and the one that is taken.
        what: The work that it is about, in one line.
    """

    def __init__(self, choice: Choice, what: str) -> None:
        super().__init__()
        self._choice = choice
        self._what = what

    def compose(self) -> ComposeResult:
        """One painting."""
        with Vertical(classes="dialog tall"):
            yield RoadView(self._choice, self._what)
        yield KeyFooter()

    def on_resize(self) -> None:
        """A table and its reasons want every line there is."""
        self.set_class(self.size.height < _LOW, "-tight")
