"""A thread for blocking work that comes in pieces: to start one for each would hold up the event loop."""

from __future__ import annotations

import asyncio
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class WorkThread:
    """One daemon thread that does one piece of work after the other; it starts with the first one.

    A file system that hangs keeps this thread and nothing else: nobody waits for it at the end.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._work: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self._started = False

    async def run(self, work: Callable[[], T]) -> T:
        """Do it there; raises what it raises. Being cancelled does not stop it, only the waiting."""
        if not self._started:
            self._started = True
            loop = asyncio.get_running_loop()
            threading.Thread(target=_run, args=(self._work, loop), name=self._name, daemon=True).start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._work.put((work, future))
        return await future

    def end(self) -> None:
        """Let the thread end when it has done what it was given."""
        if self._started:
            self._work.put(None)


def _run(
    pieces: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None], loop: asyncio.AbstractEventLoop
) -> None:
    while (piece := pieces.get()) is not None:
        work, future = piece
        try:
            result, error = work(), None
        except BaseException as raised:  # noqa: BLE001  # nothing is swallowed: it is raised where the result is awaited
            result, error = None, raised
        try:
            loop.call_soon_threadsafe(_deliver, future, result, error)
        except RuntimeError:  # the loop has ended, and with it whoever waited
            return


def _deliver(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    elif isinstance(error, StopIteration):
        future.set_exception(RuntimeError("the work raised StopIteration"))
    else:
        future.set_exception(error)
