"""The prose of a text: its paragraphs, list items and quotations, without code, tables, headings and markup."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$")
_ITEM = re.compile(r"[ \t]*(?:[-*+•–]|(\d{1,9})[.)])[ \t]+(?:\[[ xX]\][ \t]+)?")
_QUOTE = re.compile(r"[ \t]{0,3}(?:>[ \t]?)+")
_TABLE_ROW = re.compile(r"[ \t]*\||[ \t]*:?-{3,}:?[ \t]*\|")
_MARKUP_LINE = re.compile(
    r"[ \t]*(?:\[!\[|!\[[^\]]*\]\(|\[[^\]]+\]:[ \t]*\S+[ \t]*$|</?[A-Za-z!][^>]*>[ \t]*$|\.\. [\w-]+::|<\?)"
)
_COMMENT_START, _COMMENT_END = "<!--", "-->"


@dataclass(frozen=True, slots=True)
class Block:
    """A run of prose: `text[start:end]` of the source, without the markup at its beginning."""

    start: int
    end: int
    title: str
    """The nearest heading above, "" where there is none."""
    first: bool
    """Whether it is the first block under that heading."""


@dataclass(slots=True)
class _Line:
    start: int
    end: int
    text: str


def find_blocks(text: str) -> list[Block]:
    """The prose of `text`, in order. Plain text without any Markdown is simply its paragraphs. Linear in the length."""
    scanner = _Scanner(text)
    for line in _prose_lines(text):
        scanner.take(line)
    scanner.close()
    return scanner.blocks


def _lines(text: str) -> Iterator[_Line]:
    start, length = 0, len(text)
    while start < length:
        newline = text.find("\n", start)
        end = length if newline < 0 else newline
        yield _Line(start, end, text[start:end].rstrip("\r"))
        start = end + 1


def _prose_lines(text: str) -> Iterator[_Line]:
    """Lines outside of front matter, code fences and comments; a blank line stands in for what is left out."""
    fence = ""
    comment = False
    front_matter = (
        text.startswith(("---\n", "---\r\n")) and re.search(r"^---\r?$", text[4:4000], re.MULTILINE) is not None
    )
    for number, line in enumerate(_lines(text)):
        if front_matter:
            front_matter = number == 0 or line.text != "---"
        elif fence:
            match = _FENCE.match(line.text)
            if match and match[1].startswith(fence) and not line.text.strip().strip(fence[0]):
                fence = ""
        elif comment:
            comment = _COMMENT_END not in line.text
        elif (match := _FENCE.match(line.text)) is not None and "`" not in line.text[match.end() :]:
            fence = match[1]
        elif line.text.lstrip().startswith(_COMMENT_START):
            comment = _COMMENT_END not in line.text
        else:
            yield line
            continue
        yield _Line(line.start, line.start, "")


class _Scanner:
    """Joins the lines of a paragraph and keeps track of headings."""

    def __init__(self, text: str) -> None:
        self.blocks: list[Block] = []
        self._text = text
        self._title = ""
        self._first = True
        self._start: int | None = None
        self._end = 0
        self._lines = 0
        self._in_item = False

    def take(self, line: _Line) -> None:
        if not line.text.strip():
            self.close()
        elif (heading := _HEADING.match(line.text)) is not None:
            self.close()
            self._begin_section((heading[1] or "").strip())
        elif _UNDERLINE.match(line.text) and self._start is not None and self._lines == 1:
            title = self._text[self._start : self._end].strip()
            self._start = None
            self._begin_section(title)
        elif _RULE.match(line.text) or _TABLE_ROW.match(line.text) or _MARKUP_LINE.match(line.text):
            self.close()
        else:
            self._take_prose(line)

    def close(self) -> None:
        """End the block that is open."""
        if self._start is not None:
            self.blocks.append(Block(self._start, self._end, self._title, self._first))
            self._first = False
        self._start = None

    def _begin_section(self, title: str) -> None:
        self._title = title
        self._first = True

    def _take_prose(self, line: _Line) -> None:
        # Quotation marks would stand in the middle of a sentence that goes over two lines, so each line is a block.
        marker = _QUOTE.match(line.text)
        offset = marker.end() if marker else 0
        item = _ITEM.match(line.text, offset)
        if item and item[1] not in (None, "1") and self._start is not None and not self._in_item:
            item = None  # a line of a paragraph that happens to begin with a number and a full stop
        if marker or item:
            self.close()
        if self._start is None:
            self._start = line.start + (item.end() if item else offset)
            self._lines = 0
            self._in_item = item is not None
        self._end = line.start + len(line.text)
        self._lines += 1
        if marker:
            self.close()
