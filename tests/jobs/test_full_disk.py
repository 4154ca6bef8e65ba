"""A disk that takes no more: nothing is sent that was not written down, and what was paid for waits until it can be."""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ItemState, JobLimits, JobState, PauseReason
from tests.jobs.desk_home import DeskHome
from tests.support.forks import Forks
from tests.support.quota_server import QuotaServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.forks import Process

    Way = Callable[[Path, Process], contextlib.AbstractContextManager[None]]

_DOCUMENTS = 120
_AT_ONCE = 8


@contextlib.contextmanager
def no_longer_writing(_: Path, worker: Process) -> Iterator[None]:
    """The system takes no more bytes from the worker into any file, whatever its size."""
    import resource

    _, hard = resource.prlimit(worker.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        if worker.status is None:
            resource.prlimit(worker.pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextlib.contextmanager
def no_space_left(disk: Path, _: Process) -> Iterator[None]:
    """The disk is full to its last byte."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass
    try:
        yield
    finally:
        ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own of 32 megabytes, where this may be made; else a folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = False
    if sys.platform == "linux" and os.geteuid() == 0:
        command = ["mount", "-t", "tmpfs", "-o", "size=32m,mode=0700", "tmpfs", str(folder)]
        mounted = subprocess.run(command, check=False, capture_output=True).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def usable(way: Way, disk: Path) -> Way:
    if way is no_space_left and not disk.is_mount():
        pytest.skip("a disk of its own needs root and mount")
    if way is no_longer_writing and sys.platform != "linux":
        pytest.skip("limits of another process can be set on Linux only")
    return way


@pytest.mark.parametrize("way", [no_longer_writing, no_space_left])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_full_disk_stops_the_sending_and_every_answer_is_kept(way: Way, seed: int, disk: Path) -> None:
    chance = random.Random(seed)
    with (
        QuotaServer(latency_ms=(25, 0.5), seed=seed) as server,
        DeskHome(disk, server) as desk,
        Forks(desk.environ, disk.parent / "said") as forks,
    ):
        full = usable(way, disk)
        job_id = desk.order(desk.documents(_DOCUMENTS), JobLimits(concurrency=_AT_ONCE))
        worker = forks.start("worker", "--stay")
        for _ in range(3):
            some = server.totals().arrived + chance.randint(3, 20)
            desk.wait_for(lambda some=some: server.totals().arrived >= some or desk.ended(job_id))
            with full(disk, worker):
                arrived = _settled(server)
                # A while later still nothing more was sent.
                time.sleep(0.4)
                assert server.totals().arrived == arrived
                assert worker.status is None, forks.said
            desk.wait_for(lambda: desk.job(job_id).state in (JobState.PAUSED, JobState.FINISHED))
            job = desk.job(job_id)
            assert job.state is JobState.FINISHED or job.pause is PauseReason.STORE
            desk.resume(job_id)
        desk.wait_until_ended(job_id)
        worker.kill()
        ledger = desk.check(job_id)
        # The worker lived through it, so it knows what became of every request: nothing is in doubt.
        assert desk.job(job_id).state is JobState.FINISHED
        assert {row.state for row in desk.rows(job_id)} == {ItemState.DONE}
        assert set(ledger.accepted.values()) == {1}


@pytest.mark.parametrize("way", [no_longer_writing, no_space_left])
def test_a_worker_killed_while_the_disk_is_full_leaves_doubts_and_nothing_worse(way: Way, disk: Path) -> None:
    with (
        QuotaServer(latency_ms=(25, 0.5)) as server,
        DeskHome(disk, server) as desk,
        Forks(desk.environ, disk.parent / "said") as forks,
    ):
        full = usable(way, disk)
        job_id = desk.order(desk.documents(_DOCUMENTS), JobLimits(concurrency=_AT_ONCE))
        for some in (10, 40, 70):
            worker = forks.start("worker", "--stay")
            desk.wait_for(lambda some=some: server.totals().arrived >= some)
            with full(disk, worker):
                _settled(server)
                worker.kill()
            desk.check(job_id)
            desk.resume(job_id)
        worker = forks.start("worker", "--stay")
        desk.wait_until_ended(job_id)
        desk.check(job_id)
        doubts = desk.retry_doubts(job_id)
        assert 0 < doubts <= 3 * _AT_ONCE
        desk.wait_until_ended(job_id)
        desk.check(job_id)
        assert {row.state for row in desk.rows(job_id)} == {ItemState.DONE}
        worker.kill()


def _settled(server: QuotaServer) -> int:
    """Wait until the provider has answered all it took on; how many requests arrived so far."""
    end = time.monotonic() + 10
    calm, arrived = 0, -1
    while calm < 5:
        assert time.monotonic() < end
        totals = server.totals()
        calm = calm + 1 if totals.in_flight == 0 and totals.arrived == arrived else 0
        arrived = totals.arrived
        time.sleep(0.02)
    return arrived
