"""Jobs of low priority go through the provider's batch service, and every item of them is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.domain.batches import SubmissionState
from holychat.domain.jobs import ItemState, JobState
from tests.jobs.batch_desk import BatchDesk
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
