"""Yes or no."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from holychat.text import clean
from holychat.tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult


class ConfirmScreen(Dialog[bool]):
    """Asks before something that cannot be undone; "no" has the focus.

    Args:
        question: One line.
        detail: What exactly is meant: untrusted text, shown literally.
        yes: Label of the button that does it.
        no: Label of the button that does not.
    """

    AUTO_FOCUS: ClassVar[str] = "#no"

    def __init__(self, question: str, detail: str, yes: str, no: str = "Cancel") -> None:
        super().__init__()
        self._question = question
        self._detail = clean(detail)
        self._yes = yes
        self._no = no

    def compose(self) -> ComposeResult:
        """Question, detail, two buttons."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._question), classes="dialog-title")
            yield Static(Content(self._detail), classes="dialog-text")
            with Horizontal(classes="dialog-buttons"):
                yield Button(Content(self._no), id="no", compact=True)
                yield Button(Content(self._yes), id="yes", compact=True)
            yield Static(Content("← → Enter, or y and n · Esc leaves it"), classes="dialog-hint")

    def key_y(self) -> None:
        """Y for yes."""
        self.dismiss(True)

    def key_n(self) -> None:
        """N for no."""
        self.dismiss(None)

    def key_left(self) -> None:
        """To the other button."""
        self.focus_previous(Button)

    def key_right(self) -> None:
        """To the other button."""
        self.focus_next(Button)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        self.dismiss(True if event.button.id == "yes" else None)
