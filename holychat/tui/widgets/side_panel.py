"""The place to the right for background jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

if TYPE_CHECKING:
    from textual.app import ComposeResult

_TEXT = (
    "Long work will run here while you go on chatting: a folder of documents summarised, translated or sorted, "
    "with progress, cost and every result a key away."
)


class SidePanel(VerticalScroll, can_focus=False):
    """Docked to the right, an overlay on narrow terminals; says what will live in it."""

    def compose(self) -> ComposeResult:
        """A title and what to expect."""
        yield Static(Content("Background jobs"), classes="panel-title")
        yield Static(Content("Nothing running."), classes="panel-state")
        yield Static(Content(_TEXT), classes="panel-text")
        yield Static(Content("Jobs come with the next release."), classes="panel-text")
