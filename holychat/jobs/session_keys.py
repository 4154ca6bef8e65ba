"""Keys that were typed in this process: given to the worker again where a job waits for one.

A worker has the keys that whoever started it handed over, and one that takes over has those of another window. The keys
it lacks are nowhere but in the windows in which they were typed, so each window looks after the jobs that wait for its
own. They go over the standard input of the worker that it starts, and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, NamedTuple

from holychat.domain.jobs import ACTIVE_JOBS, PauseReason
from holychat.errors import KeyMissing, UsageError
from holychat.store import ledger_jobs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holychat.credentials.chain import KeyChain
    from holychat.credentials.secret import Secret
    from holychat.domain.jobs import Job
    from holychat.paths import Paths
    from holychat.providers.registry import ProviderRegistry
    from holychat.store.database import Database
    from holychat.store.workers import WorkerRow


_GRACE_MS = 5_000
"""Milliseconds in which a new worker is left to jobs that wait for the keys it has: their window resumes them."""


class _Tried(NamedTuple):
    """A key with which something was tried for a job, and how far the job was then."""

    secret: Secret
    requests: int


class SessionKeys:
    """One per process; belongs to one event loop.

    Args:
        database: Where jobs are, and where a worker says which keys it has.
        registry: Which providers need a key.
        keychain: Holds the keys that were typed.
        paths: Whose worker.
    """

    def __init__(self, database: Database, registry: ProviderRegistry, keychain: KeyChain, paths: Paths) -> None:
        self._database = database
        self._registry = registry
        self._keychain = keychain
        self._paths = paths
        self._resumed: dict[int, _Tried] = {}
        self._taken_over: dict[int, _Tried] = {}

    async def hand_over(self, jobs: Sequence[Job]) -> frozenset[int]:
        """See to it that jobs which wait for a key that was typed here go on; those for which something was done.

        A key with which a job was resumed and that brought it no answer is taken to be refused, and the job is not
        resumed with it again. A worker that lacks a key is replaced where it has no use for the keys that would go with
        it; for one job and one key that is done once, and again only when the job has had answers since. So two windows
        whose jobs need different keys get one after the other, and do not take the worker from each other for ever.
        Jobs for which nothing is left to be done are not among those that are returned.

        Args:
            jobs: All jobs there are, as they are now.

        Raises:
            StoreError: The database cannot be read or written.
        """
        keys = self._keychain.session_keys()
        waiting = [job for job in jobs if job.pause is PauseReason.KEY and job.spec.provider in keys]
        if not waiting or self._database.path is None:
            return frozenset()
        from holychat.jobs import spawn

        there, worker = await asyncio.to_thread(spawn.at_work, self._paths, self._database)
        untried = [job for job in waiting if self._resumed.get(job.id) != _as_it_is(job, keys)]
        if there and (worker is None or worker.leave):
            return frozenset(job.id for job in untried)  # one comes or goes: that will be seen
        if worker is None:
            return await self._resume(untried, keys)
        lacking = [job for job in waiting if job.spec.provider not in worker.session_keys]
        worth_it = [job for job in lacking if self._taken_over.get(job.id) != _as_it_is(job, keys)]
        if not worth_it:
            return await self._resume([job for job in untried if job not in lacking], keys)
        if await self._is_needed(worker, jobs, keys):
            return frozenset()
        return await self._take_over(worth_it, keys)

    async def missing(self, provider: str) -> KeyMissing | None:
        """What a job of this provider would wait for, were it sent now; None: nothing.

        A key that was typed in a window counts where the worker at work has it.

        Raises:
            UsageError: There is no such provider.
            StoreError: The database cannot be read.
        """
        try:
            await self._keychain.require(self._registry.info(provider))
        except KeyMissing as error:
            if self._database.path is None:
                return error
            from holychat.jobs import spawn

            _, worker = await asyncio.to_thread(spawn.at_work, self._paths, self._database)
            return None if worker is not None and provider in worker.session_keys else error
        return None

    async def _take_over(self, jobs: Sequence[Job], keys: Mapping[str, Secret]) -> frozenset[int]:
        from holychat.jobs import spawn

        if not await asyncio.to_thread(spawn.ensure_worker, self._paths, keys, self._database):
            return frozenset()
        for job in jobs:
            self._taken_over[job.id] = _as_it_is(job, keys)
            # The worker with which it was resumed may have been replaced before the key was tried.
            self._resumed.pop(job.id, None)
        return frozenset(job.id for job in jobs)

    async def _resume(self, jobs: Sequence[Job], keys: Mapping[str, Secret]) -> frozenset[int]:
        from holychat.jobs import spawn

        resumed = set()
        for job in jobs:
            if await self._database.write(lambda c, job=job: ledger_jobs.wake(c, job.id, PauseReason.KEY, _now_ms())):  # type: ignore[misc]
                self._resumed[job.id] = _as_it_is(job, keys)
                resumed.add(job.id)
        if resumed:
            await asyncio.to_thread(spawn.ensure_worker, self._paths, keys, self._database)
        return frozenset(resumed)

    async def _is_needed(self, worker: WorkerRow, jobs: Sequence[Job], keys: Mapping[str, Secret]) -> bool:
        """Whether a job is at work with a key that the next worker would not have, or is about to be."""
        if 0 <= _now_ms() - worker.started_ms < _GRACE_MS:
            others = set(worker.session_keys) - keys.keys()
            if any(job.pause is PauseReason.KEY and job.spec.provider in others for job in jobs):
                return True
        going = {job.spec.provider for job in jobs if job.state in ACTIVE_JOBS}
        for provider in going - keys.keys():
            if provider in worker.session_keys or not await self._has_key(provider):
                return True
        return False

    async def _has_key(self, provider: str) -> bool:
        try:
            info = self._registry.info(provider)
        except UsageError:
            return True  # there is no such provider: no worker can do anything for it
        return (await self._keychain.find(info)).usable


def _as_it_is(job: Job, keys: Mapping[str, Secret]) -> _Tried:
    return _Tried(keys[job.spec.provider], job.requests)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
