"""The worker as a process: one at a time, gone without work, never leaving a job behind; signals; keys of a session."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import time
import warnings
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from holychat.credentials.secret import checked_secret
from holychat.domain.jobs import ItemState, JobLimits, JobState, PauseReason
from holychat.domain.webhooks import WebhookState
from holychat.jobs import spawn
from holychat.jobs.courier import Courier
from holychat.jobs.spawn import ensure_worker
from holychat.jobs.worker import Worker, WorkerLock
from holychat.store import webhooks, workers
from tests.jobs.desk import Desk
from tests.jobs.desk_home import DeskHome, end_all_of
from tests.support.quota_server import QuotaServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holychat.store.workers import WorkerRow

DEADLINE = 30.0


@pytest.fixture
def server() -> Iterator[QuotaServer]:
    with QuotaServer(latency_ms=5) as running:
        yield running


@pytest.fixture
def desk(tmp_path: Path, server: QuotaServer) -> Iterator[DeskHome]:
    with DeskHome(tmp_path, server, idle_seconds=0.2) as made:
        yield made


def start(desk: DeskHome, *options: str) -> subprocess.Popen[str]:
    """`holychat worker` with its standard streams in our hands."""
    return subprocess.Popen(
        [sys.executable, "-m", "holychat", "worker", *options], env=desk.environ, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def said_by(worker: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status and standard error of a worker that leaves."""
    _, said = worker.communicate(timeout=DEADLINE)
    return worker.returncode, said


def row_of(desk: DeskHome) -> WorkerRow | None:
    return desk.database.read_now(workers.current)


def lock_is_free(desk: DeskHome) -> bool:
    lock = WorkerLock(desk.paths)
    free = lock.take(0)
    lock.release()
    return free


def test_it_works_off_what_there_is_says_so_and_leaves(desk: DeskHome) -> None:
    job_id = desk.order(desk.documents(5))
    status, said = said_by(start(desk))
    assert status == 0
    assert desk.job(job_id).state is JobState.FINISHED
    assert f"Job {job_id} has ended: 5 done" in said
    assert row_of(desk) is None
    assert lock_is_free(desk)


def test_a_message_that_nothing_can_sign_keeps_no_worker(desk: DeskHome) -> None:
    job_id = desk.order(desk.documents(1))
    desk.database.write_now(lambda c: c.execute("UPDATE jobs SET callback_url = 'https://example.com/hook'"))
    assert said_by(start(desk))[0] == 0
    (message,) = desk.database.read_now(lambda c: webhooks.of_job(c, job_id))
    assert (message.state, message.attempts) == (WebhookState.PENDING, 0)
    assert "secret" in message.last_error


async def test_a_part_of_it_that_fails_is_told_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def deliver(_: Courier) -> int:
        raise RuntimeError("nobody thought of this")

    monkeypatch.setattr(Courier, "deliver_due", deliver)
    async with Desk(tmp_path, "http://127.0.0.1:9/v1", jobs={"idle_seconds": 0.2}) as desk:
        lock = WorkerLock(desk.services.paths)
        assert lock.take(1)
        await Worker(desk.services, lock).run()
    assert "nobody thought of this" in caplog.text


def test_a_second_worker_leaves_at_once_and_says_why(desk: DeskHome) -> None:
    first = start(desk, "--stay")
    desk.wait_for(lambda: row_of(desk) is not None)
    status, said = said_by(start(desk))
    assert (status, said) == (0, "Another worker is at work already; nothing to do here.\n")
    first.terminate()
    assert said_by(first)[0] == 0


def test_of_many_workers_that_start_together_one_works_and_the_job_is_done_once(
    desk: DeskHome, server: QuotaServer
) -> None:
    job_id = desk.order(desk.documents(30), JobLimits(concurrency=4))
    started = [start(desk) for _ in range(4)]
    assert [said_by(worker)[0] for worker in started] == [0, 0, 0, 0]
    assert desk.job(job_id).state is JobState.FINISHED
    assert set(server.ledger().accepted.values()) == {1}


