"""Places in a document that stay the same text while guessed heights above them become exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from holychat.tui.widgets.transcript_page import GUESSED_LINES

if TYPE_CHECKING:
    from holychat.tui.widgets.transcript_document import Document
    from holychat.tui.widgets.transcript_entry import Entry
    from holychat.tui.widgets.transcript_page import Page
    from holychat.tui.widgets.transcript_sections import Section


class Place(NamedTuple):
    """A line, found by what it belongs to and not by its number."""

    page: Page
    entry: Entry | None
    section: Section | None
    row: int
    """Line within the section (or entry, or page), counted from its end where its height is a guess."""
    guessed: bool


def place_of(document: Document, y: int) -> Place | None:
    """The place of a line; None below the last one."""
    page, top = document.page_at(y)
    if page is None:
        return None
    if not page.loaded:
        return Place(page, None, None, y - top, False)
    for entry in page.entries:
        height = entry.height(document.width)
        if y < top + height:
            section, section_top, section_height = entry.section_at(y - top, document.width)
            if section is None:
                return Place(page, entry, None, top + height - y, True)
            guessed = not section.is_measured(document.width, document.look)
            row = y - top - section_top
            return Place(page, entry, section, section_height - row if guessed else row, guessed)
        top += height
    return None


def line_of(document: Document, place: Place | None, fallback: int) -> int:
    """The number that the line at a place has now; `fallback` where there is no place."""
    if place is None:
        return fallback
    top = next((top for page, top, _ in document.pages_with_tops() if page is place.page), 0)
    if place.entry is None:
        if not place.page.loaded:
            return top + place.row
        index = min(place.row // GUESSED_LINES, place.page.count - 1)
        return top + sum(entry.height(document.width) for entry in place.page.entries[:index])
    for entry in place.page.entries:
        if entry is place.entry:
            break
        top += entry.height(document.width)
    if place.section is None:
        return max(top + place.entry.height(document.width) - place.row, top)
    section_top = place.entry.top_of(place.section, document.width)
    if not place.guessed:
        return top + section_top + place.row
    _, _, height = place.entry.section_at(section_top, document.width)
    return top + section_top + max(height - place.row, 0)
