"""Runs the event loop of a command or of the app, and ends without waiting for what may never come.

A resolver that hangs, a keyring whose window nobody answers or a key command that sleeps occupies a thread that cannot
be stopped. The executor that comes with asyncio waits for such threads, at the end of the loop and again at the end of
the interpreter.
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from functools import partial
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

P = ParamSpec("P")
T = TypeVar("T")

_GRACE = 0.5
"""Seconds that work which nobody waits for any more still has at the end: enough to finish writing a file."""


def run(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` whose threads for blocking work are daemons. Blocking; raises what `main` raises."""
    return asyncio.run(_with_daemons(main))


async def _with_daemons(main: Coroutine[Any, Any, T]) -> T:
    asyncio.get_running_loop().set_default_executor(DaemonExecutor())
    return await main


class DaemonExecutor(ThreadPoolExecutor):
    """An executor that gives each piece of work a daemon thread of its own, so that a stuck one stops nothing else.

    It is a ThreadPoolExecutor by name, because asyncio takes no other; no thread of that class is ever started.
    """

    def __init__(self) -> None:
        super().__init__(1)
        self._gate = threading.Lock()
        self._unfinished: set[Future[Any]] = set()
        self._ended = False

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run `fn` in a thread.

        Raises:
            RuntimeError: The executor has ended, or the system gives no more threads.
        """
        future: Future[T] = Future()
        with self._gate:
            if self._ended:
                raise RuntimeError("cannot schedule new futures after shutdown")
            threading.Thread(
                target=_work, args=(future, partial(fn, *args, **kwargs)), name="blocking-work", daemon=True
            ).start()
            self._unfinished.add(future)
        future.add_done_callback(self._finished)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002  # nothing ever waits to begin
        """Take no more work; give what is under way a moment, then leave it behind."""
        with self._gate:
            self._ended = True
            left = list(self._unfinished)
        if wait:
            wait_for(left, _GRACE)

    def _finished(self, future: Future[Any]) -> None:
        with self._gate:
            self._unfinished.discard(future)


def _work(future: Future[T], call: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = call()
    except BaseException as error:  # noqa: BLE001  # nothing is swallowed: it is raised where the result is awaited
        future.set_exception(error)
    else:
        future.set_result(result)
