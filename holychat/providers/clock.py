"""The idle clock: how long to wait for a payload that does not come."""

from __future__ import annotations

import asyncio

_SUSPENDED = 1.0
_GRACE = 5.0


class IdleClock:
    """Cancels the task that waits for a server once nothing useful has come for a time.

    It stands only while somebody waits (between `watch` and `rest`), so that a slow reader of events is never taken for
    a slow server. Pushing the deadline back costs an assignment: one timer runs for the whole reply and looks at the
    deadline when it fires, instead of one timer for every event.
    """

    def __init__(self, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._seconds = seconds
        self._deadline = self._loop.time() + seconds
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._fired = False
        self._last = False
        self._timer: asyncio.TimerHandle | None = None

    def watch(self) -> None:
        """The calling task begins to wait. The deadline goes on from where it stood."""
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._fired = False
        if self._timer is None:
            self._arm()

    def rest(self) -> None:
        """The task got what it waited for, or gave up."""
        self._task = None

    def restart(self, more: float = 0.0) -> None:
        """A payload came: the full time again, and so many seconds more, unless `allow` set an end."""
        if not self._last:
            self._deadline = self._loop.time() + self._seconds + more

    def change(self, seconds: float) -> None:
        """From now on this long from one payload to the next."""
        self._seconds = seconds
        self.restart()
        self.stop()
        self._arm()

    def allow(self, seconds: float) -> None:
        """From now on at most this long, whatever comes."""
        if self._last:
            return
        self._seconds = seconds
        self.restart()
        self._last = True
        self.stop()
        self._arm()

    def stop(self) -> None:
        """Take the timer down."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def was_it(self) -> bool:
        """In the handler of a CancelledError: True when the clock did it, and the cancellation is taken back."""
        if not self._fired:
            return False
        self._fired = False
        task = asyncio.current_task()
        return task is not None and task.uncancel() <= self._cancelling

    def _arm(self) -> None:
        self._timer = self._loop.call_at(self._deadline, self._tick)

    def _tick(self) -> None:
        timer, self._timer = self._timer, None
        now = self._loop.time()
        if self._task is None:
            return
        if timer is not None and now - timer.when() > _SUSPENDED:
            # The whole process was stopped meanwhile; what came in the meantime has still to be read.
            self._deadline = max(self._deadline, now + min(self._seconds, _GRACE))
        if now < self._deadline:
            self._arm()
            return
        self._fired = True
        self._task.cancel()
