"""Results of jobs as files."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest

from holychat.domain.failures import Failure
from holychat.domain.jobs import ItemState, JobSpec, Kind, Recipe, Source, SourceKind
from holychat.errors import UsageError
from holychat.jobs import export as exporting
from holychat.jobs.export import check_target, export, format_of, pieces
from holychat.store import jobs
from holychat.store.database import Database
from holychat.store.rows import failure_column

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = 1_800_000_000_000
LOST = Failure("ReplyBroken", "The reply broke off", "Nobody knows whether it was billed.")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "jobs.db")
    yield database
    database.close()


def new_job(database: Database, kind: Kind = Kind.SUMMARIZE) -> int:
    spec = JobSpec("Minutes of *May*", Recipe(kind), (Source(SourceKind.PATH, "/docs"),), "offline", "extractive")
    return database.write_now(lambda connection: jobs.create(connection, spec, NOW)).id


def add(database: Database, job_id: int, ordinal: int, text: str | None = None, **columns: Any) -> int:
    """One item, with its answer where there is one."""
    texts = {name: columns.pop(name, None) for name in ("partial",)} | {"result": text}
    row: dict[str, Any] = {
        "job_id": job_id, "ordinal": ordinal, "source_key": f"/docs/{ordinal}.md", "name": f"{ordinal}.md",
        "state": "pending" if text is None else "done", "updated_ms": NOW,
    } | columns  # fmt: skip

    def work(connection: Any) -> int:
        names = ", ".join(row)
        connection.execute(f"INSERT INTO items ({names}) VALUES ({', '.join('?' * len(row))})", tuple(row.values()))
        item_id = int(connection.last_insert_rowid())
        connection.execute(
            "INSERT INTO item_texts (item_id, result, partial) VALUES (?, ?, ?)",
            (item_id, texts["result"], texts["partial"]),
        )
        return item_id

    return database.write_now(work)


@pytest.fixture
def job_id(database: Database) -> int:
    """A job with a document of every fate, written down in another order than that of the input."""
    job_id = new_job(database)
    add(database, job_id, 2, state="failed", failure=failure_column(Failure("X", "It is empty", "Fill it.")))
    add(database, job_id, 3, state="in_doubt", failure=failure_column(LOST), partial="Half of\n# it")
    add(
        database, job_id, 0, "First.\nÉté\u2028\x1b[31m", custom_id="one", input_tokens=10, output_tokens=4,
        cost_micros=131, model="m-1", finish_reason="stop", request_id="r-1", attempts=1,
    )  # fmt: skip
    add(database, job_id, 1, "=HYPERLINK(A1)", input_tokens=7, output_tokens=2, usage_estimated=1)
    add(database, job_id, 4)
    return job_id


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


def written(database: Database, job_id: int, form: str) -> str:
    return "".join(pieces(database, job_id, form))


def test_json_lines_hold_every_document_in_the_order_of_the_input(database: Database, job_id: int) -> None:
    text = written(database, job_id, "jsonl")
    assert len(text.splitlines()) == text.count("\n") == 5
    lines = [json.loads(line) for line in text.splitlines()]
    assert [(line["custom_id"], line["state"]) for line in lines] == [
        ("one", "done"), ("2", "done"), ("3", "failed"), ("4", "in_doubt"), ("5", "pending"),
    ]  # fmt: skip
    first, second, failed, doubtful, _ = lines
    assert first["text"] == "First.\nÉté\u2028\x1b[31m"
    assert first["usage"] == {"input_tokens": 10, "output_tokens": 4, "estimated": False}
    assert (first["cost"], first["error"], first["source"]) == (
        {"usd": 0.000131, "estimated": False},
        None,
        "/docs/0.md",
    )
    assert (second["cost"], second["usage"]["estimated"]) == (None, True)
    assert (failed["text"], failed["error"]["title"], failed["error"]["hint"]) == (None, "It is empty", "Fill it.")
    assert (doubtful["text"], doubtful["partial"]) == (None, "Half of\n# it")


def test_a_spreadsheet_finds_no_formula_in_a_cell(database: Database, job_id: int) -> None:
    for ordinal, text in enumerate(("+1", "-1", "@x", "\t=1", "＝1", "\r\n=1", "a=1", "")):
        add(database, job_id, 10 + ordinal, text, name=f"={ordinal}", custom_id=f"@{ordinal}")
    read = rows(written(database, job_id, "csv"))
    assert [row["text"] for row in read[5:]] == ["'+1", "'-1", "'@x", "'\t=1", "'＝1", "'\r\n=1", "a=1", ""]
    assert read[1]["text"] == "'=HYPERLINK(A1)"
    assert (read[5]["name"], read[5]["custom_id"]) == ("'=0", "'@0")
    assert (read[0]["cost_usd"], read[0]["cost_estimated"], read[1]["cost_usd"]) == ("0.000131", "false", "")
    assert read[2]["error"] == "It is empty. Fill it."
    assert [row["state"] for row in read[:5]] == ["done", "done", "failed", "in_doubt", "pending"]


def test_markdown_is_for_reading(database: Database, job_id: int) -> None:
    add(database, job_id, 5, "```python\nx = 1", name="a*b.md")
    add(database, job_id, 6, "After.", note="It is *short*.")
    text = written(database, job_id, "markdown")
    assert text.startswith("# Minutes of \\*May\\*\n")
    assert "\n## 0.md\n\nFirst.\nÉté" in text
    assert "\n## 2.md (failed)\n\n> It is empty. Fill it.\n" in text
    assert "\n## 3.md (in doubt)\n" in text
    assert "```text\nHalf of\n# it\n```" in text
    assert "\n## a\\*b.md\n\n```python\nx = 1\n```\n" in text, "an open fence would swallow the rest"
    assert "\n## 6.md\n\nAfter.\n\n> It is \\*short\\*.\n" in text
    assert "\x1b" not in text


def test_a_document_that_was_split_shows_what_it_and_its_parts_took(database: Database) -> None:
    job_id = new_job(database)
    whole = add(database, job_id, 0, "All.", input_tokens=5, output_tokens=1, cost_micros=10)
    merged = add(
        database, job_id, 0, "x", parent_id=whole, level=1, source_key="p1", input_tokens=20, output_tokens=2,
        cost_micros=20, cost_estimated=1,
    )  # fmt: skip
    for part in range(2):
        add(
            database, job_id, 0, "y", parent_id=merged, part=part, source_key=f"p1.{part}", input_tokens=100,
            output_tokens=10, cost_micros=100,
        )  # fmt: skip
    (line,) = [json.loads(line) for line in written(database, job_id, "jsonl").splitlines()]
    assert line["usage"] == {"input_tokens": 225, "output_tokens": 23, "estimated": False}
    assert line["cost"] == {"usd": 0.00023, "estimated": True}


@pytest.mark.parametrize("form", ["jsonl", "csv", "markdown"])
def test_a_file_is_private_whole_and_never_replaced_unasked(
    database: Database, job_id: int, tmp_path: Path, form: str
) -> None:
    target = tmp_path / "out"
    assert export(database, job_id, form, target) == 5
    assert target.read_bytes().decode() == written(database, job_id, form)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    target.write_text("mine")
    with pytest.raises(UsageError, match="there already"):
        export(database, job_id, form, target)
    assert target.read_text() == "mine"
    assert export(database, job_id, form, target, overwrite=True) == 5
    assert target.read_text() != "mine"
    assert sorted(tmp_path.glob(".holychat*")) == []


def test_a_file_that_cannot_be_finished_leaves_nothing(
    database: Database, job_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    for form, target in (("jsonl", tmp_path / "out.jsonl"), ("files", tmp_path / "folder")):
        with pytest.raises(OSError, match="No space"):
            export(database, job_id, form, target)
    assert not (tmp_path / "out.jsonl").exists()
    assert list((tmp_path / "folder").iterdir()) == []


def test_one_file_per_document_goes_into_a_private_folder(
    database: Database, job_id: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "_TOGETHER", 2)
    for ordinal in range(10, 15):
        add(database, job_id, ordinal, f"Text {ordinal}", name="../../notes.txt")
    folder = tmp_path / "new" / "out"
    assert export(database, job_id, "files", folder) == 7
    found = {file.name: file.read_text() for file in folder.iterdir()}
    assert len(found) == 7
    assert sorted(text for name, text in found.items() if name.startswith("notes-")) == [
        f"Text {ordinal}\n" for ordinal in range(10, 15)
    ]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    with pytest.raises(UsageError, match="there already"):
        export(database, job_id, "files", folder)
    assert export(database, job_id, "files", folder, overwrite=True) == 7
    assert {file.name for file in folder.iterdir()} == set(found)


def test_a_link_in_the_folder_is_replaced_and_not_followed(database: Database, job_id: int, tmp_path: Path) -> None:
    folder, precious = tmp_path / "out", tmp_path / "precious"
    export(database, job_id, "files", folder)
    precious.write_text("mine")
    file = next(folder.iterdir())
    file.unlink()
    file.symlink_to(precious)
    with pytest.raises(UsageError):
        export(database, job_id, "files", folder)
    export(database, job_id, "files", folder, overwrite=True)
    assert (precious.read_text(), file.is_symlink()) == ("mine", False)


def test_extracted_records_are_json_files(database: Database, tmp_path: Path) -> None:
    job_id = new_job(database, Kind.EXTRACT)
    add(database, job_id, 0, '{"a": 1}')
    export(database, job_id, "files", tmp_path / "out")
    (file,) = (tmp_path / "out").iterdir()
    assert (file.suffix, json.loads(file.read_text())) == (".json", {"a": 1})


def test_the_ending_tells_the_format(tmp_path: Path) -> None:
    named = {"a.jsonl": "jsonl", "a.CSV": "csv", "a.md": "markdown", "out": "files", "out/": "files"}
    assert {name: format_of(str(tmp_path / name) + "/" * name.endswith("/")) for name in named} == named
    assert format_of(str(tmp_path)) == "files"
    assert format_of(str(tmp_path / "a.txt"), "markdown") == "markdown"
    with pytest.raises(UsageError, match="cannot be told"):
        format_of(str(tmp_path / "a.xlsx"))
    with pytest.raises(UsageError, match="is a folder"):
        format_of(str(tmp_path), "csv")


def test_where_results_cannot_be_written_is_found_out_without_writing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    os.mkfifo(tmp_path / "pipe.csv")
    for target, form, says in (
        ("none/out.csv", "csv", "There is no folder"),
        ("file/out.csv", "csv", "file is no folder"),
        ("file", "files", "file is no folder"),
        ("file/out", "files", "file is no folder"),
        ("pipe.csv", "csv", "pipe.csv is no file"),
    ):
        with pytest.raises(UsageError, match=says):
            check_target(tmp_path / target, form)
    check_target(tmp_path / "out.csv", "csv")
    check_target(tmp_path / "new" / "out", "files")
    assert sorted(os.listdir(tmp_path)) == ["file", "pipe.csv"]


def test_a_folder_that_is_closed_to_writing_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = tmp_path / "closed"
    closed.mkdir()
    monkeypatch.setattr(os, "access", lambda path, _: str(path) != str(closed))  # root may write everywhere
    for target, form in (("out.csv", "csv"), ("new/out", "files"), ("", "files")):
        with pytest.raises(UsageError, match="You may write nothing in the folder"):
            check_target(closed / target, form)


def test_what_cannot_be_exported_is_said(database: Database, job_id: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no job 99"):
        export(database, 99, "jsonl", tmp_path / "x.jsonl")
    with pytest.raises(UsageError, match="no folder"):
        export(database, job_id, "jsonl", tmp_path / "no" / "x.jsonl")
    with pytest.raises(UsageError, match="folder"):
        pieces(database, job_id, "files")
    assert not (tmp_path / "x.jsonl").exists()


def fill(database: Database, job_id: int, count: int) -> None:
    def work(connection: Any) -> None:
        connection.execute(
            """
            WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?1)
            INSERT INTO items (job_id, ordinal, source_key, name, state, updated_ms)
            SELECT ?2, i, i, i, 'done', 1 FROM n
            """,
            (count, job_id),
        )
        connection.execute("INSERT INTO item_texts (item_id, result) SELECT id, hex(zeroblob(200)) FROM items")

    database.write_now(work)


def test_memory_does_not_grow_with_the_job(tmp_path: Path, database: Database) -> None:
    peaks = []
    for count in (2_000, 20_000):
        job_id = new_job(database)
        database.write_now(lambda connection: connection.execute("DELETE FROM items"))
        fill(database, job_id, count)
        tracemalloc.start()
        assert export(database, job_id, "jsonl", tmp_path / f"{count}.jsonl") == count
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_every_state_can_be_written(database: Database) -> None:
    job_id = new_job(database)
    for ordinal, state in enumerate(ItemState):
        add(database, job_id, ordinal, state=state.value, failure=failure_column(LOST) if state == "failed" else None)
    assert [json.loads(line)["state"] for line in written(database, job_id, "jsonl").splitlines()] == list(ItemState)
    assert [row["state"] for row in rows(written(database, job_id, "csv"))] == list(ItemState)
    assert written(database, job_id, "markdown").count("\n## ") == len(ItemState)
