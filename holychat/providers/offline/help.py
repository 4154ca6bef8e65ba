"""The bundled help, and the section of it that answers a question."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from holychat.providers.offline.terms import terms

if TYPE_CHECKING:
    from collections.abc import Collection

_SECTION = re.compile(r"^## (.+)$", re.MULTILINE)
_PAGE = re.compile(r"^# (.+)$", re.MULTILINE)
_ENOUGH = 0.5
"""Share of the question's weight that a section has to cover."""
_TITLE_WEIGHT = 2.0
_OTHER_LANGUAGES = {
    "phím tắt": "keyboard shortcuts",
    "khóa": "api key",
    "khoá": "api key",
    "cấu hình": "config settings",
    "ngoại tuyến": "offline",
    "thoát": "quit",
    "hàng loạt": "batch",
    "快捷键": "keyboard shortcuts",
    "密钥": "api key",
    "配置": "config settings",
    "设置": "settings",
    "离线": "offline",
    "退出": "quit",
    "批处理": "batch",
    "tastenkürzel": "keyboard shortcuts",
    "raccourcis": "keyboard shortcuts",
}
"""What people ask for in other languages, in the words of the help, which is in English."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the help, Markdown."""

    page: str
    title: str
    body: str


def find_sections(question: str, *, certain: bool) -> list[Section]:
    """The sections that answer a question about holychat, the best first; none where nothing fits.

    Args:
        question: In the person's words.
        certain: Whether it is known to be about holychat: then there is always an answer, at least the first section.
            If not, a section has to cover most of the question.
    """
    lowered = question.lower()
    translated = " ".join(english for words, english in _OTHER_LANGUAGES.items() if words in lowered)
    wanted = dict.fromkeys(term for term in terms(translated or question) if term != "holychat" and not term.isdigit())
    index = _index()
    if page := index.page_named(wanted):
        return page
    weights = {term: index.weight(term) for term in wanted}
    total = sum(weights.values())
    scored: list[tuple[float, float, int]] = []
    for number, words in enumerate(index.words):
        covered = sum(weight for term, weight in weights.items() if term in words)
        score = sum(weight * words[term] for term, weight in weights.items() if term in words)
        if covered and (certain or covered >= _ENOUGH * total):
            scored.append((score, covered, number))
    if certain and not scored:
        return [index.sections[0]]
    scored.sort(key=lambda entry: (-entry[0], entry[2]))
    return [index.sections[number] for score, _, number in scored[:2] if score >= 0.8 * scored[0][0]]


@dataclass(frozen=True, slots=True)
class _Index:
    sections: tuple[Section, ...]
    words: tuple[dict[str, float], ...]
    """Terms of each section with how much they count there."""

    def page_named(self, wanted: Collection[str]) -> list[Section]:
        """All sections of the page whose title has every wanted term; none where no title has."""
        pages = dict.fromkeys(section.page for section in self.sections)
        name = next((page for page in pages if wanted and set(wanted) <= set(terms(page))), None)
        return [section for section in self.sections if section.page == name]

    def weight(self, term: str) -> float:
        number = sum(term in words for words in self.words)
        return math.log(1 + len(self.words) / (number or 0.5))


@lru_cache(maxsize=1)
def _index() -> _Index:
    folder = files("holychat").joinpath("help")
    pages = sorted((page for page in folder.iterdir() if page.name.endswith(".md")), key=lambda page: page.name)
    sections = [section for page in pages for section in _sections(page.read_text(encoding="utf-8"))]
    return _Index(tuple(sections), tuple(_words(section) for section in sections))


def _sections(text: str) -> list[Section]:
    page = _PAGE.search(text)
    parts = _SECTION.split(text)
    title = page[1] if page else ""
    return [Section(title, parts[place], parts[place + 1].strip()) for place in range(1, len(parts), 2)]


def _words(section: Section) -> dict[str, float]:
    counted: dict[str, float] = {}
    for term in terms(section.body):
        counted[term] = min(1.6, counted.get(term, 0.8) + 0.2)
    for term in terms(f"{section.title} {section.page}"):
        counted[term] = counted.get(term, 0.0) + _TITLE_WEIGHT
    return counted
