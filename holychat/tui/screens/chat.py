"""The main screen: conversation, composer, status, keys, side panel."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Horizontal, Vertical
from textual.events import Key

from holychat.errors import UsageError
from holychat.tui import slash
from holychat.tui.completer import Completer
from holychat.tui.conversation import Conversation
from holychat.tui.keymap import bindings, key_label, keys_in_force
from holychat.tui.message_actions import MessageActions
from holychat.tui.screens.chat_later import ChatLater
from holychat.tui.slash_runner import SlashRunner
from holychat.tui.widgets.completion_list import CompletionList
from holychat.tui.widgets.composer import Composer
from holychat.tui.widgets.conversation_pane import ConversationPane, scroll_page
from holychat.tui.widgets.footer import KeyFooter
from holychat.tui.widgets.queue_line import QueueLine
from holychat.tui.widgets.status_line import StatusLine
from holychat.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.app import ComposeResult
    from textual.timer import Timer

    from holychat.domain.chat import ChatOptions
    from holychat.tui.unsent import Flight, Unsent

_STATUS_INTERVAL = 0.25
"""Seconds between two updates of the status line while a reply streams."""
_UNTIL_SENT = 0.010
"""Seconds without painting after Enter: the request is on its way before the first frame, and one frame shows both that
the composer is empty and that the question stands above it."""
_PATIENCE = 0.3
"""Seconds that a text may be on its way without being seen anywhere: a keyring may ask for a password first."""
_HIGH = 22
"""Lines from which the composer may grow to two fifths of the screen."""
_PLACEHOLDER = "Ask anything, or / for commands"


class ChatScreen(ChatLater):
    """Routes what happens in the widgets to the conversation and back.

    Args:
        options: What a new chat starts with.
        remapped: The person's keymap.
    """

    BINDINGS: ClassVar = bindings("chat")
    AUTO_FOCUS: ClassVar[str] = "#composer"

    def __init__(self, options: ChatOptions, remapped: Mapping[str, str]) -> None:
        super().__init__()
        self.remapped = remapped
        self.transcript = Transcript(id="transcript")
        self.pane = ConversationPane(self.transcript, remapped, id="conversation")
        self.composer = Composer(_PLACEHOLDER, remapped, id="composer")
        self.conversation = Conversation(self.transcript, self, options)
        self._popup = CompletionList()
        self._completer = Completer(self, self.composer, self._popup, self._submit)
        self._slash = SlashRunner(self)
        self._message_actions = MessageActions(self)
        self._status_timer: Timer | None = None
        self._stop_key = key_label(keys_in_force(remapped)["chat.stop"][0])

    def compose(self) -> ComposeResult:
        """Everything of the first frame."""
        with Horizontal(id="body"), Vertical(id="main"):
            yield self.pane
            yield QueueLine("Next", id="queued")
            yield QueueLine("With", id="files")
            yield self._popup
            with Vertical(id="composer-box", classes="-focused"):
                yield self.composer
            yield StatusLine()
        yield KeyFooter()

    def on_mount(self) -> None:
        """The welcome of an empty chat; the status line ticks only while a reply streams."""
        self.composer.focus()
        self.call_after_refresh(self.app.call_later, self.app.release_early_keys)
        self._status_timer = self.set_interval(_STATUS_INTERVAL, self._show_status, pause=True)
        self._show_status()

    def take_typing(self, event: events.Key | events.Paste) -> None:
        """Give what is typed to the composer, unless it is a command of the messages or goes somewhere else.

        Called before the key is handed to what has the focus, so that keys can neither get lost nor change places.
        """
        if self.focused not in (None, self.pane):
            return
        if isinstance(event, Key):
            on_messages = self.focused is self.pane
            if not event.is_printable or (on_messages and self.pane.command_of(event.key) is not None):
                return
        self.set_focus(self.composer)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Writing again, however it came to that: the message cursor goes, and so does a panel over the composer."""
        if event.widget is self.composer:
            self.transcript.cursor = None
            self.uncover()

    def on_composer_edited(self, event: Composer.Edited) -> None:
        """Keep the draft, offer slash commands and files."""
        event.stop()
        self.drafts.changed()
        self.typed()
        self._completer.edited()

    def on_composer_completion(self, event: Composer.Completion) -> None:
        """Steer the popup."""
        event.stop()
        self._completer.steer(event.what)

    def action_submit(self) -> None:
        """Send, run a command, take what is offered, or do nothing for nothing.

        Called in the composer's own queue, so that what is typed after Enter is not taken along or cleared.
        """
        if self.composer.completing:
            self._completer.steer("send")
        else:
            self._submit(self.composer.text)

    def _submit(self, text: str) -> None:
        if not text.strip():
            return
        unsent = self.drafts.shown
        editing = unsent.editing
        try:
            meant = slash.parse(text) if editing is None else text
            if not isinstance(meant, slash.Invocation) and self.conversation.trouble is not None:
                _ = self.conversation.chats  # says why not; the text stays where it is
        except UsageError as error:
            self.say(str(error), error=True)
            return
        self._completer.close()
        self.app.hold_painting(_UNTIL_SENT)
        if isinstance(meant, slash.Invocation):
            if meant.name == "new":
                self.composer.set_text("")
                self.action_new_chat()
            elif meant.name == "later":
                self.command_later(text, meant.argument)
            elif not meant.argument:
                self.composer.set_text("")
                self.attempt(self._slash.run, meant)
            else:
                self.attempt(self.carry_out, unsent, self.drafts.enter(text), partial(self._slash.run, meant))
        elif editing is not None:
            self.attempt(self.conversation.edit, unsent, self.drafts.enter(meant), editing)
        elif self.conversation.has_to_wait():
            self.drafts.wait(meant)
        else:
            self.attempt(self._send, unsent, self.drafts.enter(meant, with_files=True))

    async def _send(self, unsent: Unsent, flight: Flight) -> None:
        slow = self.set_timer(_PATIENCE, self.show_flight)
        key_is_there = await self.key_is_there()
        slow.stop()
        if key_is_there:
            self.warn_before_sending()
            self.warn_of_context(flight.text)
            await self.conversation.send(unsent, flight)
        else:
            self.drafts.wait_again(unsent, flight)
            self.show_first_run()

    def on_composer_leave_to(self, event: Composer.LeaveTo) -> None:
        """Go up to the messages; what waits comes back first."""
        event.stop()
        if self.drafts.shown.queued and event.where == "last" and not self.composer.text:
            self.drafts.take_back()
            return
        if self.transcript.message_count:
            self.set_focus(self.pane)
            self.transcript.move_cursor(10**9 if event.where == "last" else -(10**9))

    def on_composer_page_key(self, event: Composer.PageKey) -> None:
        """Scroll the conversation."""
        event.stop()
        scroll_page(self.transcript, event.direction)

    def on_conversation_pane_act(self, event: ConversationPane.Act) -> None:
        """Do something with a message."""
        event.stop()
        self.attempt(self._message_actions.run, event.deed, event.message)

    def on_conversation_pane_leave(self, event: ConversationPane.Leave) -> None:
        """Back to writing."""
        event.stop()
        self.focus_composer()

    def action_stop(self) -> None:
        """Close the completion, stop the reply, stop editing, or go back to the composer: the first that applies."""
        if self.composer.completing:
            self._completer.close()
        elif self.conversation.stop():
            pass
        elif self.drafts.shown.editing is not None:
            self.drafts.end_edit()
        elif self.drafts.shown.queued:
            self.drafts.take_back()
        else:
            self.focus_composer()

    def action_scroll_top(self) -> None:
        """To the beginning."""
        self.transcript.scroll_home(animate=False)

    def action_scroll_latest(self) -> None:
        """To the end, and follow it."""
        self.transcript.jump_latest()

    def action_scroll_page(self, direction: int) -> None:
        """A page up or down."""
        scroll_page(self.transcript, direction)

    def on_resize(self) -> None:
        """The panel lies over a narrow screen, unless somebody writes; a low one leaves the composer fewer lines.

        By hand and not by Textual's breakpoints: those restyle every widget, in the first frame as well.
        """
        self.fit_panel()
        if self.focused in (self.composer, self.pane):
            self.uncover()
        self.composer.set_class(self.size.height < _HIGH, "-low")

    def on_transcript_follow_changed(self, event: Transcript.FollowChanged) -> None:
        """Offer the way back to the end."""
        event.stop()
        self.pane.set_class(not event.following, "-behind")

    def on_transcript_cursor_moved(self, event: Transcript.CursorMoved) -> None:
        """Other keys mean something now."""
        event.stop()
        self.refresh_bindings()
