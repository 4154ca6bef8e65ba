"""Finding the one label that an answer means."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_AROUND = " \t\r\n\"'`*_.,;:!?()[]{}<>“”„‘’«»「」。：-–—#"
_NAMED = re.compile(
    r"^(?:the\s+)?(?:best\s+)?(?:final\s+)?(?:label|answer|category|class|result|kategorie|nhãn|标签|分类)"
    r"(?:\s+is)?\s*[:：=-]?\s*",
    re.IGNORECASE,
)
_NEGATED = re.compile(
    r"(?:\b(?:not|no|isn't|isn’t|never|neither|nor|rather than|instead of|kein\w*|nicht|pas|không)\b|[不非没])"
    r"[\s\"'“”`*]*(?:(?:an?|the|really|clearly)\s+)?[\"'“`*]*$",
    re.IGNORECASE,
)
_LONGEST = 20_000


def label_in(answer: str, labels: Sequence[str]) -> str | None:
    """The label that an answer names, spelled as it was given; None where it names none or more than one.

    An answer that is the label alone is found whatever stands around it: quotation marks, Markdown, "Label:", another
    case. In a longer one a line that is a label counts first, the last one of them; then a label within a sentence, if
    it is the only one and is not denied ("not spam").
    """
    known = {_bare(label): label for label in labels}
    text = answer[-_LONGEST:].strip()
    if found := known.get(_bare(text)) or known.get(_bare(_NAMED.sub("", text.lstrip(_AROUND)))):
        return found
    if found := known.get(_bare(_from_json(text))):
        return found
    for line in reversed(text.splitlines()):
        bare = line.lstrip(_AROUND)
        if found := known.get(_bare(line)) or known.get(_bare(_NAMED.sub("", bare))):
            return found
    return _within(text, known)


def _bare(text: str) -> str:
    return re.sub(r"[\s_-]+", " ", text.strip(_AROUND).casefold())


def _from_json(text: str) -> str:
    """The only text value of a JSON object, with or without a fence around it."""
    try:
        value = json.loads(re.sub(r"^```\w*\s*|\s*```$", "", text))
    except (ValueError, RecursionError):
        return ""
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value.values()))
    return value if isinstance(value, str) else ""


def _within(text: str, known: dict[str, str]) -> str | None:
    # The longest label first, so that "not urgent" is not taken for "urgent".
    names = "|".join(
        re.escape(name).replace(r"\ ", r"[\s_-]+") for name in sorted(known, key=len, reverse=True) if name
    )
    folded = text.casefold()
    found = set()
    for match in re.finditer(rf"(?<!\w)(?:{names})(?!\w)", folded):
        if not _NEGATED.search(folded[max(0, match.start() - 40) : match.start()]):
            found.add(_bare(match[0]))
    return known.get(found.pop()) if len(found) == 1 else None
