"""stdout and stderr: what is asked for goes to the first, everything said about it to the second.

A terminal gets clean text; a file or a pipe gets the bytes as they came. Everything is written through the file
descriptor: the buffered stream would hold its lock while a slow reader keeps a thread waiting, and the interpreter
could then not end.
"""

from __future__ import annotations

import json
import os
import re
import select
import sys
import threading
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from holychat.errors import HolychatError
from holychat.text import UNSAFE_CLASS, clean, clean_line, replace_surrogates

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_HARMFUL = re.compile(f"[{UNSAFE_CLASS}\u2028\u2029]")


class ReaderGone(Exception):
    """Whoever read our stdout has left (`| head -1`). Not an error: the program ends quietly."""


class OutputLost(HolychatError):
    """stdout takes no more: a full disk, a vanished device."""


def to_json(value: Any) -> str:
    """JSON as text for people and programs: readable in any script, harmful characters only ever as escapes."""
    return _HARMFUL.sub(_escape, json.dumps(value, ensure_ascii=False, indent=2))


def _escape(match: re.Match[str]) -> str:
    units = match.group().encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines with aligned columns; each cell is folded to one clean line first."""
    cells = [[clean_line(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    return "".join(f"{line.rstrip()}\n" for line in lines)


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a standard stream is there and is a terminal."""
    return stream is not None and not stream.closed and stream.isatty()


def occupy_standard_streams() -> None:
    """Open what was closed of descriptors 0 to 2 (`>&-`) on nothing, so that no file of ours gets their number.

    The streams of `sys` stay None: writing to them is an error all the same.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one


class Output:
    """The two streams of one run."""

    @cached_property
    def to_terminal(self) -> bool:
        """Whether stdout is a terminal."""
        return is_terminal(sys.stdout)

    def line(self, text: str = "") -> None:
        """A line on stdout, clean where a person sees it."""
        self.write(text + "\n")

    def json(self, value: Any) -> None:
        """One JSON value on stdout."""
        self.write(to_json(value) + "\n")

    def write(self, text: str) -> None:
        """Text on stdout, all of it, now.

        Raises:
            ReaderGone: Nobody reads it any more.
            OutputLost: It cannot be written.
        """
        if sys.stdout is None:
            raise OutputLost("There is no output to write to")
        write_all(self.encode(clean(text) if self.to_terminal else text))

    def encode(self, text: str) -> bytes:
        """Bytes for stdout: UTF-8 in files and pipes, what the terminal understands on a terminal."""
        encoding = (sys.stdout.encoding or "utf-8") if self.to_terminal else "utf-8"
        return replace_surrogates(text).encode(encoding, "replace")

    def notice(self, text: str) -> None:
        """A line on stderr, always clean. That nobody may be reading it is no reason to fail."""
        if sys.stderr is None:
            return
        try:
            sys.stderr.write(clean(text) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            pass


def write_all(data: bytes, descriptor: int = 1) -> None:
    """Write all of `data`, waiting for slow readers.

    Raises:
        ReaderGone: Nobody reads it any more.
        OutputLost: It cannot be written.
    """
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view) :]
        except BlockingIOError:  # somebody who shares the pipe made it non-blocking
            select.select([], [descriptor], [])
        except BrokenPipeError:
            raise ReaderGone from None
        except OSError as error:
            raise OutputLost(f"Cannot write the output: {error.strerror}") from None


class LiveOutput:
    """Writes a reply to stdout while it arrives, from a thread of its own.

    A pager that stops reading must not stop the reply from being received and stored, nor keep Ctrl+C from working: so
    the event loop only ever appends, and what has gathered meanwhile is written in one piece.
    """

    def __init__(self, output: Output, on_end: Callable[[ReaderGone | OutputLost | None], None]) -> None:
        """Start the thread; at its end, early or not, it calls `on_end` with what went wrong, or None."""
        self._output = output
        self._on_end = on_end
        self._pieces: deque[str] = deque()
        self._held = ""
        self._last = ""
        self._wake = threading.Event()
        self._closing = False
        threading.Thread(target=self._run, name="stdout", daemon=True).start()

    def add(self, text: str) -> None:
        """More of the reply."""
        text = self._held + text
        self._held = ""
        # A carriage return or surrogate may be half of a pair whose other half is in the next delta.
        if text and (text[-1] == "\r" or "\ud800" <= text[-1] <= "\udbff"):
            text, self._held = text[:-1], text[-1]
        self._append(text)

    def close(self) -> None:
        """No more is coming; a terminal gets a line end where the reply has none. `on_end` follows."""
        self._append(self._held)
        if self._output.to_terminal and self._last not in ("", "\n"):
            self._append("\n")
        self._closing = True
        self._wake.set()

    def _append(self, text: str) -> None:
        if text:
            self._last = text[-1]
            self._pieces.append(text)
            self._wake.set()

    def _run(self) -> None:
        trouble: ReaderGone | OutputLost | None = None
        try:
            while not (self._closing and not self._pieces):
                self._wake.wait()
                self._wake.clear()
                if text := "".join(self._pieces.popleft() for _ in range(len(self._pieces))):
                    self._output.write(text)
        except (ReaderGone, OutputLost) as error:
            trouble = error
        self._on_end(trouble)
