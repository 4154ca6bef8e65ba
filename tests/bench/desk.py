"""The desk as a person has it: a home of its own, `holychat batch …` in a shell, and the worker that this starts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from holychat.paths import Paths
from holychat.store.database import Database
from tests.bench.programs import HOLYCHAT, environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holychat.store.database import Connection
    from tests.bench.programs import Program

_CONFIG = """\
[providers.bench]
kind = "openai"
base_url = "{url}"
needs_key = false

[chat]
provider = "bench"
model = "quota-model"

[jobs]
idle_seconds = 120.0
"""
_KNOWN_RATE = 1_000_000
"""Requests per minute that are no limit here: what is measured then is the machinery and not the search for a rate."""
OPEN = ("queued", "running", "finishing")


@dataclass(frozen=True, slots=True)
class Used:
    """What a worker process has used."""

    cpu_s: float
    memory_mb: float
    """At its highest."""


def write_requests(file: Path, count: int) -> Path:
    """An OpenAI batch file of so many small requests, each with its marker for the server's account."""
    with file.open("w", encoding="utf-8") as lines:
        for number in range(count):
            text = f"Summarise document item-{number:06d} in two sentences, and name its three main topics."
            body = {"model": "quota-model", "messages": [{"role": "user", "content": text}], "max_tokens": 64}
            line = {"custom_id": f"r-{number}", "method": "POST", "url": "/v1/chat/completions", "body": body}
            lines.write(json.dumps(line) + "\n")
    return file


class Desk:
    """One home with one provider. Its worker ends with it.

    Args:
        home: An empty folder.
        url: Base URL of the provider.
        program: Which holychat.
        rate_known: Whether the provider's rate is set, so high that it is no limit; else it has to be found out.
    """

    def __init__(self, home: Path, url: str, program: Program = HOLYCHAT, *, rate_known: bool = True) -> None:
        self.home = home
        self._program = program
        config = _CONFIG.format(url=url)
        if rate_known:
            config += f"\n[jobs.requests_per_minute]\nbench = {_KNOWN_RATE}\n"
        file = home / "config" / "config.toml"
        file.parent.mkdir(parents=True)
        file.write_text(config, encoding="utf-8")
        self._paths = Paths.resolve({"HOLYCHAT_HOME": str(home)})
        self._database: Database | None = None

    def __enter__(self) -> Desk:
        return self

    def __exit__(self, *exception: object) -> None:
        with contextlib.suppress(LookupError, ProcessLookupError):
            pid = self.worker().pid
            os.kill(pid, signal.SIGTERM)
            with contextlib.suppress(psutil.Error):
                psutil.Process(pid).wait(20)
        if self._database is not None:
            self._database.close()

    def shell(self, *arguments: str, seconds: float = 600) -> subprocess.CompletedProcess[str]:
        """Run `holychat …` without a terminal."""
        return subprocess.run(
            [*self._program.command, *arguments], env=environment(self.home), cwd=self.home, capture_output=True,
            text=True, timeout=seconds, check=False,
        )  # fmt: skip

    def submit(self, file: Path, *options: str) -> None:
        """Order a job and let it run; returns when it was ordered, or ended where `--wait` is given.

        Raises:
            RuntimeError: The shell says no.
        """
        done = self.shell("batch", "submit", str(file), "-p", "bench", "-m", "quota-model", "--yes", *options)
        if done.returncode != 0:
            raise RuntimeError(f"batch submit: {done.returncode}: {done.stderr[-2000:]}")

    def wait_until_ended(self, seconds: float = 900) -> None:
        """Until no job has anything to do.

        Raises:
            TimeoutError: It takes too long.
        """
        end = time.monotonic() + seconds
        while self.states() & set(OPEN):
            if time.monotonic() > end:
                raise TimeoutError(f"The job did not end: {self.counts()}")
            time.sleep(0.2)

    def states(self) -> set[str]:
        """States that jobs are in."""
        return {str(row[0]) for row in self._rows("SELECT DISTINCT state FROM jobs")}

    def counts(self) -> dict[str, int]:
        """Items by state."""
        return {str(row[0]): int(str(row[1])) for row in self._rows("SELECT state, count FROM job_counts")}

    def worker(self) -> psutil.Process:
        """The worker process.

        Raises:
            LookupError: None has said that it is there.
        """
        rows = list(self._rows("SELECT pid FROM worker"))
        if not rows or not psutil.pid_exists(int(str(rows[0][0]))):
            raise LookupError("There is no worker")
        return psutil.Process(int(str(rows[0][0])))

    def used(self) -> Used:
        """What the worker has used so far."""
        process = self.worker()
        times = process.cpu_times()
        return Used(times.user + times.system, peak_memory(process.pid))

    def _rows(self, statement: str) -> Iterator[Sequence[object]]:
        if self._database is None:
            self._database = Database.open(self._paths.database)

        def read(connection: Connection) -> list[Sequence[object]]:
            return list(connection.execute(statement))

        return iter(self._database.read_now(read))


def peak_memory(pid: int) -> float:
    """The most memory that a process had at once, in megabytes; where the system does not say, what it has now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return psutil.Process(pid).memory_info().rss / 1e6
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024
