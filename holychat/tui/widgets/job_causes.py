"""What went wrong in a job, grouped by cause."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.message import Message
from textual.widgets.option_list import Option

from holychat.text import clean_line
from holychat.tui.framework import SteadyList
from holychat.tui.job_words import ITEM_WORDS, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.widgets import OptionList

    from holychat.domain.job_views import Cause

_COLOURS = {"bad": "error", "doubt": "warning"}


class CauseList(SteadyList):
    """Causes with the number of their documents, the most frequent first."""

    class Marked(Message):
        """Another cause is marked."""

        def __init__(self, cause: Cause | None) -> None:
            super().__init__()
            self.cause = cause

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id, markup=False)
        self._causes: Sequence[Cause] = ()

    @property
    def cause(self) -> Cause | None:
        """The marked one."""
        marked = self.highlighted
        return self._causes[marked] if marked is not None and marked < len(self._causes) else None

    def show(self, causes: Sequence[Cause]) -> None:
        """Show these; the mark stays where it is."""
        if list(causes) == list(self._causes) and causes:
            return
        marked = self.highlighted or 0
        self._causes = causes
        self.clear_options()
        self.add_options([Option(self._line(cause)) for cause in causes])
        if not causes:
            self.add_options([Option(Text("Nothing went wrong.", "dim"), disabled=True)])
        self.highlighted = min(marked, len(causes) - 1) if causes else None
        self.post_message(self.Marked(self.cause))

    def _line(self, cause: Cause) -> Text:
        sign, words, style = ITEM_WORDS[cause.state]
        colour = self.app.theme_variables[_COLOURS[style]]
        line = Text.assemble((f"{sign} {number(cause.count)} {words}", colour), overflow="fold")
        line.append(f"\n{clean_line(cause.title, 200)}")
        if cause.hint:
            line.append(f"\n{clean_line(cause.hint, 200)}", "dim")
        return line

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        """Tell."""
        event.stop()
        self.post_message(self.Marked(self.cause))
