"""What the screen knows of background jobs: one feed that reads them when something has changed, and spreads values.

Whoever writes (the worker, another window, a shell), the feed sees that the database has changed, reads the list of
jobs off the loop and hands it on, four times a second at most. Where nothing changes, nothing is read or painted.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from holychat.domain.jobs import ENDED_JOBS, JobState, PauseReason
from holychat.errors import HolychatError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holychat.domain.jobs import Job
    from holychat.jobs.service import JobService

_LOG = logging.getLogger(__name__)
_FRAME = 0.25
"""Seconds between two readings at least."""
_LOOK = 0.3
"""Seconds between two looks at whether anything has changed."""
_CARE = 30.0
"""Seconds between two looks at whether jobs are left lying."""
_WORTH_TELLING = frozenset(
    {PauseReason.BUDGET, PauseReason.KEY, PauseReason.QUOTA, PauseReason.TRIAL, PauseReason.STORE}
)
"""Pauses that a job does not end by itself, and that nobody has asked for."""


class Desk:
    """The feed of one window.

    Args:
        jobs: Where jobs are.
        changed: Gets all jobs whenever one of them has changed, the active ones first.
        told: Gets a job that has just ended, or paused in a way that somebody should know.
    """

    def __init__(self, jobs: JobService, changed: Callable[[Sequence[Job]], None], told: Callable[[Job], None]) -> None:
        self.jobs = jobs
        self.shown: Sequence[Job] = ()
        self._changed = changed
        self._told = told
        self._states: dict[int, tuple[JobState, PauseReason | None]] | None = None
        self._wanted = asyncio.Event()

    @property
    def is_read(self) -> bool:
        """Whether the jobs were read at least once."""
        return self._states is not None

    def poke(self) -> None:
        """Something was changed here: read at the next chance."""
        self._wanted.set()

    async def run(self) -> None:
        """Read and spread until the service is closed."""
        others = [
            asyncio.create_task(self._watch(), name="watch jobs"),
            asyncio.create_task(self._look_after(), name="look after jobs"),
        ]
        self.poke()
        try:
            while True:
                await self._wanted.wait()
                self._wanted.clear()
                try:
                    jobs = await self.jobs.list()
                    self._spread(jobs, await self._help(jobs))
                except HolychatError as error:
                    _LOG.warning("jobs could not be read: %s", error.title)
                await asyncio.sleep(_FRAME)
        finally:
            for task in others:
                task.cancel()

    async def _help(self, jobs: Sequence[Job]) -> frozenset[int]:
        """Hand keys over; what keeps that from being done keeps nobody from seeing how the jobs stand."""
        try:
            return await self.jobs.session_keys.hand_over(jobs)
        except HolychatError as error:
            _LOG.warning("keys could not be handed over: %s", error.title)
            return frozenset()

    async def _watch(self) -> None:
        try:
            async for _ in self.jobs.changes(_LOOK):
                self._wanted.set()
        except HolychatError as error:
            _LOG.warning("changes of jobs are no longer shown: %s", error.title)

    async def _look_after(self) -> None:
        """See to it that jobs which were left lying, by a reboot or a crash, are gone on with."""
        while True:
            try:
                await self.jobs.look_after()
                self.poke()  # a key may have been typed since
            except HolychatError as error:
                _LOG.warning("nobody looks after jobs: %s", error.title)
            await asyncio.sleep(_CARE)

    def _spread(self, jobs: Sequence[Job], helped: frozenset[int]) -> None:
        """Hand them on, and tell what is news; a job that was helped goes on by itself in a moment."""
        before = self._states
        self._states = {job.id: (job.state, job.pause) for job in jobs}
        for job_id in helped & (before or {}).keys():
            self._states[job_id] = (before or {})[job_id]  # where the help was of no use, that is news then
        if list(jobs) != list(self.shown) or before is None:
            self.shown = jobs
            self._changed(jobs)
        if before is None:
            return
        for job in jobs:
            old = before.get(job.id)
            if old is not None and old != (job.state, job.pause) and job.id not in helped and _is_news(old[0], job):
                self._told(job)


def _is_news(old: JobState, job: Job) -> bool:
    if job.state in ENDED_JOBS:
        return old not in ENDED_JOBS and job.state is not JobState.CANCELLED
    return job.pause in _WORTH_TELLING
