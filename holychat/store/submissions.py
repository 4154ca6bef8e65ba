"""What was handed over to batch services of providers. Callers hold the transaction.

Every move of a submission repeats the states it may come from, as moves of items do; what comes back is whether it
moved.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from holychat.domain.batches import OPEN_SUBMISSIONS, Submission, SubmissionState, before
from holychat.domain.failures import Failure
from holychat.store.folding import storable
from holychat.store.rows import failure_column
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holychat.domain.batches import RemoteBatch
    from holychat.store.database import Connection

_COLUMNS = """
    id, job_id, token, state, provider, model, lines, bytes, tokens, input_file_id, batch_id, output_file_id,
    error_file_id, remote_status, remote_done, remote_failed, cancelling, cleaned, polls, poll_ms, created_ms,
    expires_ms, ended_ms, failure
"""
_NAMES = tuple(name.strip() for name in _COLUMNS.split(","))
_OPEN = ", ".join(f"'{state.value}'" for state in sorted(OPEN_SUBMISSIONS))


class UnderWay(NamedTuple):
    """An item that is in the provider's hands."""

    item_id: int
    attempt_id: int
    worst_micros: int | None
    repairs: int
    faults: int
    note: str
    model: str
    """Where it is not that of the job."""


def add(connection: Connection, new: Submission) -> int:
    """Write down that a file is about to be handed over; the number of the submission. `new.id` is not used."""
    connection.execute(
        """
        INSERT INTO submissions (job_id, token, state, provider, model, lines, bytes, tokens, poll_ms, created_ms)
        VALUES (?, ?, 'file_intent', ?, ?, ?, ?, ?, ?, ?)
        """,
        (
            new.job_id, new.token, new.provider, new.model, new.lines, new.bytes, new.tokens, new.created_ms,
            new.created_ms,
        ),
    )  # fmt: skip
    return connection.last_insert_rowid()


def take_items(connection: Connection, submission_id: int, items: Iterable[tuple[int, str]]) -> None:
    """Note which submission items go with, and what is to be known of their documents.

    They are in state `sending` by then, in the same transaction.
    """
    connection.executemany(
        "UPDATE items SET submission_id = ?, note = ? WHERE id = ? AND state = 'sending'",
        [(submission_id, storable(note), item_id) for item_id, note in items],
    )


def resize(connection: Connection, submission_id: int, lines: int, size: int, tokens: int) -> None:
    """What it holds, now that it is known."""
    connection.execute(
        "UPDATE submissions SET lines = ?, bytes = ?, tokens = ? WHERE id = ?", (lines, size, tokens, submission_id)
    )


def get(connection: Connection, submission_id: int) -> Submission | None:
    """The submission with this number; None where its job was deleted."""
    row = connection.execute(f"SELECT {_COLUMNS} FROM submissions WHERE id = ?", (submission_id,)).fetchone()  # noqa: S608
    return None if row is None else _submission(row)


def of_job(connection: Connection, job_id: int) -> list[Submission]:
    """All submissions of a job, oldest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM submissions WHERE job_id = ? ORDER BY id", (job_id,))  # noqa: S608
    return [_submission(row) for row in rows]


def open_ones(connection: Connection) -> list[Submission]:
    """Submissions that something is still to be done for, of all jobs, oldest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM submissions WHERE state IN ({_OPEN}) ORDER BY id")  # noqa: S608
    return [_submission(row) for row in rows]


def by_token(connection: Connection) -> dict[str, tuple[int, SubmissionState]]:
    """The job and the state of every submission, by its token."""
    rows = connection.execute("SELECT token, job_id, state FROM submissions")
    return {token: (job_id, SubmissionState(state)) for token, job_id, state in rows}


def by_batch(connection: Connection, provider: str) -> dict[str, int]:
    """The job of every batch that is known to be at a provider, by the number it has there."""
    known = "SELECT batch_id, job_id FROM submissions WHERE provider = ? AND batch_id != ''"
    return dict(connection.execute(known, (provider,)))


def any_open(connection: Connection) -> bool:
    """Whether something is still to be done for some submission."""
    return connection.execute(f"SELECT 1 FROM submissions WHERE state IN ({_OPEN}) LIMIT 1").get is not None  # noqa: S608


def unwanted(connection: Connection) -> set[int]:
    """Open submissions whose job was cancelled or deleted."""
    rows = connection.execute(
        f"""
        SELECT s.id FROM submissions AS s JOIN jobs AS j ON j.id = s.job_id
        WHERE s.state IN ({_OPEN}) AND (j.state = 'cancelled' OR j.deleted = 1)
        """  # noqa: S608
    )
    return {submission_id for (submission_id,) in rows}


