"""Tables: columns as wide as they need, narrowed fairly when they do not fit, cells wrapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment

from holychat.tui.markdown import look as flag
from holychat.tui.markdown.inline import runs_of
from holychat.tui.markdown.lines import Line, longest_word, wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from holychat.tui.markdown.lines import Run
    from holychat.tui.markdown.look import Look

_GAP = " │ "
_NARROWEST = 4
_HUGE = 10_000


def layout_table(tokens: Sequence[Token], width: int, look: Look) -> list[Line]:
    """A table with a bold header, a rule below it, and one line or more for each row."""
    rows, alignments = _cells(tokens, look)
    if not rows:
        return []
    columns = max(map(len, rows))
    cells = [[row[column] for row in rows if column < len(row)] for column in range(columns)]
    wanted = [max(line.cells for cell in column for line in wrap(cell, _HUGE)) for column in cells]
    available = width - len(_GAP) * (columns - 1)
    words = [max(map(longest_word, column)) for column in cells] if sum(wanted) > available else ()
    widths = fit_columns(wanted, available, words)
    gap = Segment(_GAP, look.style("muted"))
    lines: list[Line] = []
    for index, row in enumerate(rows):
        lines += _row_lines(row, widths, alignments, gap, look)
        if index == 0:
            rule = "─┼─".join("─" * cells for cells in widths)
            lines.append(Line([Segment(rule, look.style("muted"))], len(rule)))
    return lines


def fit_columns(wanted: Sequence[int], available: int, words: Sequence[int] = ()) -> list[int]:
    """Widths for columns that want `wanted` cells: narrow columns keep theirs, wide ones share what is left.

    Words are kept whole where there is room, those that take more than half of it apart.

    Args:
        wanted: Cells that each column would take.
        available: Cells there are.
        words: Cells of the longest word of each column; empty: any may be folded.
    """
    widths = [max(cells, 1) for cells in wanted]
    if sum(widths) <= available:
        return widths
    least = [min(cells, width, available // 2) for cells, width in zip(words, widths, strict=bool(words))]
    if sum(least) >= available:
        return _shared([max(cells, 1) for cells in least], [0] * len(least), available)
    return _shared(widths, least or [0] * len(widths), available)


def _shared(wanted: Sequence[int], least: Sequence[int], available: int) -> list[int]:
    """The same width for all columns that want it, as far as there are cells; more for those that need more."""

    def at(level: int) -> list[int]:
        return [max(min(cells, level), floor) for cells, floor in zip(wanted, least, strict=True)]

    low, high = _NARROWEST, max(_NARROWEST, *wanted)
    while low < high:
        level = (low + high + 1) // 2
        low, high = (level, high) if sum(at(level)) <= available else (low, level - 1)
    widths = at(low)
    spare = available - sum(widths)
    for column in reversed(range(len(widths))):  # less than one cell for each that wants one
        if spare > 0 and widths[column] < wanted[column]:
            widths[column] += 1
            spare -= 1
    return widths


def _cells(tokens: Sequence[Token], look: Look) -> tuple[list[list[list[Run]]], list[str]]:
    rows: list[list[list[Run]]] = []
    alignments: list[str] = []
    for index, token in enumerate(tokens):
        if token.type == "tr_open":
            rows.append([])
        elif token.type in ("th_open", "td_open"):
            header = token.type == "th_open"
            rows[-1].append(runs_of(tokens[index + 1].children or (), look, flag.STRONG if header else 0))
            if header:
                alignments.append(str(token.attrGet("style") or ""))
    return rows, alignments


def _row_lines(
    row: Sequence[Sequence[Run]], widths: Sequence[int], alignments: Sequence[str], gap: Segment, look: Look
) -> list[Line]:
    space = look.inline(0)
    wrapped = [wrap(row[column] if column < len(row) else (), cells) for column, cells in enumerate(widths)]
    lines: list[Line] = []
    for height in range(max(map(len, wrapped))):
        segments: list[Segment] = []
        for column, cells in enumerate(widths):
            if column:
                segments.append(gap)
            line = wrapped[column][height] if height < len(wrapped[column]) else Line([], 0)
            spare = max(cells - line.cells, 0)
            alignment = alignments[column] if column < len(alignments) else ""
            before = spare if "right" in alignment else spare // 2 if "center" in alignment else 0
            segments.append(Segment(" " * before, space))
            segments += line.segments
            segments.append(Segment(" " * (spare - before), space))
        segments = [segment for segment in segments if segment.text]
        lines.append(Line(segments, sum(widths) + len(_GAP) * (len(widths) - 1)))
    return lines
