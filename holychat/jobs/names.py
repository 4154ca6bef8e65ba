"""Names: of jobs, of what they do, of the files that results are written to."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING

from holychat.domain.jobs import Kind, SourceKind
from holychat.text import clean_line, safe_file_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holychat.domain.jobs import Recipe, Source

KIND_NAMES: Mapping[Kind, str] = {
    Kind.SUMMARIZE: "Summarise",
    Kind.TRANSLATE: "Translate",
    Kind.CLASSIFY: "Classify",
    Kind.EXTRACT: "Extract",
    Kind.PROMPT: "Prompt",
    Kind.REQUESTS: "Requests",
}
"""What is done with documents, as people read it everywhere."""
LONGEST_NAME = 80
"""Characters of a job's name."""
_LONGEST_LANGUAGE = 30
_LONGEST_TEMPLATE = 40
_BETWEEN: Mapping[Kind, str] = {Kind.EXTRACT: "from", Kind.PROMPT: "for", Kind.REQUESTS: "of"}
_SPOOLED = re.compile(r"[0-9a-f]{16}\.txt")
"""A list that came in on standard input, whose file has no name that means anything."""

_ENDING = re.compile(r"(?<=.)\.[A-Za-z0-9]{1,10}$")
_HASH_DIGITS = 10
"""Enough that no two of a hundred thousand documents of one name meet."""


def job_name(sources: Sequence[Source], recipe: Recipe, template: str = "") -> str:
    """What a job is called that nobody gave a name: "Summarise docs", "Translate *.md and 2 more into French".

    One that was made with a template is named after that: "Minutes: docs".
    """
    named = clean_line(template, _LONGEST_TEMPLATE)
    doing = [f"{named}:"] if named else [KIND_NAMES[recipe.kind], _BETWEEN.get(recipe.kind, "")]
    words = [*doing, _place(sources[0]) if sources else ""]
    if more := len(set(sources)) - 1 if sources else 0:
        words.append(f"and {more} more")
    if recipe.kind is Kind.TRANSLATE and recipe.language.strip() and not named:
        words.append(f"into {clean_line(recipe.language, _LONGEST_LANGUAGE)}")
    return clean_line(" ".join(word for word in words if word), LONGEST_NAME)


def is_spooled(source: Source) -> bool:
    """Whether it is a list of paths that came in on standard input."""
    return source.kind is SourceKind.LIST and bool(_SPOOLED.fullmatch(os.path.basename(source.value)))


def _place(source: Source) -> str:
    if source.kind is SourceKind.CHAT:
        return f"chat {source.value}"
    name = os.path.basename(source.value.rstrip("/")) or source.value
    if source.kind is SourceKind.GLOB and (folder := os.path.basename(os.path.dirname(source.value))):
        return f"{folder}/{name}"
    if source.kind is SourceKind.LIST:
        return "a list of files" if is_spooled(source) else f"the files of {name}"
    return name


def result_name(name: str, key: str, ending: str) -> str:
    """The name of the file for a document's result: always the same for the same document, never that of another.

    It is made from the document's name and never from what a model wrote. The digits keep apart what a file system may
    take for the same: equal names in different folders, `a.txt` and `a.md`, names that differ in case or in the way
    their accents are composed.

    Args:
        name: The document's name or path, untrusted; separators in it lead nowhere.
        key: What the document is, unique within its job.
        ending: Of the file, with its dot.

    Returns:
        A name of at most 200 bytes without a separator, control character, leading dash or dot.
    """
    digits = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{safe_file_name(_ENDING.sub('', name), 'document')}-{digits}{ending}"
