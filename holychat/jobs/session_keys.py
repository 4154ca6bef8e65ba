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
from holychat.errors import UsageError
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


class _Tried(NamedTuple):
    """A key with which a job was resumed, and how far the job was then."""

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
        self._tried: dict[int, _Tried] = {}

    async def hand_over(self, jobs: Sequence[Job]) -> frozenset[int]:
        """See to it that jobs which wait for a key that was typed here go on; those for which something was done.

        A key that was handed over and brought a job no answer is taken to be refused, and not tried again. A worker
        that has keys of another window keeps them until it has no more use for them: two windows whose jobs need
        different keys get one after the other, and never take the worker from each other.

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
        untried = [job for job in waiting if not self._was_refused(job, keys)]
        if there and (worker is None or worker.leave):
            return frozenset(job.id for job in untried)  # one comes or goes: that will be seen
        lacking = [] if worker is None else [job for job in waiting if job.spec.provider not in worker.session_keys]
        if worker is None or not lacking:
            return await self._resume(untried, keys)
        if await self._is_needed(worker, jobs, keys):
            return frozenset()
        for job in lacking:
            self._tried.pop(job.id, None)  # it was replaced before that could be told
        await asyncio.to_thread(spawn.ensure_worker, self._paths, keys, self._database)
        return frozenset(job.id for job in lacking)

    def _was_refused(self, job: Job, keys: Mapping[str, Secret]) -> bool:
        return self._tried.get(job.id) == _Tried(keys[job.spec.provider], job.requests)

    async def _resume(self, jobs: Sequence[Job], keys: Mapping[str, Secret]) -> frozenset[int]:
        from holychat.jobs import spawn

        resumed = set()
        for job in jobs:
            self._tried[job.id] = _Tried(keys[job.spec.provider], job.requests)
            if await self._database.write(lambda c, job=job: ledger_jobs.wake(c, job.id, PauseReason.KEY, _now_ms())):  # type: ignore[misc]
                resumed.add(job.id)
        if resumed:
            await asyncio.to_thread(spawn.ensure_worker, self._paths, keys, self._database)
        return frozenset(resumed)

    async def _is_needed(self, worker: WorkerRow, jobs: Sequence[Job], keys: Mapping[str, Secret]) -> bool:
        """Whether a job is at work with a key that the next worker would not have."""
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


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
