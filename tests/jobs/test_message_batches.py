"""Jobs of low priority over Message Batches, which carry no token: after a crash they are found again all the same."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from holychat.domain.batches import OPEN_SUBMISSIONS, SubmissionState
from holychat.domain.jobs import ItemState, JobLimits, JobState, Kind, Priority, Recipe
from holychat.jobs import commands
from holychat.settings import BatchServiceSettings, PriceSettings, ProviderSettings
from holychat.store import submissions
from tests.jobs.batch_desk import QUICK, wait_until
from tests.jobs.desk import Desk, now_ms
from tests.providers.claudes import messages
from tests.support.message_batches import MessageBatches, errored
from tests.support.messages import whole_message

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holychat.domain.batches import Submission
    from tests.support.message_batches import Batch


@pytest.fixture
def server() -> Iterator[MessageBatches]:
    with MessageBatches() as server:
        yield server


class ClaudeDesk(Desk):
    """A desk whose provider speaks Messages. A batch costs half, which is $0.50 and $1 per million."""

    def __init__(self, folder: Path, server: MessageBatches, bounds: BatchServiceSettings = QUICK) -> None:
        super().__init__(folder, server.url, provider_batch=bounds)
        price = PriceSettings(input=Decimal(1), output=Decimal(2), batch_input=Decimal("0.5"), batch_output=Decimal(1))
        there = ProviderSettings(kind="anthropic", base_url=server.url, model="m", needs_key=False)
        self._settings = msgspec.structs.replace(
            self._settings, prices={"here": {"m": price}}, providers={"here": there}
        )
        self.server = server

    async def order_low(self, count: int, limits: JobLimits | None = None, **spec: Any) -> int:
        folder = self.documents(*(f"document {number}\n" for number in range(count)))
        return await self.order(folder, limits=limits, priority=Priority.LOW, **spec)

    def submissions(self, job_id: int) -> list[Submission]:
        return self.window.read_now(lambda c: submissions.of_job(c, job_id))

    def foreign(self, count: int) -> Batch:
        """Somebody else orders a batch of so many requests."""
        params = {"messages": [{"role": "user", "content": "not ours"}]}
        return self.server.order([{"custom_id": f"foreign-{number}", "params": params} for number in range(count)])

    async def assert_done_once(self, job_id: int, count: int) -> None:
        job = await self.job(job_id)
        assert (job.state, job.counts.of(ItemState.DONE)) == (JobState.FINISHED, count)
        assert job.money.spent == count * 10
        ours = {name: times for name, times in self.server.answered.items() if not name.startswith("foreign")}
        assert sorted(ours.values()) == [1] * count


async def test_a_job_of_low_priority_goes_as_one_batch_at_batch_prices(server: MessageBatches, tmp_path: Path) -> None:
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(5)
        await desk.work()
        await desk.assert_done_once(job_id, 5)
        for number, result in enumerate(await desk.results(job_id)):
            assert f"document {number}" in (result or "")
        (row,) = desk.submissions(job_id)
        assert (row.state, row.lines, row.cleaned) == (SubmissionState.INGESTED, 5, True)
        assert (server.created, server.batches) == (1, {})
        assert list((tmp_path / "home" / "data" / "batches").iterdir()) == []


async def test_each_result_gives_its_document_its_fate(server: MessageBatches, tmp_path: Path) -> None:
    server.fates = {
        "document 1\n": errored("invalid_request_error", "bad words"),
        "document 2\n": {"type": "expired"},
        "document 3\n": {"type": "succeeded", "lost": True},
    }
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(5)
        async with desk.engine():
            await desk.until(job_id, lambda job: job.counts.of(ItemState.IN_DOUBT) == 1)
            del server.fates["document 2\n"]
            await desk.until(job_id, lambda job: job.counts.of(ItemState.DONE) == 3)
        states = await desk.states(job_id)
        assert states == [ItemState.DONE, ItemState.FAILED, ItemState.DONE, ItemState.IN_DOUBT, ItemState.DONE]
        failed = (await desk.items(job_id))[1]
        assert failed.failure is not None
        assert "bad words" in failed.failure.title
        assert server.created >= 2


async def test_a_cancelled_job_ends_its_batch(server: MessageBatches, tmp_path: Path) -> None:
    server.running = True
    server.fates = {}
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        async with desk.engine():
            await desk.until(job_id, lambda _: server.created == 1)
            await desk.command(lambda c: commands.cancel(c, job_id, now_ms()))
            await wait_until(lambda: server.batches["msgbatch_1"].cancelled)
            server.end()
            await desk.until(job_id, lambda job: not job.counts.of(ItemState.SENDING))
        job = await desk.job(job_id)
        assert (job.state, job.counts.of(ItemState.CANCELLED), job.money.spent) == (JobState.CANCELLED, 3, 0)


async def test_without_the_service_a_job_of_low_priority_goes_over_the_desk(
    server: MessageBatches, tmp_path: Path
) -> None:
    server.offered = False
    messages(server, whole_message("live", input_tokens=10))
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        await desk.work()
        assert await desk.results(job_id) == ["live"] * 3
        assert server.created == 0


async def test_an_answer_that_does_not_fit_is_repaired_live(server: MessageBatches, tmp_path: Path) -> None:
    schema = '{"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}}'
    messages(server, whole_message('{"a": "mended"}'))
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(1, recipe=Recipe(Kind.EXTRACT, schema=schema))
        await desk.work()
        (item,) = await desk.items(job_id)
        assert (item.state, item.repairs, server.created) == (ItemState.DONE, 1, 1)


# Orders whose answer was lost


async def test_an_order_that_was_taken_on_unheard_is_found_by_its_results(
    server: MessageBatches, tmp_path: Path
) -> None:
    server.torn = 1
    async with ClaudeDesk(tmp_path, server) as desk:
        desk.foreign(4)
        desk.foreign(3)
        job_id = await desk.order_low(4)
        await desk.work()
        assert server.created == 3, "it was ordered twice"
        await desk.assert_done_once(job_id, 4)
        assert set(server.batches) == {"msgbatch_1", "msgbatch_2"}, "a batch of somebody else was deleted"


async def test_while_it_cannot_be_told_whose_a_batch_is_nothing_is_ordered(
    server: MessageBatches, tmp_path: Path
) -> None:
    server.torn = 1
    server.running = True
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(4)
        async with desk.engine():
            await wait_until(lambda: any(row.failure is not None for row in desk.submissions(job_id)))
            # Longer than an order that is nowhere to be seen is waited for.
            lists = len(server.requests)
            await wait_until(lambda: len(server.requests) > lists + 6)
            (row,) = desk.submissions(job_id)
            assert row.failure is not None
            assert (row.state, row.failure.kind) == (SubmissionState.CREATE_INTENT, "BatchUnclear")
            assert await desk.states(job_id) == [ItemState.SENDING] * 4
        async with desk.engine():  # another worker knows no more than the first one did
            await desk.until(job_id, lambda job: bool(job.progress.waiting_for))
            server.end()
            await desk.until_state(job_id, JobState.FINISHED)
        assert server.created == 1
        await desk.assert_done_once(job_id, 4)


async def test_a_batch_of_somebody_else_holds_an_order_back_no_longer_than_it_runs(
    server: MessageBatches, tmp_path: Path
) -> None:
    server.unheard = 1
    server.running = True
    async with ClaudeDesk(tmp_path, server) as desk:
        desk.foreign(4)
        job_id = await desk.order_low(4)
        async with desk.engine():
            await wait_until(lambda: any(row.failure is not None for row in desk.submissions(job_id)))
            assert server.created == 1
            server.running = False
            server.end()
            await desk.until_state(job_id, JobState.FINISHED)
        assert server.created == 2
        await desk.assert_done_once(job_id, 4)


async def test_an_order_that_never_arrived_goes_again_once_that_is_sure(server: MessageBatches, tmp_path: Path) -> None:
    server.unheard = 1
    server.busy = 1
    async with ClaudeDesk(tmp_path, server) as desk:
        desk.foreign(9)
        job_id = await desk.order_low(4)
        await desk.work()
        assert server.created == 2
        await desk.assert_done_once(job_id, 4)


async def test_siblings_of_the_same_size_do_not_hold_each_other_back(server: MessageBatches, tmp_path: Path) -> None:
    bounds = BatchServiceSettings(max_lines=2, poll_seconds=0.02, longest_poll_seconds=0.1, grace_seconds=0.3)
    server.torn = 1
    async with ClaudeDesk(tmp_path, server, bounds) as desk:
        job_id = await desk.order_low(6)
        await desk.work()
        assert server.created == 3
        await desk.assert_done_once(job_id, 6)


async def test_results_that_are_never_told_leave_everything_in_doubt(server: MessageBatches, tmp_path: Path) -> None:
    server.torn = 1
    server.running = True
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        async with desk.engine():
            await wait_until(lambda: server.created == 1)
            server.batches["msgbatch_1"].has_results = False
            server.end()
            await desk.until_state(job_id, JobState.FINISHED_WITH_ERRORS)
        assert await desk.states(job_id) == [ItemState.IN_DOUBT] * 3
        assert server.created == 1
        assert (await desk.job(job_id)).money.in_doubt > 0
        failure = (await desk.items(job_id))[0].failure
        assert failure is not None
        assert failure.kind == "BatchUntold"


async def test_requests_whose_file_is_gone_before_the_order_wait_again(server: MessageBatches, tmp_path: Path) -> None:
    server.unheard = 1
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        async with desk.engine():
            await wait_until(lambda: any(row.failure is not None for row in desk.submissions(job_id)))
            for file in (tmp_path / "home" / "data" / "batches").glob("*.jsonl"):
                file.unlink()
            await desk.until_state(job_id, JobState.FINISHED)
        assert [row.state for row in desk.submissions(job_id)] == [SubmissionState.REFUSED, SubmissionState.INGESTED]
        await desk.assert_done_once(job_id, 3)


async def test_what_was_not_told_before_a_batch_was_found_does_not_count_against_it(
    server: MessageBatches, tmp_path: Path
) -> None:
    server.torn = 1
    server.running = True
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        async with desk.engine():
            await wait_until(lambda: server.created == 1)
            batch = server.batches["msgbatch_1"]
            batch.late, batch.hidden = 2, 1
            server.end()
            await desk.until_state(job_id, JobState.FINISHED)
        assert (batch.late, batch.hidden) == (0, 0)
        await desk.assert_done_once(job_id, 3)


async def test_a_batch_that_was_ordered_much_later_is_not_taken_for_ours(
    server: MessageBatches, tmp_path: Path
) -> None:
    server.unheard = 1
    server.running = True
    async with ClaudeDesk(tmp_path, server) as desk:
        desk.foreign(4).created += 2 * 86_400
        job_id = await desk.order_low(4)
        async with desk.engine():
            await desk.until(job_id, lambda _: server.created == 2)
            server.end()
            await desk.until_state(job_id, JobState.FINISHED)
        await desk.assert_done_once(job_id, 4)


async def test_a_job_that_is_cancelled_waits_for_no_batch_that_may_be_its_own(
    server: MessageBatches, tmp_path: Path
) -> None:
    server.torn = 1
    server.running = True
    async with ClaudeDesk(tmp_path, server) as desk:
        job_id = await desk.order_low(3)
        async with desk.engine():
            await wait_until(lambda: any(row.failure is not None for row in desk.submissions(job_id)))
            await desk.command(lambda c: commands.cancel(c, job_id, now_ms()))
            # Its items are settled first, so that a death in between leaves a batch that is looked for again.
            await wait_until(lambda: all(row.state not in OPEN_SUBMISSIONS for row in desk.submissions(job_id)))
        (row,) = desk.submissions(job_id)
        job = await desk.job(job_id)
        assert (job.state, row.state) == (JobState.CANCELLED, SubmissionState.REFUSED)
        assert await desk.states(job_id) == [ItemState.IN_DOUBT] * 3
        assert job.money.in_doubt > 0
        assert row.failure is not None
        assert row.failure.kind == "BatchLeft"
        assert not server.batches["msgbatch_1"].cancelled, "it may be somebody else's"
