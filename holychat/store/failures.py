"""Translation of what SQLite and the file system say into the errors of holychat; the only place that does it."""

from __future__ import annotations

import errno
import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from holychat.errors import StoreDamaged, StoreError, StoreFull, StoreRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_log = logging.getLogger(__name__)

_FULL_ERRNOS = frozenset({errno.ENOSPC, errno.EDQUOT})
_FULL_HINT = "Free some space there; nothing that was stored is lost, and reading still works."


@contextmanager
def translated(path: Path | None) -> Iterator[None]:
    """Everything apsw and the file system raise inside becomes a StoreError; other exceptions pass.

    Raises:
        StoreFull: No space left.
        StoreDamaged: The file is not a database, or a broken one.
        StoreError: Anything else: busy for too long, not writable, a broken rule of the schema.
    """
    try:
        yield
    except apsw.Error as error:
        raise _of_sqlite(error, path) from error
    except OSError as error:
        raise of_os(error, path) from error


def damaged(path: Path | None, what: str) -> StoreDamaged:
    """The error for a file that cannot be read as history, with the way out that keeps it."""
    name = str(path or "the database")
    return StoreDamaged(
        f"The history database is damaged: {what} ({name})",
        "It was left as it is. `holychat history move-aside` keeps it under another name, so that a new history can"
        " begin. A copy from before the last update may be beside it.",
    )


def of_os(error: OSError, path: Path | None) -> StoreError:
    """The error for what the file system refused."""
    if error.errno in _FULL_ERRNOS:
        return StoreFull(f"No space left for the history database ({path})", _FULL_HINT)
    reason = error.strerror or str(error)
    return StoreError(
        f"Cannot open the history database {path}: {reason}",
        "Check who owns the folder and that it can be written, or set HOLYCHAT_HOME to another one.",
    )


def _of_sqlite(error: apsw.Error, path: Path | None) -> StoreError:
    extended = getattr(error, "extendedresult", 0)
    if isinstance(error, apsw.FullError) or extended == apsw.SQLITE_IOERR_SHMSIZE:
        return StoreFull(f"No space left for the history database ({path})", _FULL_HINT)
    if isinstance(error, apsw.NotADBError):
        return damaged(path, "it is not a database")
    if isinstance(error, apsw.CorruptError):
        return damaged(path, "its contents are broken")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreError(
            "The history database is busy: another process has been writing for too long",
            "Try again; if it stays so, look for a holychat process that hangs.",
        )
    if isinstance(
        error, apsw.ReadOnlyError | apsw.CantOpenError | apsw.PermissionsError | apsw.IOError | apsw.AuthError
    ):
        return StoreError(
            f"The history database cannot be used ({path}): {error}",
            "Check that the file and its folder can be written, or set HOLYCHAT_HOME to another folder.",
        )
    _log.error("the history database refused a statement", exc_info=error)
    return StoreRefused(f"The history database refused this: {error}", "This is a fault of holychat; the log has more.")
