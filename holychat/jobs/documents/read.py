"""Reading one document when it is sent: bounded, without waiting, and with a reason where it cannot be."""

from __future__ import annotations

import codecs
import hashlib
import re
from typing import TYPE_CHECKING

from holychat.domain.jobs import Document, Item
from holychat.jobs.documents.kinds import HTML, ending
from holychat.jobs.documents.names import real_path
from holychat.jobs.documents.opening import opened, read_up_to
from holychat.jobs.documents.options import DocumentText, ReadLimits
from holychat.jobs.documents.problems import BINARY, CHANGED, EMPTY, DocumentProblem, problem, too_large

if TYPE_CHECKING:
    from os import stat_result

BEGINNING = 8192
"""Bytes in which a NUL tells that a file is no text."""
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
_REPLACED_PER_MILLE = 1
"""Bytes in a thousand that may be no UTF-8: a slip of an editor, and not another encoding."""
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_HTML_START = re.compile(rb"\s*(?:<!--.{0,2000}?-->\s*)?(?:<!doctype\s+html|<html[\s>])", re.IGNORECASE | re.DOTALL)


def read(document: Document | Item, content: str | None = None, limits: ReadLimits | None = None) -> DocumentText:
    """The text of a document. Blocking: up to `limits.seconds` for a PDF, DOCX or large HTML file.

    Args:
        document: The document, or the item it became. Where its size and time of change are known, a file that
            differs is refused; an item whose size and time are None takes what is there.
        content: The text itself where it was kept with the item; None: it is read from the path.
        limits: What it may take; None: the usual.

    Raises:
        DocumentProblem: It cannot be sent; the failure says why.
    """
    if isinstance(document, Item):
        document = document.document
    limits = limits or ReadLimits()
    text = document.content if content is None else content
    note = ""
    if text is None:
        text, note = _from_file(document, limits)
    elif len(text) > limits.max_bytes:
        raise DocumentProblem(too_large(limits.max_bytes))
    if not text.strip():
        raise DocumentProblem(EMPTY)
    return DocumentText(text, hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest(), note)


def decoded(data: bytes) -> tuple[str, str]:
    """(text, note) of the bytes of a text file: UTF-8, or UTF-16 and UTF-32 with a byte order mark.

    Raises:
        DocumentProblem: It is no text, or in another encoding.
    """
    if data.startswith(_UTF32) and len(data) % 4 == 0:
        text = data.decode("utf-32", "replace")
    elif data.startswith(_UTF16):
        text = data.decode("utf-16", "replace")
    else:
        return _utf8(data)
    if "\0" in text:
        raise DocumentProblem(BINARY)
    return text, ""


def _utf8(data: bytes) -> tuple[str, str]:
    if b"\0" in data:
        raise DocumentProblem(BINARY)
    data = data.removeprefix(codecs.BOM_UTF8)
    try:
        return data.decode(), ""
    except UnicodeDecodeError:
        text = data.decode("utf-8", "replace")
    replaced = text.count("\ufffd")
    if replaced > max(1, len(text) * _REPLACED_PER_MILLE // 1000):
        raise problem(
            "DocumentEncoding",
            "It is text in an encoding that is not known",
            "Save it as UTF-8, for example with `iconv -f CP1252 -t UTF-8`.",
        )
    return text, f"{replaced} character{'s that were' if replaced > 1 else ' that was'} no UTF-8 replaced"


def _from_file(document: Document, limits: ReadLimits) -> tuple[str, str]:
    path = real_path(document.path)
    with opened(path) as (descriptor, about):
        _check_unchanged(document, about)
        if about.st_size > limits.max_bytes:
            raise DocumentProblem(too_large(limits.max_bytes))
        data = read_up_to(descriptor, limits.max_bytes + 1)
    if len(data) > limits.max_bytes:
        raise DocumentProblem(too_large(limits.max_bytes))
    if not data:
        raise DocumentProblem(EMPTY)
    return text_of(data, ending(path), limits)


def _check_unchanged(document: Document, about: stat_result) -> None:
    size, time = document.size, document.mtime_ns
    if (size is not None and size != about.st_size) or (time is not None and time != about.st_mtime_ns):
        raise DocumentProblem(CHANGED)


def text_of(data: bytes, name_ending: str, limits: ReadLimits) -> tuple[str, str]:
    """(text, note) of a file's bytes; what it is, its bytes say, and the ending of its name only where they do not.

    Raises:
        DocumentProblem: There is no text to be had from it.
    """
    from holychat.jobs.documents import extract

    if data.startswith(_OLE):
        if name_ending == "docx":
            raise problem("DocumentEncrypted", "It is protected by a password", "Save it without one.")
        raise problem("DocumentOldOffice", "It is an office document of the old kind", "Save it as DOCX or PDF.")
    if data.startswith(b"%PDF-") or name_ending == "pdf":
        return extract.extracted("pdf", data, limits)
    if name_ending == "docx":
        return extract.extracted("docx", data, limits)
    if data.startswith(b"PK\x03\x04"):
        raise problem("DocumentArchive", "It is an archive", "Unpack it, then send what is in it.")
    if data.startswith(b"{\\rtf"):
        raise problem("DocumentRtf", "It is an RTF document", "Save it as DOCX, PDF or plain text.")
    if name_ending in HTML or _HTML_START.match(data[:4096]):
        return extract.extracted("html", data, limits)
    return decoded(data)
