"""What all dialogs share."""

from __future__ import annotations

from typing import ClassVar, Generic, TypeVar

from textual.screen import ModalScreen

from holychat.tui.keymap import bindings

Result = TypeVar("Result")


class Dialog(ModalScreen[Result | None], Generic[Result]):
    """A modal screen that Esc closes with None."""

    BINDINGS: ClassVar = bindings("dialog")
    CSS_PATH = "../styles/dialogs.tcss"

    def action_close(self) -> None:
        """Close without changing anything."""
        self.dismiss(None)
