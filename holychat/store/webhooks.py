"""The outbox of webhooks. Rows are made by a trigger when a job ends; callers hold the transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holychat.domain.webhooks import Webhook, WebhookState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.store.database import Connection

_COLUMNS = """
    id, message_id, job_id, url, payload, state, attempts, next_ms, last_status, last_error, created_ms, delivered_ms
"""


def of_job(connection: Connection, job_id: int) -> list[Webhook]:
    """The messages of a job, oldest first: one for each time it ended."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM webhooks WHERE job_id = ? ORDER BY id", (job_id,))  # noqa: S608
    return [_webhook(row) for row in rows]


def next_due(connection: Connection) -> int | None:
    """When the next message is to be sent, Unix milliseconds; None where none waits."""
    due: int | None = connection.execute("SELECT min(next_ms) FROM webhooks WHERE state = 'pending'").get
    return due


def take_due(connection: Connection, now_ms: int, until_ms: int, limit: int) -> list[Webhook]:
    """Messages whose time has come; each counts as tried, and not again before `until_ms` should this process die."""
    rows = connection.execute(
        f"""
        UPDATE webhooks SET attempts = attempts + 1, next_ms = ?
        WHERE id IN (SELECT id FROM webhooks WHERE state = 'pending' AND next_ms <= ? ORDER BY next_ms LIMIT ?)
        RETURNING {_COLUMNS}
        """,  # noqa: S608
        (until_ms, now_ms, limit),
    )
    return [_webhook(row) for row in rows]


def delivered(connection: Connection, webhook_id: int, status: int, now_ms: int) -> None:
    """The receiver has it."""
    connection.execute(
        """
        UPDATE webhooks SET state = 'delivered', next_ms = NULL, last_status = ?, last_error = '', delivered_ms = ?
        WHERE id = ? AND state = 'pending'
        """,
        (status, now_ms, webhook_id),
    )


def failed(connection: Connection, webhook: Webhook, error: str, status: int | None, next_ms: int | None) -> None:
    """It did not arrive: again at `next_ms`, or never where that is None. Its attempts are those of `webhook`."""
    connection.execute(
        """
        UPDATE webhooks SET state = iif(?1 IS NULL, 'given_up', 'pending'), next_ms = ?1, last_status = ?2,
            last_error = ?3, attempts = ?4
        WHERE id = ?5 AND state = 'pending'
        """,
        (next_ms, status, error, webhook.attempts, webhook.id),
    )


def send_again(connection: Connection, job_id: int, now_ms: int) -> int:
    """Put the last message of a job back into the outbox, with the same id; how many there were: 0 or 1."""
    connection.execute(
        """
        UPDATE webhooks SET state = 'pending', attempts = 0, next_ms = ?, delivered_ms = NULL
        WHERE id = (SELECT max(id) FROM webhooks WHERE job_id = ?)
        """,
        (now_ms, job_id),
    )
    return connection.changes()


def _webhook(row: Sequence[Any]) -> Webhook:
    return Webhook(
        id=row[0],
        message_id=row[1],
        job_id=row[2],
        url=row[3],
        payload=row[4],
        state=WebhookState(row[5]),
        attempts=row[6],
        next_ms=row[7],
        last_status=row[8],
        last_error=row[9],
        created_ms=row[10],
        delivered_ms=row[11],
    )
