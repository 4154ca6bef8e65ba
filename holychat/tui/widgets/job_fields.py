"""The fields of the form for a new job: one line each, with a label and a way to fill it in by keyboard."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.binding import Binding
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget
from textual.widgets import Input, TextArea

from holychat.text import clean_line
from holychat.tui.completion import file_choices
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.visual import VisualType

    from holychat.tui.widgets.completion_list import CompletionList

_LONGEST_PATH = 4096
_LONGEST_LOOK = 1.0
"""Seconds that a Tab waits for what a path may become; a folder far away may take longer."""


class Submitted(Message):
    """Enter was pressed in a field."""


class Changed(Message):
    """A field holds something else."""


class Choice(Widget, can_focus=True):
    """One of a few values: left, right and space change it, a letter jumps to the value that begins with it.

    Args:
        options: Values and what they are called.
    """

    COMPONENT_CLASSES = {"choice--value", "choice--arrow"}  # noqa: RUF012
    BINDINGS: ClassVar = [
        Binding("left", "step(-1)", show=False),
        Binding("right,space", "step(1)", show=False),
    ]

    options: reactive[tuple[tuple[str, str], ...]] = reactive(())
    value: reactive[str] = reactive("")

    def __init__(self, options: Sequence[tuple[str, str]], value: str, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.set_reactive(Choice.options, tuple(options))
        self.set_reactive(Choice.value, value)

    def render(self) -> VisualType:
        """The value; while it can be changed, which of how many it is, between arrows."""
        label = clean_line(dict(self.options).get(self.value, self.value), 60)
        names = [value for value, _ in self.options]
        place = f"‹ {names.index(self.value) + 1}/{len(names)} ›" if self.value in names else "‹ ›"
        return _value_and_key(self, label, place)

    def watch_value(self) -> None:
        """Tell."""
        self.post_message(Changed())

    def action_step(self, delta: int) -> None:
        """The next value, round and round."""
        names = [value for value, _ in self.options]
        if names:
            at = names.index(self.value) if self.value in names else -1
            self.value = names[(at + delta) % len(names)]

    def on_key(self, event: events.Key) -> None:
        """Jump to the next value with this first letter."""
        letter = (event.character or "").casefold()
        if not event.is_printable or not letter.strip():
            return
        names = [value for value, _ in self.options]
        at = names.index(self.value) if self.value in names else -1
        for name, label in (*self.options[at + 1 :], *self.options[: at + 1]):
            if label.casefold().lstrip("“").startswith(letter):
                event.stop()
                self.value = name
                return

    def on_click(self) -> None:
        """The next value."""
        self.action_step(1)


class Opener(Widget, can_focus=True):
    """A value that another screen is opened to change: Enter or space."""

    COMPONENT_CLASSES = {"choice--value", "choice--arrow"}  # noqa: RUF012
    BINDINGS: ClassVar = [
        Binding("space,right", "open", show=False),
    ]

    text: reactive[str] = reactive("")

    class Opened(Message):
        """The other screen, or whatever it stands for, is wanted."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def render(self) -> VisualType:
        """The value, and that there is more to choose from."""
        return _value_and_key(self, clean_line(self.text, 80), "Space …")

    def action_open(self) -> None:
        """Choose."""
        self.post_message(self.Opened(self.id or ""))

    def on_click(self) -> None:
        """Choose."""
        self.action_open()


def _value_and_key(field: Choice | Opener, value: str, key: str) -> Text:
    """A value and, with the focus, at the end of the line what changes it."""
    style, arrow = (field.get_component_rich_style(f"choice--{part}") for part in ("value", "arrow"))
    room = max(field.size.width - 1, 4)
    line = Text(f" {value}", style, no_wrap=True)
    if not field.has_focus:
        line.truncate(room, overflow="ellipsis")
        return line
    line.truncate(max(room - len(key) - 1, 2), overflow="ellipsis", pad=True)
    line.append(f" {key}", arrow)
    return line


