"""The upper part of the screen: the transcript, a welcome while it is empty, and a way back to the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from rich.text import Text
from textual.containers import Container
from textual.message import Message as Event
from textual.reactive import reactive
from textual.widget import Widget

from holychat.domain.chat import MessageState, Role
from holychat.text import clean
from holychat.tui.keymap import actions_by_key, bindings, key_label, keys_in_force
from holychat.tui.widgets.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events
    from textual.app import ComposeResult
    from textual.visual import VisualType

    from holychat.domain.chat import Message

Deed: TypeAlias = Literal["copy", "code", "edit", "regenerate", "continue", "save"]

_CUT_SHORT = (MessageState.STOPPED, MessageState.INTERRUPTED)
_HINTS = (
    ("composer.send", "send what you write"),
    ("chat.list", "find an earlier chat"),
    ("chat.model", "choose a model"),
    ("chat.panel", "jobs over many documents"),
    ("chat.commands", "everything else"),
    ("chat.help", "help"),
)


class Welcome(Widget):
    """What an empty chat shows: a name and the few keys that matter."""

    COMPONENT_CLASSES = {"welcome--name", "welcome--key", "welcome--text", "welcome--trouble"}  # noqa: RUF012

    trouble: reactive[str] = reactive("")
    """Why nothing can be asked, or ""."""

    def __init__(self, remapped: Mapping[str, str]) -> None:
        super().__init__()
        self._keys = keys_in_force(remapped)

    def render(self) -> VisualType:
        """Name, line, hints; fewer hints where there are few lines."""
        name, key, muted = (self.get_component_rich_style(f"welcome--{part}") for part in ("name", "key", "text"))
        lines = [Text("holychat", name), Text("Ask anything. Every word is kept.", muted), Text()]
        hints = [*_HINTS[:1], ("/", "slash commands"), *_HINTS[1:]]
        for binding_id, text in hints[: max(0, self.size.height - 5)]:
            label = key_label(self._keys[binding_id][0]) if binding_id in self._keys else binding_id
            lines.append(Text.assemble((f"{label:>8}", key), "  ", (f"{text:<24}", muted)))
        if self.trouble:
            lines[3:] = [
                Text(line, self.get_component_rich_style("welcome--trouble")) for line in self.trouble.splitlines()
            ]
        top = max(0, (self.size.height - len(lines)) // 2)
        width = self.size.width
        for line in lines:
            line.pad_left(max(0, (width - line.cell_len) // 2))
        return Text("\n" * top).append_text(Text("\n").join(lines))


class JumpHint(Widget):
    """Says that the reply goes on below."""

    def __init__(self, remapped: Mapping[str, str]) -> None:
        super().__init__()
        self._label = key_label(keys_in_force(remapped)["chat.latest"][0])

    def render(self) -> VisualType:
        """One line."""
        return Text(f" ↓ latest · {self._label} ", no_wrap=True)

    def on_click(self, event: events.Click) -> None:
        """Go to the end."""
        event.stop()
        self.screen.query_one(Transcript).jump_latest()


class ConversationPane(Container, can_focus=True):
    """Has the focus while the message cursor moves; the letters are commands only then.

    Its keys are handled in its own queue, like the composer's: a key that changes the focus is done before the next.
    A click does not take the focus, so that someone who selects text or follows a link can go on typing.

    Args:
        transcript: The conversation.
        remapped: The person's keymap.
    """

    BINDINGS: ClassVar = bindings("messages")
    FOCUS_ON_CLICK = False

    @dataclass
    class Act(Event):
        """Something is to be done with a message."""

        deed: Deed
        message: Message

    @dataclass
    class Leave(Event):
        """The person goes back to writing."""

    def __init__(self, transcript: Transcript, remapped: Mapping[str, str], *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.transcript = transcript
        self._welcome = Welcome(remapped)
        self._remapped = remapped
        self._actions = actions_by_key("messages", remapped)

    def allow_focus(self) -> bool:
        """In an empty chat there is nothing to mark."""
        return self.transcript.message_count > 0

    def command_of(self, key: str) -> str | None:
        """The action of a key that does something now, or None."""
        action = self._actions.get(key)
        return action if action is not None and self.check_action(action.partition("(")[0], ()) else None

    async def _on_key(self, event: events.Key) -> None:
        if (action := self.command_of(event.key)) is not None:
            event.stop()
            event.prevent_default()
            await self.run_action(action)

    def compose(self) -> ComposeResult:
        """The transcript, and over it a welcome: it is laid out before the first message makes it visible."""
        yield self.transcript
        yield self._welcome
        yield JumpHint(self._remapped)

    def show_welcome(self, show: bool) -> None:
        """Show the welcome over an empty transcript."""
        self._welcome.display = show

    def show_trouble(self, text: str) -> None:
        """Say in the welcome why nothing can be asked."""
        self._welcome.trouble = clean(text)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """A key that means nothing for the message under the cursor is not offered."""
        message = self.transcript.cursor_message
        if message is None:
            return action not in ("copy", "copy_code", "edit", "regenerate", "continue_reply", "fold", "save")
        mine, streaming = message.role is Role.USER, message.state is MessageState.STREAMING
        match action:
            case "edit":
                return mine
            case "regenerate":
                return not streaming
            case "continue_reply":
                return not mine and (message.state in _CUT_SHORT or message.finish_reason == "length")
            case "fold":
                return bool(message.reasoning)
            case "copy_code":
                return "```" in message.text or "~~~" in message.text
        return True

    def action_move(self, delta: int) -> None:
        """Move the cursor; below the last message is the composer."""
        before = self.transcript.cursor
        self.transcript.move_cursor(delta)
        if delta > 0 and self.transcript.cursor == before:
            self.post_message(self.Leave())

    def action_first(self) -> None:
        """Cursor to the first message."""
        self.transcript.move_cursor(-1_000_000_000)

    def action_last(self) -> None:
        """Cursor to the last message."""
        self.transcript.move_cursor(1_000_000_000)

    def action_leave(self) -> None:
        """Back to writing."""
        self.post_message(self.Leave())

    def action_page(self, direction: int) -> None:
        """Scroll a page."""
        scroll_page(self.transcript, direction)

    def action_fold(self) -> None:
        """Fold or unfold the reasoning."""
        self.transcript.fold_cursor()

    def action_copy(self) -> None:
        """Copy the message."""
        self._act("copy")

    def action_copy_code(self) -> None:
        """Copy the next code block."""
        self._act("code")

    def action_edit(self) -> None:
        """Edit the message."""
        self._act("edit")

    def action_regenerate(self) -> None:
        """Ask again."""
        self._act("regenerate")

    def action_continue_reply(self) -> None:
        """Ask for the rest."""
        self._act("continue")

    def action_save(self) -> None:
        """Save the message to a file."""
        self._act("save")

    def _act(self, deed: Deed) -> None:
        if (message := self.transcript.cursor_message) is not None:
            self.post_message(self.Act(deed, message))


def scroll_page(transcript: Transcript, direction: int) -> None:
    """Scroll the transcript a page up (-1) or down (1)."""
    if direction < 0:
        transcript.scroll_page_up(animate=False)
    else:
        transcript.scroll_page_down(animate=False)


def scroll_by_key(transcript: Transcript, event: events.Key) -> None:
    """Scroll a text that is only read by the keys of a pager; a key that is none of them goes its way."""
    match event.key:
        case "up" | "k":
            transcript.scroll_up(animate=False)
        case "down" | "j":
            transcript.scroll_down(animate=False)
        case "pageup":
            scroll_page(transcript, -1)
        case "pagedown" | "space":
            scroll_page(transcript, 1)
        case "home" | "g":
            transcript.scroll_home(animate=False)
        case "end" | "G":
            transcript.scroll_end(animate=False)
        case _:
            return
    event.stop()
    event.prevent_default()
