"""Answers that another engine gave to the requests of a job. Callers hold the transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from holychat.store.job_rows import json_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.store.database import Connection


class Waiting(NamedTuple):
    """An item as an import looks at it."""

    id: int
    state: str
    key: str
    waiting_for: int
    worst_micros: int


def by_number(connection: Connection, job_id: int, item_ids: Sequence[int]) -> dict[int, Waiting]:
    """Items of a job by their number; parts as well."""
    rows = connection.execute(
        """
        SELECT id, state, source_key, waiting_for, reserved_micros FROM items
        WHERE job_id = ? AND id IN (SELECT value FROM json_each(?))
        """,
        (job_id, json_column(list(item_ids))),
    )
    return {row[0]: Waiting(*row) for row in rows}


def by_custom_id(connection: Connection, job_id: int, names: Sequence[str]) -> dict[str, Waiting]:
    """Documents of a job by their custom_id; without one its number, from 1. Ambiguous ones are left out."""
    rows = connection.execute(
        """
        WITH named AS (
            SELECT iif(custom_id = '', CAST(ordinal + 1 AS TEXT), custom_id) AS name,
                   id, state, source_key, waiting_for, reserved_micros
            FROM items WHERE job_id = ? AND parent_id IS NULL
        )
        SELECT * FROM named WHERE name IN (SELECT value FROM json_each(?)) GROUP BY name HAVING count(*) = 1
        """,
        (job_id, json_column(list(names))),
    )
    return {row[0]: Waiting(*row[1:]) for row in rows}


def take(connection: Connection, item_id: int, answered: bool, now_ms: int) -> int | None:
    """Make an item one whose fate is about to be written down; its attempt, or None where it has one already.

    Where it was answered, an item that failed, was cancelled or is in doubt is pending first, as when a person retries
    it.
    """
    if answered:
        connection.execute(
            """
            UPDATE items SET state = 'pending', reserved_micros = 0, updated_ms = ?
            WHERE id = ? AND state IN ('failed', 'cancelled', 'in_doubt') AND waiting_for = 0
            """,
            (now_ms, item_id),
        )
    connection.execute(
        """
        UPDATE items SET state = 'sending', attempts = attempts + 1, failure = NULL, cause = '', note = '',
                         submission_id = NULL, updated_ms = ?
        WHERE id = ? AND state = 'pending' AND waiting_for = 0
        """,
        (now_ms, item_id),
    )
    if not connection.changes():
        return None
    row = connection.execute(
        """
        INSERT INTO attempts (item_id, number, owner, request_sha256, worst_micros, sent_ms)
        VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE item_id = ?1), 'import', '', 0, ?2)
        RETURNING id
        """,
        (item_id, now_ms),
    ).get
    return int(row)
