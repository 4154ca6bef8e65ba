"""A worker that is killed at any moment: nothing finished is lost, nothing is paid for twice without being asked."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ItemState, JobLimits, JobState
from tests.jobs.desk_home import DeskHome
from tests.support.forks import Forks
from tests.support.quota_server import QuotaServer

if TYPE_CHECKING:
    from pathlib import Path

_KILLS = 52
"""For each of the tests below; there are four of them, so that two cores have something to do."""
_DOCUMENTS = 48
_AT_ONCE = 6


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_nothing_is_lost_or_paid_for_twice_when_the_worker_is_killed_at_any_moment(seed: int, tmp_path: Path) -> None:
    chance = random.Random(seed)
    with (
        QuotaServer(latency_ms=(12, 0.6), seed=seed) as server,
        DeskHome(tmp_path, server) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        kills = 0
        while kills < _KILLS:
            job_id = desk.order(desk.documents(_DOCUMENTS), JobLimits(concurrency=_AT_ONCE))
            begun = kills
            while not desk.ended(job_id):
                worker = forks.start("worker", "--stay")
                _live_for_a_while(desk, job_id, chance)
                assert worker.status is None, forks.said
                worker.kill()
                kills += 1
                desk.check(job_id)
            in_doubt = sum(row.state == ItemState.IN_DOUBT for row in desk.rows(job_id))
            assert in_doubt <= (kills - begun) * _AT_ONCE
            kills += _settle(desk, forks, job_id, chance)


def _live_for_a_while(desk: DeskHome, job_id: int, chance: random.Random) -> None:
    """Until some time has passed, or so many more requests have arrived; now and then a person pauses the job."""
    if chance.random() < 0.4:
        time.sleep(chance.uniform(0, 0.3))
    else:
        enough = desk.server.totals().arrived + chance.randint(1, 16)
        desk.wait_for(lambda: desk.server.totals().arrived >= enough or desk.ended(job_id))
        time.sleep(chance.uniform(0, 0.02))
    if chance.random() < 0.2:
        desk.pause(job_id)
        time.sleep(chance.uniform(0, 0.05))
        desk.resume(job_id)


def _settle(desk: DeskHome, forks: Forks, job_id: int, chance: random.Random) -> int:
    """Send what is in doubt again, with a kill or two, until everything is done; how many kills there were."""
    kills = 0
    while desk.job(job_id).state is not JobState.FINISHED:
        assert desk.retry_doubts(job_id) or not desk.ended(job_id), desk.job(job_id)
        worker = forks.start("worker", "--stay")
        if kills < 2:
            _live_for_a_while(desk, job_id, chance)
            kills += 1
        else:
            desk.wait_until_ended(job_id)
        worker.kill()
        desk.check(job_id)
    assert {row.state for row in desk.rows(job_id)} == {ItemState.DONE}
    assert len(desk.rows(job_id)) == _DOCUMENTS
    return kills


@pytest.mark.timeout(240)
def test_parts_of_long_documents_are_sent_once_however_often_the_worker_is_killed(tmp_path: Path) -> None:
    chance = random.Random(5)
    with (
        QuotaServer(latency_ms=(12, 0.6)) as server,
        DeskHome(tmp_path, server, context=1024) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        folder = desk.documents(12)
        for file in folder.iterdir():
            file.write_text(f"A sentence of {file.stem} that says little. " * 350, encoding="utf-8")
        job_id = desk.order(folder, JobLimits(concurrency=_AT_ONCE))
        kills = 0
        while desk.job(job_id).state is not JobState.FINISHED:
            assert not desk.ended(job_id) or desk.retry_doubts(job_id), desk.job(job_id)
            worker = forks.start("worker", "--stay")
            if kills < 30:
                _live_for_a_while(desk, job_id, chance)
            else:
                desk.wait_until_ended(job_id)
            worker.kill()
            kills += 1
            desk.check_trees(job_id)
        assert kills > 10
        assert {row.state for row in desk.rows(job_id)} == {ItemState.DONE}
        assert desk.job(job_id).counts.parts[ItemState.DONE] >= 6 * 3
