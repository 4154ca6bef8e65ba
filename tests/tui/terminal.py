"""A real pseudo-terminal with an emulator on it: what a person would see, and what is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyte

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEADLINE = 30.0
_PRIVATE_MODE = re.compile(rb"\x1b\[\?([\d;]+)([hl])")


class Terminal:
    """Starts a command in a terminal of its own, as a session leader with that terminal in the foreground."""

    def __init__(self, command: list[str], environ: Mapping[str, str], columns: int = 100, rows: int = 30) -> None:
        self.master, slave = pty.openpty()
        self._slave = slave
        self.resize(columns, rows, announce=False)
        self.before = termios.tcgetattr(slave)
        self.output = bytearray()
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.process = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=dict(environ),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return
            if not data:
                return
            with self._lock:
                self.output += data
                # The emulator prints what it does not know; these are understood by every real terminal.
                with contextlib.suppress(TypeError):
                    self._stream.feed(re.sub(rb"\x1b\[[<>=][\d;]*u|\x1b\[\?[\d;]*\$p", b"", data))

    def text(self) -> str:
        """The screen."""
        with self._lock:
            return "\n".join(self._screen.display)

    def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait for a condition."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what or condition}\n{self.text()}")
            time.sleep(0.01)

    def shows(self, text: str) -> None:
        """Wait until a text is on the screen."""
        self.until(lambda: text in self.text(), repr(text))

    def type(self, keys: str) -> None:
        """Type, all at once."""
        os.write(self.master, keys.encode())

    def resize(self, columns: int, rows: int, *, announce: bool = True) -> None:
        """Change the size, and tell the program."""
        size = struct.pack("HHHH", rows, columns, 0, 0)
        if not announce:
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)
            return
        with self._lock:  # the kernel sends SIGWINCH, and the emulator has to be of the new size before the repaint
            self._screen.resize(rows, columns)
            fcntl.ioctl(self.master, termios.TIOCSWINSZ, size)

    def hang_up(self) -> None:
        """Close the terminal, as a window does."""
        os.close(self._slave)
        self._slave = -1
        os.close(self.master)
        self.master = -1

    def wait(self) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        status = self.process.wait(DEADLINE)
        if self.master >= 0:
            time.sleep(0)
            end = time.monotonic() + 2
            size = -1
            while size != len(self.output) and time.monotonic() < end:
                size = len(self.output)
                time.sleep(0.05)
        return status

    def is_restored(self) -> list[str]:
        """What was not put back as it was: nothing, if all is well."""
        wrong = []
        after = termios.tcgetattr(self._slave)
        if after != self.before:
            wrong.append("termios")
        modes: dict[bytes, bytes] = {}
        for numbers, state in _PRIVATE_MODE.findall(bytes(self.output)):
            modes.update(dict.fromkeys(numbers.split(b";"), state))
        for number, good, name in (
            (b"1049", b"l", "alternate screen"), (b"25", b"h", "cursor"), (b"1000", b"l", "mouse"),
            (b"1003", b"l", "mouse movement"), (b"1006", b"l", "mouse encoding"), (b"2004", b"l", "paste"),
            (b"1004", b"l", "focus reports"),
        ):  # fmt: skip
            if modes.get(number, good) != good:
                wrong.append(name)
        if self.output.count(b"\x1b[>") > self.output.count(b"\x1b[<u"):
            wrong.append("keyboard protocol")
        return wrong

    def close(self) -> None:
        """End what still runs."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(DEADLINE)
        for descriptor in (self.master, self._slave):
            if descriptor >= 0:
                os.close(descriptor)
        self._reader.join(5)


def installed_command() -> list[str]:
    """The `holychat` that belongs to this Python."""
    script = Path(sys.executable).parent / "holychat"
    return [str(script)] if script.exists() else [sys.executable, "-m", "holychat"]


def environment(loopback: Any = None, **more: str) -> dict[str, str]:
    """The environment of a person with a terminal, a key and the loopback server for a provider."""
    environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "TEXTUAL_ANIMATIONS": "none"}
    if loopback is not None:
        environ |= {"HOLYSHEEP_BASE_URL": loopback.base_url, "HOLYSHEEP_API_KEY": "sk-pty-0123456789"}
    return {**environ, **more}
