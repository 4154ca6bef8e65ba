"""Summaries of one text: how long they are to be, and the sentences that make them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.providers.offline.ranking import Ranking
from holychat.providers.offline.sentences import split_lines, split_sentences

if TYPE_CHECKING:
    from holychat.providers.offline.sentences import Sentence

_MOST = 50
_NUMBERS = {
    word: value
    for value, words in enumerate(
        [
            "one một 一 ein einem une uno un",
            "two hai 二 两 zwei deux dos",
            "three ba 三 drei trois tres",
            "four bốn 四 vier quatre cuatro",
            "five năm 五 fünf cinq cinco",
            "six sáu 六 sechs",
            "seven bảy 七 sieben sept",
            "eight tám 八 acht huit",
            "nine chín 九 neun neuf",
            "ten mười 十 zehn dix diez",
        ],
        start=1,
    )
    for word in words.split()
}
_COUNT = rf"(\d{{1,4}}|{'|'.join(sorted(_NUMBERS, key=len, reverse=True))})"
_SENTENCES = re.compile(
    rf"{_COUNT}\s*(?:[\w-]+\s+){{0,2}}?(?:sentences?|bullets?(?:\s+points?)?|points?|lines?|takeaways?|câu|gạch|ý|"
    r"句话|句|点|條|条|sätzen?|phrases?|frases?)",
    re.IGNORECASE,
)
_WORDS = re.compile(rf"{_COUNT}\s*-?(?:words?\b|từ\b|chữ\b|字|wörtern?\b|mots?\b|palabras?\b)", re.IGNORECASE)
_SHORT = re.compile(
    r"\b(?:short(?:er|ly)?|brief(?:ly|er)?|concise(?:ly)?|tl;?dr|quick(?:ly)?|ngắn|kurz|court|breve|one[- ]liner)\b|"
    r"简短|简要|短",
    re.IGNORECASE,
)
_LONG = re.compile(
    r"\b(?:detail(?:ed|s)?|long(?:er)?|thorough(?:ly)?|in[- ]depth|comprehensive(?:ly)?|more|full(?:er)?|chi tiết|dài|"
    r"ausführlich|détaillée?|detallad[oa])\b|详细|更多|长",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Length:
    """How long a summary is to be. Only one of the fields says something; with none it is up to the text."""

    sentences: int | None = None
    words: int | None = None
    scale: float = 1.0
    """Below 1: short, above 1: in detail."""


@dataclass(frozen=True, slots=True)
class Extract:
    """Sentences picked from a text, in its order."""

    sentences: tuple[Sentence, ...]
    total: int
    """Sentences (or lines) there were to choose from."""
    prose: bool
    """False where the text has no sentences and its lines were taken instead."""


def asked_length(request: str) -> Length:
    """The length that a request asks for: "in 3 sentences", "100 words", "short", "in detail"."""
    if match := _SENTENCES.search(request):
        return Length(sentences=_number(match[1]))
    if match := _WORDS.search(request):
        return Length(words=_number(match[1]))
    if _SHORT.search(request):
        return Length(scale=0.5)
    return Length(scale=2.5) if _LONG.search(request) else Length()


def summarise(text: str, length: Length) -> Extract:
    """The sentences that say most of what `text` says; every one is a slice of it."""
    sentences, prose = _sentences(text)
    if not sentences:
        return Extract((), 0, prose)
    total = len(sentences)
    if length.words is not None:
        number = _MOST
    elif length.sentences is not None:
        number = length.sentences
    else:
        usual = min(7, max(2, round(total**0.5)))
        # A summary of a short text still leaves something out.
        number = min(max(1, round(usual * length.scale)), max(1, round(total * 0.6 * max(1.0, length.scale / 2))))
    return Extract(tuple(Ranking(sentences).best(min(number, _MOST), length.words)), total, prose)


def find_answer(text: str, question: str, number: int = 3) -> Extract:
    """The sentences of `text` that have most of the words of a question."""
    sentences, prose = _sentences(text)
    found = Ranking(sentences).matching(question, number) if sentences else []
    return Extract(tuple(found), len(sentences), prose)


def _sentences(text: str) -> tuple[list[Sentence], bool]:
    found = split_sentences(text)
    return (found, True) if found else (split_lines(text), False)


def _number(word: str) -> int:
    value = int(word) if word.isdecimal() else _NUMBERS.get(word.lower(), 1)
    return max(1, value)