class LineField(Input, inherit_bindings=False):
    """One line of text; Enter goes on with the form."""

    BINDINGS: ClassVar = [
        binding for binding in Input.BINDINGS if getattr(binding, "key", "") not in ("enter", "up", "down")
    ]

    async def _on_key(self, event: events.Key) -> None:
        if event.key == "enter":
            event.stop()
            event.prevent_default()
            self.post_message(Submitted())
            return
        await super()._on_key(event)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tell."""
        event.stop()
        self.post_message(Changed())


class PathField(LineField):
    """A path: what it may become is offered below it while it is typed.

    Args:
        popup: Where the choices are shown.
    """

    def __init__(self, popup: CompletionList, value: str = "", *, placeholder: str, id: str) -> None:  # noqa: A002
        super().__init__(value, placeholder=placeholder, id=id, select_on_focus=False)
        self._popup = popup
        self._moved = False
        self._quiet = False
        self._offered = value
        """What the choices are for."""

    async def _on_key(self, event: events.Key) -> None:
        key = event.key
        if key in ("tab", "enter") and self._offered != self.value:
            await self._catch_up(key)
        if key == "tab" and not self.value.strip():
            self._look()
        elif key == "tab" and self.value.endswith("/") and not self._moved:
            self._close()  # a whole folder: on to the next field, not into its first file
            self.screen.focus_next()
        elif self._popup.choices and key in ("up", "down"):
            self._popup.move(1 if key == "down" else -1)
            self._moved = True
        elif self._popup.choices and (key == "tab" or (key == "enter" and self._moved)):
            self._take()
        elif self._popup.choices and key == "escape":
            self._close()
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Offer what it may become now; what was put in from elsewhere is whole already."""
        super().on_input_changed(event)
        if self.has_focus and not self._quiet:
            self._look()
        self._quiet = False

    def set_path(self, value: str) -> None:
        """Put a whole path in."""
        self._quiet = value != self.value
        self.value = value
        self.cursor_position = len(value) if not value.startswith("{") else 0
        self._close()

    def on_blur(self) -> None:
        """The choices go."""
        self._close()

    def _look(self) -> None:
        if len(self.value) <= _LONGEST_PATH:
            start_work(self, "paths", self._offer, self.value)

    async def _catch_up(self, key: str) -> None:
        """Tab takes of what belongs to the text as it is now, however fast it was typed; Enter of no older list."""
        self._moved = False
        self._popup.choices = ()
        if key == "tab" and self.value.strip() and len(self.value) <= _LONGEST_PATH:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._offer(self.value), _LONGEST_LOOK)

    async def _offer(self, text: str) -> None:
        choices = await asyncio.to_thread(file_choices, text)
        if self.has_focus and text == self.value:
            self._moved = False
            self._offered = text
            self._popup.choices = choices

    def _take(self) -> None:
        if (choice := self._popup.choice) is None:
            return
        self._moved = False
        self.value = choice.text
        self.cursor_position = len(choice.text)
        if choice.whole:
            self._quiet = True
            self._close()

    def _close(self) -> None:
        self._moved = False
        self._offered = self.value
        self._popup.choices = ()


class PromptField(TextArea):
    """A text of some lines: Enter goes on with the form, Ctrl+J breaks the line."""

    def __init__(self, placeholder: str, *, id: str) -> None:  # noqa: A002
        super().__init__(
            id=id,
            placeholder=placeholder,
            compact=True,
            soft_wrap=True,
            tab_behavior="focus",
            show_line_numbers=False,
            highlight_cursor_line=False,
        )

    async def _on_key(self, event: events.Key) -> None:
        row, last = self.cursor_location[0], self.document.line_count - 1
        if event.key == "enter":
            self.post_message(Submitted())
        elif event.key in ("ctrl+j", "shift+enter", "alt+enter"):
            self.insert("\n")
        elif (event.key == "up" and row == 0) or event.key == "shift+tab":
            self.screen.focus_previous()
        elif (event.key == "down" and row == last) or event.key == "tab":
            self.screen.focus_next()
        else:
            await super()._on_key(event)
            return
        event.stop()
        event.prevent_default()
