"""The row of the worker at work, for people and other processes to see. Callers hold the transaction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from holychat.store import jobs
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import Collection

    from holychat.store.database import Connection


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """The worker that last said something. That it is alive is told by the file it has locked, not by this."""

    owner: str
    pid: int
    started_ms: int
    heartbeat_ms: int
    session_keys: tuple[str, ...]
    """Providers whose keys it was handed; never the keys."""
    leave: bool
    """It was asked to make room for another one."""


def announce(connection: Connection, owner: str, pid: int, session_keys: Collection[str], now_ms: int) -> None:
    """A worker begins; jobs that it finds at work were so as long as the one before it lived."""
    before = current(connection)
    jobs.bank_time(connection, None if before is None else before.heartbeat_ms, now_ms)
    connection.execute(
        """
        INSERT INTO worker (only, owner, pid, started_ms, heartbeat_ms, session_keys, leave)
        VALUES (1, ?, ?, ?, ?, ?, 0)
        ON CONFLICT DO UPDATE SET owner = excluded.owner, pid = excluded.pid, started_ms = excluded.started_ms,
            heartbeat_ms = excluded.heartbeat_ms, session_keys = excluded.session_keys, leave = 0
        """,
        (owner, pid, now_ms, now_ms, msgspec.json.encode(sorted(session_keys)).decode()),
    )


def beat(connection: Connection, owner: str, now_ms: int) -> bool:
    """Say that it is at work; False where its row is gone."""
    connection.execute("UPDATE worker SET heartbeat_ms = ? WHERE owner = ?", (now_ms, owner))
    return bool(connection.changes())


def asked_to_leave(connection: Connection, owner: str) -> bool:
    """Whether this worker is to make room for another one."""
    return bool(connection.execute("SELECT leave FROM worker WHERE owner = ?", (owner,)).get)


def ask_to_leave(connection: Connection, owner: str) -> None:
    """Ask a worker to make room, because another one has keys that it has not."""
    connection.execute("UPDATE worker SET leave = 1 WHERE owner = ?", (owner,))


def depart(connection: Connection, owner: str, now_ms: int) -> None:
    """A worker ends; what is at work waits for the next one."""
    jobs.bank_time(connection, now_ms, None)
    connection.execute("DELETE FROM worker WHERE owner = ?", (owner,))


def current(connection: Connection) -> WorkerRow | None:
    """The worker that is there, or was when it died."""
    row = connection.execute("SELECT owner, pid, started_ms, heartbeat_ms, session_keys, leave FROM worker").fetchone()
    if row is None:
        return None
    owner, pid, started, beat_ms, keys, leave = row
    return WorkerRow(owner, pid, started, beat_ms, tuple(decode(keys, list[str])), bool(leave))
