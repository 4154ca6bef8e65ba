"""Lines of styled text and how runs of text are broken into them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from rich.cells import cell_len
from rich.segment import Segment

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.style import Style

Run: TypeAlias = tuple[str, "Style"]
"""Text of one style."""


class Line:
    """One line, laid out: its segments, its width in cells, and how the text goes on.

    `joint` is None where the line ends for good, else what stood at the break: " " or nothing. Copying puts it back.
    `cache` belongs to the painter: whatever it wants to keep of the last time it painted this line.
    """

    __slots__ = ("cache", "cells", "joint", "segments")

    def __init__(self, segments: list[Segment], cells: int, joint: str | None = None) -> None:
        self.segments = segments
        self.cells = cells
        self.joint = joint
        self.cache: tuple[object, Any] | None = None

    @property
    def text(self) -> str:
        """The line as plain text."""
        return "".join(segment.text for segment in self.segments)

    def __repr__(self) -> str:
        return f"Line({self.text!r}{'' if self.joint is None else ' …'})"


# Characters that take one cell each, by blocks; everything else goes the slow, exact way.
_SIMPLE = re.compile(
    "[\\x20-\\x7e\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u0530\u1e00-\u1fff\u2010-\u2027\u2030-\u205e"
    "\u20a0-\u20bf\u2190-\u21ff\u2200-\u22ff\u2500-\u257f]*\\Z"
)
_WIDE = (
    "\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3"
    "\uf900-\ufaff\ufe30-\ufe4f\uff00-\uff60\uffe0-\uffe6\U00020000-\U0003fffd"
)
# A line must not begin with these, so they stay with the character before them.
_NOT_FIRST = "、。，．：；？！）」』】〕》〉”’％〜ー々…,.:;?!)\\]}"
_PIECES = re.compile(f"[{_WIDE}](?:[{_NOT_FIRST}])*[ ]*|(?:(?![{_WIDE}])[^ ])+[ ]*|[ ]+")


def is_simple(text: str) -> bool:
    """Whether every character of `text` takes exactly one cell, so that len() is its width."""
    return (text.isascii() and text.isprintable()) or _SIMPLE.match(text) is not None


def width_of(text: str) -> int:
    """Width of a text in cells."""
    return len(text) if is_simple(text) else cell_len(text)


def wrap(runs: Iterable[Run], width: int) -> list[Line]:
    """Break runs into lines of at most `width` cells; a line feed inside a run ends a line for good.

    Breaks at spaces and between wide (Chinese, Japanese, Korean) characters; a word wider than a line is folded.
    Always returns at least one line.
    """
    kept = [(text, style) for text, style in runs if text]
    plain = "".join(text for text, _ in kept)
    width = max(width, 1)
    if len(plain) <= width and "\n" not in plain and is_simple(plain):
        return [Line([Segment(text, style) for text, style in kept], len(plain))]
    simple = is_simple(plain.replace("\n", " "))
    ranges: list[tuple[int, int, bool]] = []
    start = 0
    for hard_line in plain.split("\n"):
        if simple:
            _break_simple(hard_line, start, width, ranges)
        else:
            _break_exact(hard_line, start, width, ranges)
        start += len(hard_line) + 1
    return _slice(kept, plain, ranges, simple)


def longest_word(runs: Iterable[Run]) -> int:
    """Cells of the widest piece at which `wrap` would not break."""
    hard_lines = "".join(text for text, _ in runs).split("\n")
    return max(width_of(piece.rstrip(" ")) for line in hard_lines for piece in _PIECES.findall(line) or ("",))


def _break_simple(text: str, base: int, width: int, ranges: list[tuple[int, int, bool]]) -> None:
    position, end = 0, len(text)
    while end - position > width:
        cut = text.rfind(" ", position + 1, position + width + 1)
        if cut < 0:
            ranges.append((base + position, base + position + width, True))
            position += width
            continue
        line_end = cut
        while line_end > position and text[line_end - 1] == " ":
            line_end -= 1
        ranges.append((base + position, base + line_end, True))
        position = cut + 1
        while position < end and text[position] == " ":
            position += 1
    ranges.append((base + position, base + end, False))


def _break_exact(text: str, base: int, width: int, ranges: list[tuple[int, int, bool]]) -> None:
    line_start = position = line_cells = 0
    for match in _PIECES.finditer(text):
        piece = match.group()
        word = piece.rstrip(" ")
        cells = cell_len(word)
        if line_cells and line_cells + cells > width:
            ranges.append((base + line_start, base + line_start + len(text[line_start:position].rstrip(" ")), True))
            line_start, line_cells = position, 0
        if cells > width:
            for cut in _folds(word, width):
                ranges.append((base + line_start, base + position + cut, True))
                line_start = position + cut
            cells = cell_len(text[line_start : position + len(word)])
            line_cells = 0
        line_cells += cells + len(piece) - len(word)
        position += len(piece)
    # Spaces that hang over the end of the last line are not seen there either.
    end = len(text) if line_cells <= width else len(text.rstrip(" "))
    ranges.append((base + line_start, base + max(end, line_start), False))


def _folds(word: str, width: int) -> list[int]:
    """Offsets at which a word wider than a line is cut."""
    cuts: list[int] = []
    used = 0
    for index, character in enumerate(word):
        cells = cell_len(character)
        if used + cells > width and used:
            cuts.append(index)
            used = 0
        used += cells
    return cuts


def _slice(runs: Sequence[Run], plain: str, ranges: list[tuple[int, int, bool]], simple: bool) -> list[Line]:
    lines: list[Line] = []
    index, run_start = 0, 0
    for start, end, soft in ranges:
        segments: list[Segment] = []
        while index < len(runs) and run_start + len(runs[index][0]) <= start:
            run_start += len(runs[index][0])
            index += 1
        scan, scan_start = index, run_start
        while scan < len(runs) and scan_start < end:
            text, style = runs[scan]
            segments.append(Segment(text[max(start - scan_start, 0) : end - scan_start], style))
            scan_start += len(text)
            scan += 1
        cells = end - start if simple else cell_len(plain[start:end])
        joint = (" " if plain[end : end + 1] == " " else "") if soft else None
        lines.append(Line(segments, cells, joint))
    return lines


def pad(line: Line, width: int, style: Style) -> Line:
    """The line filled up to `width` cells."""
    if line.cells >= width:
        return line
    return Line([*line.segments, Segment(" " * (width - line.cells), style)], width, line.joint)


def prefix(lines: list[Line], first: Segment, rest: Segment) -> list[Line]:
    """Lines with something in front: `first` on the first one, `rest` on the others (both of equal width)."""
    cells = width_of(first.text)
    return [
        Line([first if index == 0 else rest, *line.segments], line.cells + cells, line.joint)
        for index, line in enumerate(lines)
    ]
