"""What an edit or another answer took out of a conversation: kept, and read here."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.content import Content
from textual.widgets import Static

from holychat.domain.chat import MessageState, Role
from holychat.text import clean_line
from holychat.tui.keymap import bindings
from holychat.tui.screens.reading import ReadingScreen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual.widget import Widget

    from holychat.domain.chat import Message
    from holychat.tui.widgets.conversation_pane import Deed


class ReplacedScreen(ReadingScreen):
    """One message at a time, in the order in which they were written.

    Args:
        messages: What was replaced in a chat; at least one message.
        message_id: Which of them is shown first; None for the newest.
        act: Does something with a message, as where it stood before.
    """

    BINDINGS: ClassVar = bindings("replaced")

    def __init__(
        self, messages: Sequence[Message], message_id: int | None, act: Callable[[Deed, Message], object]
    ) -> None:
        super().__init__()
        self._messages = messages
        found = (at for at, message in enumerate(messages) if message.id == message_id)
        self._at = next(found, len(messages) - 1)
        self._act = act

    def head(self) -> list[Widget]:
        """Which one it is."""
        return [Static(Content(""), classes="dialog-title", id="replaced-title")]

    def on_mount(self) -> None:
        """Show the first."""
        self._show_marked()

    def _show_marked(self) -> None:
        message = self._messages[self._at]
        who = "You" if message.role is Role.USER else f"Answer, {clean_line(message.model, 40)}".rstrip(", ")
        when = datetime.fromtimestamp(message.created_ms / 1000).astimezone().strftime("%d %b %H:%M")
        title = f"Replaced, {self._at + 1} of {len(self._messages)} · {who} · {when}"
        self.query_one("#replaced-title", Static).update(Content(title))
        # How it ended names keys that do nothing here.
        self.show(replace(message, state=MessageState.COMPLETE, finish_reason=""))

    def action_step(self, delta: int) -> None:
        """The one before or after."""
        self._at = min(max(self._at + delta, 0), len(self._messages) - 1)
        self._show_marked()

    def action_copy(self) -> None:
        """Copy the text."""
        self._act("copy", self._messages[self._at])

    def action_save(self) -> None:
        """Save the text to a file."""
        self._act("save", self._messages[self._at])
