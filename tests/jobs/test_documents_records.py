"""Documents out of CSV, JSONL and OpenAI batch files."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.domain.jobs import Document, Source, SourceKind
from holychat.errors import UsageError
from holychat.jobs.documents import WalkOptions, check, listed
from holychat.jobs.documents.records import lines
from holychat.jobs.documents.requests_file import SeenTexts

if TYPE_CHECKING:
    from pathlib import Path


def of(kind: SourceKind, path: Path, data: str | bytes, column: str = "", limit: int = 10**6) -> list[Document]:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return list(listed([Source(kind, str(path), column)], WalkOptions(max_bytes=limit)))


def contents(documents: list[Document]) -> list[str | None]:
    return [document.content for document in documents]


def kinds(documents: list[Document]) -> list[str]:
    return [document.failure.kind if document.failure else "" for document in documents]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "tickets.csv"


# CSV


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_rows_become_documents_whatever_the_delimiter_and_the_byte_order_mark(
    table: Path, mark: str, encoding: str
) -> None:
    rows = [["ID", "Text", "Other"], ["t-1", "Größe, 1; 2\nzweite Zeile", "x"], ["t-2", 'she said "no"', "y"]]
    out = io.StringIO()
    csv.writer(out, delimiter=mark).writerows(rows)
    found = of(SourceKind.CSV, table, out.getvalue().encode(encoding))
    assert contents(found) == ["Größe, 1; 2\nzweite Zeile", 'she said "no"']
    assert [(d.custom_id, d.name) for d in found] == [("t-1", "tickets.csv row 2"), ("t-2", "tickets.csv row 3")]
    assert len({d.key for d in found}) == 2


@pytest.mark.parametrize(
    ("data", "column", "texts"),
    [
        ("a,b\n1,x\n2,y\n", "b", ["x", "y"]),
        ("a,b\n1,x\n2,y\n", " B ", ["x", "y"]),
        ("a,b\n1,x\n2,y\n", "2", ["x", "y"]),
        ("1,The first one is a sentence.\n2,The second too.\n", "2",
         ["The first one is a sentence.", "The second too."]),
        ("number;message\n1;x\n", "", ["x"]),
        ("words\nx\n\ny\n", "", ["x", "y"]),
        ("A whole sentence stands here.\nAnd one more.\n", "", ["A whole sentence stands here.", "And one more."]),
    ],
)  # fmt: skip
def test_the_column_is_found_by_name_by_number_or_by_its_usual_name(
    table: Path, data: str, column: str, texts: list[str]
) -> None:
    assert contents(of(SourceKind.CSV, table, data, column)) == texts


def test_a_missing_column_names_those_that_are_there_before_a_job_is_made(table: Path) -> None:
    (found,) = of(SourceKind.CSV, table, "a,b\n1,x\n", "zz")
    assert found.failure is not None
    assert found.failure.hint == "The columns are: a, b."
    with pytest.raises(UsageError, match="no column 'zz'"):
        check(Source(SourceKind.CSV, str(table), "zz"))
    with pytest.raises(UsageError, match="Which column"):
        check(Source(SourceKind.CSV, str(table)))
    check(Source(SourceKind.CSV, str(table), "b"))


def test_rows_that_cannot_be_sent_are_listed_with_a_reason_and_the_others_go_on(table: Path) -> None:
    data = b"id,text\n1,fine\n2\n3,\n4,caf\xe9\n5,also fine\n"
    found = of(SourceKind.CSV, table, data)
    assert kinds(found) == ["", "RecordBroken", "", "RecordBroken", ""]
    assert [document.skipped for document in found] == ["", "", "empty", "", ""]
    assert contents(found)[-1] == "also fine"


def test_a_quotation_mark_that_never_closes_ends_the_list_with_a_reason(table: Path) -> None:
    found = of(SourceKind.CSV, table, 'text\none\n"two\n' + "three\n" * 1000, limit=1000)
    assert kinds(found) == ["", "RecordBroken"]
    found = of(SourceKind.CSV, table, "text\none\n" + "x" * 5000 + "\n", limit=1000)
    assert kinds(found) == ["", "RecordBroken"]


def test_a_cell_may_be_longer_than_python_usually_allows(table: Path) -> None:
    (found,) = of(SourceKind.CSV, table, "text\n" + "x" * 300_000 + "\n")
    assert found.content is not None
    assert len(found.content) == 300_000


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)


@given(st.lists(st.tuples(_CELLS, _CELLS), min_size=1, max_size=8))
def test_what_was_written_as_csv_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(["number", "text"])
    writer.writerows(rows)
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    assert contents(of(SourceKind.CSV, path, out.getvalue())) == [text for _, text in rows]


# JSONL


def test_lines_become_documents_and_broken_ones_keep_their_number(tmp_path: Path) -> None:
    data = (
        b'\xef\xbb\xbf{"id": 7, "text": "one"}\n\n{"text": "two"\n"three"\n[1]\n{"other": 1}\n{"text": {"a": 1}}\n'
        b'{"text": "caf\xe9"}\n{"text": NaN}\n{"text": "\\ud800"}\n{"text": null}\n{"text": "last"}'
    )
    found = of(SourceKind.JSONL, tmp_path / "a.jsonl", data)
    assert [(int(d.name.split()[-1]), d.content, kind) for d, kind in zip(found, kinds(found), strict=True)] == [
        (1, "one", ""), (3, None, "RecordBroken"), (4, "three", ""), (5, None, "RecordBroken"),
        (6, None, "FieldMissing"), (7, '{"a": 1}', ""), (8, None, "RecordBroken"), (9, None, "RecordBroken"),
        (10, None, "RecordBroken"), (11, "", ""), (12, "last", ""),
    ]  # fmt: skip
    assert found[0].custom_id == "7"
    assert found[9].skipped == "empty"


def test_a_field_may_stand_within_another(tmp_path: Path) -> None:
    data = '{"a": {"b": "inner"}, "text": "outer"}\n{"a.b": "exact"}\n{"a": 1}\n'
    found = of(SourceKind.JSONL, tmp_path / "a.jsonl", data, "a.b")
    assert contents(found) == ["inner", "exact", None]
    assert found[2].failure is not None
    assert "'a.b'" in found[2].failure.title


def test_a_line_that_is_too_long_is_passed_over_without_reading_it_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "one"}\n"')
        for _ in range(64):
            file.write(b"x" * 2**20)
        file.write(b'"\n{"text": "two"}\n')
    tracemalloc.start()
    try:
        found = list(listed([Source(SourceKind.JSONL, str(path))], WalkOptions(max_bytes=10_000)))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert contents(found) == ["one", None, "two"]
    assert kinds(found) == ["", "RecordTooLarge", ""]
    assert peak < 8 * 2**20


@given(st.lists(st.binary(max_size=30)), st.integers(0, 20))
def test_lines_are_those_of_the_file(parts: list[bytes], limit: int) -> None:
    data = b"\n".join(parts)
    whole = data.split(b"\n")
    if whole[-1] == b"":
        whole.pop()
    assert list(lines(io.BytesIO(data), limit)) == [line if len(line) <= limit else None for line in whole]


def test_deeply_nested_json_is_a_broken_line(tmp_path: Path) -> None:
    found = of(SourceKind.JSONL, tmp_path / "a.jsonl", "[" * 100_000 + "\n" + '{"text": "fine"}\n')
    assert kinds(found) == ["RecordBroken", ""]


# OpenAI batch files


def request(custom_id: object = "r-1", **fields: object) -> dict[str, object]:
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    return {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": body} | fields


def requests_of(tmp_path: Path, *values: object) -> list[Document]:
    text = "".join(json.dumps(value) + "\n" for value in values)
    return of(SourceKind.REQUESTS, tmp_path / "batch.jsonl", text)


def test_requests_keep_their_custom_id_and_body(tmp_path: Path) -> None:
    (found,) = requests_of(tmp_path, request("größe-1"))
    assert (found.custom_id, found.name) == ("größe-1", "größe-1")
    assert json.loads(found.body) == request()["body"]
    assert found.failure is None


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ([1], "no JSON object"), (request(None), "no custom_id"), (request(" "), "no custom_id"),
        (request(5), "no custom_id"),
        (request(url="/v1/embeddings"), "url is not"), (request(method="GET"), "method"),
        (request(body="x"), "no body"),
        (request("x" * 600), "too long"), (request(body={"messages": []}), "messages"),
        (request(body={"messages": [{"role": "user", "content": "Hi"}], "tools": [{}]}), "tools"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_sent_is_listed_with_the_reason(tmp_path: Path, line: object, words: str) -> None:
    found, fine = requests_of(tmp_path, line, request("fine"))
    assert found.failure is not None
    assert words in found.failure.title
    assert fine.failure is None


def test_a_custom_id_that_comes_again_is_a_failed_document_of_its_own(tmp_path: Path) -> None:
    found = requests_of(tmp_path, request("a"), request("b"), request("a"))
    assert kinds(found) == ["", "", "DuplicateId"]
    assert len({document.key for document in found}) == 3


def test_telling_texts_apart_takes_little_memory() -> None:
    tracemalloc.start()
    try:
        seen = SeenTexts()
        assert all(seen.add(f"request-{number}") for number in range(50_000))
        assert not any(seen.add(f"request-{number}") for number in range(0, 50_000, 97))
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert size < 50_000 * 33
