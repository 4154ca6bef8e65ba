"""Windows with keys of their own and one worker at most: who may take it from whom, and how often."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ACTIVE_JOBS, JobSpec, JobState, Kind, PauseReason, Recipe, Source, SourceKind
from holychat.errors import StoreError
from holychat.jobs import spawn
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import ProviderSettings, Settings
from holychat.store import ledger_jobs
from holychat.store.workers import WorkerRow
from holychat.tui.desk import Desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from holychat.credentials.secret import Secret
    from holychat.domain.jobs import Job
    from holychat.services import Services

NONE: frozenset[int] = frozenset()


class Stage:
    """A worker that is there or not, and no process."""

    def __init__(self) -> None:
        self.row: WorkerRow | None = None
        self.begun: list[tuple[str, ...]] = []
        """The keys of each worker that began."""
        self.can_start = True
        self.started_ms: int | None = None

    def at_work(self, *_: object) -> tuple[bool, WorkerRow | None]:
        return self.row is not None, self.row

    def ensure_worker(self, _paths: Paths, keys: Mapping[str, Secret], *_: object) -> bool:
        if not self.can_start or (self.row is not None and set(keys) <= set(self.row.session_keys)):
            return False
        started = time.time_ns() // 1_000_000 if self.started_ms is None else self.started_ms
        self.row = WorkerRow("somebody", 1, started, started, tuple(keys), False)
        self.begun.append(tuple(keys))
        return True


class Window:
    """An app's services, and a job that waits for the key that was typed in it."""

    def __init__(self, services: Services, name: str) -> None:
        self.services = services
        services.keychain.use(name, f"sk-typed-in-this-session-{name}-0123456789")
        self.name = name
        self.job_id = 0

    async def order(self, folder: Path) -> None:
        source = Source(SourceKind.PATH, str(folder))
        job = await self.services.jobs.create(JobSpec("", Recipe(Kind.SUMMARIZE), (source,), self.name))
        self.job_id = (await self.services.jobs.confirm(job.id)).id
        await self.refuse()

    async def refuse(self) -> None:
        """What a worker does that has not the key, or that has one which is refused."""
        if (await self.job()).state in ACTIVE_JOBS:
            await self.services.database.write(
                lambda c: ledger_jobs.pause(c, self.job_id, PauseReason.KEY, "a key", 1),
            )

    async def look(self) -> frozenset[int]:
        jobs = self.services.jobs
        return await jobs.session_keys.hand_over(await jobs.list())

    async def job(self) -> Job:
        return await self.services.jobs.get(self.job_id)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    stage = Stage()
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr(spawn, "at_work", stage.at_work)
    monkeypatch.setattr(spawn, "ensure_worker", stage.ensure_worker)
    return stage


@contextlib.asynccontextmanager
async def windows(folder: Path, *names: str) -> AsyncIterator[list[Window]]:
    """A window for each provider, all of one home, with a job each."""
    paths = Paths.resolve({"HOLYCHAT_HOME": str(folder / "home")})
    provider = ProviderSettings(kind="openai", base_url="http://127.0.0.1:9/v1", model="m", needs_key=True)
    settings = Settings(providers=dict.fromkeys(("first", "second"), provider))
    documents = folder / "documents"
    documents.mkdir()
    (documents / "a.txt").write_text("a letter")
    async with contextlib.AsyncExitStack() as stack:
        opened = []
        for name in names:
            services = open_services(paths, settings, {})
            stack.push_async_callback(services.close)
            opened.append(Window(services, name))
            await opened[-1].order(documents)
        yield opened


def worker(*keys: str) -> WorkerRow:
    """One that began long ago."""
    return WorkerRow("somebody", 1, 0, 0, keys, False)


async def test_two_windows_whose_keys_help_nobody_do_not_take_the_worker_from_each_other_for_ever(
    tmp_path: Path, stage: Stage
) -> None:
    stage.started_ms = 0
    async with windows(tmp_path, "first", "second") as both:
        stage.row, stage.begun = worker(), []
        for _ in range(10):
            for window in both:
                helped = await window.look()
                for each in both:
                    await each.refuse()
        assert sorted(stage.begun) == [("first",), ("second",)], "each took it once"
        assert helped == NONE
        assert [await window.look() for window in both] == [NONE, NONE], "the person is told that they are paused"
        # Another key that is typed is another chance.
        both[0].services.keychain.use("first", "sk-another-one-0123456789")
        stage.row = worker("second")
        assert await both[0].look() == {both[0].job_id}


async def test_a_worker_that_has_just_begun_with_a_key_is_left_to_the_job_that_it_began_for(
    tmp_path: Path, stage: Stage
) -> None:
    async with windows(tmp_path, "first", "second") as (one, other):
        stage.row, stage.begun = worker(), []
        assert await one.look() == {one.job_id}
        assert await other.look() == NONE
        assert await one.look() == {one.job_id}
        assert stage.begun == [("first",)]
        assert (await one.job()).state is JobState.QUEUED


async def test_a_worker_that_could_not_be_started_is_no_help_and_is_tried_again(tmp_path: Path, stage: Stage) -> None:
    async with windows(tmp_path, "first") as (window,):
        stage.row, stage.can_start = worker(), False
        assert await window.look() == NONE
        stage.can_start = True
        assert await window.look() == {window.job_id}


async def test_a_key_is_not_taken_to_be_refused_because_the_disk_was_full(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with windows(tmp_path, "first") as (window,):
        stage.row = None
        with monkeypatch.context() as patch:
            patch.setattr(window.services.database, "write", full)
            with pytest.raises(StoreError):
                await window.look()
        assert await window.look() == {window.job_id}
        assert (await window.job()).state is JobState.QUEUED


async def test_jobs_are_shown_though_no_key_can_be_handed_over(
    tmp_path: Path, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with windows(tmp_path, "first") as (window,):
        monkeypatch.setattr(window.services.jobs.session_keys, "hand_over", full)
        shown: asyncio.Queue[Sequence[Job]] = asyncio.Queue()
        feed = asyncio.create_task(Desk(window.services.jobs, shown.put_nowait, lambda _: None).run())
        try:
            jobs = await asyncio.wait_for(shown.get(), 10)
        finally:
            feed.cancel()
            await asyncio.gather(feed, return_exceptions=True)
        assert [job.pause for job in jobs] == [PauseReason.KEY]


async def full(_work: object) -> None:
    raise StoreError("The disk is full")
