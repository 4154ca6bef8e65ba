"""All messages of a chat as one long row of lines, of which only what is looked at is laid out.

The conversation is cut into pages of a fixed number of messages. A page that was not loaded yet has a guessed height;
a message, and a block of it, too, until it comes near the viewport. `settle` makes the part around the viewport exact
and tells where the viewport has to go so that what is in it stays in its place.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from holychat.tui.widgets.transcript_entry import Entry
from holychat.tui.widgets.transcript_page import GUESSED_LINES, PAGE, Page
from holychat.tui.widgets.transcript_place import line_of, place_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holychat.domain.chat import Message
    from holychat.tui.markdown.lines import Line
    from holychat.tui.markdown.look import Look
    from holychat.tui.widgets.transcript_sections import Section

_ROUNDS = 8
"""How often guesses are corrected in one go; each round can only bring new sections into view."""


class Document:
    """The lines of a chat."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.width = 80
        self._pages: list[Page] = []
        self._total = 0
        self._heights: list[int] | None = None
        self._view: list[tuple[Entry, int]] = []

    # --- messages -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return self._total

    def reset(self, total: int = 0) -> None:
        """Forget everything; `total` messages are there, none loaded."""
        self._total = total
        self._view = []
        self._pages = [Page(first, min(PAGE, total - first)) for first in range(0, total, PAGE)]
        self._heights = None

    def load(self, first: int, messages: Sequence[Message]) -> None:
        """Take messages from position `first` on; pages that are filled by them become loaded."""
        for page in self._pages:
            start = page.first - first
            if page.loaded or start < 0 or start + page.count > len(messages):
                continue
            page.entries = [Entry(message) for message in messages[start : start + page.count]]
            page.loaded = True
        self._heights = None

    def add(self, message: Message) -> Entry:
        """A message at the end."""
        entry = Entry(message)
        if not self._pages or not self._pages[-1].loaded or self._pages[-1].count >= PAGE:
            self._pages.append(Page(self._total, 0))
            self._pages[-1].loaded = True
        page = self._pages[-1]
        page.entries.append(entry)
        page.count += 1
        self._total += 1
        self._heights = None
        return entry

    def remove_from(self, position: int) -> None:
        """Forget the messages from a position on."""
        self._pages = [page for page in self._pages if page.first < position]
        if self._pages:
            page = self._pages[-1]
            page.count = min(page.count, position - page.first)
            del page.entries[page.count :]
        self._total = min(self._total, position)
        self._heights = None

    def entry(self, position: int) -> Entry | None:
        """The message at a position; None where it is not loaded or not there."""
        index = bisect_right(self._pages, position, key=lambda page: page.first) - 1
        if index < 0:
            return None
        page = self._pages[index]
        within = position - page.first
        return page.entries[within] if page.loaded and within < page.count else None

    @property
    def last(self) -> Entry | None:
        """The message at the end, where it is loaded."""
        return self._pages[-1].entries[-1] if self._pages and self._pages[-1].entries else None

    def load_in_place(self, first: int, messages: Sequence[Message], top: int) -> int:
        """Take messages; returns the top at which what is seen at `top` is seen afterwards."""
        place = place_of(self, top)
        self.load(first, messages)
        return line_of(self, place, top)

    @property
    def top_of_last(self) -> int:
        """First line of the message at the end."""
        last = self.last
        return self.height if last is None else self.height - last.height(self.width)

    # --- lines ----------------------------------------------------------------------------------------------------

    def changed(self) -> None:
        """Some entry has changed its height."""
        self._heights = None

    def grown(self) -> None:
        """The last entry has changed its height; nothing else has."""
        if self._heights is not None and self._pages:
            self._heights[-1] = self._pages[-1].height(self.width)

    @property
    def height(self) -> int:
        """Lines of everything."""
        return sum(self._page_heights())

    def _page_heights(self) -> list[int]:
        if self._heights is None:
            self._heights = [page.height(self.width) for page in self._pages]
        return self._heights

    def pages_with_tops(self) -> Iterator[tuple[Page, int, int]]:
        """Every page with its first line and the line after its last one."""
        top = 0
        for page, height in zip(self._pages, list(self._page_heights()), strict=True):
            yield page, top, top + height
            top += height

    def page_at(self, y: int) -> tuple[Page | None, int]:
        for page, top, bottom in self.pages_with_tops():
            if y < bottom:
                return page, top
        return None, self.height

    def _entries(self, top: int, bottom: int) -> Iterator[tuple[Entry, int]]:
        """Loaded messages that lie between two lines, with the line they begin at."""
        for page, page_top, page_bottom in self.pages_with_tops():
            if page_bottom > top and page_top < bottom and page.loaded:
                entry_top = page_top
                for entry in page.entries:
                    entry_height = entry.height(self.width)
                    if entry_top + entry_height > top and entry_top < bottom:
                        yield entry, entry_top
                    entry_top += entry_height

    def missing(self, top: int, bottom: int) -> tuple[int, int] | None:
        """First position and number of messages of a page between two lines that is not loaded."""
        for page, page_top, page_bottom in self.pages_with_tops():
            if not page.loaded and page_bottom > top and page_top < bottom:
                return page.first, page.count
        return None

    def position_at(self, y: int) -> int:
        """Position of the message at a line."""
        page, top = self.page_at(y)
        if page is None:
            return max(self._total - 1, 0)
        if not page.loaded:
            return page.first + min((y - top) // GUESSED_LINES, page.count - 1)
        for index, entry in enumerate(page.entries):
            top += entry.height(self.width)
            if y < top:
                return page.first + index
        return page.first + page.count - 1

    def top_of(self, position: int) -> int:
        """First line of the message at a position."""
        for page, top, _ in self.pages_with_tops():
            if position < page.first + page.count:
                if not page.loaded:
                    return top + (position - page.first) * GUESSED_LINES
                return top + sum(entry.height(self.width) for entry in page.entries[: position - page.first])
        return self.height

    def view(self, top: int, rows: int) -> None:
        """Remember which messages are in the viewport, so that painting a line does not search the whole chat."""
        self._view = list(self._entries(top, top + rows))

    def line(self, y: int) -> tuple[Entry | None, Line | None, Section | None, int]:
        """The message at a line, the line (None where it is empty), its section, and its number within the message."""
        for entries in (self._view, self._entries(y, y + 1)):
            for entry, top in entries:
                if top <= y < top + entry.height(self.width):
                    line, section = entry.line(y - top, self.width, self.look)
                    return entry, line, section, y - top
        return None, None, None, 0

    # --- guesses made exact ---------------------------------------------------------------------------------------

    def settle(self, top: int, rows: int, margin: int = 0) -> int:
        """Lay out what `rows` lines from `top` on show, and `margin` lines around them.

        Returns the top at which the text that was at `top` is now.
        """
        for _ in range(_ROUNDS):
            place = place_of(self, top)
            if not self._measure(top - margin, top + rows + margin):
                break
            top = line_of(self, place, top)
        return top

    def settle_at(self, position: int, rows: int) -> int:
        """Lay out `rows` lines from a message on. Returns its first line."""
        for _ in range(_ROUNDS):
            top = self.top_of(position)
            if not self._measure(top, top + rows):
                break
        return self.top_of(position)

    def settle_end(self, rows: int) -> int:
        """Lay out the last `rows` lines. Returns the top at which they are shown."""
        for _ in range(_ROUNDS):
            height = self.height
            if not self._measure(height - rows, height):
                break
        return max(self.height - rows, 0)

    def _measure(self, top: int, bottom: int) -> bool:
        changed = False
        for entry, entry_top in list(self._entries(top, bottom)):
            changed = entry.measure(top - entry_top, bottom - entry_top, self.width, self.look) or changed
        if changed:
            self._heights = None
        return changed

    def release_far(self, top: int, bottom: int) -> None:
        """Forget the lines of messages that are far from the viewport."""
        for page, page_top, page_bottom in self.pages_with_tops():
            if page.loaded and (page_bottom < top or page_top > bottom):
                for entry in page.entries:
                    entry.release()
