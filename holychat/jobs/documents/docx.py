"""The text of a DOCX file as Markdown. Runs in a process of its own: see extract."""

from __future__ import annotations

import io
import re
import zipfile
from typing import TYPE_CHECKING, Any

from holychat.jobs.documents.problems import DocumentProblem, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

_LARGEST = 256 * 1024 * 1024
"""Bytes of all parts together when they are unpacked."""
_MOST_PARTS = 20_000
_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
_HEADING = re.compile(r"heading (\d)", re.IGNORECASE)


def docx_text(data: bytes) -> tuple[str, str]:
    """(Markdown, note) of a DOCX file's bytes: headings, lists and tables keep their shape, inserted text is in it.

    Raises:
        DocumentProblem: It is broken, or much larger when unpacked than such a document is.
    """
    _check(data)
    import docx
    from docx.opc.exceptions import PackageNotFoundError

    try:
        document = docx.Document(io.BytesIO(data))
    except (PackageNotFoundError, zipfile.BadZipFile, SyntaxError, KeyError, ValueError, EOFError):
        raise _broken() from None
    styles = {style.style_id: style.name or "" for style in document.styles}
    lines = [line for line in _blocks(document.element.body, styles) if line.strip()]
    return "\n\n".join(lines) + "\n" if lines else "", "text of a DOCX document"


def _broken() -> DocumentProblem:
    return problem("DocumentBroken", "It is no proper DOCX file", "Open it and save it again.")


def _check(data: bytes) -> None:
    """The sizes that the archive tells are also what the library unpacks at most."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, EOFError, ValueError, OSError):
        raise _broken() from None
    if len(parts) > _MOST_PARTS or sum(part.file_size for part in parts) > _LARGEST:
        raise problem("DocumentTooMuch", "It is far larger when it is unpacked", "Save its text as a plain text file.")
    if any(part.flag_bits & 1 for part in parts):
        raise problem("DocumentEncrypted", "It is protected by a password", "Save it without one.")


def _blocks(parent: Any, styles: dict[str, str]) -> Iterator[str]:
    """Markdown of each paragraph and table below an element of the body, in order."""
    for element in parent:
        if element.tag == f"{_W}p":
            yield _paragraph(element, styles)
        elif element.tag == f"{_W}tbl":
            yield _table(element)
        elif element.tag in (f"{_W}sdt", f"{_W}sdtContent", f"{_W}customXml", f"{_W}ins"):
            yield from _blocks(element, styles)


def _paragraph(element: Any, styles: dict[str, str]) -> str:
    text = _text(element)
    if not text.strip():
        return ""
    properties = element.find(f"{_W}pPr")
    style_element = None if properties is None else properties.find(f"{_W}pStyle")
    style = "" if style_element is None else styles.get(style_element.get(f"{_W}val"), "")
    if heading := _HEADING.match(style):
        return f"{'#' * min(6, max(1, int(heading[1])))} {' '.join(text.split())}"
    if style == "Title":
        return f"# {' '.join(text.split())}"
    numbered = properties is not None and properties.find(f"{_W}numPr") is not None
    return f"- {text.strip()}" if numbered or style.startswith("List") else text.strip()


def _table(element: Any) -> str:
    rows = []
    for row in element.iterfind(f"{_W}tr"):
        cells = [" ".join(_text(cell).split()).replace("|", "\\|") for cell in row.iterfind(f"{_W}tc")]
        if any(cells):
            rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _text(element: Any) -> str:
    """What is written in an element; text that was deleted with changes tracked is not."""
    pieces: list[str] = []
    for node in element.iter(f"{_W}t", f"{_W}tab", f"{_W}br", f"{_W}cr", f"{_W}p", f"{_W}noBreakHyphen"):
        if any(above.tag == _FALLBACK for above in node.iterancestors()):
            continue  # a drawing's text once more, for old programs
        if node.tag == f"{_W}t":
            pieces.append(node.text or "")
        elif node.tag == f"{_W}tab":
            if node.getparent().tag == f"{_W}r":
                pieces.append("\t")
        elif node.tag == f"{_W}noBreakHyphen":
            pieces.append("-")
        elif node is not element:
            pieces.append("\n")
    return "".join(pieces)
