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
    own_model: str
    """That a ready-made request names; "" where it names none."""


_OWN_MODEL = """
    coalesce((SELECT t.body ->> '$.model' FROM item_texts AS t WHERE t.item_id = items.id AND t.body IS NOT NULL), '')
"""


def by_number(connection: Connection, job_id: int, item_ids: Sequence[int]) -> dict[int, Waiting]:
    """Items of a job by their number; parts as well."""
    rows = connection.execute(
        f"""
        SELECT id, state, source_key, waiting_for, reserved_micros, {_OWN_MODEL} FROM items
        WHERE job_id = ? AND id IN (SELECT value FROM json_each(?))
        """,  # noqa: S608  # a literal of this module
        (job_id, json_column(list(item_ids))),
    )
    return {row[0]: Waiting(*row) for row in rows}


def by_custom_id(connection: Connection, job_id: int, names: Sequence[str]) -> dict[str, Waiting]:
    """Documents of a job by their custom_id; without one its number, from 1. Ambiguous ones are left out."""
    rows = connection.execute(
        f"""
        WITH named AS (
            SELECT iif(custom_id = '', CAST(ordinal + 1 AS TEXT), custom_id) AS name,
                   id, state, source_key, waiting_for, reserved_micros, {_OWN_MODEL}
            FROM items WHERE job_id = ? AND parent_id IS NULL
        )
        SELECT * FROM named WHERE name IN (SELECT value FROM json_each(?)) GROUP BY name HAVING count(*) = 1
        """,  # noqa: S608
        (job_id, json_column(list(names))),
    )
    return {row[0]: Waiting(*row[1:]) for row in rows}


def take(connection: Connection, item_id: int, model: str, now_ms: int, *, answered: bool) -> int | None:
    """Make an item one whose fate is about to be written down; its attempt, or None where it has one already.

    Args:
        connection: The database.
        item_id: The item.
        model: Under which its cost is counted; "": that of the job.
        now_ms: The time.
        answered: It has an answer, so one that failed, was cancelled or is in doubt is pending first, as when a person
            retries it.
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
        INSERT INTO attempts (item_id, number, owner, request_sha256, worst_micros, model, sent_ms)
        VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM attempts WHERE item_id = ?1), 'import', '', 0, ?2, ?3)
        RETURNING id
        """,
        (item_id, model, now_ms),
    ).get
    return int(row)
