"""The Markdown parsers and how a growing source is cut where nothing that follows can change what came before."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

GUARD_CHARACTER = "\ue000"
GUARD = GUARD_CHARACTER + " "
"""Put in front of text that is not at the start of a block: nothing in it can open a block then, and what looks back
for a space, as emphasis does, finds one."""

_DEEPEST = 40
_SPECIAL = re.compile(r"\\.|`+|\*+|_+|~~|[\[\]()<>]|[.!?。！？…;；:：]?[ \n]|[。！？；：，、]", re.DOTALL)
_CUT_AFTER = re.compile(r"[ \n。！？；：，、]\Z")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)\n")


@cache
def _parser() -> MarkdownIt:
    # Imported when the first reply needs it: the first frame of the app does not.
    from markdown_it import MarkdownIt

    # html off: with it on, `Vec<T>` loses its <T> and hidden text could be copied unseen.
    return MarkdownIt("commonmark", {"html": False, "maxNesting": 60}).enable(["table", "strikethrough"])


@cache
def _splitter() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": 60}).enable(["table", "strikethrough"])
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def warm() -> None:
    """Build the parsers, so that the first reply does not wait for them."""
    _parser().parse("**a** `b`\n")
    _splitter().parse("a\n")


References: TypeAlias = dict[str, Any]
"""Link definitions of a message by their label, as markdown-it keeps them."""


def parse_blocks(source: str, references: References) -> list[Token]:
    """Block tokens with their inline children; what nests absurdly deep comes back as one code block."""
    # A copy, because markdown-it adds what it finds, and what it finds in a half-arrived line is wrong for good.
    tokens = _parser().parse(source, {"references": dict(references)})
    if any(token.level >= _DEEPEST for token in tokens):
        from markdown_it.token import Token

        return [Token("code_block", "code", 0, content=source)]
    return tokens


class TopBlock(NamedTuple):
    """A top-level block of a source."""

    kind: str
    """Type of its first token: "paragraph_open", "fence", "bullet_list_open" …; "definition" for what has no token."""
    start: int
    """First line."""
    end: int
    """Line after the last one."""
    items: tuple[int, ...]
    """First lines of the items of a list."""
    markup: str
    info: str


def references_in(source: str) -> References:
    """The link definitions of a finished source."""
    environment: dict[str, References] = {}
    _splitter().parse(source, environment)
    return environment.get("references", {})


def top_blocks(source: str) -> list[TopBlock]:
    """The top-level blocks of a source, in order, without parsing what is inside lines."""
    source_lines = source.split("\n")
    result: list[TopBlock] = []
    covered = 0
    items: list[int] = []
    opening: Token | None = None
    for token in _splitter().parse(source, {}):
        if token.type == "list_item_open" and token.level == 1 and token.map:
            items.append(token.map[0])
        if token.level == 0 and token.nesting >= 0 and token.map:
            opening, items = token, []
        if token.level == 0 and token.nesting <= 0 and opening is not None and opening.map:
            start, end = opening.map
            _add_definition(result, source_lines, covered, start)
            result.append(TopBlock(opening.type, start, end, tuple(items), opening.markup, opening.info))
            covered, opening = end, None
    _add_definition(result, source_lines, covered, len(source_lines))
    return result


def _add_definition(result: list[TopBlock], source_lines: Sequence[str], start: int, end: int) -> None:
    """Lines that no token covers hold link definitions: they are shown, so that nothing is hidden from the reader."""
    if any(line.strip() for line in source_lines[start:end]):
        result.append(TopBlock("definition", start, end, (), "", ""))


def cut_paragraph(text: str, least: int) -> int:
    """Where a long paragraph may be cut: after a space (or CJK punctuation) at which no inline construct is open.

    Returns the last such offset that is at least `least` characters before the end, or 0 where there is none.
    """
    latest, backticks, stars, underscores, strikes, brackets = 0, 0, 0, 0, 0, 0
    limit = len(text) - least
    for match in _SPECIAL.finditer(text):
        special = match.group()
        first = special[0]
        if first == "`":
            backticks = 0 if backticks == len(special) else backticks or len(special)
        elif backticks and not _CUT_AFTER.search(special):
            continue
        elif first == "*":
            stars ^= len(special)
        elif first == "_":
            underscores ^= len(special)
        elif first == "~":
            strikes ^= 1
        elif first in "[(":
            brackets += 1
        elif first in "])":
            brackets = max(brackets - 1, 0)
        elif _CUT_AFTER.search(special):
            if match.end() > limit:
                break
            if not (backticks or stars or underscores or strikes or brackets):
                latest = match.end()
    return latest


def last_space(text: str, least: int) -> int:
    """The last place to cut at a space, whatever is open there; 0 where there is none."""
    return max(text.rfind(" ", 0, max(len(text) - least, 0)), text.rfind("\n", 0, max(len(text) - least, 0))) + 1
