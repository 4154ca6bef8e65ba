"""Documents out of the rows of a CSV file and the lines of a JSONL file, one at a time, however long the file is."""

from __future__ import annotations

import codecs
import csv
import json
import os
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from holychat.domain.jobs import Document
from holychat.jobs.documents.names import shown_name, stored_path
from holychat.jobs.documents.opening import opened
from holychat.jobs.documents.problems import failure, problem
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holychat.domain.failures import Failure

TEXT_NAMES = (
    "text", "content", "body", "message", "document", "ticket", "description", "comment", "review", "question",
    "prompt", "transcript", "abstract", "article", "feedback", "note", "notes", "summary", "answer",
)  # fmt: skip
"""What a column of texts is usually called; the first one that is there is taken."""
ID_NAMES = ("custom_id", "id", "uuid", "ticket_id", "key")
_DELIMITERS = ",;\t|"
_SAMPLE = 64 * 1024
"""Bytes by which the delimiter is found out."""
_LONG_LABEL = 60
"""Characters; a longer first cell is a text and not the name of a column."""


def lines(file: IO[bytes], limit: int, mark: bytes = b"\n") -> Iterator[bytes | None]:
    """The lines of a file without their ends; None for one of more than `limit` bytes, which is passed over."""
    rest = b""
    too_long = False
    while block := file.read(256 * 1024):
        *whole, rest = (rest + block).split(mark)
        for line in whole:
            yield None if too_long or len(line) > limit else line
            too_long = False
        if len(rest) > limit:
            rest, too_long = b"", True
    if rest or too_long:
        yield None if too_long else rest


def ended_lines(file: IO[bytes], limit: int) -> Iterator[bytes | None]:
    """Lines that end as `find -print0` ends them where there is a NUL in the beginning, else with a line feed."""
    beginning = file.read(limit)
    file.seek(0)
    return lines(file, limit, b"\0" if b"\0" in beginning else b"\n")


# CSV


@dataclass(frozen=True, slots=True)
class _Columns:
    text: int
    id: int | None
    header: bool
    """Whether the first row names the columns."""


def check_csv(path: str, column: str) -> None:
    """See to it that a CSV file has the column.

    Raises:
        DocumentProblem: It has not, or it cannot be read.
    """
    with opened(path) as (descriptor, _):
        _shape(_sample(descriptor), column, path)


def csv_documents(path: str, column: str, limit: int) -> Iterator[Document]:
    """A document per row. The number in its name is that of the row in a spreadsheet, the header being row 1.

    Args:
        path: The file; UTF-8 or UTF-16, the delimiter a comma, semicolon, tab or bar.
        column: Name of the column with the texts, or its number from 1 on; empty: the usual names.
        limit: Longest cell, in characters.

    Raises:
        DocumentProblem: It cannot be read, or there is no such column.
    """
    with opened(path) as (descriptor, _):
        encoding, sample = _sample(descriptor)
        delimiter, columns = _shape((encoding, sample), column, path)
        with open(descriptor, encoding=encoding, errors="surrogateescape", newline="", closefd=False) as file:
            csv.field_size_limit(limit)
            rows = csv.reader(_bounded(file, limit), delimiter=delimiter)
            number = 0
            try:
                for row in rows:
                    number += 1
                    if row and not (number == 1 and columns.header):
                        yield _of_row(path, column, number, row, columns)
            except csv.Error:
                why = failure(
                    "RecordBroken",
                    "The file cannot be read on from this row",
                    "A quotation mark that is never closed? What follows is not listed.",
                )
                yield _record(path, column, number + 1, "row", None, "", why)


def _sample(descriptor: int) -> tuple[str, str]:
    """(encoding, beginning of the file)."""
    data = os.pread(descriptor, _SAMPLE, 0)
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    encoding = "utf-16" if wide else "utf-8-sig"
    return encoding, codecs.getincrementaldecoder(encoding)("replace").decode(data)


def _bounded(file: IO[str], limit: int) -> Iterator[str]:
    while line := file.readline(limit + 1):
        if len(line) > limit:
            raise csv.Error("a line is too long")
        yield line


def _shape(sample: tuple[str, str], column: str, path: str) -> tuple[str, _Columns]:
    """(delimiter, columns): the delimiter that gives the most rows as many cells as the first one has."""
    beginning = sample[1].splitlines(keepends=True)
    whole = beginning[:-1] if len(beginning) > 1 and len(sample[1]) >= _SAMPLE // 2 else beginning
    preferred = "\t" if path.lower().endswith(".tsv") else _DELIMITERS
    best, rows = max(
        ((mark, _rows(whole, mark)) for mark in dict.fromkeys(preferred + _DELIMITERS)),
        key=lambda one: _agreement(one[1]),
    )
    if not rows:
        raise problem("DocumentEmpty", "There is no row in it", "There is nothing to send.")
    return best, _columns(rows[0], column)


def _rows(beginning: Sequence[str], delimiter: str) -> list[list[str]]:
    rows: list[list[str]] = []
    try:
        for row in csv.reader(beginning, delimiter=delimiter):
            if row:
                rows.append(row)
            if len(rows) == 50:
                break
    except csv.Error:
        pass
    return rows


def _agreement(rows: Sequence[Sequence[str]]) -> tuple[float, int]:
    if not rows or len(rows[0]) < 2:
        return (0.0, 0)
    alike = sum(len(row) == len(rows[0]) for row in rows)
    return (alike / len(rows), len(rows[0]))


