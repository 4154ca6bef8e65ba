"""What a batch job does besides: pause, budget, several batches, live road for what waited already."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from holychat.domain.batches import SubmissionState
from holychat.domain.jobs import ItemState, JobLimits, JobState, Kind, PauseReason, Priority, Recipe
from holychat.jobs import commands
from holychat.settings import BatchServiceSettings
from tests.jobs.batch_desk import BatchDesk
from tests.jobs.desk import now_ms
from tests.support.batch_server import BatchServer, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


async def test_a_paused_job_has_its_batch_looked_after_and_hands_over_no_more(
    server: BatchServer, tmp_path: Path
) -> None:
    bounds = BatchServiceSettings(max_lines=2, poll_seconds=0.02, longest_poll_seconds=0.1, grace_seconds=0.3)
    server.plan = Plan(hold=frozenset({"POST /batches"}))
    async with BatchDesk(tmp_path, server, bounds) as desk:
        job_id = await desk.order_low(2)
        async with desk.engine():
            await desk.until(job_id, lambda _: server.held == 1)
            await desk.command(lambda c: commands.pause(c, job_id, now_ms()))
            server.plan = Plan()
            server.release()
            await desk.until(job_id, lambda _: server.held == 1)
            server.release()
            await desk.until(job_id, lambda job: job.counts.of(ItemState.DONE) == 2)
            assert (await desk.job(job_id)).state is JobState.PAUSED
            await desk.command(lambda c: commands.resume(c, job_id, None, now_ms()))
            await desk.until_state(job_id, JobState.FINISHED)
        assert server.created == 1
        desk.assert_accounts_agree(job_id)


async def test_a_large_job_goes_as_several_batches(server: BatchServer, tmp_path: Path) -> None:
    bounds = BatchServiceSettings(max_lines=40, poll_seconds=0.02, longest_poll_seconds=0.1, grace_seconds=0.3)
    async with BatchDesk(tmp_path, server, bounds) as desk:
        job_id = await desk.order_low(100)
        await desk.work()
        assert [row.lines for row in desk.submissions(job_id)] == [40, 40, 20]
        assert (await desk.job(job_id)).state is JobState.FINISHED
        desk.assert_accounts_agree(job_id)


async def test_the_budget_is_reserved_at_batch_prices(server: BatchServer, tmp_path: Path) -> None:
    async with BatchDesk(tmp_path, server) as desk:
        probe = await desk.order_low(1)
        await desk.work()
        ((worst,),) = desk.sql(
            "SELECT a.worst_micros FROM attempts AS a JOIN items AS i ON i.id = a.item_id WHERE i.job_id = ?", probe
        )
        live = desk.services.costs.prices.worst_cost("here", "m", 1_000_000, 1_000_000)
        batch = desk.services.costs.prices.batch_worst_cost("here", "m", 1_000_000, 1_000_000)
        assert (live, batch) == (3_000_000, 1_500_000)
        # Room for three at batch prices would be room for one at live prices.
        job_id = await desk.order_low(5, JobLimits(budget_micros=worst * 3 + 9))
        await desk.work()
        assert [row.lines for row in desk.submissions(job_id)] == [3, 2]
        assert (await desk.job(job_id)).state is JobState.FINISHED


async def test_nothing_is_handed_over_that_the_budget_does_not_cover(server: BatchServer, tmp_path: Path) -> None:
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(2, JobLimits(budget_micros=100))
        await desk.work()
        job = await desk.job(job_id)
        assert (job.state, job.pause) == (JobState.PAUSED, PauseReason.BUDGET)
        assert server.files == {}
        await desk.command(lambda c: commands.resume(c, job_id, 1_000_000, now_ms()))
        await desk.work()
        assert (await desk.job(job_id)).state is JobState.FINISHED
        desk.assert_accounts_agree(job_id)


async def test_what_a_provider_has_counts_in_the_budget_of_the_next_worker(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(running=60)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3, JobLimits(budget_micros=10_000_000))
        async with desk.engine():
            await desk.until(job_id, lambda _: server.created == 1)
        reserved = (await desk.job(job_id)).money.reserved
        assert reserved > 0
        limits = f'{{"budget_micros": {reserved + 9}}}'
        desk.sql("UPDATE jobs SET limits = json_patch(limits, ?), budget_micros = 1 WHERE id = ?", limits, job_id)
        more = (tmp_path / "documents-0" / "0009.txt").write_text("one more")
        assert more
        desk.sql("UPDATE jobs SET listed = 0 WHERE id = ?", job_id)
        async with desk.engine():
            await desk.until(job_id, lambda job: job.counts.total == 4)
            server.batches["batch_2"].plan.running = 0
            await desk.until_state(job_id, JobState.PAUSED, JobState.FINISHED)
        assert server.created in (1, 2)
        first, *_ = desk.submissions(job_id)
        assert (first.lines, first.state) == (3, SubmissionState.INGESTED)


async def test_without_a_batch_service_a_job_of_low_priority_goes_live(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(offered=False)
    async with BatchDesk(tmp_path, server) as desk:
        for _ in range(2):
            job_id = await desk.order_low(3)
            await desk.work()
            assert (await desk.job(job_id)).state is JobState.FINISHED
            assert (await desk.job(job_id)).money.spent == 3 * 20
        assert len(server.answered_live) == 6
        assert server.requests.count("GET /batches") == 1


async def test_jobs_of_other_priority_do_not_ask_for_a_batch_service(server: BatchServer, tmp_path: Path) -> None:
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order(desk.documents("one", "two"))
        await desk.work()
        assert (await desk.job(job_id)).state is JobState.FINISHED
        assert set(server.requests) == {"POST /chat/completions"}


async def test_the_parts_of_a_long_document_go_as_a_batch_and_are_merged_live(
    server: BatchServer, tmp_path: Path
) -> None:
    async with BatchDesk(tmp_path, server, jobs={"assumed_context": 2048}) as desk:
        folder = desk.documents("A sentence of some words that says nothing. " * 600)
        job_id = await desk.order(folder, priority=Priority.LOW)
        await desk.work()
        job = await desk.job(job_id)
        assert job.state is JobState.FINISHED
        parts = job.counts.parts[ItemState.DONE]
        assert parts >= 2
        assert server.answered_live != []
        assert len(server.answered) + len(server.answered_live) == parts + 1


async def test_an_answer_that_does_not_fit_is_repaired_live(server: BatchServer, tmp_path: Path) -> None:
    schema = '{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}'
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(1, recipe=Recipe(Kind.EXTRACT, schema=schema))
        await desk.work()
        assert (server.created, len(server.answered_live)) == (1, 1)
        (item,) = await desk.items(job_id)
        assert (item.state, item.repairs) == (ItemState.FAILED, 1)
        # Once at batch prices and once at live ones.
        assert (await desk.job(job_id)).money.spent == 10 + 20


async def test_a_trial_goes_live_and_the_rest_as_a_batch(server: BatchServer, tmp_path: Path) -> None:
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(5, JobLimits(trial=2))
        async with desk.engine():
            await desk.until_state(job_id, JobState.PAUSED)
            assert (len(server.answered_live), server.created) == (2, 0)
            await desk.command(lambda c: commands.resume(c, job_id, None, now_ms()))
            await desk.until_state(job_id, JobState.FINISHED)
        assert (len(server.answered_live), len(server.answered)) == (2, 3)


async def test_an_engine_that_stays_and_one_that_comes_later_share_one_batch(
    server: BatchServer, tmp_path: Path
) -> None:
    server.plan = Plan(running=60)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(4)
        async with desk.engine():
            await desk.until(job_id, lambda _: server.created == 1)
        async with desk.engine():
            await desk.until(job_id, lambda job: "in progress" in job.progress.waiting_for)
            assert await desk.states(job_id) == [ItemState.SENDING] * 4
            server.batches["batch_2"].plan.running = 0
            await desk.until_state(job_id, JobState.FINISHED)
        assert server.created == 1
        desk.assert_accounts_agree(job_id)


async def test_a_folder_that_cannot_be_written_pauses_the_job_and_nothing_is_handed_over(
    server: BatchServer, tmp_path: Path
) -> None:
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        folder = tmp_path / "home" / "data" / "batches"
        folder.write_text("in the way")
        async with desk.engine():
            job = await desk.until_state(job_id, JobState.PAUSED)
            assert job.pause is PauseReason.STORE
            assert await desk.states(job_id) == [ItemState.PENDING] * 3
            folder.unlink()
            await desk.command(lambda c: commands.resume(c, job_id, None, now_ms()))
            await desk.until_state(job_id, JobState.FINISHED)
        assert server.created == 1
        desk.assert_accounts_agree(job_id)


async def test_a_file_that_cannot_be_finished_pauses_the_job_and_its_documents_wait_again(
    server: BatchServer, tmp_path: Path
) -> None:
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(1)
        # Whoever gathers never finds again what it wrote.
        folder = tmp_path / "home" / "data" / "batches"
        taking = asyncio.create_task(_take_away(folder))
        async with desk.engine():
            job = await desk.until_state(job_id, JobState.PAUSED)
            assert job.pause is PauseReason.STORE
            await desk.until(job_id, lambda job: job.counts.of(ItemState.PENDING) == 1)
            await taking
            # Its documents wait again first, then the batch is over.
            refused = [SubmissionState.REFUSED]
            await desk.until(job_id, lambda _: [row.state for row in desk.submissions(job_id)] == refused)
            await desk.command(lambda c: commands.resume(c, job_id, None, now_ms()))
            await desk.until_state(job_id, JobState.FINISHED)
        assert server.created == 1
        desk.assert_accounts_agree(job_id)


async def _take_away(folder: Path) -> None:
    """Take away the first file that is begun there."""

    def find() -> bool:
        found = list(folder.glob("*.part"))
        for part in found:
            part.unlink()
        return bool(found)

    while not find():  # noqa: ASYNC110  # a condition with no event
        await asyncio.sleep(0)
