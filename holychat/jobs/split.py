"""Cutting a long text into parts that fit, where it hurts least: before headings, between paragraphs, after sentences.

The parts of a text are its text: put together again they are what was cut. They are about equally long, because a
summary of six equal parts is better than one of five full ones and a scrap.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

from holychat.catalog.tokens import estimate_tokens
from holychat.domain.jobs import Span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SMALLEST_BUDGET = 16
"""Tokens that a part may have at least: less would cut words to pieces."""
_MARGIN = 10
"""One part in ten of what is left for the text is kept free, because tokens are estimated."""
_BLOCK = 1024
"""Characters that are measured at once."""
_SLACK = 0.3
"""How far from an even cut a better place is looked for, as a part of the even length."""

_LETTER = r"[^\W\d_]"
_PLACES: tuple[re.Pattern[str], ...] = (
    # A heading: Markdown, or underlined, or "Chapter 3" and the like in a line of its own.
    re.compile(r"(?<=\n)(?=#{1,2}[ \t]+\S)|(?<=\n)(?=[^\n]{1,120}\n(?:={3,}|-{3,})[ \t]*\n)"),
    re.compile(
        r"(?<=\n)(?=#{3,6}[ \t]+\S)"
        r"|(?<=\n)(?=(?:chapter|section|part|article|appendix|kapitel|abschnitt|chapitre|cap[ií]tulo|chương|глава)"
        r"[ \t]+[\dIVXLC]+\b[^\n]{0,80}\n)|(?<=\n)(?=第[\d一二三四五六七八九十百]+[章节節回部])",
        re.IGNORECASE,
    ),
    # A blank line with something at the margin behind it: paragraphs, functions of a program. Then any blank line.
    re.compile(r"\n(?:[ \t\r]{0,80}+\n){1,20}+(?=\S)"),
    re.compile(r"\n(?:[ \t\r]{0,80}+\n){1,20}+"),
    re.compile(r"\n"),
    # The end of a sentence in any script; three letters before a full stop, so that "Dr. No" stays together.
    re.compile(
        rf"(?<=\w\w\w)[.!?…]{{1,8}}+[\"'”’»)\]]{{0,4}}+\s{{1,20}}+(?=[\"'“‘«(\[¿¡]{{0,3}}{_LETTER})"
        r"|[。！？｡．]{1,8}+[」』”’）]{0,4}+|[।॥։۔؟።፧\u0e2f]\s{0,20}+"
    ),
    re.compile(r"[;:,，、；：]\s{0,20}+"),
    re.compile(r"\s{1,20}+"),
)
"""Where a text may be cut, the best kind of place first; the cut is at the end of the match."""


@dataclass(frozen=True, slots=True)
class TreeNode:
    """A part of a text, or what merges some."""

    level: int
    """0 for a part of the text, 1 and more for what merges."""
    first: int
    """The first part of the text that it covers."""
    last: int
    """The part behind the last one that it covers."""
    children: tuple[TreeNode, ...] = ()


def room_for_text(window: int, prompt_tokens: int, answer_tokens: int) -> int:
    """Tokens of text that fit into a request, at least `SMALLEST_BUDGET`.

    Args:
        window: What the model reads and writes at most.
        prompt_tokens: What the recipe takes without a text.
        answer_tokens: What is kept for the answer.
    """
    left = window - prompt_tokens - answer_tokens
    return max(SMALLEST_BUDGET, left - left // _MARGIN)


def plan(text: str, budget_tokens: int, measure: Callable[[str], int] = estimate_tokens) -> list[Span]:
    """The parts of a text, in order, without gaps and without overlap; one part where it fits, none where it is empty.

    Takes about a second for ten million characters.

    Args:
        text: The text.
        budget_tokens: Tokens that no part has more of, at least `SMALLEST_BUDGET`.
        measure: Tokens of a text. Of two texts together it must not say more than of both apart.

    Raises:
        ValueError: The budget is too small.
    """
    if budget_tokens < SMALLEST_BUDGET:
        raise ValueError(f"a part needs at least {SMALLEST_BUDGET} tokens")
    if not text:
        return []
    ruler = _Ruler(text, measure)
    spans: list[Span] = []
    start = 0
    while start < len(text):
        end = _end_of_part(text, start, budget_tokens, ruler)
        spans.append(Span(start, end))
        start = end
    return spans


def tree(parts: int, fan_in: int) -> TreeNode:
    """How the results of `parts` parts are merged: a tree whose nodes have `fan_in` children at most.

    The root stands for the document. Parts stay in order, and nodes of a level have about equally many children.

    Raises:
        ValueError: There are no parts, or nothing can be merged by fewer than two.
    """
    if parts < 1 or fan_in < 2:
        raise ValueError("a tree needs a part and a fan-in of two")
    nodes = [TreeNode(0, place, place + 1) for place in range(parts)]
    level = 0
    while level == 0 or len(nodes) > 1:
        level += 1
        groups = -(-len(nodes) // fan_in)
        cuts = [len(nodes) * place // groups for place in range(groups + 1)]
        nodes = [
            TreeNode(level, nodes[first].first, nodes[last - 1].last, tuple(nodes[first:last]))
            for first, last in pairwise(cuts)
        ]
    return nodes[0]


def fan_in(budget_tokens: int, result_tokens: int) -> int:
    """How many results of `result_tokens` fit into one merge, 2 to 32: more of them at once blur."""
    return max(2, min(32, budget_tokens // max(1, result_tokens)))


class _Ruler:
    """Measures pieces of one text fast: it knows the tokens up to every thousandth character."""

    def __init__(self, text: str, measure: Callable[[str], int]) -> None:
        self._text = text
        self.measure = measure
        pieces = (measure(text[place : place + _BLOCK]) for place in range(0, len(text), _BLOCK))
        self._until = [0, *accumulate(pieces)]

    def rest(self, start: int) -> int:
        """About how many tokens follow `start`."""
        block = min(-(-start // _BLOCK), len(self._until) - 1)
        return self._until[-1] - self._until[block] + self.measure(self._text[start : block * _BLOCK])

    def reach(self, start: int, tokens: int) -> int:
        """How far a piece that begins at `start` may go to have at most `tokens`; always at least one character."""
        block = min(-(-start // _BLOCK), len(self._until) - 1)
        head = self.measure(self._text[start : block * _BLOCK])
        if head > tokens:
            return self._refined(start, start, block * _BLOCK, tokens)
        whole = bisect_right(self._until, self._until[block] + tokens - head) - 1
        low = min(len(self._text), whole * _BLOCK)
        return self._refined(start, low, min(len(self._text), low + _BLOCK), tokens)

    def _refined(self, start: int, low: int, high: int, tokens: int) -> int:
        base = self.measure(self._text[start:low])
        place = low
        while low < high:
            middle = (low + high + 1) // 2
            if base + self.measure(self._text[place:middle]) <= tokens:
                low = middle
            else:
                high = middle - 1
        return max(low, start + 1)


def _end_of_part(text: str, start: int, budget: int, ruler: _Ruler) -> int:
    rest = ruler.rest(start)
    if rest <= budget:
        return len(text)
    furthest = ruler.reach(start, budget)
    if furthest >= len(text):
        return len(text)
    # What is left in equal parts, with some slack on both sides in which a good place is looked for.
    even = -(-rest // -(-rest // budget))
    aim = min(furthest, start + int((furthest - start) * even / budget))
    slack = max(1, int((aim - start) * _SLACK))
    return _best_place(text, max(start + 1, aim - slack), aim, min(furthest, aim + slack), furthest, start)


def _best_place(text: str, low: int, aim: int, high: int, furthest: int, start: int) -> int:
    """Where to cut between `low` and `high`, near `aim`; the best kind of place wins over the nearest one."""
    for place in _PLACES:
        found = [match for match in _cuts(text, place, low, high) if match > start]
        if found:
            return min(found, key=lambda cut: abs(cut - aim))
    # No space far and wide: a word of a script without spaces, or data. Marks stay with their letters.
    cut = high if high > start else furthest
    while cut > max(low, start + 1) and _belongs_to_the_one_before(text, cut):
        cut -= 1
    return cut if not _belongs_to_the_one_before(text, cut) else high


def _cuts(text: str, place: re.Pattern[str], low: int, high: int) -> Iterator[int]:
    # Some places are known by what stands around them.
    for match in place.finditer(text, max(0, low - 130), min(len(text), high + 130)):
        if low <= match.end() <= high:
            yield match.end()


def _belongs_to_the_one_before(text: str, place: int) -> bool:
    """Whether the character at `place` cannot stand alone: a mark, a joiner, the second half of a line end."""
    if place >= len(text):
        return False
    character, before = text[place], text[place - 1]
    if before == "\r" and character == "\n":
        return True
    return before == "\u200d" or character in "\u200d\ufe0f" or unicodedata.category(character)[0] == "M"
