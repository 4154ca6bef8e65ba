"""A desk whose provider has a batch service, with the account that both must agree on."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from holychat.domain.jobs import Priority
from holychat.settings import BatchServiceSettings, PriceSettings
from holychat.store import submissions
from tests.jobs.desk import Desk
from tests.support.script import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holychat.domain.batches import Submission
    from holychat.domain.jobs import JobLimits
    from tests.support.batch_server import BatchServer


async def wait_until(condition: Callable[[], bool]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


QUICK = BatchServiceSettings(poll_seconds=0.02, longest_poll_seconds=0.1, grace_seconds=0.3)


class BatchDesk(Desk):
    """`async with BatchDesk(tmp_path, server) as desk:`. A batch costs half, which is $0.50 and $1 per million."""

    def __init__(
        self, folder: Path, server: BatchServer, bounds: BatchServiceSettings = QUICK, **settings: Any
    ) -> None:
        super().__init__(folder, server.base_url, provider_batch=bounds, **settings)
        price = PriceSettings(input=Decimal(1), output=Decimal(2), batch_input=Decimal("0.5"), batch_output=Decimal(1))
        self._settings = msgspec.structs.replace(self._settings, prices={"here": {"m": price}})
        self.server = server

    async def order_low(self, count: int, limits: JobLimits | None = None, **spec: Any) -> int:
        """A job of low priority over so many documents."""
        folder = self.documents(*(f"document {number}\n" for number in range(count)))
        return await self.order(folder, limits=limits, priority=Priority.LOW, **spec)

    def submissions(self, job_id: int) -> list[Submission]:
        return self.window.read_now(lambda c: submissions.of_job(c, job_id))

    def assert_accounts_agree(self, job_id: int) -> None:
        """Nothing was paid for twice, and everything that was paid for is known."""
        answered = self.server.answered
        assert set(answered.values()) <= {1}, answered
        items = [int(custom_id.rpartition("-")[2]) for custom_id in answered]
        paid = self.sql(
            "SELECT a.item_id FROM attempts AS a JOIN items AS i ON i.id = a.item_id"
            " WHERE i.job_id = ? AND a.outcome = 'answered' ORDER BY 1",
            job_id,
        )
        assert sorted(items) == [item for (item,) in paid]
