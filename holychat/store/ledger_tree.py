"""Long documents in the ledger: parts that are sent on their own, and what their end means for the whole.

The parts of a document hang below it as a tree: leaves are pieces of its text, inner nodes and the document's own item
are requests that merge what came of their children. Callers hold the transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from holychat.domain.failures import Failure
from holychat.errors import Outcome
from holychat.store.rows import failure_column
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.store.database import Connection


class NewPart(NamedTuple):
    """One node below a document; nodes come parents first."""

    path: tuple[int, ...]
    """Which part of which part: (2,) is the third child of the document, (2, 0) the first child of that."""
    level: int
    """0 for a piece of the text."""
    children: int
    start: int | None = None
    end: int | None = None
    """Characters of the document's text; None for a node that merges."""


_BELOW = """
WITH RECURSIVE below (id) AS (
    SELECT id FROM items WHERE parent_id = ?1 UNION ALL SELECT i.id FROM items AS i JOIN below ON i.parent_id = below.id
)
"""


def split(connection: Connection, item_id: int, parts: Sequence[NewPart], sha256: str, now_ms: int) -> bool:
    """Hang parts below a document that waits to be sent. False where it is not waiting, or is split already."""
    row = connection.execute(
        """
        UPDATE items SET waiting_for = ?, sha256 = ?, updated_ms = ?
        WHERE id = ? AND state = 'pending' AND waiting_for = 0
          AND NOT EXISTS (SELECT 1 FROM items AS c WHERE c.parent_id = items.id)
        RETURNING job_id, ordinal, source_key, name, path, custom_id, size, mtime_ns
        """,
        (sum(len(part.path) == 1 for part in parts), sha256, now_ms, item_id),
    ).fetchall()
    if not row:
        return False
    job_id, ordinal, key, *described = row[0]
    ids: dict[tuple[int, ...], int] = {(): item_id}
    for part in parts:
        connection.execute(
            """
            INSERT INTO items (job_id, ordinal, parent_id, level, part, span_start, span_end, waiting_for, source_key,
                               name, path, custom_id, size, mtime_ns, state, updated_ms)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', ?)
            """,
            (
                job_id, ordinal, ids[part.path[:-1]], part.level, part.path[-1], part.start, part.end, part.children,
                f"{key}#{'.'.join(map(str, part.path))}", *described, now_ms,
            ),
        )  # fmt: skip
        ids[part.path] = connection.last_insert_rowid()
    return True


def part_done(connection: Connection, parent_id: int, now_ms: int) -> bool:
    """A part of it is done: whether the parent has all its parts now. Counted anew, so that no count can go wrong."""
    row = connection.execute(
        """
        UPDATE items SET waiting_for = (SELECT count(*) FROM items AS c WHERE c.parent_id = ?1 AND c.state <> 'done'),
                         updated_ms = ?2
        WHERE id = ?1 AND state = 'pending' RETURNING waiting_for
        """,
        (parent_id, now_ms),
    ).fetchall()
    return bool(row) and row[0][0] == 0


def is_noted_of_part(connection: Connection, parent_id: int, note: str) -> bool:
    """Whether something is said of one of its parts that is true of the whole then."""
    found = connection.execute("SELECT max(instr(note, ?)) FROM items WHERE parent_id = ?", (note, parent_id)).get
    return bool(found)


def part_failed(
    connection: Connection, parent_id: int, part: int, failure: Failure, now_ms: int
) -> list[tuple[int, int]]:
    """A part of it failed: so does everything above, and what is not sent yet is not sent any more.

    Returns:
        (job, item) of what failed with it.
    """
    return _ended_by_part(connection, parent_id, part, failure, "failed", now_ms)


def part_in_doubt(
    connection: Connection, parent_id: int, part: int, failure: Failure, now_ms: int
) -> list[tuple[int, int]]:
    """A part of it is in doubt: so is everything above.

    Returns:
        (job, item) of what is in doubt with it.
    """
    return _ended_by_part(connection, parent_id, part, failure, "in_doubt", now_ms)


def count_again(connection: Connection, item_id: int, now_ms: int) -> None:
    """Make a merge wait for its parts that are not done, where somebody made it pending without looking at them."""
    part_done(connection, item_id, now_ms)


def mend(connection: Connection, job_id: int, now_ms: int) -> bool:
    """Set right what waits for parts that will never come: nothing else would ever end it.

    Returns:
        Whether there was something.
    """
    waiting: list[Any] = connection.execute(
        """
        SELECT i.id FROM items AS i WHERE i.job_id = ? AND i.state = 'pending' AND i.waiting_for > 0 AND NOT EXISTS (
            SELECT 1 FROM items AS c WHERE c.parent_id = i.id AND c.state IN ('pending', 'sending', 'received'))
        """,
        (job_id,),
    ).fetchall()
    for (item_id,) in waiting:
        if part_done(connection, item_id, now_ms):
            continue
        missing: Any = connection.execute(
            "SELECT part, state, failure FROM items WHERE parent_id = ? AND state <> 'done' ORDER BY part LIMIT 1",
            (item_id,),
        ).fetchone()
        part, state, failure = missing or (0, "failed", None)
        told = (
            Failure.from_dict(decode(failure, dict[str, object]))
            if failure
            else Failure("PartMissing", "It was left out", "Retry the document.", outcome=Outcome.NEVER_SENT.value)
        )
        (part_in_doubt if state == "in_doubt" else part_failed)(connection, item_id, part, told, now_ms)
    return bool(waiting)


def _ended_by_part(
    connection: Connection, parent_id: int, part: int, failure: Failure, state: str, now_ms: int
) -> list[tuple[int, int]]:
    ended: list[tuple[int, int]] = []
    above: int | None = parent_id
    top = parent_id
    while above is not None:
        count = connection.execute("SELECT count(*) FROM items WHERE parent_id = ?", (above,)).get
        told = _of_part(failure, part, int(count or 0))
        # In doubt is reached by way of sending: the parts are what was sent.
        steps = ("sending", "in_doubt") if state == "in_doubt" else ("failed",)
        found: list[Any] = []
        for step in steps:
            found = connection.execute(
                """
                UPDATE items SET state = ?1, failure = ?2, cause = ?3, updated_ms = ?4,
                                 waiting_for = CASE WHEN ?1 = 'failed' THEN waiting_for ELSE 0 END
                WHERE id = ?5 AND state = ?6 RETURNING job_id, parent_id, part
                """,
                (step, failure_column(told), told.kind, now_ms, above, "sending" if step == "in_doubt" else "pending"),
            ).fetchall()
            if not found:
                return ended
        job_id, next_above, part = found[0]
        ended.append((job_id, above))
        top, above = above, next_above
    connection.execute(
        f"{_BELOW} UPDATE items SET state = 'cancelled', updated_ms = ?2"  # noqa: S608  # a literal
        " WHERE id IN (SELECT id FROM below) AND state = 'pending'",
        (top, now_ms),
    )
    return ended


def _of_part(failure: Failure, part: int, count: int) -> Failure:
    outcome = Outcome.AMBIGUOUS.value if failure.outcome == Outcome.AMBIGUOUS else failure.outcome
    return Failure(
        f"{failure.kind}InPart" if not failure.kind.endswith("InPart") else failure.kind,
        f"Part {part + 1} of {count}: {failure.title}",
        failure.hint,
        failure.status,
        failure.request_id,
        outcome,
    )