def to_clean(connection: Connection) -> list[Submission]:
    """Submissions that are over and whose files at the provider were not deleted yet."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM submissions WHERE NOT cleaned AND state IN ('ingested', 'refused') ORDER BY id"  # noqa: S608
    )
    return [_submission(row) for row in rows]


def move(connection: Connection, submission_id: int, new: SubmissionState, now_ms: int) -> bool:
    """Make it `new`, if it may be; nothing else of it changes."""
    marks = ", ".join("?" * len(before(new)))
    connection.execute(
        f"UPDATE submissions SET state = ?, poll_ms = ?, polls = 0 WHERE id = ? AND state IN ({marks})",  # noqa: S608
        (new.value, now_ms, submission_id, *(state.value for state in before(new))),
    )
    return bool(connection.changes())


def uploaded(connection: Connection, submission_id: int, file_id: str, now_ms: int) -> bool:
    """Its file is at the provider."""
    connection.execute(
        """
        UPDATE submissions SET state = 'file_uploaded', input_file_id = ?, poll_ms = ?, polls = 0
        WHERE id = ? AND state = 'file_intent'
        """,
        (storable(file_id), now_ms, submission_id),
    )
    return bool(connection.changes())


def created(connection: Connection, submission_id: int, batch: RemoteBatch, next_ms: int) -> bool:
    """The provider has taken it on, or was found to have."""
    connection.execute(
        """
        UPDATE submissions SET state = 'created', batch_id = ?, remote_status = ?, expires_ms = ?, poll_ms = ?,
            polls = 0, failure = NULL
        WHERE id = ? AND state = 'create_intent'
        """,
        (storable(batch.id), storable(batch.status), _ms(batch.expires_s), next_ms, submission_id),
    )
    return bool(connection.changes())


def polled(connection: Connection, submission_id: int, batch: RemoteBatch, next_ms: int, now_ms: int) -> bool:
    """What the provider says of it; where its batch has ended it becomes `ended`."""
    connection.execute(
        """
        UPDATE submissions SET remote_status = ?, remote_done = ?, remote_failed = ?, output_file_id = ?,
            error_file_id = ?, expires_ms = coalesce(?, expires_ms), polls = polls + 1, poll_ms = ?,
            state = iif(?, 'ended', state), ended_ms = iif(?, ?, ended_ms)
        WHERE id = ? AND state = 'created'
        """,
        (
            storable(batch.status), batch.completed, batch.failed, storable(batch.output_file_id),
            storable(batch.error_file_id), _ms(batch.expires_s), next_ms, batch.has_ended, batch.has_ended, now_ms,
            submission_id,
        ),
    )  # fmt: skip
    return bool(connection.changes())


def later(connection: Connection, submission_id: int, next_ms: int, failure: Failure | None = None) -> None:
    """Nothing came of the last request about it; ask again at `next_ms`."""
    connection.execute(
        f"UPDATE submissions SET polls = polls + 1, poll_ms = ?, failure = ? WHERE id = ? AND state IN ({_OPEN})",  # noqa: S608
        (next_ms, failure_column(failure), submission_id),
    )


def asked_to_cancel(connection: Connection, submission_id: int, now_ms: int) -> None:
    """The provider was asked to end it."""
    connection.execute(
        "UPDATE submissions SET cancelling = 1, poll_ms = ?, polls = 0 WHERE id = ?", (now_ms, submission_id)
    )


def over(
    connection: Connection, submission_id: int, new: SubmissionState, now_ms: int, failure: Failure | None = None
) -> bool:
    """It is `ingested` or `refused`: nothing more is asked about it. Its items are moved by the caller."""
    marks = ", ".join("?" * len(before(new)))
    connection.execute(
        f"""
        UPDATE submissions SET state = ?, poll_ms = NULL, failure = ?, ended_ms = coalesce(ended_ms, ?)
        WHERE id = ? AND state IN ({marks})
        """,  # noqa: S608
        (new.value, failure_column(failure), now_ms, submission_id, *(state.value for state in before(new))),
    )
    return bool(connection.changes())


def cleaned(connection: Connection, submission_id: int) -> None:
    """Its files at the provider are deleted."""
    connection.execute("UPDATE submissions SET cleaned = 1 WHERE id = ?", (submission_id,))


def under_way(
    connection: Connection, submission_id: int, item_ids: Sequence[int] | None = None, most: int = 1_000
) -> list[UnderWay]:
    """Items whose fate this submission decides: some of them, or those among `item_ids`."""
    among = "" if item_ids is None else "AND i.id IN (SELECT value FROM json_each(?))"
    values: tuple[Any, ...] = () if item_ids is None else (msgspec.json.encode(list(item_ids)).decode(),)
    rows = connection.execute(
        f"""
        SELECT i.id, a.id, a.worst_micros, i.repairs, i.faults, i.note, a.model
        FROM items AS i JOIN attempts AS a ON a.id = (SELECT max(b.id) FROM attempts AS b WHERE b.item_id = i.id)
        WHERE i.submission_id = ? AND i.state = 'sending' {among} ORDER BY i.id LIMIT ?
        """,  # noqa: S608
        (submission_id, *values, most),
    )
    return [UnderWay(*row) for row in rows]


def offered(connection: Connection, provider: str, base_url: str, since_ms: int) -> bool | None:
    """Whether a provider has a batch service, as it was found since `since_ms`; None: not asked since then."""
    row = connection.execute(
        "SELECT offered FROM batch_services WHERE provider = ? AND base_url = ? AND checked_ms >= ?",
        (provider, base_url, since_ms),
    ).fetchone()
    return None if row is None else bool(row[0])


def found_out(connection: Connection, provider: str, base_url: str, offered: bool, now_ms: int) -> None:
    """Remember whether a provider has a batch service."""
    connection.execute(
        """
        INSERT INTO batch_services (provider, base_url, offered, checked_ms) VALUES (?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET base_url = excluded.base_url, offered = excluded.offered,
            checked_ms = excluded.checked_ms
        """,
        (provider, base_url, offered, now_ms),
    )


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000


def _submission(row: Sequence[Any]) -> Submission:
    failure = None if row[23] is None else Failure.from_dict(decode(row[23], dict[str, object]))
    named: dict[str, Any] = dict(zip(_NAMES, row, strict=True))
    named |= {
        "state": SubmissionState(named["state"]),
        "cancelling": bool(named["cancelling"]),
        "cleaned": bool(named["cleaned"]),
        "failure": failure,
    }
    return Submission(**named)
