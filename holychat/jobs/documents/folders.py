"""Walking a folder: in order of the names, one folder at a time, with memory that does not grow with what is in it."""

from __future__ import annotations

import heapq
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.domain.jobs import Document
from holychat.jobs.documents.ignore import Rules, rules_above, rules_of
from holychat.jobs.documents.kinds import NOT_TEXT, TEXT, ending
from holychat.jobs.documents.names import shown_name, stored_path
from holychat.jobs.documents.opening import opened, read_up_to
from holychat.jobs.documents.problems import NOT_A_FILE, DocumentProblem, of_os_error, too_large

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.domain.failures import Failure
    from holychat.jobs.documents.glob import Pattern
    from holychat.jobs.documents.options import WalkOptions

AT_ONCE = 20_000
"""Names of one folder that are kept at once; a larger one is read several times, some names each time."""
_LOOK = 8192
"""Bytes of an unknown kind of file that are looked at for a NUL."""
_REPOSITORY = ".git"


@dataclass(slots=True)
class _Folder:
    """A folder that is being walked."""

    path: str
    name: str
    """As people see it, relative to where the walk began; ends with a separator, or is empty."""
    rules: Rules | None
    places: frozenset[int]
    """Where in the pattern its files may stand."""
    entries: Iterator[tuple[str, str]]


def walk(top: str, options: WalkOptions, pattern: Pattern | None = None, prefix: str = "") -> Iterator[Document]:
    """The documents below a folder, depth first, by name.

    Links are not followed, so that no folder can lead out of itself or in circles; they are listed as skipped, and so
    are pictures, programs and empty files: they were found, nobody named them. What cannot be read is listed as failed.

    Args:
        top: Absolute path of a folder; a link to one is followed.
        options: What belongs to it.
        pattern: Which files below it are meant; None: all.
        prefix: What stands before the names that people see.
    """
    rules = rules_above(os.path.realpath(top)) if options.gitignore else None
    if rules is not None and os.path.realpath(top) != top:
        rules = None  # named by another way than its repository knows it
    start = frozenset((0,)) if pattern is None else pattern.start
    stack = [_opened_folder(top, prefix, rules, start, options)]
    while stack:
        folder = stack[-1]
        try:
            name, kind = next(folder.entries)
        except StopIteration:
            stack.pop()
            continue
        except OSError as error:
            stack.pop()
            yield Document(stored_path(folder.path), shown_name(folder.name or folder.path), stored_path(folder.path),
                           failure=of_os_error(error, folder=True))  # fmt: skip
            continue
        path = os.path.join(folder.path, name)
        places = folder.places if pattern is None else pattern.after(folder.places, name)
        if not places or not _belongs(name, path, kind, folder.rules, options, pattern):
            continue
        if kind == "d":
            if pattern is None or pattern.goes_on(places):
                stack.append(_opened_folder(path, f"{folder.name}{name}/", folder.rules, places, options))
        elif pattern is None or pattern.ends(places):
            yield found(path, folder.name + name, kind, options)


def found(path: str, name: str, kind: str, options: WalkOptions) -> Document:
    """What was found in a folder, as a document to send, to skip or to report.

    Args:
        path: Absolute.
        name: As people see it.
        kind: "f" for a file, "l" for a link, anything else is neither.
        options: Its limit of size.
    """
    document = Document(stored_path(path), shown_name(name), stored_path(path))
    if kind == "l":
        return _changed(document, skipped="a link; what it points to was not named")
    try:
        about = os.stat(path, follow_symlinks=False)
    except (OSError, ValueError) as error:
        return _changed(document, failure=of_os_error(error))
    if not stat.S_ISREG(about.st_mode):
        return _changed(document, failure=NOT_A_FILE)
    document = Document(document.key, document.name, document.path, size=about.st_size, mtime_ns=about.st_mtime_ns)
    if about.st_size == 0:
        return _changed(document, skipped="empty")
    if what := NOT_TEXT.get(ending(name)):
        return _changed(document, skipped=what)
    if about.st_size > options.max_bytes:
        return _changed(document, failure=too_large(options.max_bytes))
    if ending(name) not in TEXT and _is_binary(path):
        return _changed(document, skipped="not text")
    return document


def _changed(document: Document, *, failure: Failure | None = None, skipped: str = "") -> Document:
    return Document(
        document.key, document.name, document.path, size=document.size, mtime_ns=document.mtime_ns,
        failure=failure, skipped=skipped,
    )  # fmt: skip


def _is_binary(path: str) -> bool:
    try:
        with opened(path) as (descriptor, _):
            beginning = read_up_to(descriptor, _LOOK)
    except DocumentProblem:
        return False  # said when it is read
    wide = beginning.startswith((b"\xff\xfe", b"\xfe\xff"))
    return b"\0" in beginning and not wide


def _belongs(
    name: str, path: str, kind: str, rules: Rules | None, options: WalkOptions, pattern: Pattern | None
) -> bool:
    if name == _REPOSITORY:
        return False
    if name.startswith(".") and not options.hidden and (pattern is None or not pattern.names_hidden):
        return False
    return rules is None or not rules.ignores(path, is_folder=kind == "d")


def _opened_folder(path: str, name: str, rules: Rules | None, places: frozenset[int], options: WalkOptions) -> _Folder:
    if options.gitignore:
        rules = rules_of(path, rules)
    return _Folder(path, name, rules, places, entries(path))


def entries(folder: str, at_once: int = AT_ONCE) -> Iterator[tuple[str, str]]:
    """(name, kind) of what is in a folder, sorted by name: "f" file, "d" folder, "l" link, "o" anything else.

    Raises:
        OSError: The folder cannot be read.
    """
    last = ""
    while True:
        with os.scandir(folder) as found_entries:
            some = heapq.nsmallest(at_once, ((e.name, _kind(e)) for e in found_entries if e.name > last))
        yield from some
        if len(some) < at_once:
            return
        last = some[-1][0]


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_symlink():
            return "l"
        if entry.is_dir(follow_symlinks=False):
            return "d"
        return "f" if entry.is_file(follow_symlinks=False) else "o"
    except OSError:
        return "f"  # what is wrong with it is said when it is looked at
