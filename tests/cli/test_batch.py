"""`holychat batch`: from a folder of real files to their summaries, with the offline provider."""

from __future__ import annotations

import json
import re
import stat
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import JobSpec, Kind, Recipe, Source, SourceKind
from holychat.store import jobs
from holychat.store.database import Database
from tests.cli.batch_shell import QUOTA, SEA, STARS, TEA, BatchShell, lines_of, rows_of

if TYPE_CHECKING:
    from pathlib import Path


def quoted(text: str) -> list[str]:
    return re.findall(r"^- (.*)$", text, flags=re.MULTILINE)


def test_a_folder_is_summarised_and_the_summary_table_is_the_output(desk: BatchShell) -> None:
    done = desk.summarize("--length", "2 sentences", "--yes", "--wait")
    assert done.status == 0, done.error
    rows = rows_of(done.text)
    assert {name: rows[name] for name in ("Total", "Successful", "Failed", "In doubt", "Cost")} == {
        "Total": "3", "Successful": "3", "Failed": "0", "In doubt": "0", "Cost": "$0",
    }  # fmt: skip
    assert {"Time", "Requests/min", "Tokens"} <= set(rows)
    results = lines_of(desk.batch("export", "last").text)
    assert [result["name"] for result in results] == ["sea.md", "stars.md", "tea.md"]
    for result, text in zip(results, (SEA, STARS, TEA), strict=True):
        assert len(quoted(result["text"])) == 2
        assert all(sentence in text for sentence in quoted(result["text"]))
        assert (result["state"], result["error"], result["cost"]) == ("done", None, {"usd": 0.0, "estimated": False})


def test_a_dry_run_tells_what_it_will_take_and_creates_nothing(desk: BatchShell) -> None:
    done = desk.summarize("--dry-run")
    rows = rows_of(done.text)
    assert (done.status, rows["Documents"], rows["Price live"]) == (0, "3", "$0")
    assert re.fullmatch(r"~\d+ tokens", rows["Input"])
    estimate = desk.summarize("--dry-run", "--json").json
    assert (estimate["job"], estimate["estimate"]["documents"]) == (None, 3)
    assert desk.summarize("--yes", "--json").json["job"]["id"] == 1, "no number was used up"


def test_a_document_that_is_named_twice_is_counted_and_sent_once(desk: BatchShell) -> None:
    sea = str(desk.documents / "sea.md")
    done = desk.batch("summarize", sea, sea, str(desk.documents), "-p", "offline", "--yes", "--json")
    estimate, job = done.json["estimate"], desk.wait_until(lambda job: job["ended"])
    assert (estimate["documents"], job["total"], job["documents"]["done"]) == (3, 3, 3)
    assert "2 found again and left out: each document is sent once." in estimate["warnings"]
    assert job["name"] == "Summarise sea.md and 1 more"


def test_a_dry_run_names_whom_it_reckons_with(desk: BatchShell) -> None:
    desk.configure(QUOTA.format(url="http://127.0.0.1:9/v1"))
    order = ("summarize", str(desk.documents), "--dry-run")
    assert rows_of(desk.batch(*order, "-p", "quota").text)["Model"] == "quota-model · quota"
    told = desk.batch(*order, "-p", "quota", "-m", "other", "--json").json
    assert (told["provider"], told["model"]) == ("quota", "other")


def test_a_job_asks_the_model_of_the_settings(desk: BatchShell) -> None:
    chosen = '[chat]\nprovider = "quota"\nmodel = "chosen"\n'
    desk.configure(chosen + QUOTA.format(url="http://127.0.0.1:9/v1"))
    job = desk.batch("summarize", str(desk.documents), "--hold", "--json").json["job"]
    assert (job["provider"], job["model"]) == ("quota", "chosen")
    job = desk.batch("summarize", str(desk.documents), "-p", "offline", "--hold", "--json").json["job"]
    assert (job["provider"], job["model"]) == ("offline", "extractive")


