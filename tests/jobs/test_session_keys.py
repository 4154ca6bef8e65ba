"""Keys that were typed in a window and are nowhere else: workers come and go, the jobs get theirs all the same.

The windows are the feed of the screen over services of their own; workers are processes, the provider is a server that
answers nobody without the right key.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest

from holychat.domain.jobs import ENDED_JOBS, ItemState, JobSpec, JobState, Kind, PauseReason, Recipe, Source, SourceKind
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import load_settings
from holychat.store import workers
from holychat.tui.desk import Desk
from tests.jobs.desk import echo
from tests.support.loopback import Loopback, Pause, Request, Script, error_reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from holychat.domain.jobs import Job
    from holychat.services import Services

CONFIG = """
[providers.{name}]
kind = "openai"
base_url = "{url}"
model = "m-{name}"
needs_key = true
"""
KEYS = {name: f"sk-typed-in-this-session-{name}-0123456789" for name in ("first", "second")}
DEADLINE = 60.0


class Home:
    """A home with two providers that need keys, and all processes that were started for it."""

    def __init__(self, folder: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.home = folder / "home"
        config = self.home / "config" / "config.toml"
        config.parent.mkdir(parents=True)
        config.write_text("[jobs]\nidle_seconds = 3.0\n" + "".join(CONFIG.format(name=n, url=url) for n in KEYS))
        self.config = config
        monkeypatch.setenv("HOLYCHAT_HOME", str(self.home))
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")

    def documents(self, count: int) -> Path:
        """A new folder with so many."""
        folder = self.folder / f"documents-{time.monotonic_ns()}"
        folder.mkdir()
        for number in range(count):
            (folder / f"{number}.txt").write_text(f"letter {number} of {folder.name}")
        return folder

    @contextlib.asynccontextmanager
    async def window(self, name: str = "", key: str = "") -> AsyncIterator[Window]:
        """An app's services and feed; a key that was typed in it."""
        paths = Paths.resolve(os.environ)
        services = open_services(paths, load_settings(self.config, os.environ))
        if name:
            services.keychain.use(name, key or KEYS[name])
        window = Window(services)
        task = asyncio.create_task(window.desk.run())
        try:
            yield window
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await services.close()

    def end(self) -> None:
        """Kill every process of this home but our own."""
        for process in self.processes():
            process.kill()

    def processes(self) -> list[psutil.Process]:
        """All but our own: workers."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("HOLYCHAT_HOME") == str(self.home) and process.pid != os.getpid():
                    found.append(process)
        return found


class Window:
    """What an app has: services, the feed, and what it told the person."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.jobs = services.jobs
        self.told: list[tuple[int, PauseReason | None]] = []
        self.desk = Desk(self.jobs, lambda _: None, lambda job: self.told.append((job.id, job.pause)))

    async def order(self, folder: Path, provider: str) -> int:
        """Order a job and have it sent."""
        source = Source(SourceKind.PATH, str(folder))
        job = await self.jobs.create(JobSpec("", Recipe(Kind.SUMMARIZE), (source,), provider))
        await self.jobs.confirm(job.id)
        return job.id

    async def until(self, job_id: int, condition: Callable[[Job], bool]) -> Job:
        end = time.monotonic() + DEADLINE
        while not condition(job := await self.jobs.get(job_id)):
            assert time.monotonic() < end, job
            await asyncio.sleep(0.02)
        return job