def _columns(first: Sequence[str], column: str) -> _Columns:
    names = [cell.strip().casefold() for cell in first]
    wanted = column.strip().casefold()
    known = next((names.index(name) for name in ID_NAMES if name in names), None)
    if wanted and wanted in names:
        text = names.index(wanted)
        return _Columns(text, known if known != text else None, header=True)
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        text = int(wanted) - 1
        header = known is not None or any(name in names for name in TEXT_NAMES) or _is_label(first[text])
        return _Columns(text, known if header and known != text else None, header)
    usual = next((names.index(name) for name in TEXT_NAMES if name in names), None)
    if not wanted and usual is not None:
        return _Columns(usual, known, header=True)
    if not wanted and len(names) == 1:
        return _Columns(0, None, header=_is_label(first[0]))
    there = clean_line(", ".join(first), 120)
    if wanted:
        raise problem("ColumnMissing", f"There is no column {clean_line(column, 40)!r}", f"The columns are: {there}.")
    raise problem("ColumnMissing", "Which column holds the texts?", f"Choose one of: {there}.")


def _is_label(cell: str) -> bool:
    """Whether a first cell looks like the name of a column: short, no number, no sentence."""
    text = cell.strip()
    short = len(text) <= _LONG_LABEL and len(text.split()) <= 4
    return short and bool(text) and not text.endswith((".", "!", "?", "。")) and not text[0].isdigit()


def _of_row(path: str, column: str, number: int, row: Sequence[str], columns: _Columns) -> Document:
    custom_id = row[columns.id].strip() if columns.id is not None and columns.id < len(row) else ""
    if columns.text >= len(row):
        why = failure("RecordBroken", "The row has no such column", f"It has {len(row)} of them.")
        return _record(path, column, number, "row", None, custom_id, why)
    return _record(path, column, number, "row", row[columns.text], custom_id)


# JSONL


def jsonl_documents(path: str, column: str, limit: int) -> Iterator[Document]:
    """A document per line: a JSON object with the text in a field, or a JSON string.

    Args:
        path: The file, UTF-8.
        column: The field with the text, "a.b" for b in a; empty: the usual names.
        limit: Longest line, in bytes.

    Raises:
        DocumentProblem: It cannot be read.
    """
    for number, line, why in json_lines(path, limit):
        if why is not None:
            yield _record(path, column, number, "line", None, "", why)
            continue
        text, custom_id, why = _of_value(line, column)
        yield _record(path, column, number, "line", text, custom_id, why)


def json_lines(path: str, limit: int) -> Iterator[tuple[int, Any, Failure | None]]:
    """(number, value, None) or (number, None, failure) of each line of a JSONL file that is not blank.

    Raises:
        DocumentProblem: The file cannot be read.
    """
    with opened(path) as (descriptor, _), os.fdopen(descriptor, "rb", closefd=False) as file:
        for number, line in enumerate(lines(file, limit), start=1):
            if line is None:
                yield number, None, failure("RecordTooLarge", "The line is too long", "Split it, or leave it out.")
                continue
            if number == 1:
                line = line.removeprefix(codecs.BOM_UTF8)
            if not line.strip():
                continue
            try:
                yield number, json.loads(line, parse_constant=_no_constant), None
            except UnicodeDecodeError:
                yield number, None, failure("RecordBroken", "The line is no UTF-8 text", "Save the file as UTF-8.")
            except (ValueError, RecursionError):
                yield (
                    number,
                    None,
                    failure("RecordBroken", "The line is not JSON", "Each line is one whole JSON value."),
                )


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _of_value(value: Any, column: str) -> tuple[str | None, str, Failure | None]:
    """(text, id, failure) of one line."""
    if isinstance(value, str) and not column:
        return value, "", None
    if not isinstance(value, dict):
        return None, "", failure("RecordBroken", "The line is no JSON object", 'For example: {"text": "…"}')
    found = next((value[name] for name in ID_NAMES if isinstance(value.get(name), str | int)), "")
    custom_id = "" if isinstance(found, bool) else str(found)
    if column:
        text, there = _field(value, column)
    else:
        name = next((name for name in TEXT_NAMES if name in value), None)
        text, there = (value[name], True) if name is not None else (None, False)
    if not there:
        names = clean_line(", ".join(map(str, value)), 120)
        title = f"There is no field {clean_line(column, 40)!r}" if column else "Which field holds the text?"
        return None, custom_id, failure("FieldMissing", title, f"The fields are: {names}.")
    if text is None or isinstance(text, str):
        return text or "", custom_id, None
    return json.dumps(text, ensure_ascii=False), custom_id, None


def _field(value: Mapping[str, Any], name: str) -> tuple[Any, bool]:
    if name in value:
        return value[name], True
    here: Any = value
    for part in name.split("."):
        if not isinstance(here, dict) or part not in here:
            return None, False
        here = here[part]
    return here, True


def _record(
    path: str, column: str, number: int, unit: str, text: str | None, custom_id: str, why: Failure | None = None
) -> Document:
    stored = stored_path(path)
    name = f"{shown_name(os.path.basename(path))} {unit} {number}"
    key = f"{stored}#{column}#{number}"
    if text is not None and why is None and not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            why = failure("RecordBroken", f"The {unit} is no UTF-8 text", "Save the file as UTF-8.")
    if why is not None or text is None:
        return Document(key, name, stored, custom_id=custom_id, failure=why)
    size = len(text.encode())
    return Document(key, name, stored, custom_id, content=text, size=size, skipped="" if text.strip() else "empty")
