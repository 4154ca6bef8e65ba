"""One SQLite database, as one writer and a few readers.

All writes of a process go through one thread with one connection; what it is handed is a function, and a function is
one transaction: all of it or nothing. Readers have connections of their own that cannot write. Both sides are safe to
call from any thread and from any event loop.

    titles = await database.read(lambda connection: chats.titles(connection))
    await database.write(lambda connection: chats.rename(connection, 12, "Tea"))
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import apsw

from holychat.errors import StoreDamaged, StoreError
from holychat.store.failures import damaged, translated
from holychat.store.files import on_network_file_system, prepare, remember_that_data_is_here
from holychat.store.migrate import MIGRATIONS, migrate, refuse_unknown
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future
    from pathlib import Path

Connection: TypeAlias = apsw.Connection
T = TypeVar("T")

_log = logging.getLogger(__name__)

_BUSY_MS = 10_000
_ASK_AGAIN_S = 0.01
_READERS = 2


class Database:
    """The history database of this process. Made by `open`, ended by `close`."""

    def __init__(self, path: Path | None, writer: Connection) -> None:
        self._path = path
        self._writer = writer
        self._writing = ThreadPoolExecutor(1, thread_name_prefix="store-writer")
        # A database in memory belongs to its one connection, so there its writer's thread reads too.
        self._reading = (
            self._writing if path is None else ThreadPoolExecutor(_READERS, thread_name_prefix="store-reader")
        )
        self._local = threading.local()
        self._readers: list[Connection] = []
        self._readers_lock = threading.Lock()
        self._closed = False

    @classmethod
    def open(cls, path: Path | None, *, migrations: Path = MIGRATIONS) -> Database:
        """Open the database at `path`, making and migrating it where needed; None keeps it in memory. Blocking.

        Raises:
            StoreTooNew: It was written by a newer holychat.
            StoreDamaged: It is not a database, is broken, or is empty where data was. It is left as it is.
            StoreFull: No space left.
            StoreError: It cannot be opened.
        """
        with translated(path):
            if path is not None:
                prepare(path)
            connection = _connect(path)
            try:
                refuse_unknown(connection, path, migrations)
                if path is not None:
                    _choose_journal(connection, path)
                migrate(connection, path, migrations)
            except BaseException:
                connection.close()
                raise
        if path is not None:
            remember_that_data_is_here(path)
        return cls(path, connection)

    @property
    def path(self) -> Path | None:
        """The database's file; None for one in memory."""
        return self._path

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` as one transaction on the writer's thread.

        Being cancelled while waiting does not undo or halve the write: what was handed over is done.

        Raises:
            StoreError: SQLite refused; nothing of `work` is kept. Exceptions of `work` itself pass through, likewise.
        """
        return await asyncio.shield(asyncio.wrap_future(self._submit_write(work)))

    def write_now(self, work: Callable[[Connection], T]) -> T:
        """The blocking twin of `write`."""
        return self._submit_write(work).result()

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one read transaction on a reader's thread; a cancelled wait drops it where it has not begun.

        Raises:
            StoreError: SQLite refused, or `work` tried to write.
        """
        return await asyncio.wrap_future(self._submit_read(work))

    def read_now(self, work: Callable[[Connection], T]) -> T:
        """The blocking twin of `read`."""
        return self._submit_read(work).result()

    async def data_version(self) -> int:
        """A number that is another one after another process (or window) has written. One pragma, no disk access.

        Whoever watches keeps the last one that it saw.
        """
        return await asyncio.wrap_future(self._submit(self._writing, self._data_version))

    async def version_after(self, seen: int | None) -> int | None:
        """`data_version`, or `seen` once more where it cannot be read at the moment; for whoever looks again soon.

        Raises:
            StoreDamaged: The database is broken.
        """
        try:
            return await self.data_version()
        except StoreDamaged:
            raise
        except StoreError as error:
            _log.info("cannot look at the history: %s", error.title)
            return seen

    def close(self) -> None:
        """Finish what was handed over, then close every connection. Blocking; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._writing.shutdown(wait=True)
        self._reading.shutdown(wait=True)
        with translated(self._path):
            for reader in self._readers:
                reader.close()
            self._writer.close()

    def _submit_write(self, work: Callable[[Connection], T]) -> Future[T]:
        return self._submit(self._writing, lambda: self._transaction(work))

    def _submit_read(self, work: Callable[[Connection], T]) -> Future[T]:
        return self._submit(self._reading, lambda: self._snapshot(work))

    def _submit(self, executor: ThreadPoolExecutor, job: Callable[[], T]) -> Future[T]:
        try:
            return executor.submit(job)
        except RuntimeError:
            raise StoreError("The history database is closed") from None

    def _transaction(self, work: Callable[[Connection], T]) -> T:
        connection = self._writer
        with translated(self._path):
            connection.execute("BEGIN IMMEDIATE")
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                # A full disk or an I/O error may have rolled back already.
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            return result

    def _snapshot(self, work: Callable[[Connection], T]) -> T:
        with translated(self._path):
            connection = self._reader()
            if connection is self._writer:
                return work(connection)
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("COMMIT")

    def _reader(self) -> Connection:
        if self._path is None:
            return self._writer
        reader: Connection | None = getattr(self._local, "reader", None)
        if reader is None:
            reader = _connect(self._path)
            reader.pragma("query_only", True)
            self._local.reader = reader
            with self._readers_lock:
                self._readers.append(reader)
        return reader

    def _data_version(self) -> int:
        # On the writer's own connection this number moves for the commits of others only.
        with translated(self._path):
            return int(self._writer.pragma("data_version"))


def look_into(path: Path, work: Callable[[Connection], T]) -> T:
    """Run `work` on a database that is left exactly as it is: nothing is migrated, recovered or made private. Blocking.

    Raises:
        StoreTooNew: It was written by a newer holychat.
        StoreDamaged: It is not a database, is broken or empty.
        StoreError: It cannot be opened.
    """
    with translated(path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            connection.set_busy_timeout(_BUSY_MS)
            if not refuse_unknown(connection, path):
                raise damaged(path, "it is empty")
            return work(connection)
        finally:
            connection.close()


def damage_of(path: Path) -> StoreDamaged | None:
    """What is wrong with the database at `path`, None where it is sound. Reads all of it, changes nothing. Blocking.

    Raises:
        StoreTooNew: It was written by a newer holychat.
        StoreError: It cannot be opened.
    """
    if not path.is_file():
        return damaged(path, "it is not a file")

    def check(connection: Connection) -> None:
        found = str(connection.execute("PRAGMA integrity_check(1)").get)
        if found != "ok":
            raise damaged(path, clean_line(found))

    try:
        look_into(path, check)
    except StoreDamaged as damage:
        return damage
    return None


def _connect(path: Path | None) -> Connection:
    flags = apsw.SQLITE_OPEN_READWRITE | (apsw.SQLITE_OPEN_CREATE if path is None else 0)
    connection = apsw.Connection(":memory:" if path is None else str(path), flags=flags)
    connection.set_busy_timeout(_BUSY_MS)
    connection.pragma("synchronous", "full")
    connection.pragma("foreign_keys", True)
    if sys.platform == "darwin":
        # fsync alone leaves the data in the drive's cache there.
        connection.pragma("fullfsync", True)
        connection.pragma("checkpoint_fullfsync", True)
    return connection


def _choose_journal(connection: Connection, path: Path) -> None:
    wanted = "truncate" if on_network_file_system(path) else "wal"
    got = _journaled(connection, wanted)
    if got != "wal":
        _log.warning(
            "%s is journaled by %r instead of WAL; windows of other processes may wait for each other", path, got
        )


def _journaled(connection: Connection, wanted: str) -> str:
    # SQLite waits for nobody here: of processes that open a new database together, all but one are told that it is
    # locked at once, because those that wait while they read would stop each other.
    deadline = time.monotonic() + _BUSY_MS / 1000
    while True:
        try:
            return str(connection.pragma("journal_mode", wanted))
        except apsw.BusyError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(_ASK_AGAIN_S)


def sqlite_version() -> str:
    """Version of the SQLite that the history is kept with."""
    return apsw.sqlite_lib_version()
