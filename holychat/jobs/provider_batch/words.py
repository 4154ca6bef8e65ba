"""What is said of batches at a provider: how far they are, when the provider is asked next, when its window ends."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from holychat.domain.batches import SubmissionState
from holychat.jobs.lanes import Wait

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.batches import Submission

_BEFORE = {
    SubmissionState.FILE_INTENT: "being uploaded",
    SubmissionState.FILE_UPLOADED: "being ordered",
    SubmissionState.CREATE_INTENT: "being ordered",
    SubmissionState.ENDED: "its answers are being fetched",
    SubmissionState.INGESTED: "done",
    SubmissionState.REFUSED: "given back",
}


def state_words(submission: Submission) -> str:
    """How far a batch is, such as "in progress, 120 of 500 done"."""
    if submission.state is not SubmissionState.CREATED:
        return _BEFORE[submission.state]
    status = submission.remote_status.replace("_", " ") or "waiting"
    done = submission.remote_done + submission.remote_failed
    return f"{status}, {done:,} of {submission.lines:,} done" if done else status


def window_words(submission: Submission) -> str:
    """When the provider's window ends, in the clock of this machine; "" where it does not say."""
    if submission.expires_ms is None or submission.state is not SubmissionState.CREATED:
        return ""
    return f"ends by {datetime.fromtimestamp(submission.expires_ms / 1000).strftime('%d %b %H:%M')}"  # noqa: DTZ006


def wait_words(open_ones: Sequence[Submission]) -> Wait:
    """What a job waits for whose open batches these are: of the one that is asked about next."""
    soonest = min(open_ones, key=lambda submission: submission.poll_ms or 0)
    pieces = [f"provider batch: {state_words(soonest)}", window_words(soonest)]
    if len(open_ones) > 1:
        pieces.insert(1, f"{len(open_ones) - 1} more")
    return Wait(soonest.poll_ms or 0, ", ".join(filter(None, pieces)))
