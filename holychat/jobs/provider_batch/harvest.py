"""Brings in what a batch came to: its files are fetched whole, then every item gets its fate."""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import TYPE_CHECKING

from holychat.domain.batches import BatchStatus
from holychat.domain.failures import Failure
from holychat.errors import HolychatError, Outcome, RequestRefused
from holychat.jobs.provider_batch.ingest import MISSING, Fates, Reader
from holychat.store import submissions

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holychat.domain.batches import Submission
    from holychat.jobs.provider_batch.desk import ProviderBatches
    from holychat.providers.batch_service import BatchService
    from holychat.store.submissions import UnderWay

_log = logging.getLogger(__name__)

MOST_MISSES = 3
"""How often something that must be there is not found before that is believed."""
_AT_ONCE = 200
"""Lines of an answer file that are read and written down together."""
_FAILED = Failure("BatchFailed", "The provider's batch failed", "Retry it.", outcome=Outcome.FATAL.value)


class Harvest:
    """Of one batch. Belongs to one event loop."""

    def __init__(self, desk: ProviderBatches, service: BatchService) -> None:
        self._desk = desk
        self._service = service
        self._misses = 0

    async def take_in(self, submission: Submission) -> float | None:
        """Give every item of a batch that has ended its fate; seconds to wait where its files are not known yet.

        Raises:
            ProviderError: A file cannot be fetched.
            OSError: It cannot be kept.
        """
        files, token = self._desk.files, submission.token
        job = await self._desk.job(submission.job_id)
        if job is None:
            return None
        output_id, error_id = submission.output_file_id, submission.error_file_id
        if not output_id and not error_id and self._misses < MOST_MISSES:
            # Some hosts say that it has ended before they say where the answers are.
            self._misses += 1
            batch = await self._service.get(submission.batch_id)
            output_id, error_id = batch.output_file_id, batch.error_file_id
            if not output_id and not error_id:
                return self._desk.bounds.poll_seconds
        reader = Reader(submission, job, self._desk.provider(submission.provider), self._service, self._desk.costs)
        lost = False
        for file_id, target in ((output_id, files.output(token)), (error_id, files.errors(token))):
            if file_id and await self._fetch(file_id, target):
                await self._read(submission, reader, target)
            elif file_id:
                # What failed was not billed, so the loss of the answers alone leaves a doubt.
                lost |= target == files.output(token)
        await self.settle_all(submission, lambda fates, item: self._left_out(submission, fates, item, lost=lost))
        return None

    async def settle_all(self, submission: Submission, decide: Callable[[Fates, UnderWay], None]) -> None:
        """The same for every item that is still in the provider's hands."""
        while items := await self._desk.under_way(submission.id):
            fates = Fates()
            for item in items:
                decide(fates, item)
            await self._desk.settle(submission, fates)

    def doubt(self, submission: Submission, fates: Fates, item: UnderWay, failure: Failure) -> None:
        """Nobody knows what became of an item."""
        again = self._desk.allows_doubt(submission.job_id, item.worst_micros)
        fates.doubt(item, submission.job_id, failure, again=again)

    async def _fetch(self, file_id: str, target: Path) -> bool:
        """Have a file whole on this disk; whether there is one."""
        if await asyncio.to_thread(target.is_file):
            return True
        part = await asyncio.to_thread(self._desk.files.arriving, target)
        try:
            await self._service.download(file_id, part)
        except RequestRefused as refused:
            self._misses += refused.status == 404
            if self._misses <= MOST_MISSES:
                raise
            return False
        await asyncio.to_thread(self._desk.files.arrived, target)
        return True

    async def _read(self, submission: Submission, reader: Reader, path: Path) -> None:
        with await asyncio.to_thread(path.open, "rb") as file:
            while raw := await asyncio.to_thread(lambda: list(islice(file, _AT_ONCE))):
                lines = await asyncio.to_thread(reader.lines, raw)
                items = await self._desk.under_way(submission.id, list(lines))
                if items:
                    fates = await asyncio.to_thread(reader.fates, lines, items)
                    await self._desk.settle(submission, fates)

    def _left_out(self, submission: Submission, fates: Fates, item: UnderWay, *, lost: bool) -> None:
        """A line that stands in neither file; `lost`: the answers may have had it, and are not there any more."""
        if submission.remote_status == BatchStatus.COMPLETED or lost:
            self.doubt(submission, fates, item, MISSING)
        elif submission.remote_status == BatchStatus.FAILED:
            fates.failed(item, submission.job_id, _FAILED)
        else:
            fates.back(item, submission.job_id, Outcome.REFUSED, refusals=1)


async def clean(desk: ProviderBatches, submission: Submission, service: BatchService) -> None:
    """Take away what is left of a batch here and at the provider; what cannot be is tried by the next worker."""
    await asyncio.to_thread(desk.files.forget, submission.token)
    try:
        for file_id in (submission.input_file_id, submission.output_file_id, submission.error_file_id):
            if file_id:
                await service.delete_file(file_id)
    except HolychatError as error:
        _log.info("Files of a batch are left at the provider: %s", error.title)
        return
    await desk.write(lambda c: submissions.cleaned(c, submission.id))