def test_a_job_that_comes_while_the_worker_leaves_is_never_left_lying(tmp_path: Path, server: QuotaServer) -> None:
    with DeskHome(tmp_path, server, idle_seconds=0.0) as desk:
        os.environ.update(desk.environ)
        try:
            for number in range(12):
                job_id = desk.order(desk.documents(1))
                ensure_worker(desk.paths, {})
                # Orders come closer and closer to the moment in which the worker lets go.
                desk.wait_until_ended(job_id)
                time.sleep(0.004 * number)
        finally:
            end_all_of(desk.home)


def test_sigterm_lets_what_is_under_way_come_back_and_sends_nothing_more(desk: DeskHome, server: QuotaServer) -> None:
    server.set(latency_ms=600)
    job_id = desk.order(desk.documents(20), JobLimits(concurrency=3))
    worker = start(desk, "--stay")
    desk.wait_for(lambda: server.totals().in_flight == 3)
    worker.terminate()
    status, said = said_by(worker)
    assert status == 0
    assert "has 10 seconds to come back" in said
    counts = desk.job(job_id).counts
    assert (counts.of(ItemState.DONE), counts.of(ItemState.PENDING)) == (3, 17)
    assert server.totals().arrived == 3
    server.set(latency_ms=1)
    start(desk).communicate(timeout=DEADLINE)
    assert desk.job(job_id).state is JobState.FINISHED
    desk.check(job_id)


def test_a_second_sigterm_ends_it_at_once_and_the_next_worker_finds_doubts(desk: DeskHome, server: QuotaServer) -> None:
    server.set(latency_ms=60_000)
    job_id = desk.order(desk.documents(4), JobLimits(concurrency=2))
    worker = start(desk, "--stay")
    desk.wait_for(lambda: server.totals().in_flight == 2)
    worker.terminate()
    assert worker.stderr is not None
    while "come back" not in worker.stderr.readline():
        pass
    worker.terminate()
    began = time.monotonic()
    assert said_by(worker)[0] == 128 + signal.SIGTERM
    assert time.monotonic() - began < 2
    server.set(latency_ms=1)
    start(desk).communicate(timeout=DEADLINE)
    counts = desk.job(job_id).counts
    assert (counts.of(ItemState.DONE), counts.of(ItemState.IN_DOUBT)) == (2, 2)
    desk.check(job_id)


