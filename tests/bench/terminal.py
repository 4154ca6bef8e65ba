"""A program in a pseudo-terminal of 120x40, watched from outside: when was what painted, what did it cost."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

COLUMNS, ROWS = 120, 40
_CELL = (8, 16)
_ANSWERS = {
    b"\x1b[c": b"\x1b[?62;22c",  # what are you
    b"\x1b[>c": b"\x1b[>1;10;0c",
    b"\x1b[6n": b"\x1b[1;1R",  # where is the cursor
    b"\x1b[14t": b"\x1b[4;640;960t",  # size in pixels
    b"\x1b[16t": b"\x1b[6;16;8t",  # size of a cell
    b"\x1b[18t": b"\x1b[8;40;120t",
    b"\x1b[?2026$p": b"\x1b[?2026;2$y",  # synchronized output: known, off
    b"\x1b[?2048$p": b"\x1b[?2048;0$y",  # size reports in band: unknown
    b"\x1b]10;?": b"\x1b]10;rgb:ffff/ffff/ffff\x1b\\",
    b"\x1b]11;?": b"\x1b]11;rgb:0000/0000/0000\x1b\\",
}
_QUESTION = re.compile(b"|".join(re.escape(question) for question in _ANSWERS))
_MARK = re.compile(rb"zq\w{4}(?:m\d{5}|F|L)z")
_ESCAPE = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[P_^X][^\x1b]*\x1b\\|[ -/]*[0-~])")
_KEPT_BYTES = 200_000
_TAIL_BYTES = 24


class Gone(Exception):
    """The program ended."""


class TooLate(Exception):
    """What was waited for did not come in time."""


class Terminal:
    """Starts a program and plays its terminal; times are CLOCK_MONOTONIC in seconds.

    Args:
        command: Program and arguments.
        environment: All of its environment.
        folder: Where it runs.
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        self._descriptor, theirs = pty.openpty()
        size = struct.pack("HHHH", ROWS, COLUMNS, COLUMNS * _CELL[0], ROWS * _CELL[1])
        fcntl.ioctl(self._descriptor, termios.TIOCSWINSZ, size)
        os.set_blocking(self._descriptor, False)
        self.started = time.monotonic()
        self._process = subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=dict(environment), cwd=folder,
            start_new_session=True,
        )  # fmt: skip
        os.close(theirs)
        self._tree = psutil.Process(self._process.pid)
        self._tail = b""
        self._seen = b""
        self.marks: dict[str, float] = {}
        """When each mark was painted for the first time since `forget`."""
        self.bytes_read = 0

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # Keyboard and screen

    def type(self, text: str) -> float:
        """Press keys; when."""
        at = time.monotonic()
        self._write(text.encode())
        return at

    def _write(self, data: bytes) -> None:
        while data:
            select.select([], [self._descriptor], [], 5)
            data = data[os.write(self._descriptor, data) :]

    def read(self, seconds: float) -> float | None:
        """Read once what comes within that time; when it came, None for nothing.

        Raises:
            Gone: The program ended.
        """
        if not select.select([self._descriptor], [], [], max(0.0, seconds))[0]:
            return None
        try:
            data = os.read(self._descriptor, 65536)
        except OSError:
            data = b""
        at = time.monotonic()
        if not data:
            raise Gone(f"exit status {self._process.poll()}: {self.text()[-500:]}")
        self.bytes_read += len(data)
        joined = self._tail + data
        if b"\x1b" in joined:
            for question in _QUESTION.finditer(joined):
                if question.end() > len(self._tail):
                    self._write(_ANSWERS[question[0]])
        for mark in _MARK.findall(joined):
            self.marks.setdefault(mark.decode(), at)
        self._tail = joined[-_TAIL_BYTES:]
        self._seen = (self._seen + data)[-_KEPT_BYTES:]
        return at

    def forget(self) -> None:
        """From now on only what comes from now on counts."""
        self._seen = self._tail = b""
        self.marks = {}

    def text(self) -> str:
        """What came since `forget`, without escape sequences."""
        return _ESCAPE.sub(b"", self._seen).decode("utf-8", "replace")

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> float:
        """Read until the condition holds; when the read came that made it hold.

        Raises:
            TooLate: It did not within that time.
            Gone: The program ended.
        """
        at, end = time.monotonic(), time.monotonic() + seconds
        while not condition():
            if (left := end - time.monotonic()) <= 0:
                raise TooLate(f"{what} did not come within {seconds:.0f} s; last seen: {self.text()[-300:]!r}")
            at = self.read(min(left, 0.5)) or at
        return at

    def wait_for_text(self, text: str, seconds: float = 30) -> float:
        """When `text` was painted since `forget`."""
        return self.wait_until(lambda: text in self.text(), seconds, repr(text))

    def wait_for_key(self, key: str, seconds: float = 10) -> float:
        """When a typed character came back."""
        data = key.encode()
        return self.wait_until(lambda: data in self._seen, seconds, f"the echo of {key!r}")

    def wait_for_mark(self, mark: str, seconds: float = 60) -> float:
        """When a mark was painted for the first time since `forget`."""
        self.wait_until(lambda: mark in self.marks, seconds, mark)
        return self.marks[mark]

    def watch(self, seconds: float) -> None:
        """Read for a while."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.read(left)

    def wait_until_idle(self, seconds: float = 20, share: float = 0.04) -> None:
        """Until the program used less than `share` of a core for 0.4 s, at most `seconds`."""
        end, before = time.monotonic() + seconds, self.cpu()
        while time.monotonic() < end:
            self.watch(0.4)
            now = self.cpu()
            if now - before < 0.4 * share:
                return
            before = now

    # What it costs

    def processes(self) -> list[psutil.Process]:
        """The program and its descendants."""
        try:
            return [self._tree, *self._tree.children(recursive=True)]
        except psutil.Error:
            return []

    def cpu(self) -> float:
        """Seconds of user and system time of the process tree so far, ended children included."""
        total = 0.0
        for process in self.processes():
            try:
                times = process.cpu_times()
                total += _exact(process.pid) or times.user + times.system
                total += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            except psutil.Error:
                continue
        return total

    def memory(self) -> float:
        """MB of resident memory of the process tree now."""
        total = 0
        for process in self.processes():
            try:
                total += process.memory_info().rss
            except psutil.Error:
                continue
        return total / 1e6

    def close(self) -> None:
        """End the program, politely at first."""
        for ask in (signal.SIGTERM, signal.SIGKILL):
            if self._process.poll() is not None:
                break
            self._process.send_signal(ask)
            end = time.monotonic() + 3
            while self._process.poll() is None and time.monotonic() < end:
                try:
                    self.read(0.05)
                except Gone:
                    time.sleep(0.01)
        self._process.wait()
        os.close(self._descriptor)


def _exact(pid: int) -> float | None:
    """User and system time of a process to the nanosecond, None where that is unknown; psutil knows ticks of 10 ms."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except (OSError, AttributeError, OverflowError):
        return None
