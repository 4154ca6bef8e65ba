"""What the worker says of its jobs once a second, for people to see. Runs in the writer's thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holychat.catalog.money import money_text
from holychat.domain.jobs import OPEN_ITEMS
from holychat.domain.usage import Cost
from holychat.jobs.progress import progress_of
from holychat.store import ledger_jobs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holychat.domain.jobs import Job, Progress
    from holychat.jobs.lanes import Wait
    from holychat.jobs.run import JobRun
    from holychat.store.database import Connection

_WARN = 0.8
"""Share of the budget from which on the job says so."""


def say_progress(connection: Connection, runs: Iterable[JobRun], waits: Mapping[int, Wait | None]) -> None:
    """Write down how fast each job is, when it will have ended and what it will have cost."""
    runs = list(runs)
    jobs = ledger_jobs.by_number(connection, [run.id for run in runs])
    for run in runs:
        if (job := jobs.get(run.id)) is not None:
            progress = _progress(run, job, waits.get(run.id))
            projected = _projected(job)
            if (progress, projected) != (job.progress, job.money.projected):
                ledger_jobs.say_progress(connection, run.id, progress, projected)
            _warn(connection, job)


def _progress(run: JobRun, job: Job, wait: Wait | None) -> Progress:
    counts = job.counts
    left = sum(counts.of(state) + counts.parts.get(state, 0) for state in OPEN_ITEMS)
    return progress_of(
        in_flight=run.in_flight,
        rate=run.pace.per_minute(time.monotonic()) if run.active else None,
        left=left if job.listed else None,
        now_ms=time.time_ns() // 1_000_000,
        waiting_until_ms=None if wait is None else wait.until_ms,
        waiting_for="" if wait is None else wait.why,
    )


def _projected(job: Job) -> int | None:
    """Spent so far, and the same for each document that is left as for those that have ended."""
    counts, money = job.counts, job.money
    if money.unknown or not job.listed or not job.requests:
        return None
    answered = job.requests
    left = sum(counts.of(state) + counts.parts.get(state, 0) for state in OPEN_ITEMS)
    return money.spent + money.in_doubt + round(money.spent / answered * left)


def _warn(connection: Connection, job: Job) -> None:
    limit = job.spec.limits.budget_micros
    if limit and job.money.spent + job.money.in_doubt >= _WARN * limit:
        ledger_jobs.add_note(
            connection, job.id, f"More than {_WARN:.0%} of the budget of {money_text(Cost(limit))} is used."
        )
