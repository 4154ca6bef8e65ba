"""Jobs as their worker sees them: what is at work, the documents that are listed, what is to be sent next, the end.

Callers hold the transaction.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

from holychat.domain.failures import Failure
from holychat.domain.jobs import ItemState, JobState, PauseReason
from holychat.errors import Outcome, UsageError
from holychat.store import jobs, submissions
from holychat.store.folding import storable
from holychat.store.ledger import write_entries
from holychat.store.ledger_entries import Doubt, Entries
from holychat.store.rows import failure_column

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holychat.domain.jobs import Document, Job, Progress
    from holychat.store.database import Connection


class ToSend(NamedTuple):
    """A row of what waits to be sent."""

    id: int
    parent_id: int | None
    ordinal: int
    level: int
    part: int
    span_start: int | None
    span_end: int | None
    key: str
    name: str
    path: str
    custom_id: str
    size: int | None
    mtime_ns: int | None
    sha256: str
    faults: int
    repairs: int
    problem: str | None
    """Failure of the answer that is asked for once more, as JSON."""
    split: int
    """1 where it merges parts."""
    siblings: int
    """Parts of its parent; 0 for a document."""


class Unread(NamedTuple):
    """An answer that was kept and not read."""

    item_id: int
    job_id: int
    attempt_id: int
    status: int
    body: bytes
    request_id: str
    worst_micros: int | None
    model: str
    """Where it is not that of the job."""


def at_work(connection: Connection) -> list[int]:
    """Jobs that a worker has to look after: also those in a pause that it ends itself."""
    rows = connection.execute(
        """
        SELECT id FROM jobs
        WHERE state NOT IN ('draft', 'finished', 'finished_with_errors', 'cancelled')
          AND (state <> 'paused' OR pause = ?) AND deleted = 0 ORDER BY id
        """,
        (PauseReason.OFFLINE.value,),
    )
    return [job_id for (job_id,) in rows]


def has_work(connection: Connection) -> bool:
    """Whether a worker is needed: a job at work, or a request that a dead worker left behind."""
    if at_work(connection) or submissions.any_open(connection):
        return True
    return any(
        connection.execute(
            "SELECT 1 FROM items AS i JOIN jobs AS j ON j.id = i.job_id AND j.deleted = 0"  # noqa: S608  # two literals
            f" WHERE i.state = '{state}' LIMIT 1"
        ).get
        for state in ("sending", "received")
    )


def by_number(connection: Connection, job_ids: Iterable[int]) -> dict[int, Job]:
    """Jobs by number; one that is gone is left out."""
    found: dict[int, Job] = {}
    for job_id in job_ids:
        with contextlib.suppress(UsageError):
            found[job_id] = jobs.get(connection, job_id)
    return found


def begin(connection: Connection, job_id: int, now_ms: int) -> bool:
    """QUEUED -> RUNNING."""
    begun = jobs.move(connection, job_id, JobState.RUNNING, now_ms)
    if begun:
        connection.execute("UPDATE jobs SET started_ms = coalesce(started_ms, ?) WHERE id = ?", (now_ms, job_id))
    return begun


def pause(connection: Connection, job_id: int, reason: PauseReason, detail: str, now_ms: int) -> bool:
    """RUNNING -> PAUSED, for a reason that the worker found."""
    return jobs.move(
        connection,
        job_id,
        JobState.PAUSED,
        now_ms,
        only=(JobState.RUNNING, JobState.QUEUED),
        pause=reason,
        detail=detail,
    )


def wake(connection: Connection, job_id: int, reason: PauseReason, now_ms: int) -> bool:
    """PAUSED for this reason -> QUEUED."""
    found = connection.execute("SELECT 1 FROM jobs WHERE id = ? AND pause = ?", (job_id, reason.value)).get
    return bool(found) and jobs.move(connection, job_id, JobState.QUEUED, now_ms, only=(JobState.PAUSED,))


# Listing


def add_documents(connection: Connection, job_id: int, documents: Sequence[Document], now_ms: int) -> int:
    """List documents behind those that are listed; one that is listed already is passed over. How many were added."""
    if (
        connection.execute("SELECT 1 FROM jobs WHERE id = ? AND deleted = 0 AND state <> 'cancelled'", (job_id,)).get
        is None
    ):
        return 0
    first = ordinal = int(
        connection.execute(
            "SELECT coalesce(sum(count), 0) FROM job_counts WHERE job_id = ? AND parts = 0", (job_id,)
        ).get
    )
    for document in documents:
        failure = document.failure
        added = connection.execute(
            """
            INSERT INTO items (job_id, ordinal, source_key, name, path, custom_id, size, mtime_ns, state, failure,
                               cause, note, updated_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job_id, source_key) DO NOTHING RETURNING id
            """,
            (
                job_id, ordinal, storable(document.key), storable(document.name), storable(document.path),
                storable(document.custom_id), document.size, document.mtime_ns,
                _first_state(document),
                failure_column(failure), "" if failure is None else failure.kind, document.skipped, now_ms,
            ),
        ).get  # fmt: skip
        if added is None:
            continue
        ordinal += 1
        if document.content is not None or document.body:
            connection.execute(
                "INSERT INTO item_texts (item_id, content, body) VALUES (?, ?, ?)",
                (added, None if document.content is None else storable(document.content), document.body or None),
            )
    return ordinal - first


def _first_state(document: Document) -> ItemState:
    if document.failure is not None:
        return ItemState.FAILED
    return ItemState.SKIPPED if document.skipped else ItemState.PENDING


def all_listed(connection: Connection, job_id: int, note: str, now_ms: int) -> None:
    """Every document of the job is listed."""
    connection.execute("UPDATE jobs SET listed = 1, updated_ms = ? WHERE id = ?", (now_ms, job_id))
    add_note(connection, job_id, note)


def add_note(connection: Connection, job_id: int, note: str) -> None:
    """Tell the person something about a job, once."""
    if note:
        connection.execute(
            """
            UPDATE jobs SET note = iif(note = '', ?1, note || char(10) || ?1) WHERE id = ?2 AND instr(note, ?1) = 0
            """,
            (storable(note), job_id),
        )


def take_back_notes(connection: Connection, job_id: int, beginning: str) -> None:
    """Tell the person no more what begins so."""
    said = str(connection.execute("SELECT note FROM jobs WHERE id = ?", (job_id,)).get or "")
    kept = "\n".join(line for line in said.split("\n") if not line.startswith(beginning))
    connection.execute("UPDATE jobs SET note = ?1 WHERE id = ?2 AND note <> ?1", (kept, job_id))


# Sending


def to_send(connection: Connection, job_id: int, after: tuple[int, int], count: int) -> list[ToSend]:
    """The next items that can be sent, in the order of the input, behind (ordinal, id)."""
    rows = connection.execute(
        """
        SELECT i.id, i.parent_id, i.ordinal, i.level, i.part, i.span_start, i.span_end, i.source_key, i.name, i.path,
               i.custom_id, i.size, i.mtime_ns, i.sha256, i.faults, i.repairs, i.failure,
               EXISTS (SELECT 1 FROM items AS c WHERE c.parent_id = i.id),
               CASE WHEN i.parent_id IS NULL THEN 0
                    ELSE (SELECT count(*) FROM items AS c WHERE c.parent_id = i.parent_id) END
        FROM items AS i
        WHERE i.job_id = ? AND i.state = 'pending' AND i.waiting_for = 0 AND (i.ordinal, i.id) > (?, ?)
        ORDER BY i.ordinal, i.id LIMIT ?
        """,
        (job_id, *after, count),
    )
    return [ToSend(*row) for row in rows]


def texts_to_send(
    connection: Connection, item_ids: Sequence[int]
) -> dict[int, tuple[str | None, str | None, str | None]]:
    """(content, body, partial) of items that have some."""
    marks = ",".join("?" * len(item_ids))
    rows = connection.execute(
        f"SELECT item_id, content, body, partial FROM item_texts WHERE item_id IN ({marks})",  # noqa: S608
        tuple(item_ids),
    )
    return {item_id: (content, body, partial) for item_id, content, body, partial in rows}


def root_of(connection: Connection, item_id: int) -> int:
    """The document that an item is a part of."""
    row = connection.execute(
        """
        WITH RECURSIVE up (id, parent_id) AS (
            SELECT id, parent_id FROM items WHERE id = ?
            UNION ALL SELECT i.id, i.parent_id FROM items AS i JOIN up ON i.id = up.parent_id
        )
        SELECT id FROM up WHERE parent_id IS NULL
        """,
        (item_id,),
    ).get
    return int(row)


def results_of_parts(connection: Connection, item_id: int) -> list[str] | None:
    """What came of the direct parts, in order; None where one of them is not done."""
    rows = connection.execute(
        """
        SELECT i.state, t.result FROM items AS i LEFT JOIN item_texts AS t ON t.item_id = i.id
        WHERE i.parent_id = ? ORDER BY i.part, i.id
        """,
        (item_id,),
    ).fetchall()
    if any(state != ItemState.DONE for state, _ in rows):
        return None
    return [str(result or "") for _, result in rows]


def begun_documents(connection: Connection, job_id: int) -> tuple[int, list[int]]:
    """(documents that were tried and have ended, documents that were begun and have not)."""
    ended = connection.execute(
        """
        SELECT count(*) FROM items WHERE job_id = ? AND parent_id IS NULL AND state IN ('done', 'failed', 'in_doubt')
          AND (attempts > 0 OR EXISTS (SELECT 1 FROM items AS p WHERE p.parent_id = items.id))
        """,
        (job_id,),
    ).get
    open_ = connection.execute(
        """
        SELECT id FROM items WHERE job_id = ? AND parent_id IS NULL AND (state IN ('sending', 'received')
          OR (state = 'pending' AND (waiting_for > 0 OR repairs > 0)))
        """,
        (job_id,),
    )
    return int(ended), [item_id for (item_id,) in open_]


def doubts_allowed(connection: Connection, job_id: int) -> tuple[int, int]:
    """(items in doubt that were sent again by themselves, worst case of what was in doubt and went on)."""
    row = connection.execute("SELECT doubts_retried, doubted_micros FROM jobs WHERE id = ?", (job_id,)).fetchone()
    return (0, 0) if row is None else (row[0], row[1])


# After a crash


def orphans(connection: Connection, most: int) -> list[tuple[int, int, int, int]]:
    """(item, attempt, job, worst case) of what was under way when a worker died, but for what is in batches."""
    rows = connection.execute(
        """
        SELECT i.id, (SELECT max(a.id) FROM attempts AS a WHERE a.item_id = i.id), i.job_id, i.reserved_micros
        FROM items AS i JOIN jobs AS j ON j.id = i.job_id AND j.deleted = 0
        WHERE i.state = 'sending' AND i.submission_id IS NULL ORDER BY i.id LIMIT ?
        """,
        (most,),
    )
    return [(item_id, attempt_id, job_id, worst) for item_id, attempt_id, job_id, worst in rows]


def leave_in_doubt(connection: Connection, found: Sequence[tuple[int, int, int, bool]], now_ms: int) -> int:
    """Items that were under way in a worker that died are in doubt: (item, attempt, job, may be sent again)."""
    entries = Entries(
        doubt=[Doubt(item_id, attempt_id, job_id, CUT_OFF, again=again) for item_id, attempt_id, job_id, again in found]
    )
    return len(write_entries(connection, entries, "", now_ms).moved)


CUT_OFF = Failure(
    "WorkerEnded",
    "The worker ended while this was under way; it may have been done and billed",
    "Send it again at the risk of paying twice, or skip it.",
    outcome=Outcome.AMBIGUOUS.value,
)


def unread(connection: Connection, most: int) -> list[Unread]:
    """Answers that were kept and never read."""
    rows = connection.execute(
        """
        SELECT i.id, i.job_id, a.id, a.status, a.raw, a.request_id, a.worst_micros, a.model
        FROM items AS i JOIN jobs AS j ON j.id = i.job_id AND j.deleted = 0
        JOIN attempts AS a ON a.id = (SELECT max(b.id) FROM attempts AS b WHERE b.item_id = i.id)
        WHERE i.state = 'received' ORDER BY i.id LIMIT ?
        """,
        (most,),
    )
    return [Unread(row[0], row[1], row[2], row[3] or 200, row[4] or b"", *row[5:]) for row in rows]


# The end


def finishing(connection: Connection, job_id: int, now_ms: int) -> bool:
    """RUNNING -> FINISHING, where every document is listed and every item has ended."""
    done = connection.execute(
        """
        SELECT listed = 1 AND NOT EXISTS (SELECT 1 FROM job_counts WHERE job_id = jobs.id AND count > 0
                                          AND state IN ('pending', 'sending', 'received'))
        FROM jobs WHERE id = ?
        """,
        (job_id,),
    ).get
    return bool(done) and jobs.move(connection, job_id, JobState.FINISHING, now_ms, only=(JobState.RUNNING,))


def finished(connection: Connection, job_id: int, note: str, now_ms: int) -> JobState | None:
    """FINISHING -> ended; None where somebody was faster.

    An item that came back meanwhile puts the job into the queue again.
    """
    counts = jobs.counts_of(connection, [job_id])[job_id]
    wrong = counts.of(ItemState.FAILED) + counts.of(ItemState.IN_DOUBT)
    end = JobState.FINISHED_WITH_ERRORS if wrong else JobState.FINISHED
    if not jobs.move(connection, job_id, end, now_ms, only=(JobState.FINISHING,)):
        return None
    connection.execute(
        """
        UPDATE jobs SET in_flight = 0, waiting_for = '', waiting_until_ms = NULL, eta_early_ms = NULL,
                        eta_late_ms = NULL, projected_micros = spent_micros WHERE id = ?
        """,
        (job_id,),
    )
    add_note(connection, job_id, note)
    if counts.of(ItemState.PENDING) or counts.parts.get(ItemState.PENDING, 0):
        jobs.move(connection, job_id, JobState.QUEUED, now_ms)
    return end


def say_progress(connection: Connection, job_id: int, progress: Progress, projected: int | None) -> None:
    """Write down how fast a job is."""
    early, late = progress.eta_ms or (None, None)
    connection.execute(
        """
        UPDATE jobs SET in_flight = ?, rate_per_minute = ?, eta_early_ms = ?, eta_late_ms = ?, waiting_until_ms = ?,
                        waiting_for = ?, projected_micros = ? WHERE id = ?
        """,
        (
            progress.in_flight, progress.rate_per_minute, early, late, progress.waiting_until_ms,
            storable(progress.waiting_for), projected, job_id,
        ),
    )  # fmt: skip


def live_turns(connection: Connection) -> list[tuple[str, str]]:
    """(provider, owner) of every reply that arrives in a chat right now."""
    return [
        (provider, owner)
        for provider, owner in connection.execute("SELECT provider, owner FROM messages WHERE state = 'streaming'")
    ]
