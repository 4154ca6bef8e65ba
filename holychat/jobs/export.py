"""Results of a job as files: JSONL, CSV, Markdown, or one file per document. Derived on demand, in input order.

Rows are read page by page, so a job of a hundred thousand documents takes no more memory than one of a hundred.
"""

from __future__ import annotations

import csv
import errno
import io
import json
import os
import re
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holychat.catalog.money import usd
from holychat.domain.jobs import ItemState, Kind
from holychat.domain.markdown import closed, fenced, inline
from holychat.errors import UsageError
from holychat.jobs.names import result_name
from holychat.jobs.views import with_parts
from holychat.paths import place_new, private_file
from holychat.store import jobs
from holychat.store.results import results_after
from holychat.text import clean, clean_line, replace_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from holychat.domain.jobs import Item, Job
    from holychat.store.database import Connection, Database

FILES = "files"
"""The format that is a folder with one file per document."""
_ENDINGS = {
    ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".md": "markdown", ".markdown": "markdown",
}  # fmt: skip
_LONGEST_PATH = 500
"""Characters of a path in an error."""
_TOGETHER = 64
"""Files that are made durable together: waiting for the disk once for each takes minutes for 100,000."""

_COLUMNS = (
    "custom_id", "source", "name", "state", "text", "input_tokens", "output_tokens", "cost_usd", "cost_estimated",
    "model", "error",
)  # fmt: skip
_HARMFUL_CELL = re.compile("[=+\\-@＝＋－＠\t\r\n]")
"""What a cell must not begin with: a spreadsheet takes it for a formula, which can read files and call programs."""
_LINE_ENDS = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON may carry as it is, but some programs take for the end of a line."""


@dataclass(frozen=True, slots=True)
class Result:
    """One document and what came of it. Texts are as stored: clean them before showing."""

    item: Item
    """With what its parts took."""
    text: str | None
    """The answer, where the document is done."""
    partial: str | None
    """What is legible of an answer that broke off."""


class AlreadyThere(UsageError):
    """Something is where results are to be written, and was not to be replaced."""


def format_of(target: str, asked: str = "") -> str:
    """The format to write `target` in: the one asked for, or the one that its ending tells.

    Raises:
        UsageError: The ending tells nothing, or a single file shall go where a folder is.
    """
    folder = target.endswith(("/", os.sep)) or Path(target).is_dir()
    ending = Path(target).suffix.lower()
    form = asked or (FILES if folder or not ending else _ENDINGS.get(ending, ""))
    if not form:
        raise UsageError(
            f"What format {target} shall have cannot be told from its ending",
            "End it in .jsonl, .csv or .md, give a folder, or name a format with --format.",
        )
    if folder and form != FILES:
        raise UsageError(f"{target} is a folder, and {form} is one file", "Give the name of a file in it.")
    return form


def check_target(target: Path, form: str) -> None:
    """See to it that results can be written to a place, before anything is paid for. Blocking; leaves nothing there.

    Args:
        target: The file; for "files" the folder. Whether something is there already is not looked at.
        form: "jsonl", "csv", "markdown" or "files".

    Raises:
        UsageError: They cannot.
    """
    folder = target if form == FILES else target.parent
    while form == FILES and not os.path.lexists(folder):
        folder = folder.parent  # what is missing below it is made at the end
    name = clean_line(str(folder), _LONGEST_PATH)
    if not os.path.lexists(folder):
        raise UsageError(f"There is no folder {name}", "Make it first, or choose another.")
    if not os.path.isdir(folder):
        raise UsageError(f"{name} is no folder", "Choose another place for the results.")
    if form != FILES and os.path.exists(target) and not os.path.isfile(target):
        raise UsageError(f"{clean_line(str(target), _LONGEST_PATH)} is no file", "Choose another name for the results.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise UsageError(f"You may write nothing in the folder {name}", "Choose another, or change its permissions.")


def export(database: Database, job_id: int, form: str, target: Path, *, overwrite: bool = False) -> int:
    """Write the results of a job. Blocking.

    A single file is written beside its place and renamed, so it is there whole or not at all; so is each file of a
    folder. All of them are open to their owner alone.

    Args:
        database: Where the job is.
        job_id: Of the job.
        form: "jsonl", "csv", "markdown" or "files".
        target: The file; for "files" the folder, which is made where it is not there.
        overwrite: Whether files that are there may be replaced.

    Returns:
        How many documents were written: all of the job, or for "files" those with an answer.

    Raises:
        UsageError: There is no such job, or no folder for the file.
        AlreadyThere: Something is there already.
        OSError: It cannot be written; nothing is left of a single file.
    """
    job = _job(database, job_id)
    try:
        if form == FILES:
            return _write_folder(database, job, target, overwrite=overwrite)
        if not target.parent.is_dir():
            raise UsageError(f"There is no folder {target.parent}", "Make it first, or choose another.")
        with private_file(target, overwrite=overwrite) as file:
            counted = _Counted()
            for piece in _pieces(database, job, form, counted):
                file.write(piece)
            return counted.documents
    except FileExistsError as error:
        raise AlreadyThere(f"{error.filename} is there already", "Choose another name, or have it replaced.") from None


def pieces(database: Database, job_id: int, form: str) -> Iterator[str]:
    """The same as text, piece by piece, for a pipe. Blocking between pieces.

    Raises:
        UsageError: There is no such job, or the format is a folder.
    """
    if form == FILES:
        raise UsageError("One file per document needs a folder", "Give one with --out.")
    return _pieces(database, _job(database, job_id), form, _Counted())


class _Counted:
    """How many documents went by."""

    documents = 0


def _job(database: Database, job_id: int) -> Job:
    return database.read_now(lambda connection: jobs.get(connection, job_id))


def _results(database: Database, job_id: int) -> Iterator[Result]:
    last: Item | None = None
    while page := _page(database, job_id, last):
        yield from page
        last = page[-1].item


def _page(database: Database, job_id: int, after: Item | None) -> list[Result]:
    def read(connection: Connection) -> list[Result]:
        found = results_after(connection, job_id, after)
        items = with_parts(connection, job_id, [item for item, _, _ in found])
        return [Result(item, text, partial) for item, (_, text, partial) in zip(items, found, strict=True)]

    return database.read_now(read)


def _pieces(database: Database, job: Job, form: str, counted: _Counted) -> Iterator[str]:
    begin, one = _WRITERS[form]
    yield begin(job)
    for result in _results(database, job.id):
        counted.documents += 1
        yield replace_surrogates(one(result))


# JSON lines


def _json_line(result: Result) -> str:
    text = json.dumps(fields_of(result), ensure_ascii=False)
    return _LINE_ENDS.sub(lambda match: f"\\u{ord(match.group()):04x}", text) + "\n"


def fields_of(result: Result) -> dict[str, Any]:
    """A document and what came of it, as one JSON object."""
    item, failure, usage, cost = result.item, result.item.failure, result.item.usage, result.item.cost
    fields: dict[str, Any] = {
        "custom_id": _custom_id(result),
        "source": item.document.key,
        "name": item.document.name,
        "state": item.state.value,
        "text": _text(result),
        "usage": {
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "estimated": usage.estimated,
        },
        "cost": None if cost is None else {"usd": usd(cost), "estimated": cost.estimated},
        "error": None if failure is None else failure.to_dict(),
        "model": item.model or None,
        "finish_reason": item.finish_reason or None,
        "request_id": item.request_id or None,
        "attempts": item.attempts,
    }
    if result.partial is not None:
        fields["partial"] = result.partial
    if item.note:
        fields["note"] = item.note
    return fields


def _custom_id(result: Result) -> str:
    return result.item.document.custom_id or str(result.item.ordinal + 1)


def _text(result: Result) -> str | None:
    return result.text if result.item.state is ItemState.DONE else None


# CSV


def _csv_header(job: Job) -> str:  # noqa: ARG001  # all beginnings are asked alike
    return _csv_row(_COLUMNS)


def _csv_line(result: Result) -> str:
    item, cost, failure = result.item, result.item.cost, result.item.failure
    return _csv_row(
        (
            _custom_id(result), item.document.key, item.document.name, item.state.value, _text(result) or "",
            result.item.usage.input_tokens, result.item.usage.output_tokens, usd(cost),
            "" if cost is None else str(cost.estimated).lower(),
            item.model, "" if failure is None else failure.sentences,
        )
    )  # fmt: skip


def _csv_row(cells: tuple[object, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return line.getvalue()


def _harmless(cell: object) -> object:
    if isinstance(cell, float):
        return f"{cell:.6f}"
    if isinstance(cell, str):
        cell = cell.replace("\0", "")
        return f"'{cell}" if _HARMFUL_CELL.match(cell) else cell
    return cell


# Markdown


def _markdown_head(job: Job) -> str:
    made = datetime.fromtimestamp(job.created_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    lines = [f"# {inline(job.spec.name) or f'Job {job.id}'}", "", f"- Ordered: {made}"]
    lines.append(f"- Provider: {inline(job.spec.provider)}")
    if job.spec.model:
        lines.append(f"- Model: {inline(job.spec.model)}")
    return "\n".join(lines) + "\n"


def _markdown_section(result: Result) -> str:
    item, failure = result.item, result.item.failure
    mark = "" if item.state is ItemState.DONE else f" ({item.state.value.replace('_', ' ')})"
    lines = ["", f"## {inline(item.document.name)}{mark}", ""]
    if (text := _text(result)) is not None:
        lines += [closed(text.rstrip()), ""]
    if item.note:
        lines += [f"> {inline(item.note, 2000)}", ""]
    if failure is not None:
        lines += [f"> {inline(failure.sentences, 2000)}", ""]
    if text is None and result.partial:
        lines += ["What came before it broke off:", "", fenced(result.partial), ""]
    return clean("\n".join(lines[:-1]) + "\n")


_WRITERS: Mapping[str, tuple[Callable[[Job], str], Callable[[Result], str]]] = {
    "jsonl": (lambda _: "", _json_line),
    "csv": (_csv_header, _csv_line),
    "markdown": (_markdown_head, _markdown_section),
}
FORMATS = (*_WRITERS, FILES)


# One file per document


def _write_folder(database: Database, job: Job, folder: Path, *, overwrite: bool) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    ending = ".json" if job.spec.recipe.kind is Kind.EXTRACT else ".md"
    written = 0
    with _Folder(folder, overwrite=overwrite) as files:
        for result in _results(database, job.id):
            if (text := _text(result)) is not None:
                document = result.item.document
                files.add(result_name(document.name, document.key, ending), text.rstrip("\n") + "\n")
                written += 1
    return written


class _Folder:
    """Writes many files so that each is there whole or not at all, waiting for the disk once for many of them."""

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        self._folder = folder
        self._overwrite = overwrite
        self._waiting: list[tuple[Path, int, str]] = []

    def add(self, name: str, text: str) -> None:
        """One more file."""
        if not self._overwrite and os.path.lexists(self._folder / name):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(self._folder / name))
        descriptor, temporary = tempfile.mkstemp(prefix=".holychat-", dir=self._folder)
        self._waiting.append((Path(temporary), descriptor, name))
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(replace_surrogates(text).encode())
        if len(self._waiting) >= _TOGETHER:
            self._put_in_place()

    def _put_in_place(self) -> None:
        for _, descriptor, _ in self._waiting:
            os.fsync(descriptor)
        while self._waiting:
            temporary, descriptor, name = self._waiting[-1]
            if self._overwrite:
                temporary.replace(self._folder / name)
            else:
                place_new(temporary, self._folder / name)
                temporary.unlink(missing_ok=True)
            self._waiting.pop()
            os.close(descriptor)

    def __enter__(self) -> _Folder:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._put_in_place()
        finally:
            for temporary, descriptor, _name in self._waiting:
                os.close(descriptor)
                temporary.unlink(missing_ok=True)
