"""Painting of a transcript's lines, and reading selected text back from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.selection import Selection

    from holychat.tui.markdown.lines import Line
    from holychat.tui.markdown.look import Look
    from holychat.tui.widgets.transcript_document import Document

GUTTER = 2
"""Columns before the text: a bar and a space."""
EDGE = 2
"""Columns behind the text: a space and the scroll bar."""


_MOST_EMPTY = 400


class Frame(NamedTuple):
    """What surrounds the text of a line; equal frames are painted alike."""

    y: int
    """Number of the line in the document, which a selection refers to."""
    width: int
    bar: str
    colour: str
    raised: bool
    """Whether the line is on the background of a person's own text."""
    thumb: bool
    """Whether the thumb of the scroll bar is beside it."""
    span: tuple[int, int] | None
    """Selected characters; an end of -1 means all."""


class PaintedLines:
    """Lines as they were painted last: a line is painted again only in another frame.

    Args:
        paint: Paints a line, or an empty one, in a frame.
    """

    def __init__(self, paint: Callable[[Line | None, Frame], Strip]) -> None:
        self._paint = paint
        self._empty: dict[Frame, Strip] = {}

    def strip(self, line: Line | None, frame: Frame) -> Strip:
        """The painted line."""
        if line is not None:
            if line.cache is None or line.cache[0] != frame:
                line.cache = (frame, self._paint(line, frame))
            painted: Strip = line.cache[1]
            return painted
        if frame not in self._empty:
            if len(self._empty) > _MOST_EMPTY:
                self._empty.clear()
            self._empty[frame] = self._paint(None, frame)
        return self._empty[frame]

    def clear(self) -> None:
        """Forget the empty lines; the others go with their text."""
        self._empty.clear()


def thumb_rows(top: int, rows: int, height: int) -> range:
    """Rows of the viewport beside which the thumb of the scroll bar stands; none where everything is visible."""
    if height <= rows:
        return range(0)
    size = max(rows * rows // height, 1)
    first = round((rows - size) * top / (height - rows))
    return range(first, first + size)


def paint_frame(line: Line | None, frame: Frame, look: Look, selection: Style) -> Strip:
    """A line of the widget, ready but for the filters."""
    width = frame.width - 1
    strip = paint(line, width, look, bar=frame.bar, colour=frame.colour, raised=frame.raised)
    if frame.span is not None:
        strip = paint_selection(strip, frame.span, selection)
    # The scroll bar comes behind the offsets, so that no selection begins on it.
    bar = Segment("▐" if frame.thumb else " ", look.style("muted"))
    return Strip([*strip.apply_offsets(0, frame.y), bar], frame.width)


def paint(line: Line | None, width: int, look: Look, *, bar: str, colour: str, raised: bool) -> Strip:
    """The bar in its colour, the text, and fill up to `width` cells."""
    background = "user" if raised else "background"
    segments = [Segment(f"{bar:<{GUTTER}}", look.style(colour, background))]
    cells = GUTTER
    if line is not None:
        segments += line.segments
        cells += line.cells
    if cells < width:
        segments.append(Segment(" " * (width - cells), look.style("foreground", background)))
    strip = Strip(segments, max(cells, width))
    return strip.crop(0, width) if cells > width else strip


def paint_selection(strip: Strip, span: tuple[int, int], style: Style) -> Strip:
    """The strip with the cells of `span` (an end of -1 means all) in the colours of a selection."""
    cells = strip.cell_length
    start = min(max(span[0], GUTTER), cells)
    end = cells if span[1] == -1 else min(max(span[1], start), cells)
    over = Style(color=style.color, bgcolor=style.bgcolor)
    inside = [Segment(segment.text, (segment.style or over) + over) for segment in strip.crop(start, end)]
    return Strip.join([strip.crop(0, start), Strip(inside), strip.crop(end, cells)])


def selected_text(document: Document, selection: Selection) -> str:
    """The text of a selection: without gutter and fill, wrapped lines joined as they were written."""
    height = document.height
    first_y, first_x = (0, 0) if selection.start is None else selection.start.transpose
    last_y, last_x = (height - 1, -1) if selection.end is None else selection.end.transpose
    pieces: list[str] = []
    for y in range(first_y, min(last_y, height - 1) + 1):
        line = document.line(y)[1]
        text = "" if line is None else line.text
        begin = max(first_x - GUTTER, 0) if y == first_y else 0
        end = max(last_x - GUTTER, 0) if y == last_y and last_x >= 0 else len(text)
        pieces.append(text[begin:end].rstrip())
        if y != last_y:
            pieces.append("\n" if line is None or line.joint is None else line.joint)
    return "".join(pieces).rstrip("\n")
