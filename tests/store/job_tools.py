"""Shorthands of the tests of jobs: rows as a worker would leave them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from holychat.domain.job_moves import states_before
from holychat.domain.jobs import (
    ItemState,
    JobLimits,
    JobSpec,
    JobState,
    Kind,
    Recipe,
    Source,
    SourceKind,
)
from holychat.store import item_moves, jobs
from holychat.store.search import index_result
from tests.store.tools import NOW

if TYPE_CHECKING:
    from collections.abc import Collection

    from holychat.domain.jobs import Job
    from holychat.store.database import Connection, Database

SPEC = JobSpec("Tea", Recipe(Kind.SUMMARIZE), (Source(SourceKind.PATH, "/papers"),), "offline", "extractive")

_WAY_TO: dict[JobState, tuple[JobState, ...]] = {
    JobState.DRAFT: (),
    JobState.QUEUED: (JobState.QUEUED,),
    JobState.RUNNING: (JobState.QUEUED, JobState.RUNNING),
    JobState.PAUSED: (JobState.QUEUED, JobState.RUNNING, JobState.PAUSED),
    JobState.FINISHING: (JobState.QUEUED, JobState.RUNNING, JobState.FINISHING),
    JobState.FINISHED: (JobState.QUEUED, JobState.RUNNING, JobState.FINISHING, JobState.FINISHED),
    JobState.FINISHED_WITH_ERRORS: (
        JobState.QUEUED, JobState.RUNNING, JobState.FINISHING, JobState.FINISHED_WITH_ERRORS
    ),
    JobState.CANCELLED: (JobState.QUEUED, JobState.CANCELLED),
}  # fmt: skip


def new_job(database: Database, state: JobState = JobState.DRAFT, spec: JobSpec = SPEC) -> Job:
    """A job that came to a state the way it may."""
    from holychat.domain.jobs import PauseReason

    def work(connection: Connection) -> Job:
        job = jobs.create(connection, spec, NOW)
        for step in _WAY_TO[state]:
            pause = PauseReason.USER if step is JobState.PAUSED else None
            assert jobs.move(connection, job.id, step, NOW, pause=pause)
        return jobs.get(connection, job.id)

    return database.write_now(work)


def add(
    connection: Connection,
    job_id: int,
    state: ItemState = ItemState.PENDING,
    *,
    parent: int | None = None,
    part: int = 0,
    waiting_for: int = 0,
    reserved: int = 0,
    cause: str = "",
    worst: int | None = None,
    result: str | None = None,
    partial: str | None = None,
    content: str | None = None,
    cost: int | None = None,
    name: str = "",
) -> int:
    """An item in a state, with its texts and an attempt where it has been sent."""
    ordinal = connection.execute("SELECT count(*) FROM items WHERE job_id = ? AND parent_id IS NULL", (job_id,)).get
    key = f"key-{connection.execute('SELECT coalesce(max(id), 0) + 1 FROM items').get}"
    failure = None
    if state in (ItemState.FAILED, ItemState.IN_DOUBT):
        failure = json.dumps({"kind": cause or "Bad", "title": f"It is {cause or 'bad'}", "hint": "Mend it."})
    connection.execute(
        """
        INSERT INTO items (job_id, ordinal, parent_id, part, level, waiting_for, source_key, name, path, size, mtime_ns,
                           sha256, state, failure, cause, reserved_micros, cost_micros, input_tokens, output_tokens,
                           attempts, updated_ms)
        VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, 100, 7, 'abc', ?, ?, ?, ?, ?, ?, ?, 0, ?)
        """,
        (
            job_id, ordinal, parent, part, waiting_for, key, name or key, "" if content is not None else f"/{key}",
            state.value, failure, (cause or "Bad") if failure else "", reserved, cost,
            None if cost is None else 10, None if cost is None else 20, NOW,
        ),
    )  # fmt: skip
    item_id = connection.last_insert_rowid()
    if result is not None or partial is not None or content is not None:
        connection.execute(
            "INSERT INTO item_texts (item_id, content, result, partial) VALUES (?, ?, ?, ?)",
            (item_id, content, result, partial),
        )
    if result is not None and parent is None:
        index_result(connection, item_id, name or key, result)
    if worst is not None:
        connection.execute(
            """
            INSERT INTO attempts (item_id, number, owner, request_sha256, worst_micros, sent_ms)
            VALUES (?, 1, 'w', 'x', ?, ?)
            """,
            (item_id, worst, NOW),
        )
    return item_id


def set_state(connection: Connection, item_id: int, state: ItemState) -> None:
    """Move an item as a worker does; a forbidden move fails."""
    marks = ",".join("?" * len(states_before(state)))
    connection.execute(
        f"UPDATE items SET state = ?, failure = coalesce(failure, '{{}}') WHERE id = ? AND state IN ({marks})",
        (state.value, item_id, *(old.value for old in states_before(state))),
    )
    assert connection.changes() == 1


def states_of(database: Database, job_id: int) -> dict[int, str]:
    """State by number of every item of a job."""
    return dict(database.read_now(lambda c: list(c.execute("SELECT id, state FROM items WHERE job_id = ?", (job_id,)))))


def retry(
    database: Database,
    job_id: int,
    *states: ItemState,
    item_ids: list[int] | None = None,
    cause: str | None = None,
) -> int:
    """Make items pending again."""
    chosen = item_moves.Chosen(job_id, states or (ItemState.FAILED,), item_ids, cause)
    return database.write_now(lambda c: item_moves.retry(c, chosen, NOW + 1))


def counted(database: Database, job_id: int) -> tuple[dict[tuple[int, str], int], dict[tuple[int, str], int]]:
    """(kept by the triggers, counted now) items by (is a part, state)."""

    def work(connection: Connection) -> tuple[dict[tuple[int, str], int], dict[tuple[int, str], int]]:
        kept = connection.execute("SELECT parts, state, count FROM job_counts WHERE job_id = ? AND count", (job_id,))
        now = connection.execute(
            "SELECT parent_id IS NOT NULL, state, count(*) FROM items WHERE job_id = ? GROUP BY 1, 2", (job_id,)
        )
        return {row[:2]: row[2] for row in kept}, {row[:2]: row[2] for row in now}

    return database.read_now(work)


def limits(**changes: int) -> JobLimits:
    """Limits of a job."""
    return JobLimits(**changes)  # type: ignore[arg-type]


def all_but(*left_out: ItemState) -> Collection[ItemState]:
    """Every state of an item but these."""
    return [state for state in ItemState if state not in left_out]
