"""Finding again what may have arrived at a provider, or been created there, although nobody heard of it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from holychat.domain.failures import Failure
from holychat.errors import Outcome, RequestRefused
from holychat.jobs.provider_batch.files import remote_name

if TYPE_CHECKING:
    from collections.abc import Collection

    from holychat.domain.batches import RemoteBatch, Submission
    from holychat.providers.batch_service import BatchService

_EARLIER_S = 3600
"""How far the provider's clock may be behind ours, when its batches are looked through."""
_LATER_S = 5400
"""How much later than the order ours may have been created: the half hour that one takes at most, and an hour that the
provider's clock may be ahead."""

UNCLEAR = Failure(
    "BatchUnclear",
    "A batch that may be this one is at work; its results will tell whose it is, and nothing is ordered before",
    "",
    outcome=Outcome.AMBIGUOUS.value,
)
UNTOLD = Failure(
    "BatchUntold",
    "The provider has a batch that may be this one, and does not tell its results; it may have been done and billed",
    "Send it again at the risk of paying twice, or skip it.",
    outcome=Outcome.AMBIGUOUS.value,
)
LEFT = Failure(
    "BatchLeft",
    "A batch that may be this one was still at work when the job was ended; it may be done and billed",
    "Send it again at the risk of paying twice, or skip it.",
    outcome=Outcome.AMBIGUOUS.value,
)


class Search(NamedTuple):
    """What came of looking for a batch."""

    batch: RemoteBatch | None = None
    """It was found."""
    at_work: bool = False
    """One that is still worked at may be it."""
    untold: bool = False
    """One that has ended may be it, and its results cannot be had."""


async def find_file(service: BatchService, mine: Submission) -> str:
    """The id of a file of requests that arrived; "" where there is none, or the host lists no files."""
    name = remote_name(mine.token)
    try:
        async with contextlib.aclosing(service.files()) as files:
            async for file in files:
                if file.name == name and file.size in (0, mine.bytes):
                    return file.id
    except RequestRefused as refused:
        if refused.outcome is not Outcome.FATAL:
            raise
    return ""


async def find_batch(service: BatchService, mine: Submission, known: Collection[str], ordered_ms: int | None) -> Search:
    """Look for the batch of a submission at its provider.

    Where a batch carries our token, or the number of our file, that decides. Else every batch of this time with as many
    requests may be it, unless it is known to be another one, and its results have to tell.

    Args:
        service: The provider's.
        mine: The submission.
        known: Batches of other submissions.
        ordered_ms: When it was ordered, or later; None: not known.
    """
    earliest = mine.created_ms // 1000 - _EARLIER_S
    latest = None if ordered_ms is None else ordered_ms // 1000 + _LATER_S
    at_work = untold = False
    async with contextlib.aclosing(service.batches()) as batches:
        async for batch in batches:
            # Nobody else knows the number of our file.
            if batch.token == mine.token or (batch.input_file_id and batch.input_file_id == mine.input_file_id):
                return Search(batch)
            if batch.created_s and batch.created_s < earliest:
                break
            if service.has_files or batch.total != mine.lines or batch.id in known:
                continue
            if latest is not None and batch.created_s > latest:
                continue
            token = await service.token_of(batch)
            if token == mine.token:
                return Search(batch)
            at_work |= token is None and not batch.has_ended
            untold |= token is None and batch.has_ended
    return Search(None, at_work, untold)
