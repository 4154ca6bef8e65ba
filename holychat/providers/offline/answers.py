"""What the offline provider answers: a summary, sentences that match a question, a page of help, or what it can do.

Everything here is a pure function of the conversation: the same conversation always gets the same answer. That is also
how an answer that was cut short is continued: it is made again and the rest of it is sent.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holychat.providers.offline.help import find_sections
from holychat.providers.offline.prompt import (
    Document,
    Turn,
    earlier_documents,
    is_question,
    read_question,
    wants_summary,
    wants_the_rest,
)
from holychat.providers.offline.summary import Extract, Length, asked_length, find_answer, summarise
from holychat.providers.offline.terms import word_count

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_DOCUMENT = 2_000_000
"""Characters of a document that are read; what follows is left out, and the answer says so."""

QUOTED_NOTE = "*Extractive: sentences picked word for word by holychat's offline provider. It is not a language model.*"
HELP_NOTE = "*Extractive: taken from holychat's own help by its offline provider. It is not a language model.*"
ABILITIES = """\
*Extractive: this is holychat's offline provider. It is not a language model: it quotes, it does not converse.*

What it can do, without a key and without a network:

- **Summarise a text.** Paste one here, or in the shell: `holychat ask -p offline -f FILE "Summarise in 3 sentences"`.
  Every sentence of the summary stands in the text, word for word.
- **Find what a text says about something.** Ask about it after it was given.
- **Explain holychat.** Ask about its keys, commands, settings, API keys or providers.

To talk to a language model, add a key with `holychat keys set holysheep` (or set `HOLYSHEEP_API_KEY`), or start a local
server such as Ollama; then choose the provider with Ctrl+L.
"""
_NOTHING_LEFT = "\n\n*That was all of it.*"
_ABOUT_HOLYCHAT = re.compile(
    r"\bholychat\b|\bthis (?:app|program|tool|chat)\b|\b(?:key ?board )?shortcuts?\b", re.IGNORECASE
)
_LONGEST_REQUEST = 12
"""Words of "a bit shorter, please": with more, a length is not all that is asked."""
_FEW_WORDS = 3
"""Words of a search: "keyring locked" need not be a question to be one."""


def answer(turns: Sequence[Turn]) -> str:
    """The answer to the last message of a conversation, Markdown. Takes about a second per megabyte of text."""
    last = max((place for place, turn in enumerate(turns) if turn.role == "user"), default=None)
    if last is None:
        return ABILITIES
    text = turns[last].text
    if wants_the_rest(text) and last > 1 and turns[last - 1].role == "assistant":
        said = turns[last - 1].text
        whole = answer(turns[: last - 1])
        if whole.startswith(said):
            return whole[len(said) :] or _NOTHING_LEFT
    question = read_question(text)
    if question.documents:
        return _about_documents(question.documents, question.typed)
    return _about_the_conversation(question.typed, earlier_documents(turns[:last]))


def _about_documents(documents: Sequence[Document], typed: str) -> str:
    """A question about texts is answered from them; anything else that is said about them gets a summary."""
    if is_question(typed) and not wants_summary(typed):
        found = _matching(documents, typed)
        if found:
            return found
    return _summaries(documents, asked_length(typed))


def _about_the_conversation(typed: str, earlier: tuple[Document, ...]) -> str:
    about_holychat = bool(_ABOUT_HOLYCHAT.search(typed))
    if earlier and not about_holychat:
        length = asked_length(typed)
        if wants_summary(typed) or (length != Length() and word_count(typed) <= _LONGEST_REQUEST):
            return _summaries(earlier, length)
        if found := _matching(earlier, typed):
            return found
    asks_for_help = about_holychat or is_question(typed) or word_count(typed) <= _FEW_WORDS
    if asks_for_help and (sections := find_sections(typed, certain=about_holychat)):
        pages = "\n\n".join(f"## {section.title}\n\n{section.body}" for section in sections)
        return f"{HELP_NOTE}\n\n{pages}\n"
    if earlier:
        names = ", ".join(_name(document) for document in earlier)
        return f"{QUOTED_NOTE}\n\nNo sentence of {names} has the words of this question in it.\n"
    return ABILITIES


def _summaries(documents: Sequence[Document], length: Length) -> str:
    return _report([(document, summarise(document.text[:LONGEST_DOCUMENT], length)) for document in documents])


def _matching(documents: Sequence[Document], typed: str) -> str:
    """The sentences that match a question, or "" where no document has any."""
    found = [(document, find_answer(document.text[:LONGEST_DOCUMENT], typed)) for document in documents]
    hits = [(document, extract) for document, extract in found if extract.sentences]
    return _report(hits, "matching ") if hits else ""


def _report(extracts: Sequence[tuple[Document, Extract]], kind: str = "") -> str:
    parts = [QUOTED_NOTE]
    for document, extract in extracts:
        if document.name or len(extracts) > 1:
            parts.append(f"### {_name(document)}")
        if not extract.sentences:
            parts.append("There is no text in it.")
            continue
        parts.append("\n".join(f"- {sentence.text}" for sentence in extract.sentences))
        parts.append(_count(extract, kind, cut=len(document.text) > LONGEST_DOCUMENT))
    return "\n\n".join(parts) + "\n"


def _count(extract: Extract, kind: str, *, cut: bool) -> str:
    number = len(extract.sentences)
    unit = "sentence" if extract.prose else "line"
    note = f"{number} {kind}{unit if number == 1 else unit + 's'} of {extract.total:,}"
    if not extract.prose:
        note += ", as there are no sentences in it"
    if cut:
        note += f"; only the first {LONGEST_DOCUMENT:,} characters were read"
    return f"*({note})*"


def _name(document: Document) -> str:
    """A document's name as Markdown that shows it as it is."""
    if not document.name:
        return "the text"
    return f"`{document.name}`" if "`" not in document.name else re.sub(r"([\\`*_\[\]<>#])", r"\\\1", document.name)
