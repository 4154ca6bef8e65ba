"""The process that takes one file apart: `python -m …extract_process KIND CHARACTERS SECONDS`, the file on its input.

Prints one line of JSON, {"ok": true, "note": …} or {"kind", "title", "hint"}, and then the text as UTF-8.
"""

from __future__ import annotations

import json
import sys

from holychat.jobs.documents.problems import DocumentProblem, failure

_MEMORY = 1024 * 1024 * 1024
"""Bytes of address space: several times what a document of 32 MiB needs."""


def main(arguments: list[str]) -> int:
    """Take apart what is on the standard input; always 0, the first line of the output tells."""
    kind, characters, seconds = arguments[0], int(arguments[1]), int(arguments[2])
    _limit(seconds)
    note, text, trouble = "", "", None
    try:
        text, note = _text(kind, sys.stdin.buffer.read())
        if len(text) > characters:
            text, note = text[:characters], f"only the first {characters:,} characters of it"
    except DocumentProblem as error:
        trouble = error.failure
    except MemoryError:
        trouble = failure("DocumentTooMuch", "It needs too much memory", "Save its text as a plain text file.")
    if trouble is None:
        head: dict[str, object] = {"ok": True, "note": note}
    else:
        head = {"kind": trouble.kind, "title": trouble.title, "hint": trouble.hint}
    sys.stdout.buffer.write(json.dumps(head).encode() + b"\n" + text.encode("utf-8", "replace"))
    return 0


def _text(kind: str, data: bytes) -> tuple[str, str]:
    if kind == "html":
        from holychat.jobs.documents.html import html_text

        return html_text(data)
    if kind == "pdf":
        from holychat.jobs.documents.pdf import pdf_text

        return pdf_text(data)
    from holychat.jobs.documents.docx import docx_text

    return docx_text(data)


def _limit(seconds: int) -> None:
    try:
        import resource
    except ImportError:  # not a POSIX system: the one who started us still ends us in time
        return
    for what, most in ((resource.RLIMIT_AS, _MEMORY), (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_CORE, 0)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