def test_nothing_is_sent_where_nobody_can_say_yes(desk: BatchShell) -> None:
    done = desk.summarize()
    assert (done.status, done.out) == (2, b"")
    assert "--yes" in done.error
    assert "--dry-run" in done.error
    assert desk.jobs() == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["summarize", "no-such-folder", "--yes"], "no-such-folder"),
        (["summarize", "--yes"], "no documents"),
        (["summarize", ".", "-p", "nobody", "--yes"], "nobody"),
        (["translate", ".", "-p", "offline", "--to", "French", "--yes"], "cannot translate"),
        (["translate", ".", "--yes"], "language"),
        (["classify", ".", "--yes"], "labels"),
        (["extract", ".", "--schema", "{", "--yes"], "schema"),
        (["prompt", ".", "--yes"], "prompt"),
        (["summarize", ".", "--template", "nix", "--yes"], "no template 'nix'"),
        (["summarize", ".", "--budget", "much", "--yes"], "dollars"),
        (["summarize", ".", "--out", "x.xlsx", "--yes"], "ending"),
        (["summarize", ".", "--out", "-", "--yes"], "--wait"),
        (["summarize", ".", "--format", "csv", "--yes"], "--out"),
        (["summarize", ".", "--out", "x", "--format", "pdf", "--yes"], "no format"),
        (["summarize", ".", "--dry-run", "--wait"], "--dry-run"),
        (["submit", "no-such-file.jsonl", "--yes"], "no-such-file.jsonl"),
        (["show", "7"], "no job 7"),
        (["watch"], "no job yet"),
        (["pause", "x"], "number of a job"),
        (["export", "last", "--format", "files"], "no job yet"),
    ],
)
def test_an_order_that_cannot_be_is_2_and_says_why_in_two_lines(
    desk: BatchShell, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(desk.documents)
    done = desk.batch(*arguments)
    assert (done.status, done.out) == (2, b"")
    assert said in done.error
    assert len(done.error.splitlines()) <= 2
    assert desk.jobs() == []


def test_results_go_where_the_order_says(desk: BatchShell, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert desk.summarize("--yes", "--wait", "-o", str(out)).status == 0
    assert out.read_text().startswith("custom_id,source,name,state,text,")
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    again = desk.summarize("--yes", "-o", str(out))
    assert (again.status, "--overwrite" in again.error) == (2, True)
    folder = tmp_path / "results"
    assert desk.summarize("--yes", "--wait", "--out", f"{folder}/").status == 0
    assert sorted(re.sub(r"-[0-9a-f]{10}", "", file.name) for file in folder.iterdir()) == [
        "sea.md",
        "stars.md",
        "tea.md",
    ]
    done = desk.summarize("--yes", "--wait", "--out", "-")
    assert [line["name"] for line in lines_of(done.text)] == ["sea.md", "stars.md", "tea.md"]
    assert "Successful" in done.error


def test_a_list_of_paths_comes_in_on_standard_input(
    desk: BatchShell, private_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk.documents)
    for number, listed in enumerate((b"tea.md\nsea.md\n\n", b"tea.md\0sea.md\0"), start=1):
        done = desk.batch("summarize", "-", "-p", "offline", "--yes", "--wait", "--out", "-", stdin=listed)
        assert [line["name"] for line in lines_of(done.text)] == ["tea.md", "sea.md"], done.error
        assert len(list((private_environment / "data" / "lists").iterdir())) == number
    assert desk.batch("summarize", "-", "-p", "offline", "--yes", stdin=b"\n").status == 2
    desk.batch("delete", "1", "2", "--yes")
    assert list((private_environment / "data" / "lists").iterdir()) == []


def test_records_of_a_table_are_documents(desk: BatchShell, tmp_path: Path) -> None:
    table = tmp_path / "letters.csv"
    table.write_text(f'id,body\nfirst,"{TEA}"\nsecond,"{SEA}"\n')
    done = desk.batch(
        "summarize",
        str(table),
        "--column",
        "body",
        "-p",
        "offline",
        "--yes",
        "--wait",
        "--out",
        "-",
        "--format",
        "jsonl",
    )
    assert [line["custom_id"] for line in lines_of(done.text)] == ["first", "second"], done.error


def test_ready_made_requests_are_sent_and_keep_their_names(desk: BatchShell, tmp_path: Path) -> None:
    file = tmp_path / "requests.jsonl"
    body = {"model": "extractive", "messages": [{"role": "user", "content": f"Summarise in one sentence: {TEA}"}]}
    line = {"method": "POST", "url": "/v1/chat/completions", "body": body}
    file.write_text("".join(json.dumps({"custom_id": name} | line) + "\n" for name in ("b", "a")))
    done = desk.batch("submit", str(file), "-p", "offline", "--yes", "--wait", "--out", "-")
    assert done.status == 0, done.error
    results = lines_of(done.text)
    assert [(result["custom_id"], result["state"]) for result in results] == [("b", "done"), ("a", "done")]
    mistaken = desk.batch("summarize", str(file), "-p", "offline", "--yes")
    assert (mistaken.status, "batch submit" in mistaken.error) == (2, True)


def test_what_a_person_should_know_of_a_result_is_told_with_it_and_never_among_it(desk: BatchShell) -> None:
    (desk.documents / "sea.md").write_bytes(SEA.encode() * 20 + b" It is gr\xfcn.")
    assert desk.summarize("--yes", "--wait").status == 0
    told = desk.batch("show", "1", "--item", "1")
    assert (told.status, "UTF-8" in told.text, "sea.md: " in told.error) == (0, False, True)
    notes = [item["note"] for item in lines_of(desk.batch("show", "1", "--items", "--json").text)]
    assert ("UTF-8" in notes[0], notes[1:]) == (True, ["", ""])
    assert notes[0] in told.error
    assert notes[0] in desk.batch("export", "1", "--format", "markdown").text


def test_what_failed_is_told_by_cause_and_can_be_sent_again(desk: BatchShell) -> None:
    broken = desk.documents / "broken.md"
    broken.write_bytes(b"\x00\x01" * 500)
    paths = [str(desk.documents / name) for name in ("tea.md", "broken.md")]
    done = desk.batch("summarize", *paths, "-p", "offline", "--yes", "--wait")
    assert (done.status, rows_of(done.text)["Failed"]) == (7, "1")
    assert "batch retry 1" in done.error
    (cause,) = desk.batch("show", "1", "--json").json["causes"]
    assert (cause["state"], cause["count"]) == ("failed", 1)
    failed = lines_of(desk.batch("show", "1", "--state", "failed", "--json").text)
    assert [(item["number"], item["name"]) for item in failed] == [(2, "broken.md")]
    assert cause["title"] in desk.batch("show", "1", "--items").text
    assert desk.batch("retry", "1", "--cause", "no such reason").status == 2

    broken.write_text(STARS)
    again = desk.batch("retry", "1", "--cause", cause["title"][:10].upper(), "--wait")
    assert (again.status, rows_of(again.text)["Successful"]) == (0, "2"), again.error
    assert "nothing of job 1" in desk.batch("retry", "1").text


def test_jobs_are_listed_shown_and_deleted(desk: BatchShell) -> None:
    assert desk.batch("list").out == b""
    desk.summarize("--yes", "--wait", "--name", "Three \x1b[31m texts")
    (job,) = desk.jobs()
    assert (job["id"], job["state"], job["total"], job["documents"]["done"]) == (1, "finished", 3, 3)
    assert (job["cost_usd"], job["provider"], job["kind"]) == (0.0, "offline", "summarize")
    shown = rows_of(desk.batch("show", "last").text)
    assert (shown["State"], shown["Total"], shown["Does"]) == ("done", "3", "Summarise")
    item = desk.batch("show", "1", "--item", "3", "--json").json
    assert (item["name"], item["state"]) == ("tea.md", "done")
    assert desk.batch("show", "1", "--item", "3").text == item["text"].rstrip("\n") + "\n"
    assert desk.batch("show", "1", "--item", "4").status == 2
    assert [line.split()[0] for line in desk.batch("show", "1", "--items", "-n", "2").text.splitlines()] == ["1", "2"]
    refused = desk.batch("delete", "1")
    assert (refused.status, "--yes" in refused.error) == (2, True)
    assert desk.batch("delete", "1", "--yes").text == "Deleted job 1.\n"
    assert desk.jobs() == []


def test_an_export_is_never_written_over_unasked(desk: BatchShell, tmp_path: Path) -> None:
    desk.summarize("--yes", "--wait")
    out = tmp_path / "results.md"
    assert desk.batch("export", "last", "-o", str(out)).text == f"{out}\n"
    assert out.read_text().count("\n## ") == 3
    again = desk.batch("export", "last", "-o", str(out))
    assert (again.status, "there already" in again.error) == (2, True)
    assert desk.batch("export", "last", "-o", str(out), "--overwrite").status == 0
    assert desk.batch("export", "last", "-o", str(tmp_path / "no" / "x.csv")).status == 2
    assert lines_of(desk.batch("export", "1").text) == lines_of(desk.batch("export", "1", "-o", "-").text)


def test_a_trial_shows_its_results_and_waits(desk: BatchShell) -> None:
    done = desk.summarize("--yes", "--trial", "1", "--length", "1 sentence")
    assert done.status == 0, done.error
    assert done.text.startswith("--- sea.md (done)\n")
    assert quoted(done.text)[0] in SEA
    assert "the other 2: ~" in done.error
    assert "batch resume 1" in done.error
    (job,) = desk.jobs()
    assert (job["state"], job["pause"], job["documents"]["done"]) == ("paused", "trial", 1)
    assert desk.batch("resume", "1", "--wait").status == 0
    tried = desk.summarize("--yes", "--trial", "1", "--json").json
    assert [result["name"] for result in tried["trial"]] == ["sea.md"]


def test_waiting_with_json_prints_one_object(desk: BatchShell) -> None:
    done = desk.summarize("--yes", "--wait", "--json")
    assert (done.status, done.json["state"], done.json["documents"]["done"]) == (0, "finished", 3)
    watched = desk.batch("watch", "--json")
    assert (watched.status, watched.json["id"]) == (0, 1)


def test_a_draft_of_a_window_can_be_sent_from_a_shell(desk: BatchShell, private_environment: Path) -> None:
    desk.batch("list")
    spec = JobSpec("draft", Recipe(Kind.SUMMARIZE), (Source(SourceKind.PATH, str(desk.documents)),), "offline", "m")
    database = Database.open(private_environment / "data" / "holychat.db")
    database.write_now(lambda connection: jobs.create(connection, spec, 1))
    database.close()
    refused = desk.batch("resume", "1")
    assert (refused.status, "--yes" in refused.error, desk.jobs()[0]["state"]) == (2, True, "draft")
    done = desk.batch("resume", "1", "--yes", "--wait")
    assert (done.status, rows_of(done.text)["Successful"]) == (0, "3")
