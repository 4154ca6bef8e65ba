"""The last net before the terminal: what is painted holds no control characters, and under NO_COLOR no colour.

`text.clean()` works at the edge into the domain, where a visible replacement still has a width. Markdown entities
(`&#x202E;`) and titles of borders appear later than that, so every painted segment is looked at once more. Characters
are deleted, never sequences: a sequence can be split over two segments.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.filter import LineFilter

from holychat.text import delete_unsafe

if TYPE_CHECKING:
    from rich.style import Style
    from textual.color import Color


class UntrustedTextFilter(LineFilter):
    """Deletes C0, DEL, C1, bidi controls, tag characters and lone surrogates from every painted segment."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """The segments, changed only where one holds such a character; tabs and line feeds become spaces."""
        # Every unsafe character is unprintable for Python, and this test runs in C without making a copy.
        if all(segment[0].isprintable() for segment in segments):
            return segments
        return [_cleaned(segment) for segment in segments]


def _cleaned(segment: Segment) -> Segment:
    text, style, control = segment
    if text.isprintable():
        return segment
    return Segment(delete_unsafe(text).replace("\t", " ").replace("\n", " "), style, control)


class NoColourFilter(LineFilter):
    """Takes every colour out and leaves bold, underline and reverse (https://no-color.org).

    Textual's own filter for this leaves shades of grey, which are colour codes all the same.
    """

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        """The segments in the terminal's own two colours."""
        return [
            Segment(text, None if style is None else _colourless(style), control) for text, style, control in segments
        ]


@lru_cache(1024)
def _colourless(style: Style) -> Style:
    return style.without_color
