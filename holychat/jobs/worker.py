"""The worker: the one process that sends the requests of background jobs.

Which process that is, is settled by a locked file: the system lets go of the lock when the process dies, however it
dies. A worker that has nothing to do lets go of the lock first and looks once more then, so that a job which came in
that moment finds either this worker or no lock.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import signal
import time
from typing import TYPE_CHECKING

from holychat.errors import StoreError
from holychat.jobs.engine import Engine
from holychat.paths import make_private_directory
from holychat.store import later_answers, ledger_jobs, webhooks, workers

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

    from filelock import BaseFileLock

    from holychat.jobs.courier import Courier
    from holychat.jobs.needs import Services
    from holychat.paths import Paths

_log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""How long what is under way may still take when the worker is asked to end."""
HANDOVER_SECONDS = 600.0
"""How long it may take where another worker goes on, or this one with other settings: nobody is in a hurry then."""
_BEAT_SECONDS = 2.0
_LEAVE_SECONDS = 0.5
_LOOK_SECONDS = 0.2
_COURIER_SECONDS = 30.0
_SOON_MS = 600_000
"""A webhook that is due within that time keeps a worker from leaving."""


class WorkerLock:
    """The file that a worker has locked for as long as it lives. Blocking."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._lock: BaseFileLock | None = None
        self._inode = 0

    def take(self, seconds: float) -> bool:
        """Lock it, waiting so long at most; whether it is locked now.

        Raises:
            OSError: The folder or the file cannot be made.
        """
        from filelock import FileLock, Timeout

        make_private_directory(self._paths.state)
        lock = FileLock(self._paths.worker_lock, mode=0o600, thread_local=False)
        try:
            lock.acquire(timeout=seconds, poll_interval=0.02)
        except Timeout:
            return False
        self._lock = lock
        self._inode = _inode_of(self._paths.worker_lock)
        return True

    def is_there(self) -> bool:
        """Whether the file that is locked is still the one that others would lock."""
        return _inode_of(self._paths.worker_lock) == self._inode

    def release(self) -> None:
        """Let go of it."""
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()


class Worker:
    """Works at jobs while it holds the lock.

    Args:
        services: Database, providers, prices.
        lock: Taken already.
        stay: Go on when there is nothing to do.
        session_keys: Providers whose keys it was handed.
        settings_changed: Asked now and then whether there are other settings to work with.

    Attributes:
        begins_again: Set when `run` has returned because the settings changed; the lock is still held then.
    """

    def __init__(
        self,
        services: Services,
        lock: WorkerLock,
        *,
        stay: bool = False,
        session_keys: Collection[str] = (),
        settings_changed: Callable[[], bool] | None = None,
    ) -> None:
        self._services = services
        self._database = services.database
        self._lock = lock
        self._idle = None if stay else services.settings.jobs.idle_seconds
        self._session_keys = session_keys
        self._owner = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._engine: Engine | None = None
        self._courier: Courier | None = None
        self._stopping = False
        self._ending = False
        self._settings_changed = settings_changed
        self.begins_again = False
        self._tasks: list[asyncio.Task[None]] = []

    def stop(self, grace_seconds: float | None = None) -> None:
        """Send nothing more and end when what is under way has come back."""
        self._stopping = True
        if self._engine is not None:
            self._engine.stop(grace_seconds)

    async def run(self) -> None:
        """Work until there is nothing to do, or until `stop`.

        Raises:
            StoreDamaged: The database is broken.
        """
        self._catch_signals()
        self._tasks = [asyncio.create_task(work()) for work in (self._beat, self._deliver, self._answer_chats)]
        for task in self._tasks:
            task.add_done_callback(_log_failure)
        try:
            while True:
                engine = self._engine = Engine(self._services, self._owner, self._has_messages)
                if self._stopping:
                    break
                await engine.run(self._idle, GRACE_SECONDS)
                await self._put_into_chats()
                await self._depart()
                if self.begins_again:
                    break
                self._lock.release()
                if self._stopping or not await self._database.read(ledger_jobs.has_work):
                    break
                # Somebody ordered something just now and saw that there was a worker: this one.
                if not await asyncio.to_thread(self._lock.take, 0):
                    break
                await self._announce()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            if not self.begins_again:
                self._lock.release()

    async def _has_messages(self) -> bool:
        """Whether a webhook is to be sent soon, and could be."""
        if self._courier is not None and not self._courier.can_sign:
            return False
        due = await self._database.read(webhooks.next_due)
        return due is not None and due - _now_ms() < _SOON_MS

    async def _announce(self) -> None:
        with contextlib.suppress(StoreError):
            await self._database.write(
                lambda c: workers.announce(c, self._owner, os.getpid(), self._session_keys, _now_ms())
            )

    async def _depart(self) -> None:
        with contextlib.suppress(StoreError):
            await self._database.write(lambda c: workers.depart(c, self._owner, _now_ms()))

    async def _beat(self) -> None:
        """Say now and then that this worker lives, and hear whether another one wants to take over."""
        await self._announce()
        beaten = time.monotonic()
        while True:
            await asyncio.sleep(_LEAVE_SECONDS)
            try:
                if await self._database.read(lambda c: workers.asked_to_leave(c, self._owner)):
                    _log.info("another worker takes over")
                    self.stop(HANDOVER_SECONDS)
                elif not self._lock.is_there():
                    # Somebody deleted the home, or the lock: another worker could start beside this one.
                    _log.warning("the lock of the worker is gone; it ends")
                    self.stop()
                elif time.monotonic() - beaten >= _BEAT_SECONDS:
                    beaten = time.monotonic()
                    await self._look_at_settings()
                    if not await self._database.write(lambda c: workers.beat(c, self._owner, _now_ms())):
                        await self._announce()
            except StoreError:
                _log.debug("no heartbeat", exc_info=True)

    async def _look_at_settings(self) -> None:
        """Begin again with the settings as they are now, where somebody changed them."""
        if self._settings_changed is None or self._stopping or not await asyncio.to_thread(self._settings_changed):
            return
        _log.info("the settings changed: beginning again when what is under way has come back")
        self.begins_again = True
        self.stop(HANDOVER_SECONDS)

    async def _deliver(self) -> None:
        """Send the webhooks that are due."""
        from holychat.jobs.courier import Courier
        from holychat.providers.outgoing import Reach

        own = self._services.settings.webhooks
        courier = Courier(self._database, self._services.keychain, Reach(own.allow_loopback, own.allow_private))
        self._courier = courier
        while True:
            try:
                await courier.deliver_due()
                due = await courier.next_due()
            except StoreError as error:
                _log.warning("webhooks wait: %s", error.title)
                due = None
            pause = _COURIER_SECONDS if due is None else max(0.5, min(_COURIER_SECONDS, due - time.time()))
            await self._ended_or(pause)

    async def _answer_chats(self) -> None:
        """Put answers that were asked for later into their chats."""
        while True:
            await self._put_into_chats()
            await asyncio.sleep(_LOOK_SECONDS)

    async def _put_into_chats(self) -> None:
        try:
            if await self._database.read(later_answers.any_due):
                await self._database.write(lambda c: later_answers.deliver(c, _now_ms()))
        except StoreError as error:
            _log.warning("answers wait to be put into their chats: %s", error.title)

    async def _ended_or(self, seconds: float) -> None:
        """Wait, but no longer than until a job has ended."""
        engine = self._engine
        if engine is None:
            await asyncio.sleep(seconds)
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await engine.job_ended.wait()
        engine.job_ended.clear()

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
                loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: int) -> None:
        if self._ending:
            # Asked twice: what is under way is left as it is, and is in doubt when the next worker starts.
            os._exit(128 + number)
        self._ending = True
        _log.info("ending: what is under way has %g seconds to come back", GRACE_SECONDS)
        if self._stopping:
            # It waits for a handover already, more patiently than it may now.
            self.begins_again = False
            asyncio.get_running_loop().call_later(GRACE_SECONDS, os._exit, 128 + number)
        self.stop()


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a part of the worker ended; the rest goes on", exc_info=error)


def _inode_of(file: Path) -> int:
    try:
        return file.stat().st_ino
    except OSError:
        return 0


def plain_lines(say: Callable[[str], None]) -> logging.Handler:
    """A handler that says what the desk does as plain lines, for a person or a service manager to read."""
    return _Lines(say)


class _Lines(logging.Handler):
    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._say(f"{time.strftime('%H:%M:%S')} {record.getMessage()}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
