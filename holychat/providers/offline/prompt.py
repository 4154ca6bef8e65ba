"""What a conversation gives the offline provider to work with: texts, and what is wanted of them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.providers.offline.sentences import split_sentences
from holychat.providers.offline.terms import word_count

if TYPE_CHECKING:
    from collections.abc import Sequence

_OPENING = re.compile(r'<file name="([^"\n]*)">\n')
_CLOSING = "</file>"
_LONGEST_INSTRUCTION = 300
_LONG_WORDS = 60
_SUMMARY = re.compile(
    r"summar|\btl;?dr\b|\bgist\b|key (?:points|ideas|facts)|main (?:points?|ideas?)|\boverview\b|\babstract\b|\brecap\b"
    r"|\bshorten\b|\bcondense|\boutline\b|\bextract|\bbullet|tóm tắt|tóm lược|ý chính|tổng kết|总结|總結|摘要|概括|概述"
    r"|归纳|要約|まとめ|요약|zusammenfass|fasse? .*zusammen|résum|resum|riassum|кратк|резюм|перескаж",
    re.IGNORECASE,
)
_CONTINUE = re.compile(
    r"continue your last message\b|(?:please )?(?:continue|go on|tiếp tục|继续)[.!。]?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of the conversation."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Document:
    """A text to work on; without a name it was pasted."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Question:
    """A message of the person, taken apart."""

    documents: tuple[Document, ...]
    typed: str
    """What the person typed besides the documents: an instruction, a question, or nothing."""


def read_question(text: str) -> Question:
    """Attached files, a pasted text, and what is asked, from one message."""
    documents, typed = _files(text)
    if documents:
        return Question(tuple(documents), typed)
    instruction, body = _pasted(typed)
    return Question((Document("", body),) if body else (), instruction)


def earlier_documents(turns: Sequence[Turn]) -> tuple[Document, ...]:
    """The texts that were given last in the conversation so far."""
    for turn in reversed(turns):
        if turn.role == "user" and (documents := read_question(turn.text).documents):
            return documents
    return ()


def wants_summary(typed: str) -> bool:
    """Whether a summary is asked for."""
    return bool(_SUMMARY.search(typed))


def wants_the_rest(typed: str) -> bool:
    """Whether the last answer is to be continued."""
    return bool(_CONTINUE.match(typed.strip()))


def is_question(typed: str) -> bool:
    """Whether something is asked, as far as its form tells."""
    return typed.rstrip().endswith(("?", "？", "؟")) or bool(
        re.match(
            r"\s*(?:how|what|where|which|who|when|why|can|could|does|is|are|do|tell me|explain|show|find)\b",
            typed,
            re.I,
        )
    )


def _files(text: str) -> tuple[list[Document], str]:
    documents: list[Document] = []
    rest: list[str] = []
    place = 0
    while (opening := _OPENING.search(text, place)) is not None:
        closing = text.find(_CLOSING, opening.end())
        if closing < 0:
            break
        rest.append(text[place : opening.start()])
        documents.append(Document(opening[1], text[opening.end() : closing]))
        place = closing + len(_CLOSING)
    rest.append(text[place:])
    return documents, "\n".join(part.strip() for part in rest if part.strip())


def _pasted(text: str) -> tuple[str, str]:
    """An instruction and the text it is about, where a message holds both or the text alone."""
    for instruction, body in _cuts(text):
        if len(instruction) > _LONGEST_INSTRUCTION:
            continue
        asks = wants_summary(instruction) or is_question(instruction) or instruction.rstrip().endswith((":", "："))
        if asks and _is_a_text(body, sentences=2, words=20):
            return instruction.strip(), body
    return ("", text) if _is_a_text(text, sentences=3, words=_LONG_WORDS) else (text, "")


def _cuts(text: str) -> list[tuple[str, str]]:
    """Where an instruction may end or begin: at a blank line, at the first or last line, after a colon."""
    cuts: list[tuple[str, str]] = []
    for mark in ("\n\n", "\n"):
        first, found, rest = text.partition(mark)
        if found:
            cuts.append((first, rest.strip("\n")))
        rest, found, last = text.rpartition(mark)
        if found:
            cuts.append((last, rest.strip("\n")))
    if colon := re.match(r"[^\n:：]{1,120}[:：]\s+", text):
        cuts.append((colon[0], text[colon.end() :]))
    return cuts


def _is_a_text(text: str, *, sentences: int, words: int) -> bool:
    if word_count(text[:20_000]) < words:
        return False
    return len(split_sentences(text[:20_000])) >= sentences
