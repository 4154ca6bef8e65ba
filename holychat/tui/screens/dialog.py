"""What all dialogs share."""

from __future__ import annotations

import time
from typing import ClassVar, Generic, TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import ModalScreen

from holychat.tui.keymap import bindings
from holychat.tui.leaving import can_be_left

Result = TypeVar("Result")
LOW = 22
"""Lines below which a dialog is laid out tightly."""
READ_SECONDS = 1.0
"""How long a notice is there before it does not stay over a dialog that opens."""


class Dialog(ModalScreen[Result | None], Generic[Result]):
    """A modal screen that Esc closes with None."""

    BINDINGS: ClassVar = bindings("dialog")
    CSS_PATH = "../styles/dialogs.tcss"

    def on_mount(self) -> None:
        """What was told before has been read, and would lie over what is asked for now."""
        notices = self.app._notifications  # noqa: SLF001  # Textual only takes down all of them
        for notice in list(notices):
            if time.time() - notice.raised_at >= READ_SECONDS:
                del notices[notice]

    def on_resize(self) -> None:
        """A low screen has lines for what can be chosen, not for the air around it."""
        self.set_class(self.size.height < LOW, "-low")

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Leave the screen with an answer, once."""
        return super().dismiss(result) if can_be_left(self) else AwaitComplete()

    def action_close(self) -> None:
        """Close without changing anything."""
        self.dismiss(None)
