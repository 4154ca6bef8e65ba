"""Markdown line by line, from what begins and ends on a page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holychat.jobs.documents.kinds import words

if TYPE_CHECKING:
    from collections.abc import Mapping

_HEADINGS = {f"h{level}": "#" * level + " " for level in range(1, 7)}
_BLOCKS = words("""
    main article section div p header footer aside address figure figcaption form fieldset details summary dl dt dd
    center caption body
    """)
_LISTS = frozenset(("ul", "ol", "menu"))


@dataclass(slots=True)
class _List:
    number: int | None
    """Of the next item; None: bullets."""
    begun: bool = False


@dataclass(slots=True)
class _Table:
    rows: int = 0
    cells: list[str] | None = None
    """The finished cells of the row that is open; None: none is, or one that holds more than a line can."""
    spilled: bool = False


@dataclass(slots=True)
class Writer:
    """Collects Markdown."""

    _lines: list[str] = field(default_factory=list)
    _inline: list[str] = field(default_factory=list)
    _marker: str = ""
    """What stands before the text of the next line: "## ", "- "."""
    _blank: bool = False
    """Whether a blank line belongs before the next one."""
    _quotes: int = 0
    _code: int = 0
    _lists: list[_List] = field(default_factory=list)
    _tables: list[_Table] = field(default_factory=list)

    def text(self) -> str:
        """Everything so far."""
        self._paragraph()
        return "\n".join(self._lines).strip("\n") + "\n" if any(self._lines) else ""

    def write(self, text: str) -> None:
        """Text of the page, white space as it stands there."""
        self._inline.append(text)

    def line(self) -> None:
        """The line ends here."""
        if self._code:
            self._inline.append("\n")
        elif self._row() is not None:
            self._inline.append(" ")
        else:
            self._flush()

    def rule(self) -> None:
        """A line across the page."""
        self._paragraph()
        if self._row() is None:
            self._put("---")
            self._blank = True

    def begin(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        """An element begins."""
        if tag == "table":
            self._begin_table()
        elif tag in ("tr", "td", "th"):
            self._begin_cell(tag)
        elif self._row() is not None:
            # A cell is one line, whatever stands in it.
            self._inline.append(" ")
        elif tag in _HEADINGS:
            self._paragraph()
            self._marker = _HEADINGS[tag]
        elif tag in _LISTS:
            self._paragraph() if not self._lists else self._flush()
            start = attributes.get("start") or ""
            self._lists.append(_List((int(start) if start.isdecimal() else 1) if tag == "ol" else None))
        elif tag == "li":
            self._begin_item()
        elif tag == "pre":
            self._paragraph()
            self._code += 1
        elif tag == "blockquote":
            self._paragraph()
            self._separate()  # before the quotation, not in it
            self._quotes += 1
        elif tag in _BLOCKS:
            self._paragraph() if not self._marker else self._flush()

    def end(self, tag: str) -> None:
        """An element ends."""
        if tag == "table":
            self._end_table()
        elif tag in ("tr", "td", "th"):
            self._end_cell(tag)
        elif self._row() is not None:
            self._inline.append(" ")
        elif tag in _HEADINGS:
            self._paragraph()
            self._marker = ""
        elif tag in _LISTS and self._lists:
            self._flush()
            self._lists.pop()
            self._blank = self._blank or not self._lists
        elif tag == "li":
            self._flush()
            self._marker = ""
        elif tag == "pre" and self._code:
            self._end_code()
        elif tag == "blockquote" and self._quotes:
            self._paragraph()
            self._quotes -= 1
        elif tag in _BLOCKS:
            self._paragraph()

    def _begin_item(self) -> None:
        self._flush()
        if not self._lists:
            self._lists.append(_List(None))
        around = self._lists[-1]
        if around.begun:
            self._blank = False  # items stand together, whatever is in them
        around.begun = True
        self._marker = "- " if around.number is None else f"{around.number}. "
        if around.number is not None:
            around.number += 1

    def _end_code(self) -> None:
        text = "".join(self._inline).strip("\n")
        self._inline.clear()
        self._code -= 1
        if text.strip():
            fence = "````" if "```" in text else "```"
            self._put(fence)
            for line in text.split("\n"):
                self._lines.append("> " * self._quotes + line.rstrip("\r"))
            self._lines.append("> " * self._quotes + fence)
        self._blank = True

    # Tables

    def _row(self) -> list[str] | None:
        return self._tables[-1].cells if self._tables else None

    def _begin_table(self) -> None:
        if (cells := self._row()) is not None:
            # A table in a cell: the page is laid out by tables, and its cells are blocks of text.
            outer = self._tables[-1]
            for cell in cells:
                self._put(cell)
            outer.cells, outer.spilled = None, True
        self._paragraph()
        self._tables.append(_Table())

    def _begin_cell(self, tag: str) -> None:
        if not self._tables:
            self._flush()
            return
        table = self._tables[-1]
        if table.spilled:
            self._paragraph()
        elif tag == "tr" or table.cells is None:
            self._flush()
            table.cells = []
        self._inline.append("" if tag == "tr" else " ")

    def _end_cell(self, tag: str) -> None:
        table = self._tables[-1] if self._tables else None
        if table is None or table.cells is None:
            self._paragraph()
        elif tag == "tr":
            cells, table.cells = table.cells, None
            if any(cells):
                self._put(f"| {' | '.join(cells)} |" if len(cells) > 1 else cells[0])
                table.rows += 1
        else:
            table.cells.append(" ".join("".join(self._inline).split()).replace("|", "\\|"))
            self._inline.clear()

    def _end_table(self) -> None:
        if not self._tables:
            return
        if self._row() is not None:
            self._end_cell("tr")
        self._tables.pop()
        self._blank = True
        self._flush()

    # Lines

    def _paragraph(self) -> None:
        self._flush()
        self._blank = bool(self._lines)

    def _flush(self) -> None:
        if self._code or self._row() is not None:
            return
        text = " ".join("".join(self._inline).split())
        self._inline.clear()
        if text:
            marker, self._marker = self._marker, ""
            self._put(text, marker)

    def _separate(self) -> None:
        if self._blank and self._lines and self._lines[-1]:
            self._lines.append(("> " * self._quotes).rstrip())
        self._blank = False

    def _put(self, text: str, marker: str = "") -> None:
        if not text:
            return
        item = bool(marker) and not marker.startswith("#")
        if not (item and len(self._lists) > 1):
            self._separate()
        self._blank = False
        depth = len(self._lists) - (1 if item else 0)
        self._lines.append("> " * self._quotes + "  " * max(0, depth) + marker + text)