def test_a_key_typed_in_a_session_reaches_the_worker_by_its_standard_input_alone(
    tmp_path: Path, server: QuotaServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = "sk-typed-in-this-session-0123456789"
    with DeskHome(tmp_path, server, idle_seconds=20.0) as desk:
        config = desk.home / "config" / "config.toml"
        config.write_text(config.read_text().replace("needs_key = false", "needs_key = true"))
        for name, value in desk.environ.items():
            monkeypatch.setenv(name, value)
        job_id = desk.order(desk.documents(3))
        assert ensure_worker(desk.paths, {}, desk.database)
        desk.wait_for(lambda: desk.job(job_id).pause is PauseReason.KEY)
        first = row_of(desk)
        desk.resume(job_id)
        keys = {"quota": checked_secret(secret, "typed")}
        assert ensure_worker(desk.paths, keys, desk.database), "the worker that lacks the key is replaced"
        desk.wait_for(lambda: desk.ended(job_id) or desk.job(job_id).pause is not None)
        second = row_of(desk)
        if not desk.ended(job_id):  # the first one may have looked for the key once more before it left
            desk.wait_for(lambda: (row := row_of(desk)) is not None and row.session_keys == ("quota",))
            desk.resume(job_id)
            desk.wait_until_ended(job_id)
            second = row_of(desk)
        assert first is not None
        assert second is not None
        assert (first.session_keys, second.session_keys) == ((), ("quota",))
        process = psutil.Process(second.pid)
        assert secret not in " ".join(process.cmdline())
        assert secret not in str(process.environ())
        assert not ensure_worker(desk.paths, keys, desk.database), "this one has the key"
        files = [file for file in desk.home.rglob("*") if file.is_file()]
        assert not any(secret.encode() in file.read_bytes() for file in files)


@pytest.mark.parametrize("trouble", ["no process", "it dies at once"])
def test_a_worker_that_cannot_be_started_is_no_error_of_whoever_wanted_it(
    desk: DeskHome, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, trouble: str
) -> None:
    popen = subprocess.Popen

    def start_none(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        if trouble == "no process":
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        process = popen([sys.executable, "-c", ""], **options)
        process.wait()
        return process

    monkeypatch.setattr(spawn.subprocess, "Popen", start_none)
    keys = {"quota": checked_secret("sk-typed-in-this-session-0123456789", "typed")}
    assert not ensure_worker(desk.paths, keys, desk.database)
    assert "No worker could be started" in caplog.text
    monkeypatch.undo()


def test_a_worker_is_at_work_though_there_is_no_thread_to_see_it_end(
    desk: DeskHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_thread(_: object) -> None:
        raise RuntimeError("can't start new thread")

    for name, value in desk.environ.items():
        monkeypatch.setenv(name, value)
    desk.order(desk.documents(1))
    with monkeypatch.context() as patched, warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # of a process that nobody waits for
        patched.setattr(spawn.threading.Thread, "start", no_thread)
        assert ensure_worker(desk.paths, {})
    desk.wait_for(lambda: row_of(desk) is not None)


def test_a_started_worker_is_no_child_of_the_terminal(desk: DeskHome, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in desk.environ.items():
        monkeypatch.setenv(name, value)
    desk.order(desk.documents(1))
    assert ensure_worker(desk.paths, {})
    desk.wait_for(lambda: row_of(desk) is not None)
    row = row_of(desk)
    assert row is not None
    assert os.getsid(row.pid) == row.pid
    with contextlib.suppress(psutil.NoSuchProcess):
        assert psutil.Process(row.pid).terminal() is None


def test_a_worker_whose_lock_was_deleted_ends_so_that_there_are_never_two(desk: DeskHome, server: QuotaServer) -> None:
    worker = start(desk, "--stay")
    desk.wait_for(lambda: row_of(desk) is not None)
    desk.paths.worker_lock.unlink()
    status, said = said_by(worker)
    assert status == 0
    assert "the lock of the worker is gone" in said


def test_settings_that_change_are_taken_up_without_losing_what_is_under_way(
    desk: DeskHome, server: QuotaServer
) -> None:
    server.set(latency_ms=1_500)
    job_id = desk.order(desk.documents(12), JobLimits(concurrency=4))
    worker = start(desk, "--stay")
    desk.wait_for(lambda: server.totals().in_flight == 4)
    config = desk.home / "config" / "config.toml"
    config.write_text(config.read_text() + "\n[webhooks]\nallow_loopback = true\n")
    assert worker.stderr is not None
    while "the settings changed" not in (line := worker.stderr.readline().lower()):
        assert line
    server.set(latency_ms=5)
    desk.wait_until_ended(job_id)
    assert desk.job(job_id).counts.of(ItemState.DONE) == 12
    desk.check(job_id)
    row = row_of(desk)
    assert row is not None
    assert row.pid == worker.pid
    config.write_text(config.read_text() + "\nthis is a mistake\n")
    worker.terminate()
    assert said_by(worker)[0] == 0


def test_a_rate_of_a_later_job_is_kept_though_an_earlier_one_had_none(desk: DeskHome) -> None:
    worker = start(desk, "--stay")
    desk.wait_until_ended(desk.order(desk.documents(5)))
    began = time.monotonic()
    slow = desk.order(desk.documents(6), JobLimits(requests_per_minute=120))
    desk.wait_until_ended(slow)
    assert time.monotonic() - began > 1.5
    worker.terminate()
    assert said_by(worker)[0] == 0


def test_its_help_tells_what_it_is_for(desk: DeskHome) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "holychat", "worker", "--help"], env=desk.environ, capture_output=True, text=True
    )
    assert "--stay" in done.stdout
    assert "service manager" in done.stdout
    assert "SIGTERM" in done.stdout
    assert "keys-from-stdin" not in done.stdout


def test_a_worker_says_once_when_it_began_and_again_and_again_that_it_lives(desk: DeskHome) -> None:
    worker = start(desk, "--stay")
    desk.wait_for(lambda: row_of(desk) is not None)
    first = row_of(desk)
    assert first is not None
    desk.wait_for(lambda: (row := row_of(desk)) is not None and row.heartbeat_ms > first.heartbeat_ms)
    later = row_of(desk)
    assert later is not None
    assert later.started_ms == first.started_ms
    worker.terminate()
    assert said_by(worker)[0] == 0
