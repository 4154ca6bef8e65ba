"""Pauses that the worker finds reason for: the money, a trial that is over, a key, a disk that is full."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from holychat.catalog.money import money_text
from holychat.domain.jobs import PauseReason
from holychat.domain.usage import Cost
from holychat.jobs.preparing import Ready
from holychat.store import ledger_jobs
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holychat.jobs.chores import Chores
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.run import JobRun
    from holychat.store.database import Connection

_log = logging.getLogger(__name__)

_OVER = (
    "The next request could cost more than [limits] of config.toml leave for today or this month."
    " Resume when the day or the month is over, or raise the limit."
)


class Pauses:
    """Jobs that are to be paused, which is not written yet: they must not be taken up again meanwhile.

    Args:
        writer: Writes them down.
        chores: Does it.
        stop: Stops a job at once.
        changed: Called when one is written.
    """

    def __init__(
        self, writer: LedgerWriter, chores: Chores, stop: Callable[[JobRun], None], changed: Callable[[], None]
    ) -> None:
        self._writer = writer
        self._chores = chores
        self._stop = stop
        self._changed = changed
        self._jobs: set[int] = set()

    def __contains__(self, job_id: int) -> bool:
        return job_id in self._jobs

    def __bool__(self) -> bool:
        return bool(self._jobs)

    def pause(self, run: JobRun, reason: PauseReason, detail: str) -> None:
        """Send nothing more of a job until somebody, or something, resumes it."""
        if run.id in self._jobs:
            return
        self._stop(run)
        self._jobs.add(run.id)
        self._chores.do(self._write(run.id, reason, detail))

    def freeze(self, runs: Iterable[JobRun]) -> None:
        """Stop these, because the ledger cannot be written; `write_frozen` writes that down when it can be."""
        for run in list(runs):
            self._stop(run)
            self._jobs.add(run.id)

    def write_frozen(self, connection: Connection, detail: str) -> None:
        """Write down that what was frozen is paused."""
        for job_id in list(self._jobs):
            ledger_jobs.pause(connection, job_id, PauseReason.STORE, detail, _now_ms())

    def thaw(self) -> None:
        """It is written down."""
        self._jobs.clear()
        self._changed()

    async def _write(self, job_id: int, reason: PauseReason, detail: str) -> None:
        try:
            await self._writer.transaction(lambda c: ledger_jobs.pause(c, job_id, reason, detail, _now_ms()))
            _log.info("Job %d is paused: %s", job_id, clean_line(detail, 300))
        finally:
            self._jobs.discard(job_id)
            self._changed()


def why_to_pause(run: JobRun) -> tuple[PauseReason, str] | None:
    """Whether a job has come to a point where it waits for a person: why, and what to do about it."""
    if run.trial_is_over:
        return PauseReason.TRIAL, f"{run.job.spec.limits.trial} documents were tried. Look at them, then resume."
    if run.over_limit and run.is_quiet:
        return PauseReason.BUDGET, _OVER
    if run.short and run.is_quiet:
        return PauseReason.BUDGET, _money_left(run)
    return None


def _money_left(run: JobRun) -> str:
    limit = run.budget.limit or 0
    worst = run.worst_of(run.head) if isinstance(run.head, Ready) else None
    if worst is None:
        return (
            f"The price of {run.job.spec.model} is not known, so no budget can be kept."
            " Write it into [prices] of config.toml, or resume without a budget."
        )
    left = money_text(Cost(max(0, limit - run.budget.taken)))
    return f"The next request could cost {money_text(Cost(worst))}; {left} of {money_text(Cost(limit))} are left."


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
