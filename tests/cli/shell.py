"""Runs the installed `holychat` command the way a shell does: pipes, files, signals, a pseudo-terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator

HOLYCHAT = str(Path(sys.executable).with_name("holychat"))
DEADLINE = 30.0
KEY = "sk-test-0123456789abcdef0123456789abcdef"


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    status: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def error(self) -> str:
        return self.err.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """Runs `holychat`; the environment is the test's own, plus what `set` adds."""

    def __init__(self) -> None:
        self.environ = dict(os.environ)

    def set(self, **environ: str) -> None:
        self.environ |= environ

    def run(self, *arguments: str, stdin: bytes | None = None, stdout: int = subprocess.PIPE) -> Done:
        """Run to the end; without `stdin` there is none (it is not a terminal and it is empty)."""
        done = subprocess.run(
            [HOLYCHAT, *arguments],
            input=b"" if stdin is None else stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=self.environ,
            timeout=DEADLINE,
            check=False,
        )
        return Done(done.returncode, done.stdout or b"", done.stderr)

    @contextlib.contextmanager
    def start(self, *arguments: str) -> Iterator[Running]:
        """Run while something is done to it; it is killed at the end if it is still there."""
        process = subprocess.Popen(
            [HOLYCHAT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ,
        )
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.communicate()

    def run_in_terminal(self, *arguments: str, typed: bytes = b"", wait_for: bytes = b"", **environ: str) -> Done:
        """Run in a terminal of 100x30, typing `typed` once `wait_for` is shown; `out` is all that was sent to it."""
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        process = subprocess.Popen(
            [HOLYCHAT, *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=self.environ | {"TERM": "xterm-256color"} | environ,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        screen = bytearray()
        due = time.monotonic()
        deadline = due + DEADLINE
        try:
            while time.monotonic() < deadline:
                if select.select([master], [], [], 0.05)[0]:
                    try:
                        data = os.read(master, 65536)
                    except OSError:  # the other end is closed: it has ended
                        break
                    if not data:
                        break
                    screen += data
                if typed and wait_for in screen and time.monotonic() >= due:
                    os.write(master, typed)
                    # Python loses a Ctrl+C that comes just before `input` begins to read: press it again.
                    due = time.monotonic() + (1.0 if typed == b"\x03" else DEADLINE)
            return Done(process.wait(DEADLINE), bytes(screen).replace(b"\r\n", b"\n"), b"")
        finally:
            os.close(master)
            if process.poll() is None:
                process.kill()
                process.wait()


class Running:
    """A command that has not ended yet."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process

    def read_until(self, wanted: bytes) -> bytes:
        """Read stdout until it holds `wanted`."""
        assert self.process.stdout is not None
        descriptor = self.process.stdout.fileno()
        got = bytearray()
        deadline = time.monotonic() + DEADLINE
        while wanted not in got:
            left = deadline - time.monotonic()
            assert left > 0, f"{wanted!r} did not come, only {bytes(got)!r}"
            if select.select([descriptor], [], [], left)[0]:
                data = os.read(descriptor, 65536)
                assert data, f"stdout ended after {bytes(got)!r}"
                got += data
        return bytes(got)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self) -> Done:
        """Wait for the end without reading stdout any further."""
        status = self.process.wait(DEADLINE)
        assert self.process.stderr is not None
        return Done(status, b"", self.process.stderr.read())
