"""A run of messages of a chat: loaded, or so far only counted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holychat.tui.widgets.transcript_entry import Entry

PAGE = 50
"""Messages of a page."""
GUESSED_LINES = 8
"""Lines of a message of which nothing is known."""


class Page:
    """A run of messages: loaded, or so far only counted."""

    def __init__(self, first: int, count: int) -> None:
        self.first = first
        self.count = count
        self.entries: list[Entry] = []
        self.loaded = False

    def height(self, width: int) -> int:
        """Lines of the page."""
        if not self.loaded:
            return self.count * GUESSED_LINES
        return sum(entry.height(width) for entry in self.entries)
