"""A batch at a provider: what was handed over to its batch service, and what it says of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holychat.domain.failures import Failure


class SubmissionState(StrEnum):
    """Where a submission stands. An intent is written down before the request that it is about is sent."""

    FILE_INTENT = "file_intent"
    FILE_UPLOADED = "file_uploaded"
    CREATE_INTENT = "create_intent"
    CREATED = "created"
    """The provider works at it: validating, in progress, finalizing, cancelling."""
    ENDED = "ended"
    """The provider is through with it; its files are still to be read."""
    INGESTED = "ingested"
    """Every line is accounted for."""
    REFUSED = "refused"
    """The provider took none of it; its items are pending again, or failed."""


_MOVES: Mapping[SubmissionState, frozenset[SubmissionState]] = {
    SubmissionState.FILE_INTENT: frozenset({SubmissionState.FILE_UPLOADED, SubmissionState.REFUSED}),
    # Back to the upload where the provider no longer has the file.
    SubmissionState.FILE_UPLOADED: frozenset(
        {SubmissionState.CREATE_INTENT, SubmissionState.FILE_INTENT, SubmissionState.REFUSED}
    ),
    SubmissionState.CREATE_INTENT: frozenset(
        {SubmissionState.CREATED, SubmissionState.FILE_UPLOADED, SubmissionState.REFUSED}
    ),
    SubmissionState.CREATED: frozenset({SubmissionState.ENDED, SubmissionState.REFUSED}),
    SubmissionState.ENDED: frozenset({SubmissionState.INGESTED}),
    SubmissionState.INGESTED: frozenset(),
    SubmissionState.REFUSED: frozenset(),
}

OPEN_SUBMISSIONS = frozenset(SubmissionState) - {SubmissionState.INGESTED, SubmissionState.REFUSED}


def before(new: SubmissionState) -> tuple[SubmissionState, ...]:
    """The states that `new` may follow, for the WHERE of a statement."""
    return tuple(old for old, allowed in _MOVES.items() if new in allowed)


class BatchStatus(StrEnum):
    """OpenAI's words for where a batch stands."""

    VALIDATING = "validating"
    FAILED = "failed"
    """The whole file was rejected; nothing of it was done."""
    IN_PROGRESS = "in_progress"
    FINALIZING = "finalizing"
    COMPLETED = "completed"
    EXPIRED = "expired"
    """The window ended; what was done by then is there and is charged."""
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


ENDED_BATCHES = frozenset({BatchStatus.FAILED, BatchStatus.COMPLETED, BatchStatus.EXPIRED, BatchStatus.CANCELLED})


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file at the provider."""

    id: str
    name: str
    size: int
    """Bytes; 0 where the provider does not say."""
    created_s: int
    """Unix seconds; 0 where the provider does not say."""


@dataclass(frozen=True, slots=True)
class RemoteBatch:
    """A batch as the provider tells of it."""

    id: str
    status: str
    """A `BatchStatus`, or a word that is not known yet."""
    token: str = ""
    """What was sent along in its metadata; "" for a batch of somebody else."""
    input_file_id: str = ""
    output_file_id: str = ""
    error_file_id: str = ""
    total: int = 0
    completed: int = 0
    failed: int = 0
    created_s: int = 0
    expires_s: int | None = None
    errors: tuple[tuple[str, str, int | None], ...] = ()
    """Why the whole file was rejected: code, message, line (from 1)."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.status in ENDED_BATCHES


@dataclass(frozen=True, slots=True)
class Submission:
    """A part of a job that is, or was, in the hands of a provider's batch service."""

    id: int
    job_id: int
    token: str
    state: SubmissionState
    provider: str
    model: str
    lines: int
    bytes: int
    tokens: int
    """Estimate of its input."""
    input_file_id: str = ""
    batch_id: str = ""
    output_file_id: str = ""
    error_file_id: str = ""
    remote_status: str = ""
    remote_done: int = 0
    remote_failed: int = 0
    cancelling: bool = False
    cleaned: bool = False
    polls: int = 0
    poll_ms: int | None = None
    """When the provider is asked next; None: never."""
    created_ms: int = 0
    expires_ms: int | None = None
    ended_ms: int | None = None
    failure: Failure | None = None
