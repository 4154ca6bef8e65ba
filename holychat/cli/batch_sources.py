"""Where the documents of a job are, from the words of a command line."""

from __future__ import annotations

import glob
import json
import os
import sys
from typing import TYPE_CHECKING

from holychat.cli.output import is_terminal
from holychat.domain.jobs import Kind, Source, SourceKind
from holychat.errors import UsageError
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holychat.cli.batch_order import Order
    from holychat.paths import Paths

_RECORDS = {".csv": SourceKind.CSV, ".jsonl": SourceKind.JSONL, ".ndjson": SourceKind.JSONL}
_LONGEST_LINE = 16 * 2**20
_LONGEST_PATH = 64 * 2**10


def sources_of(order: Order, paths: Paths) -> tuple[Source, ...]:
    """The sources that an order names. Blocking: it looks at the files, and reads a list on standard input to its end.

    Raises:
        UsageError: There are none, or one of them is not there.
    """
    if order.kind is Kind.REQUESTS:
        return (Source(SourceKind.REQUESTS, _there(order.paths[0])),)
    sources = [_source(word, order) for word in order.paths if word != "-"]
    if order.column and not any(source.column for source in sources):
        raise UsageError(
            "--column is for CSV and JSONL files that are named themselves, and none is",
            "What is found in a folder, by a quoted glob or in a list is sent as a whole. Name the file, or leave "
            "--column out.",
        )
    if "-" in order.paths:
        sources.append(Source(SourceKind.LIST, str(_spooled(paths)), hidden=order.hidden, ignored=order.ignored))
    if order.chat is not None:
        sources.append(Source(SourceKind.CHAT, str(order.chat)))
    if not sources:
        raise UsageError("There are no documents", "Name files or folders, or - for a list of paths on standard input.")
    return tuple(sources)


def _source(word: str, order: Order) -> Source:
    if not os.path.lexists(word) and glob.has_magic(word):
        return Source(SourceKind.GLOB, os.path.abspath(word), hidden=order.hidden, ignored=order.ignored)
    path = _there(word)
    if os.path.isdir(path):
        return Source(SourceKind.PATH, path, hidden=order.hidden, ignored=order.ignored)
    kind = _RECORDS.get(os.path.splitext(path)[1].lower(), SourceKind.PATH)
    if kind is SourceKind.JSONL and not order.column and is_requests(path):
        raise UsageError(
            f"{clean_line(word)} holds ready-made requests",
            f"Send them with `holychat batch submit {clean_line(word)}`.",
        )
    if kind is SourceKind.PATH:
        return Source(kind, path)
    return Source(kind, path, order.column)


def _there(word: str) -> str:
    """The absolute, storable path of something that is there."""
    from holychat.jobs.documents.names import stored_path

    if not os.path.lexists(word):
        raise UsageError(f"There is no {clean_line(word)}", "Check the name; a glob needs quotes.")
    return stored_path(os.path.abspath(word))


def is_requests(path: str) -> bool:
    """Whether a JSONL file holds requests for a batch: its first line tells."""
    try:
        with open(path, "rb") as file:
            first = json.loads(file.readline(_LONGEST_LINE))
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and "custom_id" in first and isinstance(first.get("body"), dict)


def _spooled(paths: Paths) -> Path:
    """The list of paths on standard input, in a file that a worker can read at any time, paths made absolute."""
    import secrets

    from holychat.jobs.documents.names import stored_path
    from holychat.paths import make_private_directory, private_file

    if sys.stdin is None or is_terminal(sys.stdin):
        raise UsageError(
            "- takes a list of paths on standard input", "For example: git ls-files '*.md' | holychat batch summarize -"
        )
    target = make_private_directory(paths.lists) / f"{secrets.token_hex(8)}.txt"
    some = False
    with private_file(target) as file:
        for word in _words():
            file.write(stored_path(os.path.abspath(word)) + "\n")
            some = True
    if not some:
        target.unlink(missing_ok=True)
        raise UsageError("The list on standard input is empty", "It takes one path per line.")
    return target


def _words() -> Iterator[str]:
    """The paths on standard input: one per line, or ended by NUL as `find -print0` writes them."""
    descriptor = sys.stdin.fileno()
    block = os.read(descriptor, _LONGEST_PATH)
    mark = b"\0" if b"\0" in block else b"\n"
    rest = b""
    while True:
        *whole, rest = (rest + block).split(mark)
        if not block and rest:
            whole.append(rest)
        if len(rest) > _LONGEST_PATH:
            raise UsageError("What came in on standard input is no list of paths", "It takes one path per line.")
        yield from (os.fsdecode(word.removesuffix(b"\r")) for word in whole if word.strip())
        if not block:
            return
        block = os.read(descriptor, 1 << 20)
