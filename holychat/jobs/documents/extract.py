"""Text out of HTML, PDF and DOCX files that may be broken, huge or hostile.

Anything but a small page is taken apart in a process of its own with a limit on its memory and time, so that the worst
a file can do is to become a failed item. What that process gets from us is the file's bytes and none of our keys.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from holychat.jobs.documents.problems import DOCS_EXTRA, DocumentProblem, failure, problem

if TYPE_CHECKING:
    from holychat.jobs.documents.options import ReadLimits

_SMALL = 16 * 1024
"""Bytes of an HTML file that is not worth a process of its own. Python's parser takes time with the square of the size
for some broken pages: half a second for these, and twenty for a hundred kilobytes."""
_LIBRARIES = {"pdf": ("pypdf", "PDF"), "docx": ("docx", "DOCX")}
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TMPDIR", "TEMP", "SYSTEMROOT", "LD_LIBRARY_PATH")


def extracted(kind: str, data: bytes, limits: ReadLimits) -> tuple[str, str]:
    """(text, note) of a file's bytes. Blocking, for at most about `limits.seconds`.

    Args:
        kind: "html", "pdf" or "docx".
        data: The whole file.
        limits: What it may take.

    Raises:
        DocumentProblem: No text can be had from it.
    """
    if kind == "html" and len(data) <= _SMALL:
        from holychat.jobs.documents.html import html_text

        return html_text(data)
    package, name = _LIBRARIES.get(kind, ("", ""))
    if package and find_spec(package) is None:
        raise problem(
            "ExtraMissing", f"Reading {name} files needs a library that is not installed", f"Run: {DOCS_EXTRA}"
        )
    program = [sys.executable, "-P", "-m", "holychat.jobs.documents.extract_process", kind]
    numbers = [str(limits.max_characters), str(max(1, round(limits.seconds)))]
    try:
        done = subprocess.run(
            program + numbers, input=data, capture_output=True, timeout=limits.seconds, check=False, env=environment()
        )
    except subprocess.TimeoutExpired:
        raise problem(
            "DocumentTooSlow", "Taking the text out of it took too long", "Save its text as a plain text file."
        ) from None
    except OSError as error:
        raise problem("DocumentUnreadable", f"It cannot be taken apart: {error.strerror}", "Try again.") from None
    if done.returncode > 0:
        # The library met something it does not know: what it says of it helps nobody.
        raise problem("DocumentBroken", f"It is no proper {kind.upper()} file", "Open it and save it again.")
    return _result(done.stdout)


def environment() -> dict[str, str]:
    """What the process needs to find Python's packages, without any key that stands in ours."""
    environment = {name: value for name in _KEPT_VARIABLES if (value := os.environ.get(name)) is not None}
    package = str(Path(__file__).resolve().parents[3])
    known = os.environ.get("PYTHONPATH", "")
    return environment | {"PYTHONPATH": os.pathsep.join(filter(None, (package, known))), "PYTHONUTF8": "1"}


def _result(output: bytes) -> tuple[str, str]:
    head, found, body = output.partition(b"\n")
    try:
        fields = json.loads(head) if found else {}
    except ValueError:
        fields = {}
    if fields.get("ok"):
        return body.decode("utf-8", "replace"), str(fields.get("note", ""))
    if fields:
        raise DocumentProblem(failure(str(fields["kind"]), str(fields["title"]), str(fields["hint"])))
    # Killed by its limits, or by the system for lack of memory.
    raise problem(
        "DocumentTooMuch",
        "Taking the text out of it needed too much time or memory",
        "Save its text as a plain text file.",
    )
