"""Save something to a file: a message, or a whole chat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from holychat.errors import HolychatError
from holychat.text import clean
from holychat.tui.files import absolute, current_folder, path_from
from holychat.tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from textual.app import ComposeResult


class SaveToFileScreen(Dialog[str]):
    """Asks where to, warns before it replaces a file, and answers with one line that says what was done.

    Args:
        title: What is being saved.
        name: Name to start with, relative to the current folder.
        write: Writes the file; the second argument says whether an old one may be replaced.
        hint: What there is to know about the name.
    """

    def __init__(self, title: str, name: str, write: Callable[[Path, bool], Awaitable[None]], hint: str = "") -> None:
        super().__init__()
        self._title = title
        self._name = name
        self._write = write
        self._hint = hint
        self._refused: Path | None = None

    def compose(self) -> ComposeResult:
        """A title, the name, and where that is."""
        with Vertical(classes="dialog"):
            yield Static(Content(self._title), classes="dialog-title")
            yield Input(self._name, select_on_focus=False)
            folder = clean(current_folder()) or "it was deleted, so give the whole path"
            hint = f"{self._hint}Enter writes the file, Esc leaves it. Folder: {folder}"
            yield Static(Content(hint), classes="dialog-hint", id="save-hint")

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Write, or say why not; Enter once more replaces a file that is there."""
        event.stop()
        if not event.value.strip():
            return
        path = path_from(event.value)
        try:
            await self._write(path, self._refused == path)
        except HolychatError as error:
            self._refused = path
            self.query_one("#save-hint", Static).update(Content(clean(str(error))))
            return
        self.dismiss(f"Saved to {absolute(path)}")
