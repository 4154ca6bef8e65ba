"""What waits to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from holychat.text import clean_line

if TYPE_CHECKING:
    from textual.visual import VisualType


class QueueLine(Widget):
    """One line over the composer: what goes out next, and when.

    Args:
        label: What it is, in a word.
    """

    COMPONENT_CLASSES = {"queue--text", "queue--hint"}  # noqa: RUF012

    text: reactive[str] = reactive("")
    hint: reactive[str] = reactive("")

    def __init__(self, label: str, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._label = label

    def watch_text(self, text: str) -> None:
        """Only there while something waits."""
        self.display = bool(text)

    def render(self) -> VisualType:
        """The text, cut, then the hint."""
        hint = Text(f"  {self.hint}", self.get_component_rich_style("queue--hint"))
        text = Text(
            f"{self._label}: {clean_line(self.text, 300)}", self.get_component_rich_style("queue--text"), no_wrap=True
        )
        text.truncate(max(32, self.size.width - hint.cell_len), overflow="ellipsis")
        line = Text.assemble(text, hint, no_wrap=True)
        line.truncate(self.size.width, overflow="ellipsis")
        return line
