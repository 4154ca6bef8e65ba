"""Where a message is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding
from textual.message import Message
from textual.reactive import var
from textual.widgets import TextArea

from holychat.tui.keymap import actions_by_key, bindings, keys_in_force

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual import events


class Composer(TextArea):
    """A text area that sends: grows with its text, knows when a slash command is being typed.

    Keys are handled in the order they arrive, in this widget's own queue. Left to bubble up to the app, as Textual does
    with bindings, a fast "hello⏎more" or "ab⌫c" would act on text that later keys had already changed.

    Args:
        placeholder: Shown while there is no text.
        remapped: The person's keymap.
    """

    BINDINGS: ClassVar = bindings("composer")

    completing: var[bool] = var(False, bindings=True)
    """Whether the popup of completions is open."""

    @dataclass
    class Edited(Message):
        """The text changed; consecutive changes may arrive as one."""

        text: str

        def can_replace(self, message: Message) -> bool:
            """A newer change makes an older one pointless."""
            return isinstance(message, Composer.Edited)

    @dataclass
    class Completion(Message):
        """A key for the popup of completions: "up", "down" or "take"."""

        what: str

    @dataclass
    class LeaveTo(Message):
        """The person went up to the messages: "last" or "first"."""

        where: str

    @dataclass
    class PageKey(Message):
        """Page up or down with nothing to page in the composer itself."""

        direction: int

    def __init__(self, placeholder: str, remapped: Mapping[str, str], *, id: str) -> None:  # noqa: A002
        super().__init__(
            id=id,
            placeholder=placeholder,
            compact=True,
            soft_wrap=True,
            tab_behavior="focus",
            show_line_numbers=False,
            highlight_cursor_line=False,
        )
        self._actions = _actions_by_key(remapped)
        # In this queue as well: what was typed before it belongs to the old chat, what comes after it to the new one.
        self._actions |= dict.fromkeys(keys_in_force(remapped)["chat.new"], "screen.new_chat")

    async def _on_key(self, event: events.Key) -> None:
        if self.completing and (what := {"up": "up", "down": "down"}.get(event.key)):
            event.stop()
            event.prevent_default()
            self.post_message(self.Completion(what))
            return
        action = self._actions.get(event.key)
        if action is None and event.key not in ("tab", "shift+tab"):
            return
        # Tab with nothing to complete does nothing: it must not take the focus away in the middle of a sentence.
        event.stop()
        event.prevent_default()
        if action is not None and (action != "complete" or self.completing):
            await self.run_action(action)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """Completing needs an open list."""
        return self.completing if action == "complete" else True

    def on_focus(self) -> None:
        """The box around it shows where typing goes; a class, because `:focus-within` restyles whole subtrees."""
        if self.parent is not None:
            self.parent.add_class("-focused")

    def on_blur(self) -> None:
        """Somewhere else now."""
        if self.parent is not None:
            self.parent.remove_class("-focused")

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """Tell what the text is now."""
        event.stop()
        self.post_message(self.Edited(self.text))

    async def action_send(self) -> None:
        """Send the text, or take the marked slash command: now, before the next key changes the text."""
        await self.run_action("screen.submit")

    def action_newline(self) -> None:
        """Break the line."""
        self.insert("\n")
        self.scroll_cursor_visible()

    def action_complete(self) -> None:
        """Take the marked slash command."""
        self.post_message(self.Completion("take"))

    def action_messages(self) -> None:
        """Go up to the messages."""
        self.post_message(self.LeaveTo("last"))

    def action_messages_first(self) -> None:
        """Go to the first message."""
        self.post_message(self.LeaveTo("first"))

    def action_cursor_up(self, select: bool = False) -> None:
        """Line above; from an empty composer the last message."""
        if self.text or select:
            super().action_cursor_up(select)
        else:
            self.post_message(self.LeaveTo("last"))

    def action_cursor_page_up(self) -> None:
        """Page up in a long text, else in the conversation."""
        if self.max_scroll_y > 0:
            super().action_cursor_page_up()
        else:
            self.post_message(self.PageKey(-1))

    def action_cursor_page_down(self) -> None:
        """Page down in a long text, else in the conversation."""
        if self.max_scroll_y > 0:
            super().action_cursor_page_down()
        else:
            self.post_message(self.PageKey(1))

    def set_text(self, text: str) -> None:
        """Put a text in, cursor at its end; the undo history begins anew."""
        self.load_text(text)
        self.move_cursor(self.document.end)


def _actions_by_key(remapped: Mapping[str, str]) -> dict[str, str]:
    """Action by key, for the composer's own keys and the editing keys of the text area."""
    actions: dict[str, str] = {}
    for binding in Binding.make_bindings(TextArea.BINDINGS):
        if not binding.key.endswith("+c"):  # the app decides what copying means
            actions[binding.key] = binding.action
    return actions | actions_by_key("composer", remapped)
