"""Every way a provider can behave, with the real worker over real sockets: what becomes of a document, and its cost."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ItemState, JobLimits, JobState, PauseReason
from tests.jobs.desk_home import DeskHome
from tests.support.forks import Forks
from tests.support.quota_server import QuotaServer

if TYPE_CHECKING:
    from pathlib import Path

_DONE, _FAILED, _IN_DOUBT = ItemState.DONE, ItemState.FAILED, ItemState.IN_DOUBT
_WHAT_BECOMES = {
    "ok": (_DONE, 1),
    "slow": (_DONE, 1),
    "close": (_DONE, 1),
    "429*3": (_DONE, 4),
    "503*2": (_DONE, 3),
    "529*1": (_DONE, 2),
    "500*2": (_DONE, 3),
    "500": (_FAILED, 3),
    "400": (_FAILED, 1),
    "404": (_FAILED, 1),
    "413": (_FAILED, 1),
    "422": (_FAILED, 1),
    "408": (_IN_DOUBT, 1),
    "502": (_IN_DOUBT, 1),
    "504": (_IN_DOUBT, 1),
    "200_html": (_IN_DOUBT, 1),
    "truncated": (_IN_DOUBT, 1),
    "reset_before": (_IN_DOUBT, 1),
    "reset_after": (_IN_DOUBT, 1),
}
"""What a document asks of the provider -> its state at the end, and how many requests arrived for it."""


def test_each_outcome_leads_where_it_shall_and_only_refusals_and_faults_are_sent_again(tmp_path: Path) -> None:
    with (
        QuotaServer(latency_ms=3, slow_ms=300) as server,
        DeskHome(tmp_path, server) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        folder = desk.documents(len(_WHAT_BECOMES))
        orders = dict(zip(sorted(folder.iterdir()), _WHAT_BECOMES, strict=True))
        for file, outcome in orders.items():
            file.write_text(f"This is {file.stem}. @@{outcome}@@\n", encoding="utf-8")
        job_id = desk.order(folder, JobLimits(concurrency=6))
        forks.start("worker", "--stay")
        desk.wait_until_ended(job_id)
        ledger = desk.check(job_id, failures=True)
        states = {row.item: row.state for row in desk.rows(job_id)}
        found = {outcome: (states[file.stem], len(ledger.items.get(file.stem, ()))) for file, outcome in orders.items()}
        assert found == _WHAT_BECOMES


def test_a_reply_that_never_comes_is_in_doubt_once_the_job_is_cancelled(tmp_path: Path) -> None:
    with (
        QuotaServer(latency_ms=3, rates={"hang": 1.0}) as server,
        DeskHome(tmp_path, server) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        job_id = desk.order(desk.documents(6), JobLimits(concurrency=4))
        forks.start("worker", "--stay")
        desk.wait_for(lambda: server.totals().in_flight == 4)
        desk.cancel(job_id)
        desk.wait_for(lambda: Counter(row.state for row in desk.rows(job_id)) == {"in_doubt": 4, "cancelled": 2})
        assert desk.job(job_id).state is JobState.CANCELLED
        assert server.totals().arrived == 4
        desk.wait_for(lambda: server.totals().in_flight == 0)


@pytest.mark.parametrize(("code", "reason"), [("401", "key"), ("403", "key"), ("402", "quota")])
def test_what_only_a_person_can_mend_pauses_the_job_at_once(code: str, reason: str, tmp_path: Path) -> None:
    with (
        QuotaServer(latency_ms=3, rates={code: 1.0}) as server,
        DeskHome(tmp_path, server) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        job_id = desk.order(desk.documents(40), JobLimits(concurrency=4))
        forks.start("worker", "--stay")
        desk.wait_for(lambda: desk.job(job_id).pause is not None)
        desk.wait_for(lambda: server.totals().in_flight == 0)
        assert desk.job(job_id).pause is PauseReason(reason)
        assert server.totals().arrived <= 8
        server.set(rates={})
        desk.resume(job_id)
        desk.wait_until_ended(job_id)
        ledger = desk.check(job_id)
        assert {row.state for row in desk.rows(job_id)} == {ItemState.DONE}
        assert set(ledger.accepted.values()) == {1}


def test_a_provider_that_fails_at_random_ends_in_an_account_that_agrees(tmp_path: Path) -> None:
    rates = {"429": 0.02, "503": 0.02, "500": 0.05, "502": 0.03, "reset_after": 0.03, "truncated": 0.03, "close": 0.1}
    with (
        QuotaServer(latency_ms=(8, 0.5), concurrency=12, rates=rates, seed=7) as server,
        DeskHome(tmp_path, server) as desk,
        Forks(desk.environ, tmp_path / "said") as forks,
    ):
        job_id = desk.order(desk.documents(150), JobLimits(concurrency=20))
        forks.start("worker", "--stay")
        desk.wait_until_ended(job_id)
        ledger = desk.check(job_id, failures=True)
        rows = desk.rows(job_id)
        assert len(rows) == 150
        doubts = {row.item for row in rows if row.state == _IN_DOUBT}
        lost = {item for item, was in ledger.items.items() if was[-1][0] in ("502", "reset_after", "truncated")}
        assert doubts == lost
        assert {row.item for row in rows if row.state == _DONE} == set(ledger.accepted) - lost
        failed = {row.item for row in rows if row.state == _FAILED}
        assert all([was[0] for was in ledger.items[item]].count("500") == 3 for item in failed)
