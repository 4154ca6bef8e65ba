"""How a run ends when the person did not choose it: signals and terminals that go away."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

from holychat.tui.framework import terminal_is_gone

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT) if os.name == "posix" else (signal.SIGTERM,)
LAST_RESORT = 8.0
"""Seconds after a signal until the process ends no matter what: a terminal that takes no bytes can block any write."""
WATCH_INTERVAL = 3.0


class Lifecycle:
    """Turns a signal into an orderly end: store first, then restore the terminal, then exit with 128 + number.

    Args:
        end: Stores everything and closes the app; called once, with the exit status.
    """

    def __init__(self, end: Callable[[int], Awaitable[None]]) -> None:
        self._end = end
        self._task: asyncio.Task[None] | None = None
        self._watch: asyncio.TimerHandle | None = None
        self.status: int | None = None
        """Exit status of the signal that came, or None."""

    def start(self) -> None:
        """Begin to listen, on the running loop."""
        loop = asyncio.get_running_loop()
        if os.name == "posix":
            for number in SIGNALS:
                loop.add_signal_handler(number, self.received, number)
            self._look_at_terminal()

    def stop(self) -> None:
        """Stop listening."""
        if os.name == "posix":
            loop = asyncio.get_running_loop()
            for number in SIGNALS:
                loop.remove_signal_handler(number)
        if self._watch is not None:
            self._watch.cancel()

    def received(self, number: int) -> None:
        """End because of a signal; a second one changes nothing."""
        if self.status is not None:
            return
        self.status = 128 + number
        last_resort = threading.Timer(LAST_RESORT, os._exit, (self.status,))
        last_resort.daemon = True
        last_resort.start()
        self._task = asyncio.ensure_future(self._end(self.status))

    def terminal_lost(self) -> None:
        """End as after SIGHUP: the terminal is gone, and nobody told us by signal."""
        self.received(signal.SIGHUP if os.name == "posix" else signal.SIGTERM)

    def _look_at_terminal(self) -> None:
        stdin = sys.__stdin__
        if stdin is not None and stdin.isatty() and terminal_is_gone(stdin.fileno()):
            self.terminal_lost()
            return
        self._watch = asyncio.get_running_loop().call_later(WATCH_INTERVAL, self._look_at_terminal)
