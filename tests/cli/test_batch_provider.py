"""`holychat batch` with a provider that is slow, refuses, breaks off and bills."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from holychat.paths import Paths
from holychat.store import workers
from holychat.store.database import Database
from tests.cli.batch_shell import QUOTA, BatchShell, lines_of, rows_of
from tests.support.quota_handle import QuotaServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[QuotaServer]:
    with QuotaServer() as server:
        yield server


@pytest.fixture
def billed(desk: BatchShell, server: QuotaServer) -> BatchShell:
    """The desk with an empty folder and a provider whose price is known."""
    desk.configure(QUOTA.format(url=server.base_url))
    for file in desk.documents.iterdir():
        file.unlink()
    return desk


def order(desk: BatchShell, *arguments: str, **documents: str) -> Any:
    """Order a job over these documents; each is an item of the provider's account, told what to do in its text."""
    desk.write(**{name: f"item-{number:06} {what}" for number, (name, what) in enumerate(documents.items(), start=1)})
    return desk.batch("summarize", str(desk.documents), "-p", "quota", "--yes", *arguments)


def kill_worker(desk: BatchShell) -> None:
    database = Database.open(Paths.resolve({"HOLYCHAT_HOME": str(desk.home)}).database)
    row = database.read_now(workers.current)
    database.close()
    assert row is not None
    worker = psutil.Process(row.pid)
    worker.kill()
    worker.wait(10)


def plain(count: int) -> dict[str, str]:
    return {f"d{number}": "ok" for number in range(count)}


def test_another_shell_pauses_a_job_and_goes_on_with_it(billed: BatchShell, server: QuotaServer) -> None:
    server.set(latency_ms=1500)
    order(billed, "--concurrency", "1", **plain(20))
    billed.wait_until(lambda job: job["documents"]["done"] >= 1)
    assert "batch resume 1" in billed.batch("pause", "last").text
    watched = billed.batch("watch", "1")
    assert (watched.status, "paused" in watched.error) == (7, True)
    assert 1 <= billed.jobs()[0]["documents"]["done"] < 20
    server.set(latency_ms=1)
    done = billed.batch("resume", "1", "--wait")
    assert (done.status, rows_of(done.text)["Successful"]) == (0, "20")
    assert set(server.ledger().accepted.values()) == {1}
    assert billed.batch("resume", "1").status == 2


def test_programs_are_told_the_time_at_work_while_it_passes(billed: BatchShell) -> None:
    order(billed, a="@@hang*1@@")
    told = billed.wait_until(lambda job: job["documents"]["sending"] == 1)["worked_seconds"]
    for words in (("show", "1"), ("list",), ("resume", "1"), ("retry", "1")):
        job = billed.batch(*words, "--json").json
        before, told = told, (job[0] if isinstance(job, list) else job)["worked_seconds"]
        assert told > before, words
    billed.batch("cancel", "1")


def test_a_cancelled_job_keeps_what_it_has_and_can_be_taken_up_again(billed: BatchShell, server: QuotaServer) -> None:
    order(billed, "--concurrency", "1", a="ok", b="@@hang*1@@", c="ok")
    billed.wait_until(lambda job: job["documents"]["done"] == 1 and job["documents"]["sending"] == 1)
    cancelled = billed.batch("cancel", "1")
    assert "1 document will not be sent" in cancelled.text
    assert "may be billed" in cancelled.text
    watched = billed.batch("watch", "1")
    assert (watched.status, "--in-doubt" in watched.error) == (8, True)
    assert "cancelled: --cancelled" in billed.batch("retry", "1").text
    done = billed.batch("retry", "1", "--cancelled", "--wait")
    assert (done.status, rows_of(done.text)["In doubt"], server.ledger().accepted["item-000002"]) == (8, "1", 1)


def test_ctrl_c_ends_the_waiting_and_not_the_job(billed: BatchShell, server: QuotaServer) -> None:
    server.set(latency_ms=1000)
    order(billed, "--concurrency", "1", **plain(3))
    with billed.start("batch", "watch", "1") as running:
        billed.wait_until(lambda job: job["documents"]["done"] >= 1)
        running.send(signal.SIGINT)
        done = running.end()
    assert done.status == 130
    assert "batch watch 1" in done.error
    assert billed.wait_until(lambda job: job["state"] == "finished")["documents"]["done"] == 3


def test_what_is_in_doubt_is_sent_again_only_after_its_worst_cost_was_seen(
    billed: BatchShell, server: QuotaServer
) -> None:
    done = order(billed, "--wait", "--max-tokens", "100", a="ok", b="@@truncated*1@@")
    assert (done.status, rows_of(done.text)["In doubt"]) == (8, "1")
    assert "more for what is in doubt" in rows_of(done.text)["Cost"]
    refused = billed.batch("retry", "1", "--in-doubt")
    assert (refused.status, "--yes" in refused.error) == (2, True)
    assert "up to $0.000" in refused.error
    assert server.ledger().accepted["item-000002"] == 1
    again = billed.batch("retry", "1", "--in-doubt", "--yes", "--wait")
    assert (again.status, server.ledger().accepted["item-000002"]) == (0, 2)


