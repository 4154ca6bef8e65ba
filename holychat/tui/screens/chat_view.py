"""What the main screen shows of its conversation: the state of the reply, of the queue, of an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.text import clean_line
from holychat.tui.keymap import key_label, keys_in_force
from holychat.tui.screens.chat_dialogs import ChatDialogs
from holychat.tui.status import facts
from holychat.tui.widgets.queue_line import QueueLine
from holychat.tui.widgets.status_line import StatusLine

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from textual.timer import Timer

    from holychat.domain.chat import Message
    from holychat.tui.widgets.conversation_pane import ConversationPane


class ChatView(ChatDialogs):
    """What the conversation tells, made visible."""

    pane: ConversationPane
    _editing: Message | None
    _aside: str
    _status_timer: Timer | None
    _stop_key: str

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Esc is offered while it does something."""
        if action == "stop":
            busy = self.conversation.reply is not None or self.pane.has_focus
            return busy or self._editing is not None or bool(self.composer.completing) or bool(self.conversation.queued)
        return True

    @property
    def key_labels(self) -> Mapping[str, str]:
        """What Esc does now, for the footer."""
        if self.composer.completing:
            return {"chat.stop": "close", "composer.send": "choose"}
        if self.conversation.reply is not None:
            return {"composer.send": "send next"}
        return {"chat.stop": "cancel" if self._editing is not None else "back"}

    def unsent_text(self) -> str:
        """Everything typed and not sent: what waits, what was put aside for editing, what stands in the composer."""
        return "\n\n".join(part for part in (self.conversation.queued, self._aside, self.composer.text) if part.strip())

    def begin_editing(self, message: Message) -> None:
        """Put a message into the composer; what stood there comes back afterwards."""
        self._aside = self.unsent_text()
        self._editing = message
        self.composer.set_text(message.text)
        box = self.query_one("#composer-box")
        box.add_class("-editing")
        box.border_title = "Editing: Enter sends this instead"
        self.focus_composer()

    def cancel_editing(self) -> None:
        """Leave the message as it is."""
        self._editing = None
        box = self.query_one("#composer-box")
        box.remove_class("-editing")
        box.border_title = None
        aside, self._aside = self._aside, ""
        self.composer.set_text(aside)

    def focus_composer(self) -> None:
        """Write again; the message cursor goes."""
        self.transcript.cursor = None
        self.composer.focus()

    def chat_changed(self) -> None:
        """Another chat, title or model."""
        self.pane.show_welcome(self.conversation.chat is None or not self.conversation.chat.message_count)
        self.reply_changed()
        self.watch_key()

    def reply_changed(self) -> None:
        """A reply began or ended."""
        live = self.conversation.reply
        if live is not None or self.transcript.message_count:
            self.pane.show_welcome(False)
        if self._status_timer is not None:
            (self._status_timer.resume if live is not None else self._status_timer.pause)()
        self._show_status()
        self.queue_changed(self.conversation.queued)
        self.refresh_bindings()

    def key_rejected(self, provider: str) -> None:
        """Look for the key again with the next message, as it may have been replaced, and tell how to replace it."""
        if self.conversation.services is not None:
            self.conversation.services.keychain.forget(provider)
        commands = key_label(keys_in_force(self.remapped)["chat.commands"][0])
        self.say(f"{commands}, then “Add a key”, takes another key for {clean_line(provider, 40)}.", error=True)
        self.watch_key()

    def queue_changed(self, text: str) -> None:
        """Show what waits, and for what."""
        line = self.query_one("#queued", QueueLine)
        if self.conversation.reply is not None:
            line.hint = f"when this reply ends · {self._stop_key} now · ↑ edit"
        else:
            line.hint = "as soon as everything is ready · ↑ edit"
        line.text = text
        self.refresh_bindings()

    def files_changed(self, files: Sequence[Path]) -> None:
        """Show what goes along."""
        line = self.query_one("#files", QueueLine)
        line.hint = "goes with the next message · /attach - takes it back"
        line.text = ", ".join(file.name for file in files)

    def put_back(self, text: str) -> None:
        """A text that was not sent stands in the composer again, before what was typed since."""
        later = self.composer.text
        self.composer.set_text(f"{text}\n\n{later}" if later.strip() else text)
        self.focus_composer()

    def _show_status(self) -> None:
        self.query_one(StatusLine).facts = facts(self.conversation, self.key_words, self.conversation.last)
