"""Cleaning of untrusted text: the one place that decides which characters may reach a terminal.

Model output, file names and contents, server errors, model names and titles are data. What is stored is the original;
what is shown, printed to a terminal, titled or notified has been through `clean()`. Characters are replaced, never
sequences: an escape sequence can be split over two deltas, a character can not.
"""

from __future__ import annotations

import re
import unicodedata

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_TAGS = "\U000e0000-\U000e007f"
_SURROGATES = "\ud800-\udfff"
UNSAFE_CLASS = rf"\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}{_TAGS}{_SURROGATES}"
"""Body of a regular-expression class: C0 but tab and line feed, DEL, C1, bidi controls, tags, lone surrogates."""

_UNSAFE = re.compile(f"[{UNSAFE_CLASS}]")
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029]")
_COMBINING = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f"
    "\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
)
_MAX_MARKS = 8
_TOO_MANY_MARKS = re.compile(f"([{_COMBINING}]{{{_MAX_MARKS}}})[{_COMBINING}]+")
_SPACES = re.compile(r"\s+")


def clean(text: str) -> str:
    """Text that is safe to paint: line ends are line feeds, unsafe characters U+FFFD, runs of combining marks capped.

    Clean text comes back as the same object, so that the common case costs three scans and no copy; a line of
    printable ASCII, which most of what servers and files are called is, costs one.
    """
    if text.isascii() and text.isprintable():
        return text
    if "\r" in text or "\u2028" in text or "\u2029" in text:
        text = _LINE_ENDS.sub("\n", text)
    text = _UNSAFE.sub(REPLACEMENT, text)
    return text if text.isascii() else _TOO_MANY_MARKS.sub(r"\1", text)


def clean_line(text: str, limit: int = 200) -> str:
    """One clean line for titles, list entries and notices: white space folded, at most `limit` characters."""
    line = clean(text)
    if not line.isascii() or not line.isprintable() or "  " in line:
        line = _SPACES.sub(" ", line)
    line = line.strip()
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def delete_unsafe(text: str) -> str:
    """Text with every unsafe character deleted: the second net, for what was decoded after `clean()`."""
    return _UNSAFE.sub("", text)


def replace_surrogates(text: str) -> str:
    """Text without lone surrogates, which neither UTF-8, SQLite nor JSON can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def safe_file_name(name: str, fallback: str = "chat") -> str:
    """A file name made from untrusted text: no separators, controls, leading dash or dot, at most 100 bytes."""
    folded = unicodedata.normalize("NFC", clean_line(name))
    kept = re.sub(rf'[<>:"/\\|?*{REPLACEMENT}]+', " ", folded)
    kept = _SPACES.sub("-", kept.strip()).strip("-. ")
    while len(kept.encode()) > 100:
        kept = kept[:-1]
    if not kept or re.fullmatch(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\..*)?", kept):
        return fallback
    return kept
