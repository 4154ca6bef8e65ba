"""Block tokens of markdown-it as lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment

from holychat.text import delete_unsafe
from holychat.tui.markdown import look as flag
from holychat.tui.markdown.code import Highlighter
from holychat.tui.markdown.inline import runs_of
from holychat.tui.markdown.lines import Line, is_simple, pad, prefix, wrap
from holychat.tui.markdown.table import layout_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token

    from holychat.tui.markdown.lines import Run
    from holychat.tui.markdown.look import Look

_MIN_WIDTH = 8
_BULLETS = "•◦▪"


def layout_tokens(tokens: Sequence[Token], width: int, look: Look, depth: int = 0) -> list[Line]:
    """Lines of a run of sibling blocks, with an empty line between blocks that are not part of a tight list.

    Args:
        tokens: Balanced block tokens as `MarkdownIt.parse` gives them.
        width: Cells to fill at most; very small widths are treated as 8.
        look: Styles.
        depth: How deep the blocks stand inside lists.
    """
    width = max(width, _MIN_WIDTH)
    lines: list[Line] = []
    index = 0
    while index < len(tokens):
        end = _end_of(tokens, index)
        block = _layout_block(tokens[index : end + 1], width, look, depth)
        if block:
            if lines and not tokens[index].hidden and not _hugs(tokens, index):
                lines.append(Line([], 0))
            lines += block
        index = end + 1
    return lines


def _end_of(tokens: Sequence[Token], start: int) -> int:
    level = 0
    for index in range(start, len(tokens)):
        level += tokens[index].nesting
        if level <= 0:
            return index
    return len(tokens) - 1


def _hugs(tokens: Sequence[Token], index: int) -> bool:
    """Whether the block follows a tight paragraph: a nested list under the text of a tight item."""
    return index > 0 and tokens[index - 1].hidden


def _layout_block(tokens: Sequence[Token], width: int, look: Look, depth: int) -> list[Line]:
    kind = tokens[0].type
    if kind == "inline":
        return wrap(runs_of(tokens[0].children or (), look), width)
    if kind == "paragraph_open":
        return wrap(runs_of(tokens[1].children or (), look), width)
    if kind == "heading_open":
        return layout_heading(tokens, width, look)
    if kind in ("fence", "code_block"):
        return layout_code(tokens[0].content, tokens[0].info, width, look)
    if kind in ("bullet_list_open", "ordered_list_open"):
        return layout_list(tokens, width, look, depth)
    if kind == "blockquote_open":
        bar = Segment("▌ ", look.style("muted"))
        return prefix(layout_tokens(tokens[1:-1], width - 2, look, depth), bar, bar)
    if kind == "hr":
        return [Line([Segment("─" * width, look.style("muted"))], width)]
    if kind == "table_open":
        return layout_table(tokens, width, look)
    return wrap([(delete_unsafe(tokens[0].content), look.inline(0))], width)


def layout_heading(tokens: Sequence[Token], width: int, look: Look) -> list[Line]:
    """A heading: bold; the first two levels are underlined with a rule as long as the text."""
    lines = wrap(runs_of(tokens[1].children or (), look, flag.HEADING), width)
    level = tokens[0].tag
    if level in ("h1", "h2"):
        longest = max(line.cells for line in lines)
        rule = "━" if level == "h1" else "─"
        lines.append(Line([Segment(rule * longest, look.style("heading" if level == "h1" else "muted"))], longest))
    return lines


def layout_code(text: str, info: str, width: int, look: Look) -> list[Line]:
    """A whole code block: a line with its language, then its lines on their own background."""
    return [
        code_title(info, width, look),
        *code_lines(Highlighter(language_of(info), look).lines(text.rstrip("\n")), width, look),
    ]


def language_of(info: str) -> str:
    """Language name in the info string of a fence: "python" for "python title=x" and "{.python}"."""
    words = info.strip().strip("{}").split(maxsplit=1)
    return words[0].lstrip(".").split(",")[0] if words else ""


def code_title(info: str, width: int, look: Look) -> Line:
    """The line above a code block, with the name of its language."""
    style = look.style("muted", "code")
    label = delete_unsafe(language_of(info))[: max(width - 3, 0)]
    return pad(Line([Segment(f" {label}", style)], len(label) + 1), width, style)


def code_lines(lines_of_runs: Sequence[Sequence[Run]], width: int, look: Look) -> list[Line]:
    """Lines of highlighted code, one cell in, folded at the width and filled up with the code's background."""
    style = look.style("foreground", "code")
    indent = Segment(" ", style)
    result: list[Line] = []
    for runs in lines_of_runs:
        folded = wrap_code(_clean_code(runs), width - 2)
        result += [pad(Line([indent, *line.segments], line.cells + 1, line.joint), width, style) for line in folded]
    return result


def _clean_code(runs: Sequence[Run]) -> list[Run]:
    column, result = 0, []
    for raw, style in runs:
        text = delete_unsafe(raw)
        if "\t" in text:
            text = _expand_tabs(text, column)
        column += len(text)
        result.append((text, style))
    return result


def _expand_tabs(text: str, column: int) -> str:
    return (" " * column + text).expandtabs(4)[column:]


def wrap_code(runs: Sequence[Run], width: int) -> list[Line]:
    """Code is folded anywhere, not at words: no space of it may vanish."""
    plain = "".join(text for text, _ in runs)
    if len(plain) <= width and is_simple(plain):
        return [Line([Segment(text, style) for text, style in runs if text], len(plain))]
    # A no-break space takes part in no line break, so that the shared wrapper folds instead of breaking.
    lines = wrap([(text.replace(" ", "\u00a0"), style) for text, style in runs], width)
    for line in lines:
        line.segments = [Segment(segment.text.replace("\u00a0", " "), segment.style) for segment in line.segments]
    return lines


def layout_list(tokens: Sequence[Token], width: int, look: Look, depth: int) -> list[Line]:
    """A list: bullets by depth, numbers; loose items are set apart by an empty line."""
    ordered = tokens[0].type == "ordered_list_open"
    number = int(tokens[0].attrGet("start") or 1) if ordered else 0
    items = _items(tokens)
    lines: list[Line] = []
    for position, item in enumerate(items):
        marker = f"{number + position}. " if ordered else f"{_BULLETS[min(depth, 2)]} "
        body = layout_tokens(item, width - len(marker), look, depth + 1) or [Line([], 0)]
        if lines and _is_loose(item):
            lines.append(Line([], 0))
        lines += prefix(body, Segment(marker, look.style("accent")), Segment(" " * len(marker), look.inline(0)))
    return lines


def _items(tokens: Sequence[Token]) -> list[Sequence[Token]]:
    items: list[Sequence[Token]] = []
    index = 1
    while index < len(tokens) - 1:
        end = _end_of(tokens, index)
        items.append(tokens[index + 1 : end])
        index = end + 1
    return items


def _is_loose(item: Sequence[Token]) -> bool:
    return bool(item) and item[0].type == "paragraph_open" and not item[0].hidden
