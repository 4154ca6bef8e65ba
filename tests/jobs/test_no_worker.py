"""No process or thread is to be had for a worker: the job is kept, and whoever ordered it hears of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import JobSpec, JobState, Kind, Recipe, Source, SourceKind
from holychat.jobs import spawn
from holychat.jobs.worker import WorkerLock
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("trouble", [BlockingIOError(11, "Try again"), RuntimeError("can't start new thread")])
async def test_a_job_is_kept_where_no_worker_can_be_started_and_that_is_told(
    private_environment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def no_process(*_: object, **__: object) -> None:
        raise trouble

    async def no_thread(*_: object) -> None:
        raise trouble

    (tmp_path / "paper.txt").write_text("The wombat digs.")
    spec = JobSpec("", Recipe(Kind.SUMMARIZE), (Source(SourceKind.PATH, str(tmp_path / "paper.txt")),), "offline")
    services = open_services(Paths.resolve({"HOLYCHAT_HOME": str(private_environment)}), Settings(), {})
    try:
        job = await services.jobs.create(spec)
        assert services.worker_trouble is None
        with monkeypatch.context() as patched:
            if isinstance(trouble, OSError):
                patched.setattr(spawn.subprocess, "Popen", no_process)
            else:
                patched.setattr(asyncio, "to_thread", no_thread)
            assert (await services.jobs.confirm(job.id)).state is JobState.QUEUED
        assert services.worker_trouble is not None
        assert str(trouble.args[-1]) in services.worker_trouble.title
        lock = WorkerLock(services.paths)
        assert lock.take(1)
        await services.jobs.look_after()
        lock.release()
        assert services.worker_trouble is None
    finally:
        await services.close()
