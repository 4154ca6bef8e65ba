"""Bringing a database to the version that this program knows: numbered .sql files under PRAGMA user_version."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

import apsw

from holychat.errors import StoreTooNew
from holychat.store.failures import damaged

_log = logging.getLogger(__name__)

APPLICATION_ID = 0x486F6C79
"""Marks the file as holychat's ("Holy")."""
MIGRATIONS = Path(__file__).with_name("migrations")

# One statement, so that it is seen as it was at one moment: another process may be migrating it just now.
_WHAT_IT_IS = """
SELECT user_version, application_id, (SELECT count(*) FROM sqlite_schema)
FROM pragma_user_version, pragma_application_id
"""


def known_version(folder: Path = MIGRATIONS) -> int:
    """The newest version that this program can read and write."""
    return len(_scripts(folder))


def refuse_unknown(connection: apsw.Connection, path: Path | None, folder: Path = MIGRATIONS) -> int:
    """Make sure that this program knows the database, without changing a byte of it.

    Returns:
        The version of the database; 0 for an empty one.

    Raises:
        StoreTooNew: The database was written by a newer holychat.
        StoreDamaged: The file belongs to another program, or cannot be read.
    """
    return _checked_version(connection, path, known_version(folder))


def migrate(connection: apsw.Connection, path: Path | None, folder: Path = MIGRATIONS) -> None:
    """Apply what is missing, all of it in one transaction, after a copy of what was there has been kept.

    Two processes that start together do it once: the second waits for the first one's transaction and then finds
    nothing to do. A process that dies in between leaves the old version.

    Args:
        connection: A connection outside any transaction.
        path: The database's file, or None for one in memory.
        folder: Where the numbered scripts are.

    Raises:
        StoreTooNew: The database was written by a newer holychat.
        StoreDamaged: The file belongs to another program.
    """
    scripts = _scripts(folder)
    if _checked_version(connection, path, len(scripts)) == len(scripts):
        return
    # Rebuilding a table in a later migration would otherwise delete the rows that refer to it.
    connection.pragma("foreign_keys", False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        version = _checked_version(connection, path, len(scripts))
        if version < len(scripts):
            if version > 0 and path is not None:
                _keep_copy(path, version)
            _apply(connection, path, scripts, version)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.pragma("foreign_keys", True)


def _apply(connection: apsw.Connection, path: Path | None, scripts: list[Path], version: int) -> None:
    for script in scripts[version:]:
        connection.execute(script.read_text(encoding="utf-8"))
    broken = connection.execute("PRAGMA foreign_key_check").fetchone()
    if broken is not None:
        raise damaged(path, f"rows of {broken[0]} refer to nothing")
    connection.pragma("application_id", APPLICATION_ID)
    connection.pragma("user_version", len(scripts))


def _scripts(folder: Path) -> list[Path]:
    scripts = sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))
    numbers = [int(script.name[:4]) for script in scripts]
    if numbers != list(range(1, len(scripts) + 1)):
        raise ValueError(f"migrations are not numbered 1, 2, 3 …: {numbers}")
    return scripts


def _checked_version(connection: apsw.Connection, path: Path | None, known: int) -> int:
    version, application, tables = map(int, connection.execute(_WHAT_IT_IS).get)
    if application not in (0, APPLICATION_ID) or (application == 0 and tables):
        raise damaged(path, "it belongs to another program")
    if version > known:
        raise StoreTooNew(
            f"The history database has version {version}; this holychat knows versions up to {known}",
            f"Take a holychat that knows version {version}, or set HOLYCHAT_HOME to another folder.",
        )
    return version


def _keep_copy(path: Path, version: int) -> Path:
    """Copy the committed contents beside the database; they cannot change meanwhile, because we hold the write lock."""
    copy = path.with_name(f"{path.name}.version-{version}.{time.strftime('%Y%m%d-%H%M%S')}.copy")
    temporary = path.with_name(f".{copy.name}.{os.getpid()}.tmp")
    os.close(os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))
    source = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    target = apsw.Connection(str(temporary))
    try:
        with target.backup("main", source, "main") as backup:
            backup.step()
        # The copy is one file: a -wal left beside it would be lost when it is moved.
        target.pragma("journal_mode", "delete")
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        target.close()
        source.close()
    temporary.replace(copy)
    _log.info("kept a copy of version %d as %s", version, copy)
    return copy
