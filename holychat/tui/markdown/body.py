"""The Markdown of one message while it grows: from pieces of text to blocks."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from holychat.text import clean
from holychat.tui.markdown.block import Block, CodeBlock, ListBlock, ParagraphBlock, PlainBlock
from holychat.tui.markdown.parsing import (
    FENCE,
    GUARD,
    GUARD_CHARACTER,
    TopBlock,
    cut_paragraph,
    last_space,
    references_in,
    top_blocks,
)

if TYPE_CHECKING:
    import re
    from collections.abc import Sequence

    from holychat.tui.markdown.parsing import References

SLICE = 4096
"""Characters taken in at one step; bounds the work that one step can be."""
_LONG_PARAGRAPH = 1024
_KEEP_OPEN = 160
_FORCE_CUT = 8192
_SURE_LINE = 16
_CODE_GROUP = 24
"""Lines of open code that are highlighted again with every frame at most."""


class MarkdownBody:
    """Blocks of a message. `feed` takes text, `advance` works it in step by step, `finish` closes what is open.

    All blocks but the last are final. The last one grows; within it only a bounded tail can still change.
    """

    def __init__(self) -> None:
        self.blocks: list[Block] = []
        self._references: References = {}
        self._waiting: list[str] = []
        self._tail = ""
        self._open: Block | None = None
        self._mid_line = False
        """Whether the tail begins in the middle of a line of the open paragraph."""
        self._fence = ""
        self._partial_line = ""
        self._forced: list[ParagraphBlock] = []
        self._finished = False

    @classmethod
    def of(cls, text: str) -> MarkdownBody:
        """The body of a whole message."""
        body = cls()
        body.feed(text)
        body.finish()
        return body

    def feed(self, text: str) -> None:
        """Take more text; nothing is parsed yet."""
        self._waiting.append(text)

    @property
    def waiting(self) -> bool:
        """Whether text was fed that `advance` has not worked in."""
        return bool(self._waiting)

    def advance(self) -> bool:
        """Work in the next slice of what was fed. Returns whether more is waiting."""
        if not self._waiting:
            return False
        text = "".join(self._waiting)
        taken, rest = text[:SLICE], text[SLICE:]
        self._waiting = [rest] if rest else []
        # A carriage return may be half of a line end, a backslash half of an escape: neither is at the end of a slice.
        if taken.endswith("\r") and rest == "" and not self._finished:
            taken, self._waiting = taken[:-1], ["\r"]
            rest = ""
        self._tail += clean(taken).replace(GUARD_CHARACTER, "\ufffd")
        self._work()
        return bool(rest)

    def finish(self) -> None:
        """No more text comes: work in the rest, close what is open, mend what was guessed."""
        self._finished = True
        while self._waiting:
            self.advance()
        self._work()  # a closing fence or a line that was held back may stand in the tail without a line end
        self._close()
        for paragraph in dict.fromkeys(self._forced):
            whole = Block(self._references, paragraph.kind)
            whole.pieces = [paragraph.source]
            self.blocks[self.blocks.index(paragraph)] = whole
        _resolve_references(self.blocks, self._references)

    # --- one step -------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            if self._fence:
                if not self._work_fence():
                    return
            elif not self._mid_line and (opening := FENCE.match(self._tail)) and not _is_inline_code(opening):
                self._close(discard=True)
                self._fence = opening[1]
                self._open = CodeBlock(self._references, opening[2])
                self.blocks.append(self._open)
                self._tail = self._tail[opening.end() :]
            elif not self._work_blocks():
                return

    def _work_fence(self) -> bool:
        """Take whole lines into the open code block. Returns whether it was closed."""
        block = self._open
        assert isinstance(block, CodeBlock)
        *whole, partial = self._tail.split("\n")
        for index, line in enumerate(whole):
            if self._closes_fence(line):
                self._take_lines(block, whole[:index], "")
                block.close()
                self._tail = "\n".join([*whole[index + 1 :], partial])
                self._fence, self._open = "", None
                return True
        if self._finished and self._closes_fence(partial):
            self._take_lines(block, whole, "")
            self._tail = ""
            return False
        self._take_lines(block, whole, partial)
        return False

    def _closes_fence(self, line: str) -> bool:
        stripped = line.strip()
        return (
            len(stripped) >= len(self._fence)
            and not stripped.strip(self._fence[0])
            and len(line) - len(line.lstrip(" ")) <= 3
        )

    def _take_lines(self, block: CodeBlock, whole: list[str], partial: str) -> None:
        """Lines gather in the block's tail and become a piece by the group, so that colours of a group stay right."""
        if block.tail and self._partial_line is not None:
            whole = [*self._gathered(block), *whole]
        groups = len(whole) // _CODE_GROUP * _CODE_GROUP
        if groups:
            block.pieces.append("\n".join(whole[:groups]))
        kept = whole[groups:]
        block.tail = "\n".join([*kept, partial]) if partial or not kept else "\n".join(kept)
        self._partial_line = partial
        self._tail = partial

    def _gathered(self, block: CodeBlock) -> list[str]:
        lines = block.tail.split("\n")
        return lines[:-1] if self._partial_line else lines

    def _work_blocks(self) -> bool:
        """Split the tail into blocks; all but the last are closed. Returns whether a code block begins in it."""
        source = GUARD + self._tail if self._mid_line else self._tail
        tops = top_blocks(source)
        lines = source.split("\n")
        held = ""
        if len(tops) > 1 and self._is_ambiguous(tops[-1], lines):
            held = lines.pop()
            source = source[: len(source) - len(held)]
            lines.append("")
            tops = top_blocks(source)
        if not tops:
            return False
        for index, top in enumerate(tops):
            is_last = index == len(tops) - 1
            text = "\n".join(lines[top.start : top.end if not is_last else len(lines)])
            text = text.removeprefix(GUARD)
            if is_last and top.kind == "fence" and FENCE.match(text):
                self._close(discard=index == 0)
                self._tail = text + held
                return True
            self._grow(top, text if is_last else text + "\n", first=index == 0)
            if not is_last:
                self._close()
                continue
            self._tail = text
            self._cut_open(top, text)
            self._tail += held
        return False

    def _is_ambiguous(self, last: TopBlock, lines: list[str]) -> bool:
        """Whether the last block is the mere beginning of a line that may yet go on with the block before it.

        "***" below a quotation is a rule and ends it; "***bold***" is more text of the quotation.
        """
        return (
            not self._finished
            and last.start == len(lines) - 1
            and len(lines[-1]) < _SURE_LINE
            and bool(lines[-2].strip())
        )

    def _grow(self, top: TopBlock, text: str, *, first: bool) -> None:
        """Give `text` to the open block where it goes on, else to a new one."""
        block = self._open
        if first and top.kind == "heading_open" and isinstance(block, ParagraphBlock) and block.pieces:
            # "---" below a long paragraph makes a heading of all of it; that is seen to at the end.
            self._forced.append(block)
        elif not (first and block is not None and _goes_on(block, top)):
            # The same source may have become another kind of block: "a | b" a table, "Title" a heading.
            self._close(discard=first)
            block = _new_block(top, self._references)
            self.blocks.append(block)
            self._open = block
        if isinstance(block, CodeBlock):
            block.tail = _fence_content(text) if top.kind == "fence" else _unindent(text)
        else:
            block.tail = text

    def _cut_open(self, top: TopBlock, text: str) -> None:
        """Close what can not change any more at the front of the last block."""
        block = self._open
        if isinstance(block, ListBlock) and len(top.items) > 1:
            lines = text.split("\n")
            starts = [item - top.start for item in top.items]
            for start, end in pairwise(starts):
                block.pieces.append("\n".join(lines[start:end]) + "\n")
            self._tail = block.tail = "\n".join(lines[starts[-1] :])
        elif isinstance(block, ParagraphBlock) and len(text) > _LONG_PARAGRAPH:
            cut = cut_paragraph(text, _KEEP_OPEN)
            if not cut and len(text) > _FORCE_CUT:
                cut = last_space(text, _KEEP_OPEN) or len(text) - _KEEP_OPEN
                self._forced.append(block)
            if cut:
                block.pieces.append(text[:cut])
                self._mid_line = text[cut - 1] != "\n"
                self._tail = block.tail = text[cut:] if self._mid_line else text[cut:].lstrip(" ")

    def _close(self, *, discard: bool = False) -> None:
        """Close the open block; with `discard` its tail is taken back, because it turned out to be another block."""
        block, self._open = self._open, None
        self._mid_line = False
        if block is None:
            return
        if discard:
            block.tail = ""
            if not block.pieces:
                self.blocks.pop()
                return
        if block.tail:
            block.pieces.append(block.tail)
            block.tail = ""
        if isinstance(block, CodeBlock):
            block.close()


