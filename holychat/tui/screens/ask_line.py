"""One line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from holychat.text import clean_line
from holychat.tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult


class AskLineScreen(Dialog[str]):
    """Asks for one line, for example a title.

    Args:
        title: What is asked for.
        value: What it is now.
        suggested: Whether it is only suggested: typing replaces it.
    """

    def __init__(self, title: str, value: str, *, suggested: bool = False) -> None:
        super().__init__()
        self._title = title
        self._value = clean_line(value)
        self._suggested = suggested

    def compose(self) -> ComposeResult:
        """A title and an input."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._title), classes="dialog-title")
            yield Input(self._value, select_on_focus=self._suggested)
            yield Static(Content("Enter to accept · Esc to leave it"), classes="dialog-hint")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Accept what is not empty."""
        event.stop()
        self.dismiss(event.value.strip() or None)
