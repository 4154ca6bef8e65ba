"""`holychat batch` with work that is done elsewhere: a provider's batch service, and other engines."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from tests.cli.batch_shell import QUOTA, SEA, STARS, TEA, BatchShell, lines_of, rows_of
from tests.cli.shell import DEADLINE
from tests.support.batch_server import BatchServer, Plan, reply_to
from tests.support.openai_schema import problems

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUICK = """
[provider_batch]
poll_seconds = 0.05
longest_poll_seconds = 0.1
grace_seconds = 0.3
"""


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


@pytest.fixture
def shell(desk: BatchShell, server: BatchServer) -> BatchShell:
    """The desk with three documents and a provider that has a batch service."""
    desk.configure(QUOTA.format(url=server.base_url) + QUICK)
    for file in desk.documents.iterdir():
        file.unlink()
    desk.write(tea=TEA, stars=STARS, sea=SEA)
    return desk


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def hold(shell: BatchShell, *more: str) -> Any:
    return shell.batch("summarize", str(shell.documents), "-p", "quota", "--hold", *more)


def engine(requests: Path, answers: Path, *, bad: int | None = None) -> list[str]:
    """Another engine: answers a file of requests from its end; the custom_ids in the order of the requests."""
    lines = lines_of(requests.read_text())
    told = []
    for place, line in enumerate(lines):
        assert problems("batch_line", line) == []
        status, body = 200, reply_to(line["body"])
        if place == bad:
            status, body = 400, {"error": {"message": "Too long for this engine."}}
        response = {"status_code": status, "request_id": f"r{place}", "body": body}
        told.append({"id": f"vllm-{place}", "custom_id": line["custom_id"], "response": response, "error": None})
    answers.write_text("".join(json.dumps(line) + "\n" for line in reversed(told)))
    return [line["custom_id"] for line in lines]


def test_work_leaves_as_a_file_and_its_answers_come_home_once(shell: BatchShell, tmp_path: Path) -> None:
    requests, answers = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    held = hold(shell)
    assert (held.status, "export 1 --format openai" in held.error) == (0, True)
    out = shell.batch("export", "last", "--format", "openai", "-o", str(requests))
    assert (out.status, "3 requests written" in out.error) == (0, True)
    assert requests.stat().st_mode & 0o077 == 0
    assert shell.batch("export", "1", "--format", "openai", "-o", str(requests)).status == 2
    assert len(set(engine(requests, answers))) == 3
    home = shell.batch("import", str(answers), "--price", "batch")
    assert (home.status, home.text) == (0, "3 documents done.\n")
    job = shell.wait_until(lambda job: job["state"] == "finished")
    assert (job["documents"]["done"], job["tokens"]["input"] if "tokens" in job else 30) == (3, 30)
    results = {row["name"]: row for row in lines_of(shell.batch("export", "1").text)}
    assert TEA in results["tea.md"]["text"]
    assert SEA in results["sea.md"]["text"]
    assert results["tea.md"]["usage"]["input_tokens"] == 10
    again = shell.batch("import", str(answers))
    assert again.text == "0 documents done, 3 had an answer already, or are under way here.\n"
    assert {row["name"]: row for row in lines_of(shell.batch("export", "1").text)} == results


def test_every_part_of_a_long_document_leaves_with_the_first_file(shell: BatchShell, tmp_path: Path) -> None:
    # The first one in the order of the input, so that others are read together with it.
    shell.write(a_book=" ".join(f"{place}. {STARS}" for place in range(1_500)))
    requests, answers = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    assert shell.batch("translate", str(shell.documents), "-p", "quota", "--hold", "--to", "French").status == 0
    shell.batch("export", "1", "--format", "openai", "-o", str(requests))
    ids = engine(requests, answers)
    # A file that is made once more has the same requests, none of them twice.
    assert [row["custom_id"] for row in lines_of(shell.batch("export", "1", "--format", "openai").text)] == ids
    assert len(set(ids)) == len(ids) > 3 + 5
    assert shell.batch("import", str(answers)).status == 0
    # Nothing is left to be asked for: what is joined is joined, and the job can end.
    assert shell.batch("export", "1", "--format", "openai").text == ""
    assert shell.jobs()[0]["documents"]["done"] == 4


def test_a_reader_of_requests_that_leaves_ends_it_as_it_ends_everything(shell: BatchShell) -> None:
    hold(shell)
    reading, writing = os.pipe()
    os.close(reading)
    done = shell.run("batch", "export", "1", "--format", "openai", stdout=writing)
    os.close(writing)
    assert (done.status, done.err) == (141, b"")


def test_a_failed_line_is_a_failed_document_and_an_unknown_one_is_named(shell: BatchShell, tmp_path: Path) -> None:
    requests, answers = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    hold(shell)
    shell.batch("export", "1", "--format", "openai", "-o", str(requests))
    engine(requests, answers, bad=1)
    with answers.open("a") as file:
        file.write('{"custom_id": "holychat-1-1-00000000", "response": {"status_code": 200, "body": {}}}\n')
        file.write("no JSON\n\n")
    home = shell.batch("import", str(answers))
    assert home.status == 7
    assert home.text == "2 documents done, 1 failed, 1 belong to no job here, 1 cannot be read.\n"
    assert "holychat-1-1-00000000" in home.error
    job = shell.wait_until(lambda job: job["state"] == "finished_with_errors")
    assert "Too long for this engine." in job["causes"][0]["title"]
    assert "unknown" in rows_of(shell.batch("show", "1").text)["Cost"]
    # The engine does better the second time; what is done stays.
    engine(requests, answers)
    assert shell.batch("import", str(answers), "--price", "free").text.startswith("1 document done, 2 had")
    assert shell.jobs()[0]["state"] == "finished"


def test_answers_to_ready_made_requests_are_matched_by_their_own_custom_id(shell: BatchShell, tmp_path: Path) -> None:
    file, answers = tmp_path / "mine.jsonl", tmp_path / "answers.jsonl"
    line = {
        "custom_id": "first", "method": "POST", "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": "Say something"}], "top_p": 0.5},
    }  # fmt: skip
    file.write_text(json.dumps(line) + "\n" + json.dumps(line | {"custom_id": "second"}) + "\n")
    assert shell.batch("submit", str(file), "-p", "quota", "--hold").status == 0
    requests = shell.batch("export", "1", "--format", "openai")
    assert [row["body"]["top_p"] for row in lines_of(requests.text)] == [0.5, 0.5]
    engine(file, answers)
    assert shell.batch("import", str(answers)).status == 7
    home = shell.batch("import", str(answers), "--job", "1", "--json")
    assert (home.status, home.json["done"]) == (0, 2)
    shell.wait_until(lambda job: job["state"] == "finished")


DEARER = """
[prices.quota.dear-model]
input = 100.0
output = 200.0
"""


def spent_on(shell: BatchShell) -> dict[str, tuple[float, int]]:
    """Dollars and requests of unknown price by model."""
    rows = shell.run("cost", "--json").json["by_model"]
    return {row["name"]: (row["usd"], row["unknown"]) for row in rows}


def test_an_answer_costs_what_the_model_costs_that_its_request_named(
    shell: BatchShell, server: BatchServer, tmp_path: Path
) -> None:
    shell.configure(QUOTA.format(url=server.base_url) + QUICK + DEARER)
    file, answers = tmp_path / "mine.jsonl", tmp_path / "answers.jsonl"
    asked = [{"model": "dear-model"}, {"model": "quota-model"}, {}, {"model": "nobody-knows"}]
    rows = [
        {"custom_id": f"r{place}", "method": "POST", "url": "/v1/chat/completions",
         "body": {"messages": [{"role": "user", "content": "Say something"}], **body}}
        for place, body in enumerate(asked)
    ]  # fmt: skip
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert shell.batch("submit", str(file), "-p", "quota", "--hold").status == 0
    file.write_text(shell.batch("export", "1", "--format", "openai").text)
    engine(file, answers)
    # What an engine calls the model is its own affair where the request names one.
    answers.write_text(answers.read_text().replace('"model": "dear-model"', '"model": "served-model-0"'))
    home = shell.batch("import", str(answers), "--price", "live")
    assert (home.status, home.text) == (0, "4 documents done.\n")
    assert spent_on(shell) == {
        "dear-model": (0.002, 0), "quota-model": (0.00004, 0), "nobody-knows": (None, 1)
    }  # fmt: skip


def test_an_answer_that_says_it_came_from_another_model_is_not_priced_as_that_of_the_job(
    shell: BatchShell, server: BatchServer, tmp_path: Path
) -> None:
    shell.configure(QUOTA.format(url=server.base_url) + QUICK + DEARER)
    requests, answers = tmp_path / "requests.jsonl", tmp_path / "answers.jsonl"
    hold(shell)
    shell.batch("export", "1", "--format", "openai", "-o", str(requests))
    engine(requests, answers)
    said = iter(("dear-model", "Quota-Model-2026-01-31", "llama-at-home"))
    lines = answers.read_text().splitlines()
    lines = [line.replace('"model": "quota-model"', f'"model": "{next(said)}"') for line in lines]
    answers.write_text("\n".join(lines))
    assert shell.batch("import", str(answers), "--price", "live").text == "3 documents done.\n"
    assert spent_on(shell) == {
        "dear-model": (0.002, 0), "quota-model": (0.00002, 0), "llama-at-home": (None, 1)
    }  # fmt: skip
    # Taken in again for nothing, by a person who knows better, changes nothing that is done.
    assert shell.batch("import", str(answers), "--price", "free").text.startswith("0 documents done, 3 had")


def test_requests_of_a_job_that_would_send_them_itself_are_not_exported(shell: BatchShell, server: BatchServer) -> None:
    server.plan = Plan(running=60)
    shell.batch("summarize", str(shell.documents), "-p", "quota", "--priority", "low", "--yes")
    refused = shell.batch("export", "1", "--format", "openai")
    assert (refused.status, "--hold" in refused.error) == (2, True)
    shell.batch("cancel", "1")


def test_a_job_says_how_long_the_window_is_and_when_it_asks_again(shell: BatchShell, server: BatchServer) -> None:
    server.plan = Plan(running=60)
    shell.batch("summarize", str(shell.documents), "-p", "quota", "--priority", "low", "--yes")
    job = shell.wait_until(lambda job: bool(job["batches"]) and job["batches"][0]["status"] == "in_progress")
    assert (job["batches"][0]["requests"], job["batches"][0]["window_ends"] is not None) == (3, True)
    shown = rows_of(shell.batch("show", "1").text)["Batch"]
    assert shown.startswith("3 requests, in progress, asked again ")
    assert "its window ends " in shown
    listed = shell.batch("remote", "list", "-p", "quota")
    assert "job 1" in listed.text
    next(iter(server.batches.values())).plan.running = 0.0
    shell.wait_until(lambda job: job["state"] == "finished")


def test_what_is_left_at_a_provider_is_deleted_when_asked_for(shell: BatchShell, server: BatchServer) -> None:
    server.plan = Plan(refused={"DELETE /files/ID": 1_000})
    done = shell.batch("summarize", str(shell.documents), "-p", "quota", "--priority", "low", "--yes", "--wait")
    assert done.status == 0
    wait_until(lambda: "DELETE /files/ID" in server.requests)
    # The next worker would try again.
    connection = apsw.Connection(str(shell.home / "data" / "holychat.db"))
    connection.set_busy_timeout(10_000)
    connection.execute("UPDATE submissions SET cleaned = 1")
    connection.close()
    foreign = server.add_file("somebody-elses.jsonl", "batch", b"{}")["id"]
    other = server.add_file(f"holychat-{'a' * 24}.jsonl", "batch", b"{}")["id"]
    server.files[other] = (*server.files[other][:3], 1_000_000_000)
    server.plan = Plan()
    shown = shell.batch("remote", "clean", "-p", "quota", "--dry-run")
    assert len(shown.text.splitlines()) == 2
    assert shell.batch("remote", "clean", "-p", "quota", "--yes").error == "2 deleted.\n"
    assert set(server.files) == {foreign, other}
    assert shell.batch("remote", "clean", "-p", "quota", "--all", "--yes").error == "1 deleted.\n"
    assert set(server.files) == {foreign}
    assert "nothing to delete" in shell.batch("remote", "clean", "-p", "quota").error


def test_a_provider_is_asked_whether_it_has_a_batch_service(shell: BatchShell, server: BatchServer) -> None:
    assert "has a batch service" in shell.batch("remote", "probe", "-p", "quota").text
    server.plan = Plan(offered=False)
    assert shell.batch("remote", "probe", "-p", "quota", "--json").json == {"provider": "quota", "batch_service": False}
    assert shell.batch("remote", "probe", "-p", "offline", "--json").json["batch_service"] is False
    assert shell.batch("remote", "list", "-p", "offline").status == 2
