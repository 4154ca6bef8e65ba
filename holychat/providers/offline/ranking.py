"""Which sentences of a text say most: by what it speaks of, by their place, without saying a thing twice.

Words weigh by TF-IDF with sentences as documents. All sentences are compared with the text as a whole; the best few
hundred also with each other (LexRank), which bounds the cost. The choice then goes by marginal relevance.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

from holychat.providers.offline.terms import letter_share, terms, word_count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.providers.offline.sentences import Sentence

Vector: TypeAlias = dict[str, float]

_COMPARED = 200
"""Sentences that are compared with each other; the cost grows with the square."""
_SAME = 0.6
"""Similarity from which two sentences say the same."""
_DAMPING = 0.85
_ROUNDS = 20
_ENDING = re.compile(r"[.!?…。！？｡．।॥؟۔።։။។‽][\"'”’»)\]}」』）》】〉*_~`]*$")
_LEANS_BACK = re.compile(
    r"(this|that|these|those|it|he|she|they|but|however|and|so|also|then|thus|therefore|nevertheless|moreover)\b", re.I
)
_ADDRESS = re.compile(r"https?://|www\.")


class Ranking:
    """The sentences of one text with their weights. Building it is linear in the length of the text."""

    def __init__(self, sentences: Sequence[Sentence]) -> None:
        self._sentences = sentences
        counted = [Counter(terms(sentence.text)) for sentence in sentences]
        spread: Counter[str] = Counter()
        for counts in counted:
            spread.update(counts.keys())
        total = len(sentences)
        self._idf = {term: math.log(1 + total / number) for term, number in spread.items()}
        self._vectors = [self._vector(counts) for counts in counted]

    def best(self, number: int, words: int | None = None) -> list[Sentence]:
        """The sentences that say most, in the order of the text.

        Args:
            number: How many at most.
            words: How many words they may have together at most; the best one is given in any case.
        """
        scores = self._scores()
        order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
        return self._pick([(index, scores[index]) for index in order[:_COMPARED]], number, words)

    def matching(self, question: str, number: int) -> list[Sentence]:
        """The sentences with most of the question's words, in the order of the text; none where nothing matches."""
        asked = {term: self._idf[term] for term in dict.fromkeys(terms(question)) if term in self._idf}
        known = sum(asked.values())
        if not known:
            return []
        scored: list[tuple[int, float]] = []
        for index, (sentence, vector) in enumerate(zip(self._sentences, self._vectors, strict=True)):
            if hits := [weight for term, weight in asked.items() if term in vector]:
                titled = sum(weight for term, weight in asked.items() if term in terms(sentence.title))
                scored.append((index, (sum(hits) + 0.3 * titled) * _shape(sentence)))
        scored.sort(key=lambda pair: (-pair[1], pair[0]))
        close = [pair for pair in scored[:_COMPARED] if pair[1] >= 0.5 * scored[0][1]]
        return self._pick(close, number, None)

    def _vector(self, counts: Counter[str]) -> Vector:
        raw = {term: (1 + math.log(count)) * self._idf[term] for term, count in counts.items()}
        norm = math.sqrt(sum(weight * weight for weight in raw.values()))
        return {term: weight / norm for term, weight in raw.items()} if norm else {}

    def _scores(self) -> list[float]:
        centroid: Vector = {}
        for vector in self._vectors:
            for term, weight in vector.items():
                centroid[term] = centroid.get(term, 0.0) + weight
        central = [sum(weight * centroid[term] for term, weight in vector.items()) for vector in self._vectors]
        highest = max(central, default=0.0) or 1.0
        scores = [
            value / highest * _shape(sentence) * _place(sentence, index, len(central))
            for index, (value, sentence) in enumerate(zip(central, self._sentences, strict=True))
        ]
        order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))[:_COMPARED]
        order.sort()
        for index, rank in zip(order, self._lexrank(order), strict=True):
            scores[index] *= 0.5 + rank
        # What was not among the best can not overtake them for want of a comparison.
        compared = set(order)
        return [score if index in compared else 0.5 * score for index, score in enumerate(scores)]

    def _lexrank(self, chosen: list[int]) -> list[float]:
        """How strongly each chosen sentence is backed by the others, 0 to 1."""
        size = len(chosen)
        links = [[0.0] * size for _ in range(size)]
        for row in range(size):
            for column in range(row):
                likeness = _cosine(self._vectors[chosen[row]], self._vectors[chosen[column]])
                if 0.05 < likeness < 0.95:  # a repeated sentence is no support for its twin
                    links[row][column] = links[column][row] = likeness
        sums = [sum(row) or 1.0 for row in links]
        ranks = [1.0] * size
        for _ in range(_ROUNDS):
            shares = [rank / total for rank, total in zip(ranks, sums, strict=True)]
            ranks = [1 - _DAMPING + _DAMPING * sum(map(float.__mul__, row, shares)) for row in links]
        highest = max(ranks, default=1.0)
        return [rank / highest for rank in ranks]

    def _pick(self, scored: list[tuple[int, float]], number: int, words: int | None) -> list[Sentence]:
        """Greedy choice: the next one is the best after what it shares with those already chosen is taken off."""
        left = dict(scored)
        overlap = dict.fromkeys(left, 0.0)
        chosen: list[int] = []
        used = 0
        while left and len(chosen) < number:
            index = max(left, key=lambda place: (left[place] * (1 - overlap[place]), -place))
            del left[index]
            length = word_count(self._sentences[index].text)
            if overlap[index] > _SAME or (chosen and words is not None and used + length > words):
                continue
            chosen.append(index)
            used += length
            for other in left:
                overlap[other] = max(overlap[other], _cosine(self._vectors[index], self._vectors[other]))
        return [self._sentences[index] for index in sorted(chosen)]


def _cosine(first: Vector, second: Vector) -> float:
    if len(second) < len(first):
        first, second = second, first
    return sum(weight * second[term] for term, weight in first.items() if term in second)


def _shape(sentence: Sentence) -> float:
    """How well a sentence stands alone, by its form: whole, neither a scrap nor endless, made of words."""
    text = sentence.text
    words = word_count(text)
    length = 0.3 if words < 4 else 0.75 if words < 8 else 1.0 if words <= 40 else 0.8 if words <= 60 else 0.6
    if text.endswith((":", "：")):
        length *= 0.4
    elif not _ENDING.search(text[-12:]):
        length *= 0.6
    elif text.endswith(("?", "？", "؟")):
        length *= 0.8
    if _LEANS_BACK.match(text):
        length *= 0.85
    if _ADDRESS.search(text):
        length *= 0.7
    return length if letter_share(text) >= 0.6 else 0.4 * length


def _place(sentence: Sentence, index: int, total: int) -> float:
    """Texts say first what they are about, and so do their sections and paragraphs."""
    lead = 0.3 * math.exp(-10 * index / total) + (0.15 if sentence.leads else 0.0)
    return 1.0 + lead + (0.1 if sentence.place == 0 else 0.0)
