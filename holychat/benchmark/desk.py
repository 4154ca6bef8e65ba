"""The batch road: the same requests as a job of the real desk, with its ledger, in a home of their own.

The home is temporary, so that neither the history nor the jobs of the person are touched. What the job spends is
written into the person's own sums while it is spent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from holychat.benchmark.figures import Sample
from holychat.benchmark.trip import Progress, Trip
from holychat.domain.jobs import ENDED_JOBS, ItemState, JobLimits, JobSpec, JobState, Kind, Recipe, Source, SourceKind
from holychat.domain.spending import Spent
from holychat.errors import HolychatError
from holychat.jobs import commands
from holychat.jobs.engine import Engine
from holychat.money.costs import Costs
from holychat.paths import Paths, write_private_file
from holychat.settings import LimitSettings
from holychat.store import jobs, measured, spending
from holychat.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.benchmark.trip import Cargo, Record, Tell
    from holychat.credentials.chain import KeyChain
    from holychat.domain.jobs import Job
    from holychat.jobs.needs import Services
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings
    from holychat.store.database import Connection

_LOOK = 0.25
_GRACE = 2.0
"""Seconds that what is under way has to come back when it is to end early."""
_EVER = (0, 2**40)
"""All quarters of an hour there are."""
_LOST = (ItemState.FAILED, ItemState.IN_DOUBT)


@dataclass(frozen=True, slots=True)
class _Bench:
    """The services of a worker, with a database of its own and the person's providers and keys."""

    paths: Paths
    settings: Settings
    database: Database
    keychain: KeyChain
    registry: ProviderRegistry
    costs: Costs


class BatchRoad:
    """Does the requests of one model as a job.

    Args:
        services: The person's.
        concurrency: Requests at once; None: found out while running.
        record: Writes down what was spent.
        tell: Hears how far it is.
        stop: Once set, nothing more is sent.
    """

    def __init__(
        self, services: Services, concurrency: int | None, record: Record, tell: Tell, stop: asyncio.Event
    ) -> None:
        self._services = services
        self._concurrency = concurrency
        self._record = record
        self._tell = tell
        self._stop = stop
        self._recorded = Spent()

    async def go(self, cargo: Cargo) -> Trip:
        """Send them all; what went wrong is in the result."""
        self._recorded = Spent()
        with _home() as folder:
            file = folder / "requests.jsonl"
            await asyncio.to_thread(write_private_file, file, _lines(cargo))
            bench = await asyncio.to_thread(_open, self._services, folder)
            try:
                job = await bench.database.write(lambda c: _ordered(c, cargo, file, self._concurrency))
                await self._work(bench, job, cargo)
                return await self._trip(bench, job.id, cargo)
            finally:
                await asyncio.to_thread(bench.database.close)

    async def _work(self, bench: _Bench, job: Job, cargo: Cargo) -> None:
        engine = Engine(bench, f"bench-{os.getpid()}")
        working = asyncio.create_task(engine.run(0.0, _GRACE))
        stopping = asyncio.create_task(self._stop.wait())
        began = time.monotonic()
        try:
            while not working.done():
                # Once it is to end, only the end of the work is waited for.
                awaited = {working} if self._stop.is_set() else {working, stopping}
                await asyncio.wait(awaited, timeout=_LOOK, return_when=asyncio.FIRST_COMPLETED)
                now = await bench.database.read(lambda c: jobs.get(c, job.id))
                self._tell(_progress(cargo, now, time.monotonic() - began))
                await self._keep(bench)
                if self._stop.is_set() or now.state is JobState.PAUSED:
                    engine.stop()
            await working
        finally:
            stopping.cancel()
            if not working.done():
                engine.stop()
                working.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await working
            await self._keep(bench, last=True)

    async def _keep(self, bench: _Bench, *, last: bool = False) -> None:
        """Write down what was spent since the last time; at the end also, at its worst, what may have been billed."""

        def read(connection: Connection) -> Spent:
            spent = spending.total(connection, _EVER)
            if not last:
                return spent
            open_ = spending.unsettled(connection, _EVER)
            return spent + Spent(open_.requests, open_.requests - open_.unknown, open_.unknown, open_.micros)

        spent = await bench.database.read(read)
        more = spent - self._recorded
        if more.requests or more.micros:
            self._recorded = spent
            await self._record(more)

    async def _trip(self, bench: _Bench, job_id: int, cargo: Cargo) -> Trip:
        job, rows, refused, failure = await bench.database.read(
            lambda c: (
                jobs.get(c, job_id),
                measured.answered(c, job_id),
                measured.refusals(c, job_id),
                measured.commonest_failure(c, job_id),
            )
        )
        samples = [Sample(row.sent_ms, row.elapsed_ms, None, row.output_tokens, *row[3:]) for row in rows]
        trip = Trip(len(cargo.requests), samples, sum(map(job.counts.of, _LOST)), refused, self._recorded)
        if job.state not in ENDED_JOBS and not self._stop.is_set():
            trip.note = f"ended after {job.counts.ended:,} requests: {job.pause_detail or 'the desk stopped'}"
        elif trip.errors and failure:
            trip.note = f"errors: {failure}"
        if trip.note:
            trip.failure = HolychatError(trip.note)
        return trip


@contextlib.contextmanager
def _home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="holychat-bench-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def _open(services: Services, folder: Path) -> _Bench:
    paths = Paths(services.paths.config, folder / "data", folder / "state")
    # What may be spent per day and month is in the allowance, seen from the person's own sums.
    settings = msgspec.structs.replace(services.settings, limits=LimitSettings())
    database = Database.open(paths.database)
    return _Bench(paths, settings, database, services.keychain, services.registry, Costs(database, settings))


def _lines(cargo: Cargo) -> str:
    """The requests in the format that `holychat batch submit` reads."""
    lines = []
    for number, request in enumerate(cargo.requests):
        messages = [{"role": message.role.value, "content": message.text} for message in request.messages]
        body: dict[str, object] = {"model": cargo.model, "messages": messages, "max_tokens": request.max_tokens}
        line = {"custom_id": f"bench-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
        lines.append(json.dumps(line) + "\n")
    return "".join(lines)


def _ordered(connection: Connection, cargo: Cargo, file: Path, concurrency: int | None) -> Job:
    spec = JobSpec(
        "Benchmark",
        Recipe(Kind.REQUESTS),
        (Source(SourceKind.REQUESTS, str(file)),),
        cargo.provider,
        cargo.model,
        limits=JobLimits(budget_micros=cargo.allowance, concurrency=concurrency),
    )
    now_ms = time.time_ns() // 1_000_000
    return commands.confirm(connection, jobs.create(connection, spec, now_ms).id, None, now_ms)


def _progress(cargo: Cargo, job: Job, seconds: float) -> Progress:
    done, of = job.counts.of(ItemState.DONE), len(cargo.requests)
    left = seconds / done * (of - done) if done else None
    return Progress(cargo.model, "batch", done, of, sum(map(job.counts.of, _LOST)), left)
