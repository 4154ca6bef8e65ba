"""Money of background jobs: their sums, the limits that hold them too, and what they teach of tokens."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState, JobState, PauseReason
from holychat.settings import LimitSettings
from tests.jobs.desk import SUMMARIZE, Desk, answer, now_ms

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.loopback import Loopback


async def test_what_a_job_cost_is_the_sum_of_its_documents_and_stays_when_it_is_deleted(
    tmp_path: Path, loopback: Loopback
) -> None:
    loopback.chat(answer("short", 101, 13))
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents(*"abcdefgh"))
        await desk.work()
        job, costs = await desk.job(job_id), desk.services.costs
        assert job.state is JobState.FINISHED
        spent = await costs.of_job(job_id)
        assert (
            spent.micros == job.money.spent == sum(item.cost.micros for item in await desk.items(job_id) if item.cost)
        )
        assert spent.micros == 8 * (101 + 2 * 13)
        assert (spent.requests, spent.unknown, spent.input_tokens) == (8, 0, 808)
        today = costs.today()
        [share] = await costs.shares("job", today, today)
        assert (share.id, share.name, share.spent) == (job_id, "test", spent)
        assert (await costs.unsettled(today, today)).requests == 0
        await desk.services.jobs.delete(job_id)
        assert (await costs.total(today, today)).micros == spent.micros


async def test_a_limit_per_day_holds_a_job_before_it_is_passed(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(answer("short", 400, 300))
    limits = LimitSettings(day=Decimal("0.02"))
    async with Desk(tmp_path, loopback.base_url, limits=limits) as desk:
        recipe = replace(SUMMARIZE, max_tokens=400)
        job_id = await desk.order(desk.documents(*("word " * 20 for _ in range(40))), recipe)
        async with desk.engine():
            job = await desk.until_state(job_id, JobState.PAUSED)
        assert job.pause is PauseReason.BUDGET
        assert "limit" in job.pause_detail.lower()
        [limit] = await desk.services.costs.limits()
        assert 0 < limit.used <= limit.micros
        states = await desk.states(job_id)
        assert ItemState.DONE in states
        assert ItemState.PENDING in states
        room = await desk.services.database.read(lambda c: desk.services.costs.room_left(c, now_ms()))
        assert room == limit.left


async def test_jobs_teach_how_their_model_counts_tokens(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(answer("short", 600, 5))
    async with Desk(tmp_path, loopback.base_url) as desk:
        before = desk.services.costs.tokens.text("word " * 100, "m")
        await desk.order(desk.documents(*("word " * 300 for _ in range(5))))
        await desk.work()
        known = (await desk.services.costs.calibrations())["m"]
        assert known.ratio > 1
        assert desk.services.costs.tokens.text("word " * 100, "m") > before
