"""Which process writes which reply, and whether that process is still alive.

A process that writes replies holds a locked file for as long as it lives; the operating system lets go of the lock
when it dies, however it dies. Names are random and never used again: a number that comes back, as a pid does, would
prove nothing.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import threading
import time
from typing import TYPE_CHECKING

from holychat.errors import StoreError
from holychat.paths import make_private_directory

if TYPE_CHECKING:
    from pathlib import Path

    from filelock import BaseFileLock

_log = logging.getLogger(__name__)

_OLD_SECONDS = 86_400


class Owners:
    """This process as an owner of replies, and its view of the others. Every method may block and is thread-safe."""

    def __init__(self, folder: Path | None) -> None:
        """Args:
        folder: Where the locked files are; None where nobody else can see the database.
        """
        self._folder = folder
        self._name = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._lock: BaseFileLock | None = None
        self._mutex = threading.Lock()

    def own(self) -> str:
        """The name of this process; its file is locked from the first call on.

        Raises:
            StoreError: The file cannot be made or locked.
        """
        with self._mutex:
            if self._lock is None and self._folder is not None:
                self._lock = self._locked(self._folder)
        return self._name

    def sweep(self) -> None:
        """Delete the files that processes left which were killed long ago."""
        if self._folder is None or not self._folder.is_dir():
            return
        for file in list(self._folder.glob("*.lock")):
            with contextlib.suppress(OSError):
                if time.time() - file.stat().st_mtime > _OLD_SECONDS:
                    self.is_dead(file.stem)

    def is_dead(self, name: str) -> bool:
        """Whether the process of that name is gone. When in doubt it is alive."""
        if name == self._name:
            return False
        if self._folder is None or "/" in name:
            return True
        from filelock import FileLock, Timeout

        path = self._folder / f"{name}.lock"
        if not path.exists():
            return True
        try:
            with FileLock(path, blocking=False):
                path.unlink(missing_ok=True)
        except Timeout:
            return False
        except (OSError, NotImplementedError):
            _log.warning("cannot tell whether %s is alive", name, exc_info=True)
            return False
        return True

    def release(self) -> None:
        """Let go of this process's file."""
        with self._mutex:
            lock, self._lock = self._lock, None
            if lock is not None and self._folder is not None:
                (self._folder / f"{self._name}.lock").unlink(missing_ok=True)
                lock.release()

    def _locked(self, folder: Path) -> BaseFileLock:
        from filelock import FileLock, Timeout

        lock = FileLock(folder / f"{self._name}.lock", timeout=2, mode=0o600, thread_local=False)
        try:
            make_private_directory(folder.parent)
            make_private_directory(folder)
            lock.acquire()
        except (OSError, NotImplementedError, Timeout) as error:
            raise StoreError(
                f"Cannot lock a file in {folder}: {error}",
                "Check that the folder can be written, or set HOLYCHAT_HOME to another one.",
            ) from error
        return lock
