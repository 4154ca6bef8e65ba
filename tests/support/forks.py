"""`holychat …` as processes that start in a few milliseconds, so that hundreds of them can be killed within a minute.

    with Forks(environment) as forks:
        worker = forks.start("worker", "--stay")
        worker.kill()

A helper process imports what holychat needs once and then forks for each start. What runs in the child is the command
itself, from its first line on: its own files, locks, threads, loops and connections, its own session, no terminal.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_ROOT = Path(__file__).parents[2]
_NEEDED = (
    "aiohttp", "anyio", "apsw", "click", "filelock", "httpx", "jsonschema", "msgspec", "pathspec", "holychat.cli.frame",
    "holychat.services", "holychat.cli.worker", "holychat.cli.batch_order", "holychat.cli.batch_steer",
    "holychat.jobs.engine", "holychat.jobs.service", "holychat.chat.service", "holychat.providers.lane",
)  # fmt: skip
_DEADLINE = 20.0


@dataclass
class Process:
    """One of them."""

    pid: int
    _helper: Forks = field(repr=False)
    _status: int | None = None

    @property
    def status(self) -> int | None:
        """Exit status, negative for a signal; None while it runs."""
        if self._status is None:
            self._status = self._helper.ask({"status": self.pid})["status"]
        return self._status

    def send(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone with all it held."""
        self.send(signal.SIGKILL)
        self.wait()

    def wait(self, seconds: float = _DEADLINE) -> int:
        """Its exit status, once it has ended."""
        end = time.monotonic() + seconds
        while (status := self.status) is None:
            assert time.monotonic() < end, f"process {self.pid} does not end"
            time.sleep(0.002)
        return status


class Forks:
    """The helper process.

    Args:
        environ: The whole environment of what is started.
        log: Where standard output and errors of all of them go.
    """

    def __init__(self, environ: Mapping[str, str], log: Path) -> None:
        self._log = log
        self._helper = subprocess.Popen(
            [sys.executable, "-m", "tests.support.forks", str(log)],
            cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(environ),
        )  # fmt: skip
        self._started: list[Process] = []
        self.ask({})

    def __enter__(self) -> Forks:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._started:
            process.kill()
        assert self._helper.stdin is not None
        assert self._helper.stdout is not None
        self._helper.stdin.close()
        self._helper.wait(_DEADLINE)
        self._helper.stdout.close()

    @property
    def said(self) -> str:
        """What all of them have printed."""
        return self._log.read_text(encoding="utf-8", errors="replace") if self._log.exists() else ""

    def start(self, *arguments: str, limits: Mapping[str, int] | None = None) -> Process:
        """Run `holychat ARGUMENTS`; `limits` are soft limits by name, such as {"RLIMIT_FSIZE": 100_000}."""
        pid = self.ask({"arguments": arguments, "limits": limits or {}})["pid"]
        process = Process(pid, self)
        self._started.append(process)
        return process

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """One order to the helper process and its answer."""
        assert self._helper.stdin is not None
        assert self._helper.stdout is not None
        self._helper.stdin.write(json.dumps(order) + "\n")
        self._helper.stdin.flush()
        answer: dict[str, Any] = json.loads(self._helper.stdout.readline())
        return answer


def _run(order: dict[str, Any], log: str) -> None:
    """In the child: be a process as a shell starts it in the background, and run the command."""
    status = 1
    try:
        os.setsid()
        written = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((nothing, written, written)):
            os.dup2(descriptor, number)
        sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode, encoding="utf-8") for n, mode in enumerate("rww"))
        _limit(order["limits"])
        from holychat.cli.frame import run

        sys.argv = ["holychat", *order["arguments"]]
        status = run(order["arguments"])
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 1
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(status)


def _limit(limits: dict[str, int]) -> None:
    import resource

    for name, value in limits.items():
        kind = getattr(resource, name)
        resource.setrlimit(kind, (value, resource.getrlimit(kind)[1]))
    if "RLIMIT_FSIZE" in limits:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


def _serve(log: str) -> None:
    for name in _NEEDED:
        importlib.import_module(name)
    ended: dict[int, int] = {}
    for line in sys.stdin:
        order = json.loads(line)
        answer: dict[str, Any] = {}
        if "arguments" in order:
            pid = os.fork()
            if pid == 0:
                _run(order, log)
            answer = {"pid": pid}
        elif "status" in order:
            pid = order["status"]
            if pid not in ended:
                gone, code = os.waitpid(pid, os.WNOHANG)
                if gone:
                    ended[pid] = os.waitstatus_to_exitcode(code)
            answer = {"status": ended.get(pid)}
        sys.__stdout__.write(json.dumps(answer) + "\n")  # type: ignore[union-attr]
        sys.__stdout__.flush()  # type: ignore[union-attr]


if __name__ == "__main__":
    _serve(sys.argv[1])
