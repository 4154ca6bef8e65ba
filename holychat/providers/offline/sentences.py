"""Sentences of a text in any script that has punctuation for them, each one a slice of the source."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.providers.offline.blocks import find_blocks
from holychat.providers.offline.terms import word_set

if TYPE_CHECKING:
    from collections.abc import Iterator

LONGEST = 800
"""Characters of a sentence; what is longer has no punctuation and is cut at commas or spaces."""

_CLOSERS = "\"'”’»)\\]}」』）》】〉*_~"
_WIDE = "。！？｡．"
# Danda, Arabic, Ethiopic, Armenian, Khmer and Burmese full stops stand beside the Latin ones.
_SPACED = ".!?…।॥؟۔።։។။‽"
# A run of marks is only looked at from its beginning, or a megabyte of dots would take hours.
_END = re.compile(
    f"[{_WIDE}]+[{_CLOSERS}{_WIDE}]*|(?<![{_SPACED}])(?:[{_SPACED}]++[{_CLOSERS}]*+(?=\\s|$)|…{{2}}(?=\\S))"
)
_CODE_SPAN = re.compile(r"(?<!`)(`{1,3})[^`\n]+\1(?!`)")
_LAST_WORD = re.compile(r"[^\s(\[{\"'“‘«„*_~]*$")
_NEXT = re.compile(r"[\s\"'“‘«„(\[{*_]*(\S)")
_NEXT_WORD = re.compile(r"[\s\"'“‘«„(\[{*_]*([^\W\d_]+)")
_NEXT_DIGIT = re.compile(r"\s*\d")
_BREAK = re.compile(r"[,;:，、；：]\s*|\s+")

_TITLES = word_set(
    "mr mrs ms dr prof rev hon gen col sgt capt lt st mt messrs mme mlle sr sra hr fr tp ths pgs gs bs ks ts tt"
)
"""Capitalised abbreviations that a name follows."""
_INSIDE = word_set("vs cf eg e.g i.e ie viz approx ca circa resp bzw d.h z.b u.a s.o s.u p.ex v.d t.d")
"""Abbreviations that the rest of the sentence follows."""
_NUMBERED = word_set("fig figs eq eqs sec ch vol vols no nos nr art par p pp ed q abb s kap đ điều")
"""Abbreviations when a number follows; some of them are also ordinary words."""
_MAY_BE_AN_END = word_set(
    "etc al inc ltd co corp jr bros dept a.m p.m usw v.v vv jan feb apr jun jul aug sep sept oct nov dec"
)
"""Abbreviations that end a sentence when the next word begins with a capital letter."""
_MONTHS = word_set(
    "januar februar märz april mai juni juli august september oktober november dezember jahrhundert ledna února"
)
"""Words that follow a number with a full stop where that is how ordinals are written."""
_STARTERS = word_set(
    "the a an in on at it he she we they this that these those but and however there when while if as for to with after"
    " before although because since so then you what who why how not no yes"
)
"""Words that seldom belong to a name: after initials or an acronym they begin a sentence."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a source text: `source[start:end] == text`."""

    text: str
    start: int
    end: int
    block: int
    """Number of the paragraph, list item or quotation it stands in."""
    place: int
    """Its number within that block."""
    title: str
    """The heading above it."""
    leads: bool
    """Whether it is the first one under that heading."""


def split_sentences(text: str) -> list[Sentence]:
    """The sentences of `text`, in order; Markdown's code, tables and headings are none. Linear in the length."""
    found: list[Sentence] = []
    for number, block in enumerate(find_blocks(text)):
        for place, (start, end) in enumerate(_spans(text, block.start, block.end)):
            leads = block.first and place == 0
            found.append(Sentence(text[start:end], start, end, number, place, block.title, leads))
    return found


def split_lines(text: str) -> list[Sentence]:
    """The lines of `text` that hold anything, for texts without prose: lists of data, logs, programs."""
    found: list[Sentence] = []
    for number, line in enumerate(re.finditer(r"[^\n]+", text)):
        for place, (start, end) in enumerate(_pieces(text, *_trim(text, line.start(), line.end()))):
            found.append(Sentence(text[start:end], start, end, number, place, "", not found))
    return found


def _spans(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = start
    for stop in _ends(text[start:end]):
        first, last = _trim(text, begin, start + stop)
        if first < last:
            yield from _pieces(text, first, last)
        begin = start + stop


def _ends(block: str) -> Iterator[int]:
    """Where the sentences of a block end, as offsets into it; the last one is the block's length."""
    code = _CODE_SPAN.finditer(block)
    span = next(code, None)
    for match in _END.finditer(block):
        while span is not None and span.end() <= match.start():
            span = next(code, None)
        if span is not None and span.start() <= match.start():
            continue
        if match.end() < len(block) and _is_end(block, match):
            yield match.end()
    yield len(block)


def _is_end(block: str, match: re.Match[str]) -> bool:
    mark = match[0]
    if mark[0] in "．" and block[match.end() : match.end() + 1].isdigit():
        return False
    if mark[0] in _WIDE:
        return True
    following = _NEXT.match(block, match.end())
    if following is None or following[1].islower():
        return following is None
    if mark.rstrip("\"'”’»)]}*_~") != ".":
        return True
    return _stop_is_end(block, match)


def _stop_is_end(block: str, match: re.Match[str]) -> bool:
    """Whether a full stop before a word that may begin a sentence is one, or belongs to an abbreviation or a number."""
    before = _LAST_WORD.search(block, max(0, match.start() - 40), match.start())
    word = before[0] if before else ""
    lower = word.lower()
    if lower in _INSIDE or (lower in _TITLES and word[:1].isupper()):
        return False
    if lower in _MAY_BE_AN_END:
        return True
    if lower in _NUMBERED and _NEXT_DIGIT.match(block, match.end()):
        return False
    after = _NEXT_WORD.match(block, match.end())
    following = after[1].lower() if after else ""
    if word.isdigit():
        return before is not None and before.start() > 0 and following not in _MONTHS
    initial = len(word) == 1 and word.isupper()
    acronym = "." in word and all(len(part) == 1 and part.isalpha() for part in word.split("."))
    if initial or acronym:
        return following in _STARTERS or word == "I"
    return True


def _trim(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _pieces(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The span itself, or pieces of it where it is too long to be one sentence."""
    while end - start > LONGEST:
        cut = start + LONGEST
        for match in _BREAK.finditer(text, start + LONGEST // 2, start + LONGEST):
            cut = match.end()
        yield _trim(text, start, cut)
        start, _ = _trim(text, cut, end)
    if start < end:
        yield start, end
