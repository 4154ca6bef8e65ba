"""Blocks of a reply: sources that grow, and the lines they have been laid out to.

A block is a row of closed pieces and one open tail. Pieces are laid out once for a width and a look; only the tail is
laid out again when it grows. So the cost of a frame does not depend on the length of a paragraph, a list or a code
block.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from holychat.text import delete_unsafe
from holychat.tui.markdown.code import Highlighter
from holychat.tui.markdown.inline import runs_of
from holychat.tui.markdown.layout import code_lines, code_title, language_of, layout_tokens
from holychat.tui.markdown.lines import Line, width_of, wrap
from holychat.tui.markdown.parsing import GUARD, parse_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.tui.markdown.lines import Run
    from holychat.tui.markdown.look import Look
    from holychat.tui.markdown.parsing import References


_ENDS_EMPTY = re.compile(r"\n[ \t]*\n\s*\Z")


class Block:
    """A top-level block of Markdown: base of those that grow, and itself the one for everything short.

    Attributes:
        pieces: Sources that will not change any more.
        tail: Source that may still change; "" when the block is closed.
        references: Link definitions, shared by all blocks of a message and filled when it is whole.
    """

    joint = ""
    """What stands between two pieces in the source."""

    def __init__(self, references: References, kind: str = "") -> None:
        self.kind = kind
        self.pieces: list[str] = []
        self.tail = ""
        self.references = references
        self._width = 0
        self._look: Look | None = None
        self._lines: list[Line] | None = None
        self._height: int | None = None
        self._closed_lines = 0
        self._closed_pieces = 0
        self._tail_laid_out: str | None = None
        self._state: Any = None

    @property
    def source(self) -> str:
        """The block's Markdown."""
        return self.joint.join([*self.pieces, self.tail] if self.tail else self.pieces)

    def invalidate(self) -> None:
        """Forget the layout, because what it rests on has changed."""
        self._lines = None
        self._height = None

    def release(self) -> None:
        """Forget the lines but not their number: the block is far from what is visible."""
        self._lines = None

    def height(self, width: int) -> int:
        """Number of lines at this width: exact once laid out, else an estimate."""
        if self._height is None or self._width != width:
            return self.estimate(width)
        return self._height

    def is_measured(self, width: int, look: Look) -> bool:
        """Whether `height` is exact for the present text."""
        return (
            self._height is not None
            and self._width == width
            and self._look is look
            and self._closed_pieces == len(self.pieces)
            and self._tail_laid_out == self.tail
        )

    def estimate(self, width: int) -> int:
        """A cheap guess at the number of lines."""
        source = self.source
        return sum(1 + width_of(line) // max(width, 1) for line in source.splitlines()) or 1

    def lines(self, width: int, look: Look) -> list[Line]:
        """The block's lines; only what has changed since the last call is laid out."""
        if self._lines is None or self._width != width or self._look is not look:
            self._width, self._look = width, look
            self._lines = self.start(width, look)
            self._closed_lines = len(self._lines)
            self._closed_pieces, self._tail_laid_out = 0, None
        lines = self._lines
        if self._closed_pieces < len(self.pieces) or self._tail_laid_out != self.tail:
            del lines[self._closed_lines :]
            self._append_pieces(lines, width, look)
            self._append_tail(lines, width, look)
            self._height = len(lines)
        elif self._height is None:
            self._height = len(lines)
        return lines

    def _append_pieces(self, lines: list[Line], width: int, look: Look) -> None:
        for piece in self.pieces[self._closed_pieces :]:
            new_lines, self._state = self.layout_piece(piece, self._state, width, look, last=False)
            lines += new_lines
        self._closed_pieces = len(self.pieces)
        self._closed_lines = len(lines)

    def _append_tail(self, lines: list[Line], width: int, look: Look) -> None:
        new_lines, _ = self.layout_piece(self.tail, self._state, width, look, last=True)
        lines += new_lines
        self._tail_laid_out = self.tail

    def start(self, width: int, look: Look) -> list[Line]:
        """Lines before the first piece; also resets the state that is handed from piece to piece."""
        del width, look
        self._state = None
        return []

    def layout_piece(self, piece: str, state: Any, width: int, look: Look, *, last: bool) -> tuple[list[Line], Any]:
        """Lines of one piece and the state for the next one; `last` for the tail, which may be empty."""
        del last
        return (layout_tokens(parse_blocks(piece, self.references), width, look) if piece else []), state


class PlainBlock(Block):
    """Text shown as it is: a person's own message, or a link definition that Markdown would make vanish."""

    def __init__(self, references: References, colour: str = "foreground", background: str = "background") -> None:
        super().__init__(references)
        self._colours = (colour, background)
        self.joined = False
        """Whether no empty line comes before it: it goes on with the text of the block above."""

    @classmethod
    def of(cls, text: str, colour: str, background: str = "background", *, joined: bool = False) -> PlainBlock:
        """A block of finished text."""
        block = cls({}, colour, background)
        block.pieces = [text]
        block.joined = joined
        return block

    def layout_piece(self, piece: str, state: Any, width: int, look: Look, *, last: bool) -> tuple[list[Line], Any]:
        """Lines of the text, broken at words."""
        del last
        text = delete_unsafe(piece).expandtabs(4).strip("\n")
        return (wrap([(text, look.style(*self._colours))], width) if piece else []), state


class ParagraphBlock(Block):
    """A paragraph that may become very long; a piece begins in the line in which the one before it ended.

    The state is the unfinished last line as runs.
    """

    def layout_piece(self, piece: str, state: Any, width: int, look: Look, *, last: bool) -> tuple[list[Line], Any]:
        """Finished lines of a piece, with its last line handed on."""
        carried: Sequence[Run] = state or ()
        if not piece:
            return (wrap(_without_end_space(carried), width) if carried else []), state
        lines = wrap([*carried, *self._runs(piece, look)], width)
        if last:
            return lines, None
        unfinished = lines.pop()
        return lines, [(segment.text, segment.style) for segment in unfinished.segments]

    def _runs(self, piece: str, look: Look) -> list[Run]:
        # What stands first in a piece would be read as the start of a block; the guard makes it plain text.
        tokens = parse_blocks(GUARD + piece, self.references)
        runs = runs_of(tokens[1].children or (), look) if len(tokens) > 1 else []
        if runs:
            runs[0] = (runs[0][0].removeprefix(GUARD), runs[0][1])
        if piece[-1:].isspace():
            runs.append((" ", look.inline(0)))
        return runs


def _without_end_space(runs: Sequence[Run]) -> list[Run]:
    *before, (text, style) = runs
    return [*before, (text.rstrip(" "), style)]


class ListBlock(Block):
    """A list; a piece is one item. The state is the number of the next item and whether a gap comes before it."""

    def __init__(self, references: References, kind: str = "bullet_list_open", markup: str = "-") -> None:
        super().__init__(references, kind)
        self.markup = markup

    def layout_piece(self, piece: str, state: Any, width: int, look: Look, *, last: bool) -> tuple[list[Line], Any]:
        """Lines of one item."""
        del last
        if not piece:
            return [], state
        number, gap = state or (None, False)
        tokens = parse_blocks(piece, self.references)
        if tokens and tokens[0].type == "ordered_list_open":
            number = int(tokens[0].attrGet("start") or 1) if number is None else number
            tokens[0].attrSet("start", str(number))
            number += 1
        lines = layout_tokens(tokens, width, look)
        if gap:
            lines.insert(0, Line([], 0))
        return lines, (number, _ENDS_EMPTY.search(piece) is not None)


class CodeBlock(Block):
    """A fenced or indented code block; pieces are whole lines. The state is the highlighter."""

    joint = "\n"

    def __init__(self, references: References, info: str = "") -> None:
        super().__init__(references)
        self.info = info
        self.closed = False

    def estimate(self, width: int) -> int:
        """One line for the title and one for each line of code."""
        del width
        return 2 + self.source.count("\n")

    def start(self, width: int, look: Look) -> list[Line]:
        """The title line."""
        self._state = Highlighter(language_of(self.info), look)
        return [code_title(self.info, width, look)]

    def layout_piece(self, piece: str, state: Any, width: int, look: Look, *, last: bool) -> tuple[list[Line], Any]:
        """Lines of code; the highlighter goes on where the piece before ended."""
        if last and not piece:
            return [], state
        highlighter: Highlighter = state.copy() if last else state
        return code_lines(highlighter.lines(piece), width, look), highlighter

    def close(self) -> None:
        """Nothing more comes. Where a cut may have misled the highlighter, all is highlighted once more as a whole."""
        self.closed = True
        if self._state is not None and self._state.uncertain and len(self.pieces) > 1:
            self.pieces = ["\n".join(self.pieces)]
            self.invalidate()
