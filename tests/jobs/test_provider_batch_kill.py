"""A worker that is killed at every step of a batch: no batch twice, none orphaned, every item accounted for."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Any

import pytest

from holychat.domain.batches import SubmissionState
from holychat.domain.jobs import ItemState, JobState, Priority
from holychat.store import submissions
from tests.jobs.desk_home import DeskHome
from tests.support.batch_server import BatchServer, Plan
from tests.support.forks import Forks

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.forks import Process

MORE = """\
[provider_batch]
poll_seconds = 0.02
longest_poll_seconds = 0.05
grace_seconds = {grace}
max_lines = {lines}
"""
_STEPS = (
    "GET /batches", "POST /files", "POST /batches", "GET /batches/ID", "GET /files/ID/content", "DELETE /files/ID",
)  # fmt: skip
_DOCUMENTS = 12


class Stage:
    """A home, a provider with a batch service, and workers that can be killed."""

    def __init__(self, folder: Path, *, lines: int = 1_000, grace: float = 0.4, seed: int = 0) -> None:
        self.server = BatchServer(seed)
        self.desk: DeskHome
        self.forks: Forks
        self._folder = folder
        self._more = MORE.format(grace=grace, lines=lines)

    def __enter__(self) -> Stage:
        self.server.__enter__()
        self.desk = DeskHome(self._folder, self.server, more=self._more)
        self.forks = Forks(self.desk.environ, self._folder / "said")
        return self

    def __exit__(self, *exception: Any) -> None:
        self.server.plan = Plan()
        for _ in range(3):
            self.server.release()
        self.forks.__exit__(*exception)
        self.desk.__exit__(*exception)
        self.server.__exit__(*exception)

    def worker(self) -> Process:
        return self.forks.start("worker", "--stay")

    def check(self, job_id: int) -> None:
        """Holds at any moment at which no worker runs."""
        server = self.server
        with server.lock:
            assert set(server.answered.values()) <= {1}, "charged twice"
            tokens = [batch.metadata["holychat_submission"] for batch in server.batches.values()]
        assert len(tokens) == len(set(tokens)), "a batch was created twice"
        known = {row.token: row for row in self.desk.database.read_now(lambda c: submissions.of_job(c, job_id))}
        assert set(tokens) <= set(known), "a batch that nobody knows of"
        for row in self.desk.rows(job_id):
            assert row.state in ("pending", "sending", "done", "received"), row
            if row.state == "done":
                assert row.result is not None
                assert row.item in row.result, "the answer to another document"
            assert row.answered <= 1, row

    def check_end(self, job_id: int) -> None:
        """Holds when the job has ended well."""
        self.check(job_id)
        rows = self.desk.rows(job_id)
        assert {row.state for row in rows} == {ItemState.DONE}
        assert {row.answered for row in rows} == {1}
        assert len(self.server.answered) == len(rows)
        job = self.desk.job(job_id)
        assert (job.requests, job.money.reserved) == (len(rows), 0)
        states = {row.state for row in self.desk.database.read_now(lambda c: submissions.of_job(c, job_id))}
        assert states <= {SubmissionState.INGESTED, SubmissionState.REFUSED}


@pytest.mark.parametrize("moment", ["before it is taken on", "after it is taken on"])
@pytest.mark.parametrize("step", _STEPS)
def test_a_worker_that_is_killed_at_a_step_is_followed_by_one_that_goes_on(
    step: str, moment: str, tmp_path: Path
) -> None:
    with Stage(tmp_path) as stage:
        server, desk = stage.server, stage.desk
        job_id = desk.order(desk.documents(_DOCUMENTS), priority=Priority.LOW)
        server.plan = Plan(shuffle=True, hold=frozenset({step}))
        worker = stage.worker()
        desk.wait_for(lambda: server.held > 0)
        if moment == "after it is taken on":
            server.release()
            desk.wait_for(lambda: server.held > 0)
        worker.kill()
        stage.check(job_id)
        # The next worker begins while the request of the dead one is still on its way through the provider.
        server.plan = Plan(shuffle=True)
        worker = stage.worker()
        time.sleep(0.1)
        for _ in range(2):
            server.release()
            time.sleep(0.02)
        desk.wait_until_ended(job_id)
        assert desk.job(job_id).state is JobState.FINISHED
        desk.wait_for(lambda: server.held == 0)
        worker.kill()
        stage.check_end(job_id)
        assert server.created == 1


@pytest.mark.parametrize("moment", ["before it is taken on", "after it is taken on"])
def test_a_worker_that_is_killed_while_it_calls_a_batch_off_is_followed_by_one_that_does(
    moment: str, tmp_path: Path
) -> None:
    step = "POST /batches/ID/cancel"
    with Stage(tmp_path) as stage:
        server, desk = stage.server, stage.desk
        job_id = desk.order(desk.documents(_DOCUMENTS), priority=Priority.LOW)
        server.plan = Plan(running=0.3, validating=60, hold=frozenset({step}))
        worker = stage.worker()
        desk.wait_for(lambda: server.created == 1)
        desk.cancel(job_id)
        desk.wait_for(lambda: server.held > 0)
        if moment == "after it is taken on":
            server.release()
            desk.wait_for(lambda: server.held > 0)
        worker.kill()
        server.plan = Plan()
        for _ in range(2):
            server.release()
        worker = stage.worker()
        desk.wait_for(lambda: not desk.job(job_id).counts.of(ItemState.SENDING))
        worker.kill()
        counts = desk.job(job_id).counts
        half = _DOCUMENTS // 2
        assert (counts.of(ItemState.DONE), counts.of(ItemState.CANCELLED)) == (half, half)
        assert set(server.answered.values()) == {1}


def _until(stage: Stage, job_id: int, requests: int) -> None:
    stage.desk.wait_for(lambda: len(stage.server.requests) >= requests or stage.desk.ended(job_id))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_charged_twice_when_the_worker_is_killed_at_any_moment(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with Stage(tmp_path, lines=7, seed=seed) as stage:
        server, desk = stage.server, stage.desk
        kills = 0
        while kills < 30:
            server.plan = Plan(running=0.03, validating=0.03, shuffle=True)
            job_id = desk.order(desk.documents(30), priority=Priority.LOW)
            while not desk.ended(job_id):
                server.plan.torn = {chance.choice(_STEPS): 1} if chance.random() < 0.3 else {}
                worker = stage.worker()
                enough = len(server.requests) + chance.randint(1, 12)
                _until(stage, job_id, enough)
                # Now and then one outlives the grace after which a batch that nobody finds is ordered: without that,
                # a busy machine would kill each worker within it, and nothing ever went on.
                time.sleep(chance.uniform(0, 0.03) if chance.random() < 0.8 else 0.6)
                worker.kill()
                kills += 1
                stage.check(job_id)
            answered = dict(server.answered)
            server.answered.clear()
            rows = desk.rows(job_id)
            assert {row.state for row in rows} == {ItemState.DONE}
            assert (len(answered), set(answered.values())) == (30, {1})
            assert desk.job(job_id).requests == 30
            server.batches.clear()
