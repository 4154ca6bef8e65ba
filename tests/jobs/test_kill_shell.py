"""A shell or an app that is killed: an order is there wholly or not at all, and the worker goes on."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from holychat.domain.jobs import ItemState, JobLimits, JobState
from holychat.store import jobs
from tests.bench.terminal import Terminal
from tests.jobs.desk_home import DeskHome
from tests.support.forks import Forks
from tests.support.quota_server import QuotaServer

_ORDERS = 15
_DOCUMENTS = 12
_STEERING = (("pause",), ("resume",), ("pause",), ("resume",), ("retry", "--yes"), ("show",))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
def test_orders_of_a_killed_shell_are_whole_or_not_there(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with (
        QuotaServer(latency_ms=(10, 0.5), seed=seed) as server,
        DeskHome(tmp_path, server) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        worker = forks.start("worker", "--stay")
        begun = time.monotonic()
        assert forks.start(*_order(desk)).wait() == 0, forks.said
        usual = time.monotonic() - begun
        for _ in range(_ORDERS):
            shell = forks.start(*_order(desk), *(("--wait",) if chance.random() < 0.5 else ()))
            time.sleep(chance.uniform(0, 1.2 * usual))
            shell.kill()
            for job in desk.database.read_now(lambda c: jobs.listed(c, 2)):
                steering = forks.start("batch", *_add(job.id, chance.choice(_STEERING)))
                time.sleep(chance.uniform(0, usual))
                steering.kill()
            if chance.random() < 0.3:
                worker.kill()
                worker = forks.start("worker", "--stay")
        _all_go_on(desk)
        worker.kill()
        ordered = desk.database.read_now(lambda c: jobs.listed(c, 1000))
        assert len(ordered) > 1
        for job in ordered:
            desk.check(job.id)
            states = {row.state for row in desk.rows(job.id)}
            if job.state is JobState.DRAFT:
                assert states == set()
            else:
                assert len(desk.rows(job.id)) == _DOCUMENTS
                assert states <= {ItemState.DONE, ItemState.IN_DOUBT}


def _order(desk: DeskHome) -> tuple[str, ...]:
    folder = str(desk.documents(_DOCUMENTS))
    return "batch", "summarize", folder, "-p", "quota", "-m", "quota-model", "--concurrency", "4", "--yes"


def _add(job_id: int, command: tuple[str, ...]) -> tuple[str, ...]:
    return command[0], str(job_id), *command[1:]


def _all_go_on(desk: DeskHome) -> None:
    """Let everything that was confirmed come to its end."""
    for job in desk.database.read_now(lambda c: jobs.listed(c, 1000, include_drafts=False)):
        desk.resume(job.id)
        desk.wait_until_ended(job.id)


def test_the_worker_that_a_shell_started_outlives_it_and_all_it_started(tmp_path: Path) -> None:
    with (
        QuotaServer(latency_ms=30) as server,
        DeskHome(tmp_path, server, idle_seconds=0.2) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        shell = forks.start(*_order(desk), "--wait")
        desk.wait_for(lambda: server.totals().arrived > 0)
        # As when its terminal is closed, but without mercy.
        os.killpg(shell.pid, signal.SIGKILL)
        assert shell.wait() == -signal.SIGKILL
        desk.wait_until_ended(1)
        ledger = desk.check(1)
        assert desk.job(1).state is JobState.FINISHED
        assert set(ledger.accepted.values()) == {1}
        assert len(ledger.accepted) == _DOCUMENTS


@pytest.mark.pty
def test_an_app_that_is_killed_while_it_watches_takes_nothing_along(tmp_path: Path) -> None:
    chance = random.Random(1)
    command = [str(Path(sys.executable).with_name("holychat"))]
    with (
        QuotaServer(latency_ms=(400, 0.3)) as server,
        DeskHome(tmp_path, server) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        job_id = desk.order(desk.documents(60), JobLimits(concurrency=4))
        worker = forks.start("worker", "--stay")
        for _ in range(4):
            with Terminal(command, {**desk.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}, tmp_path) as app:
                app.wait_for_text("Ask anything, or")
                app.type("\x02")
                app.wait_for_text("documents-0")
                app.watch(chance.uniform(0, 0.5))
                for process in app.processes():
                    process.kill()
        assert worker.status is None
        desk.wait_until_ended(job_id)
        ledger = desk.check(job_id)
        assert desk.job(job_id).state is JobState.FINISHED
        assert set(ledger.accepted.values()) == {1}
