"""Sections of lines, one below the other: where each begins, and which of them has to be laid out."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Protocol

from holychat.tui.markdown.block import PlainBlock

if TYPE_CHECKING:
    from holychat.tui.markdown.lines import Line
    from holychat.tui.markdown.look import Look


class Section(Protocol):
    """Something that can be laid out to lines, and knows or guesses how many."""

    def height(self, width: int) -> int:
        """Number of lines: exact once laid out at this width, else a guess."""
        ...

    def is_measured(self, width: int, look: Look) -> bool:
        """Whether `height` is exact."""
        ...

    def lines(self, width: int, look: Look) -> list[Line]:
        """The lines."""
        ...

    def release(self) -> None:
        """Forget the lines, not their number."""
        ...


class SectionStack:
    """Sections with their first lines. What is known of the first ones is kept while the last ones grow."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self._muted = range(0)
        self._tops = [0]
        self._known = 0
        """Sections whose first line is right."""
        self._width = 0

    def replace(self, sections: list[Section], muted: range, kept: int) -> None:
        """Take other sections; the first `kept` are as they were. Those in `muted` are painted in muted colours."""
        self.sections, self._muted = sections, muted
        self._known = min(self._known, kept)

    def height(self, width: int) -> int:
        """Lines of all sections."""
        return self._settle(width)[-1]

    def measure(self, top: int, bottom: int, width: int, look: Look) -> None:
        """Lay out what lies between two lines."""
        tops = self._settle(width)
        index = max(bisect_right(tops, max(top, 0)) - 1, 0)
        while index < len(self.sections) and tops[index] < bottom:
            section, own_look = self.sections[index], self._look_of(index, look)
            if not section.is_measured(width, own_look):
                section.lines(width, own_look)
                self._known = min(self._known, index)
                tops = self._settle(width)
            index += 1

    def line(self, y: int, width: int, look: Look) -> tuple[Line | None, Section | None]:
        """The line at `y` and its section; no line for the empty ones between blocks."""
        section, top, _ = self.section_at(y, width)
        if section is None:
            return None, None
        index = bisect_right(self._tops, y) - 1
        lines = section.lines(width, self._look_of(index, look))
        row = y - top - self._lead(index, len(lines))
        return (lines[row], section) if 0 <= row < len(lines) else (None, section)

    def section_at(self, y: int, width: int) -> tuple[Section | None, int, int]:
        """The section at `y`, its first line and its height; (None, the end, 1) below the last one."""
        tops = self._settle(width)
        index = bisect_right(tops, y) - 1
        if not 0 <= index < len(self.sections):
            return None, tops[-1], 1
        return self.sections[index], tops[index], tops[index + 1] - tops[index]

    def top_of(self, wanted: Section, width: int) -> int:
        """The first line of a section."""
        tops = self._settle(width)
        return next((top for top, section in zip(tops, self.sections, strict=False) if section is wanted), 0)

    def first_change(self, width: int) -> int:
        """The first line that may have changed since lines were last looked at."""
        return self._tops[self._known] if self._width == width and self._known < len(self._tops) else 0

    def release(self) -> None:
        """Forget the lines."""
        for section in self.sections:
            section.release()

    def _settle(self, width: int) -> list[int]:
        """The first line of every section and the line after the last, made right from the first change on."""
        tops, count = self._tops, len(self.sections)
        if width != self._width:
            self._width, self._known = width, 0
        if self._known < count or len(tops) != count + 1:
            self._known = min(self._known, count)
            del tops[self._known + 1 :]
            top = tops[-1]
            for index in range(self._known, count):
                height = self.sections[index].height(width)
                top += height + self._lead(index, height)
                tops.append(top)
            self._known = count
        return tops

    def _lead(self, index: int, height: int) -> int:
        """Empty lines before a section: one between blocks, none before the first and inside a person's own text."""
        if index == 0 or height == 0:
            return 0
        section = self.sections[index]
        return 0 if isinstance(section, PlainBlock) and section.joined else 1

    def _look_of(self, index: int, look: Look) -> Look:
        return look.muted() if index in self._muted else look
