"""Names of the files that results are written to, one per document."""

from __future__ import annotations

import hashlib
import re

from holychat.text import safe_file_name

_ENDING = re.compile(r"(?<=.)\.[A-Za-z0-9]{1,10}$")
_HASH_DIGITS = 10
"""Enough that no two of a hundred thousand documents of one name meet."""


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
