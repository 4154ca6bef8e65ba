"""Jobs: making, listing, steering and deleting them. Every function runs inside a transaction of its caller.

A state changes by a guarded UPDATE alone: its WHERE names the states that the new one may follow, so that two windows,
a shell and the worker can all steer the same job and none of them overrules what it has not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.job_moves import states_before
from holychat.domain.jobs import AT_WORK, ENDED_JOBS, Counts, ItemState, JobState
from holychat.errors import UsageError
from holychat.store.folding import storable
from holychat.store.job_rows import JOB_COLUMNS, job_of, json_column

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from holychat.domain.jobs import Job, JobLimits, JobSpec, PauseReason
    from holychat.store.database import Connection

_OPEN_FIRST = "j.state NOT IN ('draft', 'finished', 'finished_with_errors', 'cancelled')"
"""As in the partial index jobs_at_work."""

_SLACK_MS = 5_000
"""A worker that was not heard of for longer is dead."""
_SINCE = """
    iif(state IN ('running', 'finishing'),
        max(0, coalesce(min(?, coalesce((SELECT heartbeat_ms FROM worker) + ?, ?)) - at_work_ms, 0)), 0)
"""
"""Milliseconds since a job at work was counted last, but none after its worker has died: (now, slack, now)."""


def create(connection: Connection, spec: JobSpec, now_ms: int) -> Job:
    """A new job, as a draft."""
    connection.execute(
        """
        INSERT INTO jobs (name, kind, provider, model, priority, recipe, sources, limits, budget_micros, out,
                          out_format, callback_url, chat_id, state, created_ms, updated_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'draft', ?, ?)
        """,
        (*_spec_columns(spec), now_ms, now_ms),
    )
    return get(connection, connection.last_insert_rowid())


def revise(connection: Connection, job_id: int, spec: JobSpec, now_ms: int) -> Job:
    """Order a draft differently.

    Raises:
        UsageError: There is no such job, or it is no draft any more.
    """
    connection.execute(
        """
        UPDATE jobs SET name = ?, kind = ?, provider = ?, model = ?, priority = ?, recipe = ?, sources = ?, limits = ?,
            budget_micros = ?, out = ?, out_format = ?, callback_url = ?, chat_id = ?, updated_ms = ?
        WHERE id = ? AND state = 'draft' AND deleted = 0
        """,
        (*_spec_columns(spec), now_ms, job_id),
    )
    if not connection.changes():
        raise impossible(get(connection, job_id), "changed", "Make a new one; only drafts can be changed.")
    return get(connection, job_id)


def get(connection: Connection, job_id: int) -> Job:
    """The job with this number.

    Raises:
        UsageError: There is none.
    """
    found = _select(connection, "j.id = ? AND j.deleted = 0", (job_id,))
    if not found:
        raise UsageError(f"There is no job {job_id}", "`holychat batch list` shows the jobs there are.")
    return found[0]


def listed(connection: Connection, limit: int, *, include_drafts: bool = True, only_active: bool = False) -> list[Job]:
    """Jobs, the newest first; those that have not ended come before the others.

    Args:
        connection: The database.
        limit: How many at most.
        include_drafts: Whether drafts are listed; they stand among the ended ones.
        only_active: Only jobs that were confirmed and have not ended, paused ones included.
    """
    active = _select(connection, f"{_OPEN_FIRST} AND j.deleted = 0 ORDER BY j.id DESC LIMIT ?", (limit,))
    if only_active or len(active) == limit:
        return active
    drafts = "" if include_drafts else " AND j.state <> 'draft'"
    rest = f"NOT ({_OPEN_FIRST}) AND j.deleted = 0{drafts} ORDER BY j.id DESC LIMIT ?"
    return active + _select(connection, rest, (limit - len(active),))


def counts_of(connection: Connection, job_ids: Sequence[int]) -> dict[int, Counts]:
    """How many items of each job are in which state."""
    found = {job_id: Counts({}, {}) for job_id in job_ids}
    documents: dict[int, dict[ItemState, int]] = {job_id: {} for job_id in job_ids}
    parts: dict[int, dict[ItemState, int]] = {job_id: {} for job_id in job_ids}
    for job_id in job_ids:
        rows = connection.execute(
            "SELECT parts, state, count FROM job_counts WHERE job_id = ? AND count > 0", (job_id,)
        )
        for of_parts, state, count in rows:
            (parts if of_parts else documents)[job_id][ItemState(state)] = count
        found[job_id] = Counts(documents[job_id], parts[job_id])
    return found


def move(
    connection: Connection,
    job_id: int,
    new: JobState,
    now_ms: int,
    *,
    only: Collection[JobState] | None = None,
    pause: PauseReason | None = None,
    detail: str = "",
) -> bool:
    """Change a job's state, where it may follow the one that the job has.

    Args:
        connection: The database.
        job_id: The job.
        new: The state it shall have.
        now_ms: The time.
        only: States to leave from; None: all that `new` may follow.
        pause: Why, for PAUSED.
        detail: What to do about it.

    Returns:
        Whether it was changed.
    """
    old = [state.value for state in states_before(new) if only is None or state in only]
    marks = ",".join("?" * len(old))
    connection.execute(
        f"""
        UPDATE jobs SET state = ?, pause = ?, pause_detail = ?, updated_ms = ?, ended_ms = ?,
                        worked_ms = worked_ms + {_SINCE}, at_work_ms = ?
        WHERE id = ? AND deleted = 0 AND state IN ({marks})
        """,  # noqa: S608  # only question marks are put in
        (
            new.value, None if pause is None else pause.value, storable(detail), now_ms,
            now_ms if new in ENDED_JOBS else None, now_ms, _SLACK_MS, now_ms, now_ms if new in AT_WORK else None,
            job_id, *old,
        ),
    )  # fmt: skip
    return bool(connection.changes())


def worked(connection: Connection, job_ids: Collection[int], now_ms: int) -> dict[int, int]:
    """Milliseconds that jobs were at work until now, the stretch at which they are included."""
    marks = ",".join("?" * len(job_ids))
    rows = connection.execute(
        f"SELECT id, worked_ms + {_SINCE} FROM jobs WHERE id IN ({marks})",  # noqa: S608  # only question marks
        (now_ms, _SLACK_MS, now_ms, *job_ids),
    )
    return dict(rows)


def bank_time(connection: Connection, until_ms: int | None, from_ms: int | None) -> None:
    """All jobs at work were so until then (None: not known), and are so again from then on (None: from nowhere on)."""
    connection.execute(
        """
        UPDATE jobs SET worked_ms = worked_ms + max(0, coalesce(?1 - at_work_ms, 0)), at_work_ms = ?2
        WHERE state IN ('running', 'finishing')
        """,
        (until_ms, from_ms),
    )


def set_pause(connection: Connection, job_id: int, pause: PauseReason, detail: str, now_ms: int) -> bool:
    """Give another reason for a job's being paused; False where it is not paused."""
    connection.execute(
        "UPDATE jobs SET pause = ?, pause_detail = ?, updated_ms = ? WHERE id = ? AND deleted = 0 AND state = 'paused'",
        (pause.value, storable(detail), now_ms, job_id),
    )
    return bool(connection.changes())


