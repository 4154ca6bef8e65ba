"""What the main screen shows of its conversation: the state of the reply, of the queue, of an edit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.text import clean_line
from holychat.tui.keymap import key_label, keys_in_force
from holychat.tui.screens.chat_dialogs import ChatDialogs
from holychat.tui.widgets.queue_line import QueueLine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.timer import Timer

    from holychat.domain.chat import Message
    from holychat.tui.unsent import Unsent
    from holychat.tui.widgets.conversation_pane import ConversationPane


class ChatView(ChatDialogs):
    """What the conversation tells, made visible."""

    pane: ConversationPane
    _status_timer: Timer | None
    _stop_key: str

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Esc is offered while it does something."""
        if action == "stop":
            busy = self.conversation.reply is not None or self.pane.has_focus
            return busy or self._is_editing or bool(self.composer.completing) or bool(self.drafts.shown.queued)
        return True

    @property
    def key_labels(self) -> Mapping[str, str]:
        """What Esc does now, for the footer."""
        if self.composer.completing:
            return {"chat.stop": "close", "composer.send": "choose"}
        if self.conversation.reply is not None:
            return {"composer.send": "send next"}
        return {"chat.stop": "cancel" if self._is_editing else "back"}

    @property
    def _is_editing(self) -> bool:
        return self.drafts.shown.editing is not None

    def typed_text(self) -> str:
        """What stands in the composer, or in the person's own editor while that is open."""
        return (self.text_in_editor() if self.text_in_editor is not None else "") or self.composer.text

    def set_typed(self, text: str) -> None:
        """Put a text into the composer; one that stands there already keeps its cursor."""
        if text != self.composer.text:
            self.composer.set_text(text)

    def begin_editing(self, message: Message) -> None:
        """Put a message into the composer; what stood there comes back afterwards."""
        self.drafts.edit(message)
        self.focus_composer()

    def unsent_changed(self, unsent: Unsent) -> None:
        """Show what waits, and for what, what goes along, and whether a message is being edited."""
        waiting, files = self.query_one("#queued", QueueLine), self.query_one("#files", QueueLine)
        if self.conversation.reply is not None:
            waiting.hint = f"when this reply ends · {self._stop_key} now · ↑ edit"
        else:
            waiting.hint = "as soon as everything is ready · ↑ edit"
        waiting.text = unsent.queued
        files.hint = "goes with the next message · /attach - takes it back"
        files.text = ", ".join(file.name for file in unsent.files)
        box = self.query_one("#composer-box")
        box.set_class(unsent.editing is not None, "-editing")
        box.border_title = "Editing: Enter sends this instead" if unsent.editing is not None else None
        self.refresh_bindings()

    def show_flight(self) -> None:
        """Show what is on its way as waiting: the way is longer than usual."""
        self.query_one("#queued", QueueLine).text = self.drafts.shown.waiting

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
        self.unsent_changed(self.drafts.shown)

    def key_rejected(self, provider: str) -> None:
        """Look for the key again with the next message, as it may have been replaced, and tell how to replace it."""
        if self.conversation.services is not None:
            self.conversation.services.keychain.forget(provider)
        commands = key_label(keys_in_force(self.remapped)["chat.commands"][0])
        self.say(f"{commands}, then “Add a key”, takes another key for {clean_line(provider, 40)}.", error=True)
        self.watch_key()
