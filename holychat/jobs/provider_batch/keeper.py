"""Takes one batch from the file on this disk to its last answer, from whatever point its row has reached."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from holychat.domain.batches import OPEN_SUBMISSIONS, BatchStatus, SubmissionState
from holychat.domain.failures import Failure
from holychat.errors import CredentialError, HolychatError, Outcome, ProviderError, RequestRefused
from holychat.jobs.provider_batch.files import remote_name
from holychat.jobs.provider_batch.finding import LEFT, UNCLEAR, UNTOLD, find_batch, find_file
from holychat.jobs.provider_batch.harvest import MOST_MISSES, Harvest
from holychat.store import submissions

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.domain.batches import RemoteBatch, Submission
    from holychat.jobs.provider_batch.desk import ProviderBatches
    from holychat.providers.batch_service import BatchService
    from holychat.store.database import Connection

_log = logging.getLogger(__name__)

_SLOWER = 1.5
_GONE = Failure(
    "BatchGone",
    "The provider does not know the batch any more; it may have been done and billed",
    "Send it again at the risk of paying twice, or skip it.",
    outcome=Outcome.AMBIGUOUS.value,
)


class Keeper:
    """Belongs to one event loop.

    Args:
        desk: Owns it.
        submission: As its row stands.
        service: The provider's.
        fresh: Nothing of it has been handed over yet; else what may have arrived is looked for first.
    """

    def __init__(self, desk: ProviderBatches, submission: Submission, service: BatchService, *, fresh: bool) -> None:
        self.submission = submission
        self.unwanted = False
        """Its job was cancelled or deleted."""
        self._desk = desk
        self.service = service
        self._fresh = fresh
        # Of an order whose answer another worker waited for: when it was begun, or somewhat later.
        self._ordered_ms = submission.poll_ms
        self._absent_since: float | None = None
        self._misses = 0
        self._tries = 0
        self._uploads = 0
        self._row_gone = False
        self._harvest = Harvest(desk, service)
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Look again now."""
        self._woken.set()

    async def run(self) -> None:
        """Work until it is over."""
        steps = {
            SubmissionState.FILE_INTENT: self._upload,
            SubmissionState.FILE_UPLOADED: self._intend,
            SubmissionState.CREATE_INTENT: self._create,
            SubmissionState.CREATED: self._poll,
            SubmissionState.ENDED: self._ingest,
        }
        while self.submission.state in OPEN_SUBMISSIONS:
            try:
                pause = await steps[self.submission.state]()
            except HolychatError as error:
                pause = await self._troubled(error)
            except OSError as error:
                pause = await self._troubled(HolychatError(f"A file of the batch cannot be used: {error.strerror}"))
            else:
                self._tries = 0
            if self._row_gone:
                return
            await self._sleep(pause)

    # Before the provider has it

    async def _upload(self) -> float:
        token = self.submission.token
        if self.unwanted or not await asyncio.to_thread(self._desk.files.has_requests, token):
            # Without its file it was never handed over.
            return await self._give_back()
        found = "" if self._fresh else await find_file(self.service, self.submission)
        if not found:
            self._fresh = False
            self._uploads += 1
            try:
                remote = await self.service.upload(remote_name(token), self._desk.files.requests(token))
            except ProviderError as error:
                self._fresh = error.outcome in (Outcome.NEVER_SENT, Outcome.REFUSED, Outcome.AUTH)
                if error.outcome is Outcome.FATAL:
                    return await self._reject(error)
                raise
            found = remote.id
        await self._write(lambda c, now: submissions.uploaded(c, self.submission.id, found, now))
        return 0.0

    async def _intend(self) -> float:
        mine = self.submission
        needs_file = not self.service.has_files
        if needs_file and not await asyncio.to_thread(self._desk.files.has_requests, mine.token):
            return await self._give_back()
        if self.unwanted or await self._desk.is_unwanted(mine.id):
            return await self._give_back()
        await self._move(SubmissionState.CREATE_INTENT)
        self._fresh = True
        return 0.0

    async def _create(self) -> float:
        if not self._fresh:
            return await self._adopt()
        self._fresh = False
        self._absent_since = None
        try:
            content = self._desk.files.requests(self.submission.token)
            batch = await self.service.create(self.submission.input_file_id, self.submission.token, content)
        except ProviderError as error:
            self._ordered_ms = time.time_ns() // 1_000_000
            if error.outcome in (Outcome.NEVER_SENT, Outcome.REFUSED, Outcome.AUTH):
                await self._move(SubmissionState.FILE_UPLOADED)
            elif error.outcome is Outcome.FATAL:
                return await self._not_created(error)
            raise
        except CredentialError:
            await self._move(SubmissionState.FILE_UPLOADED)
            raise
        return await self._created(batch)

    async def _not_created(self, error: ProviderError) -> float:
        gone = error.status == 404 or "no such file" in error.title.lower()
        if not gone or self._uploads > 1:
            return await self._reject(error)
        await self._move(SubmissionState.FILE_UPLOADED)
        await self._move(SubmissionState.FILE_INTENT)
        return 0.0

    async def _adopt(self) -> float:
        """A batch may have been created that nobody heard of: find it, or be sure that there is none."""
        bounds = self._desk.bounds
        known = await self._desk.known_batches(self.submission.provider)
        search = await find_batch(self.service, self.submission, known, self._ordered_ms)
        if search.batch is not None:
            _log.info("Batch of job %d was created before and is taken up again", self.submission.job_id)
            return await self._created(search.batch)
        self._misses = self._misses + 1 if search.untold else 0
        if self._misses >= MOST_MISSES and not search.at_work:
            return await self._leave_in_doubt(UNTOLD)
        if search.at_work or search.untold:
            if self.unwanted:
                return await self._leave_in_doubt(LEFT)
            pause, self._absent_since = bounds.longest_poll_seconds, None
            next_ms = time.time_ns() // 1_000_000 + round(pause * 1000)
            await self._write(lambda c, _: submissions.later(c, self.submission.id, next_ms, UNCLEAR))
            return pause
        now = asyncio.get_running_loop().time()
        if self._absent_since is None:
            self._absent_since = now
        if (left := self._absent_since + bounds.grace_seconds - now) > 0:
            return min(left, max(bounds.grace_seconds / 4, 0.05))
        await self._move(SubmissionState.FILE_UPLOADED)
        return 0.0

    async def _created(self, batch: RemoteBatch) -> float:
        pause = self._desk.bounds.poll_seconds
        self._misses = 0
        await self._write(lambda c, now: submissions.created(c, self.submission.id, batch, now + round(pause * 1000)))
        _log.info("Job %d: %d requests are with the provider", self.submission.job_id, self.submission.lines)
        return 0.0 if self.unwanted else pause

    # While the provider has it

    async def _poll(self) -> float:
        mine, bounds = self.submission, self._desk.bounds
        if self.unwanted and not mine.cancelling:
            await self._cancel()
        try:
            batch = await self.service.get(mine.batch_id)
        except RequestRefused as refused:
            self._misses += refused.status == 404
            if self._misses < MOST_MISSES:
                raise
            return await self._leave_in_doubt(_GONE)
        if batch.status == BatchStatus.FAILED and not (batch.output_file_id or batch.error_file_id):
            codes = {code for code, _, _ in batch.errors}
            return await self._reject(self.service.rejection(batch), too_much="token_limit_exceeded" in codes)
        pause = min(bounds.longest_poll_seconds, bounds.poll_seconds * _SLOWER ** min(mine.polls, 50))
        await self._write(lambda c, now: submissions.polled(c, mine.id, batch, now + round(pause * 1000), now))
        self._misses = 0
        return 0.0 if batch.has_ended else pause

    async def _cancel(self) -> None:
        try:
            await self.service.cancel(self.submission.batch_id)
        except RequestRefused as refused:
            if refused.outcome is not Outcome.FATAL:
                raise
            # It has ended meanwhile, or is gone; asking for it tells.
        await self._write(lambda c, now: submissions.asked_to_cancel(c, self.submission.id, now))

    # What came back

    async def _ingest(self) -> float:
        pause = await self._harvest.take_in(self.submission)
        return await self._over(SubmissionState.INGESTED) if pause is None else pause

    # The end

    async def _give_back(self) -> float:
        """Nothing of it was ever asked: its items wait again."""
        job_id = self.submission.job_id
        await self._harvest.settle_all(
            self.submission, lambda fates, item: fates.back(item, job_id, Outcome.NEVER_SENT)
        )
        return await self._over(SubmissionState.REFUSED)

    async def _reject(self, error: ProviderError, *, too_much: bool = False) -> float:
        """The provider takes none of it."""
        failure, job_id = Failure.of(error), self.submission.job_id
        too_much = too_much or _is_too_much(error)
        if too_much and self._desk.capacity.take_less(self.submission):
            await self._harvest.settle_all(
                self.submission, lambda fates, item: fates.back(item, job_id, Outcome.REFUSED, failure, refusals=1)
            )
        else:
            await self._harvest.settle_all(self.submission, lambda fates, item: fates.failed(item, job_id, failure))
        return await self._over(SubmissionState.REFUSED, failure)

    async def _leave_in_doubt(self, failure: Failure) -> float:
        """Nobody can tell what became of any of it."""
        mine = self.submission
        await self._harvest.settle_all(mine, lambda fates, item: self._harvest.doubt(mine, fates, item, failure))
        return await self._over(SubmissionState.REFUSED, failure)

    async def _over(self, state: SubmissionState, failure: Failure | None = None) -> float:
        await self._write(lambda c, now: submissions.over(c, self.submission.id, state, now, failure))
        return 0.0

    async def _troubled(self, error: HolychatError) -> float:
        """Nothing came of it: later again, and later each time."""
        bounds = self._desk.bounds
        pause = min(bounds.longest_poll_seconds, bounds.poll_seconds * _SLOWER ** min(self._tries, 50))
        self._tries += 1
        if isinstance(error, ProviderError) and error.retry_after is not None:
            pause = max(pause, min(error.retry_after, bounds.longest_poll_seconds))
        _log.info("Batch of job %d waits: %s", self.submission.job_id, error.title)
        failure = Failure.of(error)
        await self._write(lambda c, now: submissions.later(c, self.submission.id, now + round(pause * 1000), failure))
        self._desk.troubled(self.submission.job_id, error)
        return pause

    async def _move(self, state: SubmissionState) -> None:
        await self._write(lambda c, now: submissions.move(c, self.submission.id, state, now))

    async def _write(self, work: Callable[[Connection, int], object]) -> None:
        def unit(connection: Connection) -> Submission | None:
            work(connection, time.time_ns() // 1_000_000)
            return submissions.get(connection, self.submission.id)

        row = await self._desk.write(unit)
        if row is not None:
            self.submission = row
        self._row_gone = row is None

    async def _sleep(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        self._woken.clear()


def _is_too_much(error: ProviderError) -> bool:
    """Whether more waits at the provider than it allows, in whatever words it says so."""
    said = error.title.lower()
    return "token_limit" in said or ("token" in said and "limit" in said) or "enqueued" in said