def _goes_on(block: Block, top: TopBlock) -> bool:
    """Whether the first block of the tail is the open block, with more text."""
    if isinstance(block, ParagraphBlock):
        return top.kind == "paragraph_open"
    if isinstance(block, ListBlock):
        return top.kind == block.kind and top.markup == block.markup
    if isinstance(block, CodeBlock):
        return top.kind in ("fence", "code_block") and top.info == block.info
    if isinstance(block, PlainBlock):
        return top.kind == "definition"
    return top.kind == block.kind


def _new_block(top: TopBlock, references: References) -> Block:
    if top.kind == "paragraph_open":
        return ParagraphBlock(references)
    if top.kind in ("bullet_list_open", "ordered_list_open"):
        return ListBlock(references, top.kind, top.markup)
    if top.kind == "fence":
        return CodeBlock(references, top.info)
    if top.kind == "code_block":
        return CodeBlock(references)
    if top.kind == "definition":
        return PlainBlock(references, "muted")
    return Block(references, top.kind)


def _resolve_references(blocks: Sequence[Block], references: References) -> None:
    """Links to definitions, which may stand anywhere in a message, can be told only when it is whole."""
    for block in blocks:
        if "]:" in (source := block.source):
            for label, definition in references_in(source).items():
                references.setdefault(label, definition)
    if references:
        for block in blocks:
            if "[" in block.source:
                block.invalidate()


def _is_inline_code(opening: re.Match[str]) -> bool:
    return opening[1][0] == "`" and "`" in opening[2]


def _fence_content(text: str) -> str:
    opening = FENCE.match(text)
    if opening is None:
        return ""
    lines = text[opening.end() :].rstrip("\n").split("\n")
    last = lines[-1].strip()
    if last and not last.strip(opening[1][0]) and len(last) >= len(opening[1]):
        lines.pop()
    return "\n".join(lines)


def _unindent(text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.expandtabs(4).rstrip("\n").split("\n"))
