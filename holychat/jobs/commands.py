"""What people order of a job and its items, as transactions: guarded moves of the job's row and of the items' rows.

The worker sees each of them in the database and acts; nothing else is said to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.jobs import ACTIVE_JOBS, ENDED_JOBS, ItemState, JobState, PauseReason, SourceKind
from holychat.errors import UsageError
from holychat.store import chats, item_moves, items, jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holychat.domain.jobs import Job, JobSpec
    from holychat.store.database import Connection
    from holychat.store.item_moves import Chosen


_UNDER_WAY = (ItemState.SENDING, ItemState.RECEIVED)


def create(connection: Connection, spec: JobSpec, now_ms: int) -> Job:
    """Write an order down as a draft.

    Raises:
        UsageError: A chat that it names is not there.
    """
    _check_chats(connection, spec)
    return jobs.create(connection, spec, now_ms)


def revise(connection: Connection, job_id: int, spec: JobSpec, now_ms: int) -> Job:
    """Order a draft differently.

    Raises:
        UsageError: A chat that it names is not there, or it is no draft any more.
    """
    _check_chats(connection, spec)
    return jobs.revise(connection, job_id, spec, now_ms)


def confirm(connection: Connection, job_id: int, trial: int | None, now_ms: int) -> Job:
    """Let a draft be worked at, with a trial of so many documents or none."""
    job = jobs.get(connection, job_id)
    jobs.set_limits(connection, job_id, replace(job.spec.limits, trial=trial), now_ms)
    if not jobs.move(connection, job_id, JobState.QUEUED, now_ms, only=(JobState.DRAFT,)):
        raise jobs.impossible(job, "confirmed", "It was confirmed before.")
    return jobs.get(connection, job_id)


def pause(connection: Connection, job_id: int, now_ms: int) -> Job:
    """Send nothing more; a job that waits by itself, for the network for example, then waits for the person.

    One whose trial is over waits for the person already, and goes on with the rest of it when it is resumed.
    """
    job = jobs.get(connection, job_id)
    if job.pause is PauseReason.TRIAL:
        return job
    if not (
        jobs.move(connection, job_id, JobState.PAUSED, now_ms, pause=PauseReason.USER)
        or jobs.set_pause(connection, job_id, PauseReason.USER, "", now_ms)
    ):
        raise jobs.impossible(job, "paused", "Only a job that is at work can be paused.")
    return jobs.get(connection, job_id)


def resume(connection: Connection, job_id: int, budget_micros: int | None, now_ms: int) -> Job:
    """Go on; a trial is over with that. A job that is at work goes on as it does, with the new budget."""
    job = jobs.get(connection, job_id)
    limits = job.spec.limits
    if budget_micros is not None:
        if budget_micros < 0:
            raise UsageError("The budget must be 0 or more")
        limits = replace(limits, budget_micros=budget_micros)
    if job.pause is PauseReason.TRIAL:
        limits = replace(limits, trial=None)
    resumed = jobs.move(connection, job_id, JobState.QUEUED, now_ms, only=(JobState.PAUSED,))
    if not resumed and job.state not in (JobState.QUEUED, JobState.RUNNING):
        hint = "Confirm it first." if job.state is JobState.DRAFT else "Retry what failed or was cancelled instead."
        raise jobs.impossible(job, "resumed", hint)
    if limits != job.spec.limits:
        jobs.set_limits(connection, job_id, limits, now_ms)
    return jobs.get(connection, job_id)


def cancel(connection: Connection, job_id: int, now_ms: int) -> Job:
    """End a job: what was not sent never is. The worker aborts what is under way."""
    job = jobs.get(connection, job_id)
    if not jobs.move(connection, job_id, JobState.CANCELLED, now_ms):
        raise jobs.impossible(job, "cancelled", "It has ended.")
    item_moves.cancel_pending(connection, job_id, now_ms)
    return jobs.get(connection, job_id)


def retry(connection: Connection, chosen: Chosen, now_ms: int) -> int:
    """Send documents again; an ended job is queued for it."""
    job = _changeable(connection, chosen.job_id)
    again = item_moves.retry(connection, chosen, now_ms)
    if not again and chosen.item_ids and item_moves.held_by_doubt(connection, chosen):
        raise UsageError(
            "A part of it is in doubt: it may have been done and billed",
            "Retry what is in doubt, at the risk of paying for it twice; the rest goes along.",
        )
    if again and job.state in ENDED_JOBS:
        jobs.move(connection, job.id, JobState.QUEUED, now_ms)
    return again


def skip(connection: Connection, chosen: Chosen, now_ms: int) -> int:
    """Leave documents out for good."""
    job = _changeable(connection, chosen.job_id)
    skipped = item_moves.skip(connection, chosen, now_ms)
    if skipped:
        _settle(connection, job, now_ms)
    return skipped


def accept(connection: Connection, item_ids: Sequence[int], now_ms: int) -> int:
    """Take what arrived of answers in doubt as the answers."""
    accepted = 0
    changed: dict[int, Job] = {}
    for item in items.select(connection, item_ids):
        job = changed.get(item.job_id) or _changeable(connection, item.job_id)
        if item_moves.accept(connection, item.id, now_ms):
            accepted += 1
            changed[job.id] = job
    for job in changed.values():
        _settle(connection, job, now_ms)
    return accepted


def has_work(connection: Connection, job_ids: Iterable[int]) -> bool:
    """Whether a worker has something to do for one of these jobs: items to send, or what is under way to look after."""
    return any(
        job.state in ACTIVE_JOBS
        or any(which.get(state) for which in (job.counts.documents, job.counts.parts) for state in _UNDER_WAY)
        for job_id in job_ids
        for job in (jobs.get(connection, job_id),)
    )


def _check_chats(connection: Connection, spec: JobSpec) -> None:
    named = [int(source.value) for source in spec.sources if source.kind is SourceKind.CHAT]
    for chat_id in [*named, *([] if spec.chat_id is None else [spec.chat_id])]:
        chats.get(connection, chat_id)


def _changeable(connection: Connection, job_id: int) -> Job:
    job = jobs.get(connection, job_id)
    if job.state is JobState.DRAFT:
        raise jobs.impossible(job, "changed so", "Nothing of it was sent yet.")
    if job.state is JobState.FINISHING:
        raise jobs.impossible(job, "changed now", "Its results are being written; try again in a moment.")
    return job


def _settle(connection: Connection, job: Job, now_ms: int) -> None:
    """An ended job after its items changed: work again where there is some, or finished where nothing is wrong now."""
    if job.state not in ENDED_JOBS:
        return
    counts = jobs.get(connection, job.id).counts
    pending = counts.of(ItemState.PENDING) + counts.parts.get(ItemState.PENDING, 0)
    if pending or (job.spec.out and job.state is not JobState.CANCELLED):
        # The worker also writes the results anew, which are others now.
        jobs.move(connection, job.id, JobState.QUEUED, now_ms)
    elif not counts.of(ItemState.FAILED) and not counts.of(ItemState.IN_DOUBT):
        jobs.move(connection, job.id, JobState.FINISHED, now_ms, only=(JobState.FINISHED_WITH_ERRORS,))
