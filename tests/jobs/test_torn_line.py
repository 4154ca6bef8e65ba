"""Connections that break at any byte: what may have been billed is in doubt, and nothing is sent twice by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ItemState, JobLimits, JobState
from tests.jobs.desk_home import DeskHome
from tests.jobs.torn import Cuts, TornLine
from tests.support.forks import Forks
from tests.support.quota_server import QuotaServer

if TYPE_CHECKING:
    from pathlib import Path

_DOCUMENTS = 150


@pytest.mark.parametrize("seed", [1, 2])
def test_a_connection_cut_at_any_byte_leaves_a_doubt_and_no_second_bill(seed: int, tmp_path: Path) -> None:
    with (
        QuotaServer(latency_ms=(8, 0.6), seed=seed) as server,
        TornLine(server.port, Cuts(seed=seed)) as line,
        DeskHome(tmp_path, server, base_url=line.base_url) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        job_id = desk.order(desk.documents(_DOCUMENTS), JobLimits(concurrency=8))
        worker = forks.start("worker", "--stay")
        desk.wait_until_ended(job_id)
        ledger = desk.check(job_id)
        states = {row.item: row.state for row in desk.rows(job_id)}
        assert set(states.values()) == {ItemState.DONE, ItemState.IN_DOUBT}
        assert line.made > _DOCUMENTS // 10
        assert set(ledger.accepted) <= set(states)
        # Nothing was sent again by itself: every cut is a doubt, and every doubt a cut.
        doubts = {item for item, state in states.items() if state == ItemState.IN_DOUBT}
        assert max(ledger.accepted.values()) == 1
        assert ledger.unanswered <= doubts
        assert len(doubts) <= line.made

        line.cuts.share = 0
        assert desk.retry_doubts(job_id) == len(doubts)
        desk.wait_until_ended(job_id)
        desk.check(job_id)
        assert desk.job(job_id).state is JobState.FINISHED
        assert {row.state for row in desk.rows(job_id)} == {ItemState.DONE}
        worker.kill()


def test_a_provider_that_is_not_there_for_a_while_leaves_no_doubt(tmp_path: Path) -> None:
    with QuotaServer() as server:
        port = server.port
    with (
        QuotaServer(latency_ms=5) as other,
        DeskHome(tmp_path, other, base_url=f"http://127.0.0.1:{port}/v1") as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        job_id = desk.order(desk.documents(20))
        worker = forks.start("worker", "--stay")
        desk.wait_for(lambda: any(row.attempts for row in desk.rows(job_id)))
        with TornLine(other.port, Cuts(share=0), listen_on=port):
            desk.wait_until_ended(job_id)
        ledger = desk.check(job_id)
        assert desk.job(job_id).state is JobState.FINISHED
        assert set(ledger.accepted.values()) == {1}
        worker.kill()
