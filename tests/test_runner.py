"""The end of a loop, when threads hang that nobody can stop."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest

from holychat.runner import run

if TYPE_CHECKING:
    from pathlib import Path

_HANGING_RESOLVER = """
import socket, sys, time
real = socket.getaddrinfo
def hang(host, *rest, **more):
    if "slow.example" not in str(host):
        return real(host, *rest, **more)
    print("resolving", file=sys.stderr, flush=True)
    time.sleep(300)
socket.getaddrinfo = hang
from holychat.cli.frame import run
sys.exit(run(["ask", "Hi"]))
"""


def ask_over_a_hanging_resolver(home: Path, connect_timeout: float) -> subprocess.Popen[bytes]:
    config = home / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        f'[network]\nretries = 0\nconnect_timeout = {connect_timeout}\n[chat]\nprovider = "slow"\n'
        '[providers.slow]\nbase_url = "https://slow.example/v1"\nmodel = "m"\nneeds_key = false\n'
    )
    return subprocess.Popen(
        [sys.executable, "-c", _HANGING_RESOLVER],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_resolver_that_hangs_does_not_keep_ask_alive(private_environment: Path) -> None:
    with ask_over_a_hanging_resolver(private_environment, 0.3) as process:
        try:
            _, told = process.communicate(timeout=20)
        finally:
            process.kill()
    assert process.returncode == 5
    assert b"no connection in time" in told


def test_a_signal_ends_ask_at_once_while_a_resolver_hangs(private_environment: Path) -> None:
    with ask_over_a_hanging_resolver(private_environment, 200) as process:
        try:
            assert process.stderr is not None
            assert process.stderr.readline() == b"resolving\n"
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
        finally:
            process.kill()
    assert time.monotonic() - begun < 10


def test_results_and_errors_come_back_from_threads() -> None:
    async def main() -> str:
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return await asyncio.to_thread(lambda: threading.current_thread().name)

    assert run(main()) == "blocking-work"


def test_work_that_was_left_may_finish_when_it_is_quick() -> None:
    begun, done = threading.Event(), threading.Event()

    def write() -> None:
        begun.set()
        time.sleep(0.05)
        done.set()

    async def main() -> None:
        waiting = asyncio.create_task(asyncio.to_thread(write))
        await asyncio.to_thread(begun.wait, 10)
        waiting.cancel()

    run(main())
    assert done.is_set()
