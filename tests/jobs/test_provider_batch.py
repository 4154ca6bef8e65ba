"""Jobs of low priority go through the provider's batch service, and every item of them is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.domain.batches import SubmissionState
from holychat.domain.jobs import ItemState, JobState
from holychat.jobs import commands
from holychat.store import jobs
from tests.jobs.batch_desk import BatchDesk, wait_until
from tests.jobs.desk import now_ms
from tests.support.batch_server import BatchServer, Plan

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


async def test_a_job_of_low_priority_goes_as_one_batch_at_batch_prices(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(shuffle=True)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(5)
        await desk.work()
        job = await desk.job(job_id)
        assert (job.state, job.counts.of(ItemState.DONE)) == (JobState.FINISHED, 5)
        assert server.answered_live == []
        assert (server.created, len(server.answered)) == (1, 5)
        desk.assert_accounts_agree(job_id)
        # 10 tokens in and 5 out each, at half of a dollar and a dollar per million.
        assert job.money.spent == 5 * 10
        for number, result in enumerate(await desk.results(job_id)):
            assert f"document {number}" in (result or "")
        (row,) = desk.submissions(job_id)
        assert (row.state, row.lines, row.cleaned) == (SubmissionState.INGESTED, 5, True)
        assert server.files == {}
        assert list((tmp_path / "home" / "data" / "batches").iterdir()) == []


async def test_lines_of_the_error_file_are_failed_documents_that_cost_nothing(
    server: BatchServer, tmp_path: Path
) -> None:
    server.plan = Plan(shuffle=True, bad_lines=frozenset({"document 1\n", "document 3\n"}))
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(5)
        await desk.work()
        job = await desk.job(job_id)
        assert job.state is JobState.FINISHED_WITH_ERRORS
        states = await desk.states(job_id)
        assert [state is ItemState.FAILED for state in states] == [False, True, False, True, False]
        failed = (await desk.items(job_id))[1]
        assert failed.failure is not None
        assert failed.failure.status == 400
        assert "This line is bad." in failed.failure.title
        assert job.money.spent == 3 * 10
        desk.assert_accounts_agree(job_id)


async def test_lines_that_the_provider_failed_at_go_into_another_batch_twice(
    server: BatchServer, tmp_path: Path
) -> None:
    server.plan = Plan(busy_lines=frozenset({"document 1\n"}))
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        await desk.work()
        assert await desk.states(job_id) == [ItemState.DONE, ItemState.FAILED, ItemState.DONE]
        assert server.created == 3
        desk.assert_accounts_agree(job_id)


async def test_lines_in_neither_file_of_a_completed_batch_are_in_doubt(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(lost_lines=frozenset({"document 2\n"}), omit_error_file_id=True)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(4)
        await desk.work()
        assert await desk.states(job_id) == [ItemState.DONE, ItemState.DONE, ItemState.IN_DOUBT, ItemState.DONE]
        assert server.created == 1
        job = await desk.job(job_id)
        assert (job.state, job.money.in_doubt > 0) == (JobState.FINISHED_WITH_ERRORS, True)


async def test_lines_of_a_batch_that_expired_go_into_the_next_one(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(outcome="expired", shuffle=True)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(6)
        async with desk.engine():
            await desk.until(job_id, lambda job: job.counts.of(ItemState.DONE) >= 3)
            server.plan = Plan()
            await desk.until_state(job_id, JobState.FINISHED)
        assert server.created >= 2
        assert len(server.answered) == 6
        desk.assert_accounts_agree(job_id)
        assert (await desk.job(job_id)).money.spent == 6 * 10


async def test_answers_that_the_provider_lost_are_never_paid_for_twice(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(outcome="expired", refused={"GET /files/ID/content": 1_000})
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(6)
        async with desk.engine():
            await wait_until(lambda: "GET /files/ID/content" in server.requests)
            lost = desk.submissions(job_id)[0].output_file_id
            del server.files[lost]
            server.plan = Plan()
            await desk.until_state(job_id, JobState.FINISHED_WITH_ERRORS)
        # What the error file says was not done is done by now; of the others nobody knows.
        states = await desk.states(job_id)
        assert (states.count(ItemState.DONE), states.count(ItemState.IN_DOUBT)) == (3, 3)
        assert set(server.answered.values()) == {1}


async def test_a_cancelled_job_keeps_what_was_done_and_pays_for_that_alone(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(running=30)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(6)
        async with desk.engine():
            await desk.until(job_id, lambda _: server.created == 1)
            server.batches["batch_2"].plan.running = 0.05
            server.batches["batch_2"].plan.validating = 30
            await desk.command(lambda c: commands.cancel(c, job_id, now_ms()))
            await desk.until(job_id, lambda job: not job.counts.of(ItemState.SENDING))
        job = await desk.job(job_id)
        assert job.state is JobState.CANCELLED
        assert (job.counts.of(ItemState.DONE), job.counts.of(ItemState.CANCELLED)) == (3, 3)
        assert job.money.spent == 3 * 10
        assert server.requests.count("POST /batches/ID/cancel") == 1
        desk.assert_accounts_agree(job_id)


async def test_a_job_cancelled_before_its_batch_was_created_costs_nothing(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(hold=frozenset({"POST /files"}))
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        async with desk.engine():
            await desk.until(job_id, lambda _: server.held == 1)
            await desk.command(lambda c: commands.cancel(c, job_id, now_ms()))
            server.plan = Plan()
            server.release()
            await desk.until(job_id, lambda _: server.held == 1)
            server.release()
            await desk.until(job_id, lambda job: job.counts.of(ItemState.CANCELLED) == 3)
            await wait_until(lambda: server.files == {})
        assert server.created == 0


async def test_a_deleted_job_has_its_batch_called_off(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(running=30)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        async with desk.engine():
            await desk.until(job_id, lambda _: server.created == 1)
            await desk.command(lambda c: (commands.cancel(c, job_id, now_ms()), jobs.hide(c, job_id, now_ms())))
            await wait_until(lambda: "POST /batches/ID/cancel" in server.requests)
            assert desk.sql("SELECT count(*) FROM jobs") == [(1,)]
            server.batches["batch_2"].plan.running = 0.0
            await wait_until(lambda: server.files == {})
        await desk.services.jobs.sweep()
        await wait_until(lambda: desk.sql("SELECT count(*) FROM jobs") == [(0,)])


async def test_a_slow_validation_is_waited_for_and_said(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(validating=1.6)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(2)
        async with desk.engine():
            job = await desk.until(job_id, lambda job: "validating" in job.progress.waiting_for)
            assert "ends by" in job.progress.waiting_for
            assert job.progress.waiting_until_ms is not None
            await desk.until_state(job_id, JobState.FINISHED)
        assert server.created == 1


async def test_a_batch_that_is_too_much_is_halved_until_it_is_taken(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(most_lines=3)
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(10)
        await desk.work()
        assert (await desk.job(job_id)).state is JobState.FINISHED
        taken = [len(batch.lines) for batch in server.batches.values() if batch.settled == "completed"]
        assert sum(taken) == 10
        assert max(taken) <= 3
        desk.assert_accounts_agree(job_id)


async def test_a_file_that_is_rejected_fails_its_documents_with_the_providers_words(
    server: BatchServer, tmp_path: Path
) -> None:
    server.plan = Plan(outcome="failed")
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        await desk.work()
        assert await desk.states(job_id) == [ItemState.FAILED] * 3
        item = (await desk.items(job_id))[0]
        assert item.failure is not None
        assert item.failure.title == "here rejected the batch (line 1): The file was rejected."
        assert (await desk.job(job_id)).money.spent == 0


@pytest.mark.parametrize(
    "plan",
    [
        Plan(torn={"POST /files": 1}),
        Plan(torn={"POST /batches": 1}),
        Plan(torn={"POST /files": 1, "POST /batches": 1, "GET /files": 1, "GET /batches": 1, "GET /batches/ID": 2}),
        Plan(refused={"POST /files": 2, "POST /batches": 2, "GET /batches/ID": 2}),
        Plan(refused={"GET /files/ID/content": 2}, torn={"GET /files/ID/content": 1}),
        Plan(refused={"GET /batches": 2, "DELETE /files/ID": 1}),
    ],
    ids=["torn upload", "torn create", "torn everything", "refused", "torn download", "refused probe and cleaning"],
)
async def test_requests_that_are_torn_or_refused_make_no_second_batch(
    plan: Plan, server: BatchServer, tmp_path: Path
) -> None:
    server.plan = plan
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(4)
        await desk.work()
        assert (await desk.job(job_id)).state is JobState.FINISHED
        assert server.created == 1
        desk.assert_accounts_agree(job_id)


async def test_a_batch_that_really_was_not_created_is_created_after_the_grace(
    server: BatchServer, tmp_path: Path
) -> None:
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(2)
        server.plan = Plan(faulty={"POST /batches": 1})
        await desk.work()
        assert (await desk.job(job_id)).state is JobState.FINISHED
        assert server.created == 1
        assert server.requests.count("POST /batches") == 2


async def test_a_create_that_is_refused_for_good_fails_the_documents(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(wrong={"POST /batches": 1})
    async with BatchDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(2)
        await desk.work()
        assert await desk.states(job_id) == [ItemState.FAILED] * 2
        assert server.created == 0
        assert server.files == {}