@pytest.mark.pty
@pytest.mark.parametrize(("typed", "status", "times"), [(b"n\r", 130, 1), (b"y\r", 0, 2)])
def test_a_terminal_is_asked_before_a_document_in_doubt_is_sent_again(
    billed: BatchShell, server: QuotaServer, typed: bytes, status: int, times: int
) -> None:
    order(billed, "--wait", a="@@truncated*1@@")
    done = billed.run_in_terminal("batch", "retry", "1", "--in-doubt", "--wait", typed=typed, wait_for=b"[y/N]")
    assert "1 document in doubt: " in done.text
    assert (done.status, server.ledger().accepted["item-000001"]) == (status, times)
    assert ("Nothing was sent again." in done.text) == (status == 130)


def test_what_is_in_doubt_can_be_skipped(billed: BatchShell) -> None:
    order(billed, "--wait", a="ok", b="@@reset_after@@")
    assert "1 document of job 1 skipped" in billed.batch("skip", "1").text
    done = billed.batch("watch", "1")
    assert (done.status, rows_of(done.text)["Skipped"]) == (0, "1")


def test_what_arrived_of_an_answer_in_doubt_can_be_taken(billed: BatchShell, server: QuotaServer) -> None:
    server.set(reply_words=200)
    order(billed, "--wait", a="ok", b="@@truncated@@", c="@@502@@")
    items = lines_of(billed.batch("show", "1", "--state", "in-doubt", "--json").text)
    assert [item["name"] for item in items] == ["b.md", "c.md"]
    partial = billed.batch("show", "1", "--item", "2", "--json").json["partial"]
    assert partial.startswith("answer item-000002")
    assert "1 document of job 1 accepted" in billed.batch("accept", "1").text
    result = lines_of(billed.batch("export", "1").text)[1]
    assert (result["state"], result["text"]) == ("done", partial)
    assert billed.batch("watch", "1").status == 8, "nothing arrived of the other one"


def test_a_document_that_the_provider_refuses_fails_alone(billed: BatchShell) -> None:
    done = order(billed, "--wait", a="ok", b="@@400@@", c="ok")
    assert (done.status, rows_of(done.text)["Successful"], rows_of(done.text)["Failed"]) == (7, "2", "1")
    failed = lines_of(billed.batch("export", "1").text)[1]
    assert (failed["state"], failed["error"]["status"]) == ("failed", 400)


def test_a_key_that_is_not_accepted_pauses_the_job_and_is_3(billed: BatchShell) -> None:
    done = order(billed, "--wait", a="@@401@@", b="ok")
    assert done.status == 3
    assert "batch resume 1" in done.error
    assert billed.jobs()[0]["pause"] == "key"


def test_a_budget_pauses_before_it_is_overdrawn_and_can_be_raised(billed: BatchShell, server: QuotaServer) -> None:
    done = order(billed, "--wait", "--budget", "0.000001", a="ok", b="ok")
    assert (done.status, "paused" in done.error) == (7, True)
    assert "batch resume 1 --budget" in done.error, "without more money it would pause again"
    assert server.ledger().arrived == 0
    done = billed.batch("resume", "1", "--budget", "1", "--wait")
    assert (done.status, rows_of(done.text)["Successful"]) == (0, "2")
    (job,) = billed.jobs()
    assert 0 < job["cost_usd"] < 1
    assert job["budget_usd"] == 1.0


def test_the_price_is_told_before_and_after(billed: BatchShell) -> None:
    billed.write(a="item-000001 ok")
    before = rows_of(billed.batch("summarize", str(billed.documents), "-p", "quota", "--dry-run").text)
    assert before["Price live"].startswith("~$0.0")
    assert before["Price batch"] == "unknown"
    done = order(billed, "--wait", a="ok")
    assert rows_of(done.text)["Cost"].startswith("$0.0")


def test_results_that_could_not_be_written_are_no_success_until_they_are(billed: BatchShell, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "all.csv"
    assert order(billed, "--out", str(out), a="@@slow@@", b="@@400*1@@").status == 0
    folder.rmdir()
    done = billed.batch("watch", "1")
    assert (done.status, "could not be written" in done.error) == (7, True)
    billed.batch("skip", "1", "--failed")
    done = billed.batch("watch", "1")
    assert (done.status, "could not be written" in done.error) == (1, True), "all is done, and the file is not there"
    folder.mkdir()
    done = billed.batch("retry", "1", "--skipped", "--yes", "--wait")
    assert (done.status, "could not be written" in done.error, out.exists()) == (0, False, True)


def test_looking_at_a_job_whose_worker_was_killed_goes_on_with_it(billed: BatchShell) -> None:
    order(billed, "--concurrency", "1", a="@@slow@@", b="ok", c="ok")
    job = billed.wait_until(lambda job: job["documents"]["sending"] == 1)
    assert job["state"] == "running"
    kill_worker(billed)
    assert [job["state"] for job in billed.jobs()] == ["running"]
    job = billed.wait_until(lambda job: job["state"] not in ("queued", "running", "finishing"))
    assert (job["documents"]["done"], job["documents"]["in_doubt"]) == (2, 1)
