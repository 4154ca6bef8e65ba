"""What all dialogs share."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual.screen import ModalScreen

from holychat.tui.keymap import bindings

Result = TypeVar("Result")
LOW = 22
"""Lines below which a dialog is laid out tightly."""


class Dialog(ModalScreen[Result | None], Generic[Result]):
    """A modal screen that Esc closes with None."""

    BINDINGS: ClassVar = bindings("dialog")
    CSS_PATH = "../styles/dialogs.tcss"

    def on_resize(self) -> None:
        """A low screen has lines for what can be chosen, not for the air around it."""
        self.set_class(self.size.height < LOW, "-low")

    def action_close(self) -> None:
        """Close without changing anything."""
        self.dismiss(None)
