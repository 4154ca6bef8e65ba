"""What `holychat batch` says of mistakes, and of what there is nothing to be done with: plainly, and with a way on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.batch_shell import rows_of
from tests.cli.shell import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.batch_shell import BatchShell


def test_the_command_is_found_under_the_spelling_that_the_screen_uses(desk: BatchShell) -> None:
    done = desk.batch("summarise", str(desk.documents), "-p", "offline", "--dry-run")
    assert (done.status, "Documents" in done.text) == (0, True)
    assert "summarise " not in desk.batch("--help").text.lower().replace("summarise documents", "")


@pytest.mark.parametrize("group", [("batch",), ("batch", "templates"), ("batch", "remote"), ()])
def test_a_group_without_a_command_prints_its_help_and_nothing_around_it(
    desk: BatchShell, group: tuple[str, ...]
) -> None:
    done = desk.run(*group, "--help")
    bare = desk.run(*group, stdin=b"")
    if group:
        assert (bare.status, bare.text, bare.error) == (2, "", done.text)


def test_a_folder_without_documents_is_told_once_and_plainly(desk: BatchShell, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = desk.batch("summarize", str(tmp_path / "empty"), "-p", "offline", "--yes")
    assert (done.status, desk.jobs()) == (2, [])
    assert done.error == (
        "holychat: There is nothing to send\n1 cannot be sent: there is no document in this folder.\n"
    )


def test_a_pattern_that_matches_nothing_never_was_there(desk: BatchShell, tmp_path: Path) -> None:
    for pattern in ("nope/*.md", "*.nope"):
        done = desk.batch("summarize", str(tmp_path / pattern), "-p", "offline", "--yes")
        assert (done.status, "No file matches" in done.error) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("summarize", "nothere"), "There is no nothere"),
        (("summarize",), "There are no documents"),
        (("submit", "nothere.jsonl"), "There is no nothere.jsonl"),
        (("translate", ".", "--to", "French", "--template", "nope"), "There is no template"),
        (("extract", ".", "--schema", "nothere.json"), "There is no nothere.json"),
        (("prompt", "DOCUMENTS"), "There is no prompt"),
    ],
)
def test_a_mistake_is_told_before_it_is_said_that_nobody_is_there_to_say_yes(
    desk: BatchShell, arguments: tuple[str, ...], says: str
) -> None:
    done = desk.batch(*(str(desk.documents) if word == "DOCUMENTS" else word for word in arguments), "-p", "offline")
    assert (done.status, says in done.error, "Nobody is there" in done.error) == (2, True, False), done.error
    assert desk.jobs() == []


def test_where_results_go_has_one_spelling_in_the_help_and_two_on_the_line(desk: BatchShell, tmp_path: Path) -> None:
    for words in (("batch", "summarize"), ("batch", "export"), ("history", "export")):
        told = desk.run(*words, "--help").text
        assert ("-o, --out PATH" in told, "--output" in told) == (True, False), told
    for name in ("--out", "--output", "-o"):
        target = tmp_path / f"{name}.jsonl"
        assert desk.summarize("--yes", "--wait", name, str(target)).status == 0
        assert len(target.read_text().splitlines()) == 3


def test_results_that_are_there_name_the_option_that_replaces_them(desk: BatchShell, tmp_path: Path) -> None:
    assert desk.summarize("--yes", "--wait").status == 0
    for target in ("results", "results.jsonl"):
        assert desk.batch("export", "1", "--output", str(tmp_path / target)).status == 0
        again = desk.batch("export", "1", "-o", str(tmp_path / target))
        assert (again.status, "add --overwrite" in again.error) == (2, True)
    assert "Nothing of it waits to be sent" in desk.batch("export", "1", "--format", "openai").error


@pytest.mark.parametrize(
    ("out", "form", "says"),
    [
        ("none/out.csv", "", "There is no folder"),
        ("file.txt/results", "", "file.txt is no folder"),
        ("file.txt", "files", "file.txt is no folder"),
        ("folder", "csv", "is a folder, and csv is one file"),
    ],
)
def test_results_that_could_not_be_written_are_no_order(
    desk: BatchShell, tmp_path: Path, out: str, form: str, says: str
) -> None:
    (tmp_path / "file.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    how = ("--format", form) if form else ()
    for option in ("--yes", "--dry-run"):
        done = desk.summarize(option, "--out", str(tmp_path / out), *how, "--overwrite")
        assert (done.status, says in done.error) == (2, True), done.error
    assert desk.jobs() == []


@pytest.mark.parametrize("place", [".", "*.csv", "notes.md", "-"])
def test_a_column_where_no_table_is_named_is_no_order(desk: BatchShell, tmp_path: Path, place: str) -> None:
    (tmp_path / "notes.md").write_text("Tea.")
    (tmp_path / "mails.csv").write_text("id,body\n1,Tea\n")
    named = place if place == "-" else str(tmp_path / place)
    listed = f"{tmp_path / 'notes.md'}\n".encode()
    done = desk.batch("summarize", named, "-p", "offline", "--column", "body", "--yes", stdin=listed)
    assert (done.status, "--column is for CSV and JSONL files" in done.error) == (2, True), done.error
    assert (desk.jobs(), list((desk.home / "data" / "lists").glob("*"))) == ([], [])
    beside = desk.batch("summarize", str(tmp_path / "mails.csv"), named, "-p", "offline", "--column", "body",
                        "--dry-run", stdin=listed)  # fmt: skip
    assert beside.status == 0, beside.error


def test_a_trial_that_is_paused_by_hand_is_over_with_one_resume(desk: BatchShell) -> None:
    assert desk.summarize("--yes", "--trial", "2").status == 0
    assert desk.batch("pause", "1").status == 0
    done = desk.batch("resume", "1", "--wait")
    assert (done.status, desk.jobs()[0]["documents"]["done"]) == (0, 3), done.error


def test_a_missing_key_is_told_before_anything_is_ordered(desk: BatchShell) -> None:
    order = ("summarize", str(desk.documents), "-p", "holysheep")
    done = desk.batch(*order, "--yes")
    assert (done.status, done.text) == (3, "")
    assert done.error.startswith("holychat: No key for holysheep\n")
    assert "HOLYSHEEP_API_KEY" in done.error
    assert "--hold" in done.error
    assert desk.jobs() == []
    assert desk.batch(*order, "--dry-run").status == 0


def test_a_list_from_standard_input_is_called_that_and_not_by_the_file_it_is_kept_in(desk: BatchShell) -> None:
    paths = "".join(f"{file}\n" for file in desk.documents.iterdir()).encode()
    assert desk.batch("summarize", "-", "-p", "offline", "--hold", stdin=paths).status == 0
    shown = rows_of(desk.batch("show", "1").text)
    assert shown["Job"] == "1, Summarise a list of files"
    assert shown["From"] == "a list on standard input"


def test_a_job_for_which_no_worker_can_be_started_is_kept_and_that_is_told(desk: BatchShell) -> None:
    lock = desk.home / "state" / "worker.lock"
    lock.mkdir(parents=True)
    done = desk.summarize("--yes")
    assert (done.status, done.text) == (0, "Job 1: 3 documents\n")
    assert done.error.count("holychat: No worker could be started for background jobs: ") == 1
    assert "go on with the next start of holychat" in done.error
    with desk.start("batch", "watch", "1") as running:
        assert running.process.stderr is not None
        while b"No worker could be started" not in running.process.stderr.readline():
            assert running.process.poll() is None
        lock.rmdir()
        assert running.process.wait(DEADLINE) == 0
    assert desk.jobs()[0]["documents"]["done"] == 3


def test_a_job_that_is_held_is_not_said_to_be_looking_for_anything(desk: BatchShell) -> None:
    assert desk.summarize("--hold").status == 0
    assert "looking for" not in desk.batch("list").text
    assert "not sent yet" in desk.batch("list").text
