"""Starting the worker process where none is at work."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from holychat.errors import HolychatError, StoreError
from holychat.jobs.worker import WorkerLock
from holychat.paths import HOME_VARIABLE
from holychat.store import workers
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holychat.credentials.secret import Secret
    from holychat.paths import Paths
    from holychat.store.database import Database
    from holychat.store.workers import WorkerRow

_log = logging.getLogger(__name__)


class WorkerNotStarted(HolychatError):
    """No worker is at work, and none could be started."""

    def __init__(self, error: OSError | RuntimeError) -> None:
        why = (error.strerror if isinstance(error, OSError) else "") or str(error)
        super().__init__(
            f"No worker could be started for background jobs: {clean_line(why, 200)}",
            "They are kept and go on with the next start of holychat.",
        )


def ensure_worker(paths: Paths, session_keys: Mapping[str, Secret], database: Database | None = None) -> bool:
    """`start_where_none_is` for those who try again soon: what keeps a worker from being started is logged."""
    try:
        return start_where_none_is(paths, session_keys, database)
    except WorkerNotStarted as error:
        _log.warning("%s", error.title)
        return False


async def ask_for_worker(
    paths: Paths, session_keys: Mapping[str, Secret], database: Database
) -> tuple[bool, WorkerNotStarted | None]:
    """`start_where_none_is` off the event loop: whether one was started, and what keeps one from being started."""
    try:
        return await asyncio.to_thread(start_where_none_is, paths, session_keys, database), None
    except WorkerNotStarted as error:
        trouble = error
    except RuntimeError as error:  # no more threads
        trouble = WorkerNotStarted(error)
    _log.warning("%s", trouble.title)
    return False, trouble


def start_where_none_is(paths: Paths, session_keys: Mapping[str, Secret], database: Database | None = None) -> bool:
    """See to it that there is a worker, and one that has these keys. Blocking, some 20 ms.

    Whoever calls this has committed what there is to do before: a worker that is about to leave lets go of its lock
    first and looks for work again then.

    Args:
        paths: Whose worker.
        session_keys: Keys that were typed and live in this process alone, by provider. A worker that lacks one of them
            is asked to leave, and another one takes over.
        database: Where a worker says which keys it has; None: whoever is there will do.

    Returns:
        Whether one was started.

    Raises:
        WorkerNotStarted: None could be, or it cannot be told whether one is there.
    """
    free = _is_free(paths)
    if not free and not (session_keys and database is not None and _lacks(database, session_keys)):
        return False
    try:
        _start(paths, session_keys, take_over=not free)
    except OSError as error:  # no more processes, no memory; or it died before it had read its keys
        raise WorkerNotStarted(error) from error
    return True


def at_work(paths: Paths, database: Database) -> tuple[bool, WorkerRow | None]:
    """(whether there is a worker or may be one, what it says of itself; None: nothing yet). Blocking.

    Raises:
        StoreError: The database cannot be read.
    """
    try:
        if _is_free(paths):
            return False, None  # a row that is there is that of one that died
    except WorkerNotStarted as error:
        _log.warning("%s", error.title)
    return True, database.read_now(workers.current)


def _is_free(paths: Paths) -> bool:
    """Whether no worker is there.

    Raises:
        WorkerNotStarted: That cannot be told.
    """
    lock = WorkerLock(paths)
    try:
        free = lock.take(0)
        lock.release()
    except OSError as error:
        raise WorkerNotStarted(error) from error
    return free


def _lacks(database: Database, session_keys: Mapping[str, Secret]) -> bool:
    """Whether the worker that is there has not all of these keys; then it is asked to leave."""
    try:
        row = database.read_now(workers.current)
        if row is None or set(session_keys) <= set(row.session_keys):
            return False
        database.write_now(lambda connection: workers.ask_to_leave(connection, row.owner))
    except StoreError as error:
        _log.warning("cannot ask the worker to take over a key: %s", error.title)
        return False
    return True


def _start(paths: Paths, session_keys: Mapping[str, Secret], *, take_over: bool) -> None:
    import holychat

    command = [sys.executable, "-m", "holychat", "worker", "--detached"]
    command += ["--keys-from-stdin"] if session_keys else []
    command += ["--take-over"] if take_over else []
    environ = dict(os.environ)
    if paths.home is not None:
        environ[HOME_VARIABLE] = str(paths.home)
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if session_keys else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd=Path(holychat.__file__).parent.parent,  # where the package is found even if it is not installed
        env=environ,
    )
    try:
        # It outlives this process or not; while both live somebody must see it end.
        threading.Thread(target=process.wait, name="worker-process", daemon=True).start()
    except RuntimeError as error:  # no more threads: it is at work all the same
        _log.warning("nobody sees the worker end: %s", str(error))
    if process.stdin is not None:
        keys = json.dumps({name: secret.reveal() for name, secret in session_keys.items()})
        with process.stdin as pipe:
            pipe.write(keys.encode() + b"\n")
