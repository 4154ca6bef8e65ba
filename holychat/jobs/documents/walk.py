"""From the sources of a job to its documents, lazily and in a fixed order, so that listing can be taken up again."""

from __future__ import annotations

import os
import stat
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.jobs import Document, Source, SourceKind
from holychat.errors import UsageError
from holychat.jobs.documents import glob, records
from holychat.jobs.documents.folders import walk
from holychat.jobs.documents.names import real_path, shown_name, stored_path
from holychat.jobs.documents.opening import opened
from holychat.jobs.documents.options import WalkOptions
from holychat.jobs.documents.problems import NOT_A_FILE, VANISHED, DocumentProblem, failure, of_os_error
from holychat.jobs.documents.requests_file import request_documents
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holychat.domain.failures import Failure
    from holychat.jobs.documents.options import ChatTexts

_LONGEST_PATH = 64 * 1024


def listed(
    sources: Iterable[Source], options: WalkOptions | None = None, *, chat_texts: ChatTexts | None = None
) -> Iterator[Document]:
    """The documents of a job's sources, in order; the same again each time as long as nothing changes on disk.

    Blocking, a document at a time. Never raises for what it finds: what cannot be sent comes with its failure.

    Args:
        sources: Where to look. Each may ask for hidden and ignored files as well.
        options: How to look; None: the usual.
        chat_texts: Where the messages of chats come from; without it a chat is listed as failed.
    """
    options = options or WalkOptions()
    for source in sources:
        own = replace(
            options, hidden=options.hidden or source.hidden, gitignore=options.gitignore and not source.ignored
        )
        try:
            yield from _of_source(source, own, chat_texts)
        except DocumentProblem as problem:
            # A file of records that cannot be opened, or that stops being readable half way.
            yield _failed(real_path(source.value), problem.failure, "#unreadable")
        except (OSError, ValueError) as error:
            yield _failed(real_path(source.value), of_os_error(error), "#unreadable")


def check(source: Source) -> None:
    """See to it that a source can be used, before a job is made of it. Blocking; reads a few kilobytes.

    Raises:
        UsageError: Nothing is there, or no column of that name.
    """
    if source.kind is SourceKind.CHAT:
        return
    if source.kind is SourceKind.GLOB:
        found = next(_of_glob(source.value, WalkOptions(source.hidden, not source.ignored)), None)
        if found is None or found.failure == VANISHED:
            raise UsageError(f"No file matches {clean_line(source.value)}", "Check the pattern; quote it in a shell.")
        return
    path = real_path(source.value)
    if not os.path.exists(path):
        raise UsageError(f"There is no {clean_line(path)}", "Check the name.")
    if source.kind is SourceKind.PATH:
        return
    if os.path.isdir(path):
        raise UsageError(f"{clean_line(path)} is a folder", "Name the file itself.")
    try:
        if source.kind is SourceKind.CSV:
            records.check_csv(path, source.column)
        else:
            with opened(path):
                pass
    except DocumentProblem as problem:
        raise UsageError(f"{clean_line(path)}: {problem.failure.title}", problem.failure.hint) from None


def _of_source(source: Source, options: WalkOptions, chat_texts: ChatTexts | None) -> Iterator[Document]:
    match source.kind:
        case SourceKind.PATH:
            return _of_path(real_path(source.value), options)
        case SourceKind.GLOB:
            return _or_nothing(_of_glob(source.value, options), source, "No file matches this pattern")
        case SourceKind.LIST:
            return _of_list(real_path(source.value), options)
        case SourceKind.CSV:
            return records.csv_documents(real_path(source.value), source.column, options.max_bytes)
        case SourceKind.JSONL:
            return records.jsonl_documents(real_path(source.value), source.column, options.max_bytes)
        case SourceKind.REQUESTS:
            return request_documents(real_path(source.value), options.max_bytes)
        case SourceKind.CHAT:
            return _of_chat(source, chat_texts)


def _of_path(path: str, options: WalkOptions) -> Iterator[Document]:
    """A file that was named is always listed, whatever it is; a folder is walked."""
    try:
        about = os.stat(path)
    except (OSError, ValueError) as error:
        yield _failed(path, of_os_error(error))
        return
    if stat.S_ISDIR(about.st_mode):
        named = Source(SourceKind.PATH, path)
        yield from _or_nothing(walk(path, options), named, "There is no document in this folder")
    elif not stat.S_ISREG(about.st_mode):
        yield _failed(path, NOT_A_FILE)
    else:
        stored = stored_path(path)
        yield Document(stored, _base(path), stored, size=about.st_size, mtime_ns=about.st_mtime_ns)


def _of_glob(pattern: str, options: WalkOptions) -> Iterator[Document]:
    folder, rest = glob.parsed(real_path(pattern))
    return walk(folder, options, rest)


def _of_list(path: str, options: WalkOptions) -> Iterator[Document]:
    """One path per line, or ended by NUL; relative ones belong to the folder of the list."""
    folder = os.path.dirname(path)
    with opened(path) as (descriptor, _), os.fdopen(descriptor, "rb", closefd=False) as file:
        for line in records.ended_lines(file, _LONGEST_PATH):
            if line is None:
                yield _failed(path, failure("ListBroken", "A line of the list is too long to be a path"), "#long")
                continue
            name = os.fsdecode(line.removesuffix(b"\r"))
            if name.strip():
                yield from _of_path(os.path.normpath(os.path.join(folder, real_path(name))), options)


def _of_chat(source: Source, chat_texts: ChatTexts | None) -> Iterator[Document]:
    number = int(source.value) if source.value.isdecimal() else None
    try:
        if chat_texts is None or number is None:
            raise UsageError("There is no such chat", "It may have been deleted.")
        for text in chat_texts(number):
            key = f"chat:{number}#{text.key}"
            if text.text.strip():
                yield Document(key, text.name, content=text.text, size=len(text.text.encode("utf-8", "replace")))
            else:
                yield Document(key, text.name, content="", skipped="empty")
    except UsageError as error:
        gone = failure("ChatGone", error.title, error.hint)
        yield Document(f"chat:{clean_line(source.value, 40)}", f"chat {clean_line(source.value, 40)}", failure=gone)


def _or_nothing(documents: Iterator[Document], source: Source, title: str) -> Iterator[Document]:
    some = False
    for document in documents:
        some = True
        yield document
    if not some:
        yield _failed(real_path(source.value), failure("NoDocuments", title, "Hidden and ignored files do not count."))


def _failed(path: str, why: Failure, mark: str = "") -> Document:
    stored = stored_path(path)
    return Document(stored + mark, _base(path), stored, failure=why)


def _base(path: str) -> str:
    return shown_name(os.path.basename(path.rstrip(os.sep)) or path)