def set_limits(connection: Connection, job_id: int, limits: JobLimits, now_ms: int) -> None:
    """Change what a job may take, from the next request on."""
    connection.execute(
        "UPDATE jobs SET limits = ?, budget_micros = ?, updated_ms = ? WHERE id = ?",
        (json_column(limits), limits.budget_micros, now_ms, job_id),
    )


def hide(connection: Connection, job_id: int, now_ms: int) -> bool:
    """Delete a job as far as anybody can see; `erase_some` takes its rows. False where it has not ended."""
    states = ("draft", *(state.value for state in ENDED_JOBS))
    marks = ",".join("?" * len(states))
    connection.execute(
        f"UPDATE jobs SET deleted = 1, updated_ms = ? WHERE id = ? AND deleted = 0 AND state IN ({marks})",  # noqa: S608
        (now_ms, job_id, *states),
    )
    return bool(connection.changes())


def erase_some(connection: Connection, most: int) -> bool:
    """Delete up to `most` items of a job that is hidden, or the job itself where none are left; whether there is more.

    The order is that of an index, in which parts come before the documents they are parts of.
    """
    # What is in a provider's batch is called off first, by the worker.
    job_id = connection.execute(
        """
        SELECT min(id) FROM jobs WHERE deleted = 1 AND NOT EXISTS (
            SELECT 1 FROM submissions AS s WHERE s.job_id = jobs.id AND s.state NOT IN ('ingested', 'refused'))
        """
    ).get
    if job_id is None:
        return False
    connection.execute(
        "DELETE FROM items WHERE id IN (SELECT id FROM items WHERE job_id = ? ORDER BY source_key DESC LIMIT ?)",
        (job_id, most),
    )
    if not connection.changes():
        connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,))
    return True


def impossible(job: Job, what: str, hint: str) -> UsageError:
    """The error for a command that a job's state does not allow."""
    return UsageError(f"Job {job.id} is {job.state.value.replace('_', ' ')} and cannot be {what}", hint)


def _select(connection: Connection, where: str, values: tuple[object, ...]) -> list[Job]:
    rows = list(connection.execute(f"SELECT {JOB_COLUMNS} FROM jobs AS j WHERE {where}", values))  # noqa: S608  # literals
    counts = counts_of(connection, [row[0] for row in rows])
    return [job_of(row, counts[row[0]]) for row in rows]


def _spec_columns(spec: JobSpec) -> tuple[object, ...]:
    return (
        storable(spec.name),
        spec.recipe.kind.value,
        spec.provider,
        storable(spec.model),
        spec.priority.value,
        json_column(spec.recipe),
        json_column(spec.sources),
        json_column(spec.limits),
        spec.limits.budget_micros,
        storable(spec.out),
        spec.out_format,
        spec.callback_url,
        spec.chat_id,
    )
