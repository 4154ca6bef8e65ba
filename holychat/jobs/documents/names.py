"""Paths as the database can keep them.

A file name on disk is bytes. One that is no UTF-8 cannot be stored as text, and one with a line end in it cannot stand
in a list, so their whole path is kept as a file address (`file:///folder/caf%E9.txt`); every other path is kept as it
is. Stored paths are absolute, so the two cannot be mixed up.
"""

from __future__ import annotations

import os
from urllib.parse import quote_from_bytes, unquote_to_bytes

from holychat.text import replace_surrogates

_ADDRESS = "file://"


def stored_path(path: str) -> str:
    """An absolute path as it is stored; `real_path` gives the path back."""
    if path.isascii() and "\n" not in path and "\r" not in path:
        return path
    try:
        as_text = os.fsencode(path) == path.encode()
    except UnicodeEncodeError:
        as_text = False
    if as_text and "\n" not in path and "\r" not in path:
        return path
    try:
        return _ADDRESS + quote_from_bytes(os.fsencode(path))
    except UnicodeEncodeError:  # it is the name of no file
        return replace_surrogates(path)


def real_path(stored: str) -> str:
    """The path to open for a stored one."""
    return os.fsdecode(unquote_to_bytes(stored.removeprefix(_ADDRESS))) if stored.startswith(_ADDRESS) else stored


def shown_name(name: str) -> str:
    """A file name that can be stored; what is no UTF-8 in it becomes U+FFFD."""
    return replace_surrogates(name)