@pytest.fixture
def home(tmp_path: Path, loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    home = Home(tmp_path, loopback.base_url, monkeypatch)
    yield home
    home.end()


def guarded(request: Request) -> Script:
    """Answers after a while whoever has the right key."""
    provider = json.loads(request.body)["model"].removeprefix("m-")
    if request.headers.get("authorization") != f"Bearer {KEYS[provider]}":
        return error_reply(401, "wrong key")
    answered = echo(request)
    return replace(answered, pieces=[Pause(0.15), *answered.pieces])


def sent(loopback: Loopback) -> int:
    return sum(request.method == "POST" for request in loopback.requests)


async def test_two_windows_with_keys_of_their_own_get_their_jobs_done_one_after_the_other(
    home: Home, loopback: Loopback
) -> None:
    loopback.chat(guarded)
    async with home.window("first") as one, home.window("second") as other:
        assert await one.jobs.session_keys.missing("first") is None
        assert str(await other.jobs.session_keys.missing("first")).startswith("No key for first")
        mine = await one.order(home.documents(30), "first")
        await one.until(mine, lambda job: job.counts.of(ItemState.DONE) > 2)
        assert await other.jobs.session_keys.missing("first") is None, "the worker has it"
        theirs = await other.order(home.documents(30), "second")
        seen: list[str] = []
        for window, job_id in ((other, theirs), (one, mine)):
            seen += [" ".join([*process.cmdline(), str(process.environ())]) for process in home.processes()]
            job = await window.until(job_id, lambda job: job.state is JobState.FINISHED)
            assert job.counts.of(ItemState.DONE) == 30
        assert sent(loopback) == 60, "each was sent once, and with its own key"
        assert len(seen) >= 2
        files = [file.read_bytes() for file in home.home.rglob("*") if file.is_file()]
        for key in KEYS.values():
            assert not any(key in words for words in seen)
            assert not any(key.encode() in content for content in files)


async def test_a_job_that_a_worker_without_the_key_took_up_goes_on_with_the_key_of_the_window(
    home: Home, loopback: Loopback
) -> None:
    loopback.chat(guarded)
    async with home.window("first") as window:
        job_id = await window.order(home.documents(30), "first")
        await window.until(job_id, lambda job: job.counts.of(ItemState.DONE) > 2)
        row = window.services.database.read_now(workers.current)
        assert row is not None
        os.kill(row.pid, signal.SIGKILL)
        # A shell, which knows nothing of the key, starts the next worker.
        await asyncio.to_thread(
            subprocess.run, [sys.executable, "-m", "holychat", "worker"], stderr=subprocess.DEVNULL, timeout=DEADLINE
        )
        job = await window.until(job_id, lambda job: job.state in ENDED_JOBS)
        counts = job.counts
        assert counts.of(ItemState.DONE) + counts.of(ItemState.IN_DOUBT) == 30
        assert counts.of(ItemState.DONE) > 2


async def test_a_key_that_is_refused_is_not_handed_over_for_ever_and_the_person_is_told(
    home: Home, loopback: Loopback
) -> None:
    loopback.chat(guarded)
    home.config.write_text(home.config.read_text().replace("idle_seconds = 3.0", "idle_seconds = 0.0"))
    async with home.window("first", "sk-of-somebody-else-0123456789") as window:
        job_id = await window.order(home.documents(5), "first")
        await window.until(job_id, lambda job: job.pause is PauseReason.KEY)
        end = time.monotonic() + DEADLINE
        while (job_id, PauseReason.KEY) not in window.told:
            assert time.monotonic() < end
            await asyncio.sleep(0.02)
        before = sent(loopback)
        assert before <= 10, "it was tried when it was ordered, and once more"
        for _ in range(20):
            await window.jobs.session_keys.hand_over(await window.jobs.list())
            await asyncio.sleep(0.05)
        assert sent(loopback) == before
        assert (await window.jobs.get(job_id)).pause is PauseReason.KEY
        # Another key that is typed then is another chance.
        window.services.keychain.use("first", KEYS["first"])
        window.desk.poke()
        await window.until(job_id, lambda job: job.state is JobState.FINISHED)


async def test_a_pause_that_the_person_asked_for_is_left_alone(home: Home, loopback: Loopback) -> None:
    loopback.chat(guarded)
    async with home.window("first") as window:
        job_id = await window.order(home.documents(30), "first")
        await window.until(job_id, lambda job: job.counts.of(ItemState.DONE) > 0)
        await window.jobs.pause(job_id)
        assert await window.jobs.session_keys.hand_over(await window.jobs.list()) == frozenset()
        assert (await window.jobs.get(job_id)).pause is PauseReason.USER
