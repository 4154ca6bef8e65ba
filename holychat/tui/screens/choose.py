"""One of a few ways, each with a line of detail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from holychat.text import clean_line
from holychat.tui.framework import SteadyList
from holychat.tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


@dataclass(frozen=True, slots=True)
class Way:
    """One line to choose."""

    label: str
    detail: str = ""
    warning: bool = False
    """Whether the detail is something to think about first."""


class ChooseScreen(Dialog[int]):
    """Answers with the place of the way that was chosen.

    Args:
        title: What is to be done.
        ways: How; the first one is marked.
        hint: What there is to know of all of them.
    """

    AUTO_FOCUS: ClassVar[str] = "OptionList"

    def __init__(self, title: str, ways: Sequence[Way], hint: str = "") -> None:
        super().__init__()
        self._title = title
        self._ways = ways
        self._hint = hint

    def compose(self) -> ComposeResult:
        """Title, ways, what the keys do."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._title), classes="dialog-title")
            yield SteadyList(*[Option(self._line(way)) for way in self._ways], markup=False)
            yield Static(Content(f"{self._hint}Enter to choose · Esc to leave it"), classes="dialog-hint")

    def _line(self, way: Way) -> Text:
        line = Text(clean_line(way.label, 120), no_wrap=True, overflow="ellipsis")
        if way.detail:
            line.append(
                f"\n  {clean_line(way.detail, 200)}", self.app.theme_variables["warning"] if way.warning else "dim"
            )
        return line

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Chosen."""
        event.stop()
        self.dismiss(event.option_index)
