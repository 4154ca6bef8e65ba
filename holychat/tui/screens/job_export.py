"""Write the results of a job to a file or a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from holychat.errors import HolychatError
from holychat.text import clean, safe_file_name
from holychat.tui.files import absolute, current_folder, path_from
from holychat.tui.framework import SteadyList
from holychat.tui.job_words import number
from holychat.tui.screens.dialog import Dialog
from holychat.tui.widgets.completion_list import CompletionList
from holychat.tui.widgets.job_fields import PathField, Submitted
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from textual import events
    from textual.app import ComposeResult

FORMATS: tuple[tuple[str, str, str, str], ...] = (
    ("jsonl", ".jsonl", "JSON lines", "everything, one line per document"),
    ("csv", ".csv", "CSV", "a row per document"),
    ("markdown", ".md", "Markdown", "one file to read"),
    ("files", "", "A folder", "one file per document"),
)
"""Name for the service, ending, what people call it, what it is for."""


class JobExportScreen(Dialog[str]):
    """Asks for format and place, and answers with one line that says what was written.

    Args:
        name: Name of the job.
        write: Writes the results: format, path, whether an old file may be replaced; returns how many there were.
    """

    AUTO_FOCUS: ClassVar[str] = "#export-path"

    def __init__(self, name: str, write: Callable[[str, Path, bool], Awaitable[int]]) -> None:
        super().__init__()
        self._job_name = safe_file_name(name, "results")
        self._write = write
        self._format = 0
        self._refused: Path | None = None

    def compose(self) -> ComposeResult:
        """Formats, path, what it may become, where that is."""
        popup = CompletionList()
        with Vertical(classes="dialog", id="job-export"):
            yield Static(Content("Export results"), classes="dialog-title")
            yield SteadyList(*[Option(_line(place)) for place in range(len(FORMATS))], markup=False)
            yield PathField(popup, f"{self._job_name}{FORMATS[0][1]}", placeholder="path", id="export-path")
            yield popup
            yield Static(Content(""), classes="dialog-hint", id="export-hint")

    def on_mount(self) -> None:
        """Up and down choose the format while the path keeps the focus."""
        options = self.query_one(OptionList)
        options.can_focus = False
        options.highlighted = 0
        field = self.query_one(PathField)
        field.cursor_position = len(field.value)
        self._say("")

    def _say(self, text: str) -> None:
        folder = clean(current_folder()) or "it was deleted, so give the whole path"
        usual = f"↑ ↓ choose the format, Enter writes it, Esc leaves it. Folder: {folder}"
        self.query_one("#export-hint", Static).update(Content(clean(text) or usual))

    def on_key(self, event: events.Key) -> None:
        """Choose the format; the ending of the path goes with it."""
        if event.key in ("up", "down"):
            event.stop()
            self._choose((self._format + (1 if event.key == "down" else -1)) % len(FORMATS))

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """A click chooses, too."""
        event.stop()
        self._choose(event.option_index)

    def _choose(self, place: int) -> None:
        field = self.query_one(PathField)
        old, new = FORMATS[self._format][1], FORMATS[place][1]
        value = field.value.rstrip("/")
        if old and value.lower().endswith(old):
            value = value[: -len(old)]
        self._format = place
        self._refused = None
        field.set_path(value + new)
        self.query_one(OptionList).highlighted = place
        self._say("")

    def on_submitted(self, event: Submitted) -> None:
        """Write, or say why not; Enter once more replaces what is there."""
        event.stop()
        start_work(self, "write", self._write_now)

    async def _write_now(self) -> None:
        value = self.query_one(PathField).value
        if not value.strip():
            return
        path = path_from(value)
        self._say("Writing…")
        try:
            count = await self._write(FORMATS[self._format][0], path, self._refused == path)
        except HolychatError as error:
            self._refused = path
            self._say(str(error))
            return
        self.dismiss(f"{number(count)} result{'s' * (count != 1)} written to {absolute(path)}")


def _line(place: int) -> Text:
    _, ending, name, use = FORMATS[place]
    line = Text(f"{name:<12}", no_wrap=True, overflow="ellipsis")
    line.append(f"{ending:<7}{use}", "dim")
    return line
