"""The lanes of the worker: one per provider and model, shared by all jobs that use it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from holychat.errors import HolychatError, ProviderError, Unreachable
from holychat.jobs.lane import Lane
from holychat.jobs.sender import Sender
from holychat.store.owners import Owners

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from holychat.domain.jobs import Job, PauseReason
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.needs import Services
    from holychat.jobs.run import JobRun

_log = logging.getLogger(__name__)

_MOST_AT_ONCE = 512
_OFFLINE_AT_ONCE = 2
"""The offline provider computes in this process: more at once would only make each slower."""
_FIRST_PROBE, _LONGEST_PROBE = 5.0, 60.0
_ALIVE_SECONDS = 5.0


class Wait(NamedTuple):
    """Why nothing of a job is sent at the moment."""

    until_ms: int
    why: str


class Lanes:
    """Belongs to one event loop.

    Args:
        services: Providers, prices, settings.
        writer: Writes the ledger.
        pause: Pauses a job.
    """

    def __init__(
        self, services: Services, writer: LedgerWriter, pause: Callable[[JobRun, PauseReason, str], None]
    ) -> None:
        self._services = services
        self._writer = writer
        self._pause = pause
        self._senders: dict[tuple[str, str], tuple[Sender, list[asyncio.Task[None]]]] = {}
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._owners = Owners(services.paths.locks)
        self._alive: dict[str, tuple[float, bool]] = {}

    @property
    def in_flight(self) -> int:
        """Requests under way."""
        return sum(sender.in_flight for sender, _ in self._senders.values())

    def join(self, run: JobRun) -> None:
        """Let a job send through the lane of its provider and model.

        Raises:
            UsageError: There is no such provider.
        """
        if run.lane not in self._senders:
            self._senders[run.lane] = self._open(run.job)
        self._senders[run.lane][0].runs.append(run)
        self._say_rate(run)

    def leave(self, run: JobRun) -> None:
        """The job is not in hand any more."""
        if (known := self._senders.get(run.lane)) is not None and run in known[0].runs:
            known[0].runs.remove(run)
            self._say_rate(run)

    def _say_rate(self, run: JobRun) -> None:
        """The lowest of the rates that are known of a lane holds for all that use it."""
        sender = self._senders[run.lane][0]
        rates = [other.job.spec.limits.requests_per_minute for other in sender.runs]
        rates.append(self._services.settings.jobs.requests_per_minute.get(run.job.spec.provider))
        sender.lane.allow(min((rate for rate in rates if rate is not None), default=None))

    def abort(self, run: JobRun) -> None:
        """Give up what is under way of a job."""
        if (known := self._senders.get(run.lane)) is not None:
            known[0].abort(run)

    def changed(self) -> None:
        """There may be something to send."""
        for sender, _ in self._senders.values():
            sender.changed()

    def make_room(self, live: Iterable[tuple[str, str]]) -> None:
        """Leave room for people who wait for an answer in a chat: (provider, owner of the reply) of each."""
        turns = Counter(provider for provider, owner in live if self._is_alive(owner))
        for (provider, _), (sender, _) in self._senders.items():
            sender.lane.make_room(turns[provider])

    def wait_of(self, run: JobRun) -> Wait | None:
        """Whether a job waits for its provider."""
        known = self._senders.get(run.lane)
        if known is None or not run.active:
            return None
        sender = known[0]
        now = asyncio.get_running_loop().time()
        waits = [(sender.hold_until, "the provider cannot be reached")]
        if (until := sender.lane.waiting_until) is not None:
            waits.append((until, "the provider asked to wait"))
        until, why = max(waits)
        return Wait(time.time_ns() // 1_000_000 + round((until - now) * 1000), why) if until > now else None

    def probe_for(self, jobs: Sequence[Job], awake: Callable[[list[int]], Awaitable[None]]) -> None:
        """Look from time to time whether the providers of jobs that wait for the network can be reached."""
        wanted: dict[str, list[int]] = {}
        for job in jobs:
            wanted.setdefault(job.spec.provider, []).append(job.id)
        for provider, job_ids in wanted.items():
            task = self._probes.get(provider)
            if task is None or task.done():
                self._probes[provider] = asyncio.create_task(self._probe(provider, job_ids, awake))
        for provider in set(self._probes) - set(wanted):
            self._probes.pop(provider).cancel()

    async def stop(self, grace_seconds: float, runs: Sequence[JobRun]) -> None:
        """Send nothing more, wait for what is under way, then give it up."""
        for _, tasks in self._senders.values():
            for task in tasks:
                task.cancel()
        senders = [sender for sender, _ in self._senders.values()]
        await asyncio.gather(*(sender.wait_for_tasks(grace_seconds) for sender in senders))
        for run in runs:
            self.abort(run)
        await asyncio.gather(*(sender.wait_for_tasks(grace_seconds) for sender in senders))

    async def close(self) -> None:
        """Close all connections."""
        probes = list(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)
        for sender, _ in self._senders.values():
            await sender.provider.aclose()

    def _open(self, job: Job) -> tuple[Sender, list[asyncio.Task[None]]]:
        spec = job.spec
        info = self._services.registry.info(spec.provider)
        cap = _OFFLINE_AT_ONCE if info.kind == "offline" else max(_MOST_AT_ONCE, spec.limits.concurrency or 0)
        lane = Lane(cap=cap)
        if spec.limits.concurrency:
            lane.expect(spec.limits.concurrency)
        provider = self._services.registry.lane(spec.provider, connections=cap)
        sender = Sender(provider, lane, self._writer, self._services.costs, self._pause)
        # What is in no hurry waits in a queue of its own, so that it holds up nothing else.
        tasks = [asyncio.create_task(sender.run(background=background)) for background in (False, True)]
        return sender, tasks

    async def _probe(self, provider: str, job_ids: list[int], awake: Callable[[list[int]], Awaitable[None]]) -> None:
        pause = _FIRST_PROBE
        while True:
            await asyncio.sleep(pause)
            if await self._answers(provider):
                await awake(job_ids)
                return
            pause = min(_LONGEST_PROBE, pause * 2)

    async def _answers(self, provider: str) -> bool:
        """Whether a provider says anything at all; asking for its models costs nothing."""
        try:
            await self._services.registry.get(provider).models()
        except Unreachable:
            return False
        except ProviderError as error:
            return error.status is not None
        except HolychatError:
            return True  # a key that is missing is found out by sending
        return True

    def _is_alive(self, owner: str) -> bool:
        now = time.monotonic()
        known = self._alive.get(owner)
        if known is None or now - known[0] > _ALIVE_SECONDS:
            self._alive = {name: seen for name, seen in self._alive.items() if now - seen[0] <= _ALIVE_SECONDS}
            self._alive[owner] = known = (now, not self._owners.is_dead(owner))
        return known[1]
