"""What people do with items: send again, skip, accept, cancel. Callers hold the transaction.

A document that was split takes its parts along. Every statement names the states it may leave from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.domain.job_moves import states_before
from holychat.domain.jobs import ItemState
from holychat.store.items import get
from holychat.store.job_rows import json_column
from holychat.store.search import index_result

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from holychat.store.database import Connection

RETRYABLE = frozenset({ItemState.FAILED, ItemState.IN_DOUBT, ItemState.SKIPPED, ItemState.CANCELLED})
"""What a person may have sent again."""
_PARTS_TO_RESET = frozenset({ItemState.FAILED, ItemState.SKIPPED, ItemState.CANCELLED})
"""Parts that go again with their document, whatever was asked for; one in doubt goes only when that was asked for."""
CHANGED = "DocumentChanged"
"""Kind of the failure of a document that is not what it was when it was listed."""

_AFRESH = "state = 'pending', failure = NULL, cause = '', note = '', faults = 0, repairs = 0, reserved_micros = 0"
_ACCEPT_FILE = """
    size = iif(path = '', size, NULL), mtime_ns = iif(path = '', mtime_ns, NULL), sha256 = iif(path = '', sha256, '')
"""
"""Whatever the file is now is what is asked about."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which documents of a job are meant."""

    job_id: int
    states: Collection[ItemState]
    item_ids: Sequence[int] | None = None
    """Only these; a part stands for its document."""
    cause: str | None = None
    """Only those that failed, or are in doubt, for this reason."""

    def where(self, connection: Connection, states: Collection[ItemState] | None = None) -> tuple[str, list[object]]:
        """A condition on `items` and its values."""
        wanted = [state.value for state in (self.states if states is None else states)]
        # Written so that the partial indexes can serve it.
        condition = f"job_id = ? AND parent_id IS NULL AND state IN ({','.join('?' * len(wanted))})"
        values: list[object] = [self.job_id, *wanted]
        if self.item_ids is not None:
            condition += " AND id IN (SELECT value FROM json_each(?))"
            values.append(json_column(roots_of(connection, self.item_ids)))
        if self.cause is not None:
            condition += " AND cause = ? AND state IN ('failed', 'in_doubt')"
            values.append(self.cause)
        return condition, values


@dataclass(frozen=True, slots=True)
class Worst:
    """What would be sent again."""

    documents: int
    requests: int
    """At least: those for the documents, and for their parts that go again."""
    known: int
    """Requests whose worst case is known, because they were sent before."""
    micros: int
    """What these come to."""
    size: int
    """Bytes of the other ones."""
    unsized: int
    """How many of the other ones are of unknown size."""


def roots_of(connection: Connection, item_ids: Sequence[int]) -> list[int]:
    """The documents that items are, or are parts of."""
    rows = connection.execute(
        """
        WITH RECURSIVE up (id, parent_id) AS (
            SELECT id, parent_id FROM items WHERE id IN (SELECT value FROM json_each(?))
            UNION SELECT i.id, i.parent_id FROM items AS i JOIN up ON i.id = up.parent_id
        )
        SELECT id FROM up WHERE parent_id IS NULL ORDER BY id
        """,
        (json_column(list(item_ids)),),
    )
    return [item_id for (item_id,) in rows]


def retry(connection: Connection, chosen: Chosen, now_ms: int) -> int:
    """Make documents pending again, with those of their parts that must go again.

    A document with parts in doubt stays as it is unless `chosen.states` has IN_DOUBT.

    Returns:
        How many documents there were.
    """
    allowed = _allowed(chosen.states, RETRYABLE & set(states_before(ItemState.PENDING)))
    done = 0
    if has_parts(connection, chosen.job_id):
        for document_id in _meant(connection, chosen, allowed):
            done += _retry_tree(connection, document_id, allowed, now_ms)
    where, values = chosen.where(connection, allowed)
    connection.execute(
        f"UPDATE items SET {_AFRESH}, {_ACCEPT_FILE}, updated_ms = ? WHERE {where} AND {_WITHOUT_PARTS}",  # noqa: S608
        (now_ms, *values),
    )
    return done + connection.changes()


def skip(connection: Connection, chosen: Chosen, now_ms: int) -> int:
    """Leave documents out, with their parts; what is under way is finished. Returns how many documents there were."""
    allowed = _allowed(chosen.states, states_before(ItemState.SKIPPED))
    where, values = chosen.where(connection, allowed)
    if has_parts(connection, chosen.job_id):
        marks = ",".join("?" * len(states_before(ItemState.SKIPPED)))
        connection.execute(
            f"""
            UPDATE items SET state = 'skipped', reserved_micros = 0, updated_ms = ? WHERE state IN ({marks}) AND id IN (
                WITH RECURSIVE tree (id) AS (
                    SELECT p.id FROM items AS p WHERE p.parent_id IN (SELECT id FROM items WHERE {where})
                    UNION ALL SELECT i.id FROM items AS i JOIN tree ON i.parent_id = tree.id
                )
                SELECT id FROM tree
            )
            """,  # noqa: S608  # constants and question marks
            (now_ms, *(state.value for state in states_before(ItemState.SKIPPED)), *values),
        )
    connection.execute(
        f"UPDATE items SET state = 'skipped', reserved_micros = 0, updated_ms = ? WHERE {where}",  # noqa: S608
        (now_ms, *values),
    )
    return connection.changes()


def accept(connection: Connection, item_id: int, now_ms: int) -> bool:
    """Take what arrived of an answer in doubt as the answer; False where nothing is in doubt or nothing arrived.

    For a document that is in doubt because of its parts, theirs are taken; where no other part is in doubt the rest of
    it goes on, as it would have without the doubt.
    """
    document_id = next(iter(roots_of(connection, [item_id])), item_id)
    tree = _tree(connection, document_id)
    doubtful = {node for node, _, state, _ in tree if state is ItemState.IN_DOUBT}
    # One that has a part in doubt is so because of that part, and was not sent.
    sent = doubtful - {parent for node, parent, _, _ in tree if node in doubtful}
    below = {node for node, _, _, _ in _tree(connection, item_id)}
    accepted = {node for node in sorted(sent & below) if _accept_one(connection, node, now_ms)}
    if accepted and sent == accepted and document_id in doubtful - sent:
        _retry_tree(connection, document_id, (ItemState.IN_DOUBT,), now_ms)
    return bool(accepted)


def _accept_one(connection: Connection, item_id: int, now_ms: int) -> bool:
    partial = connection.execute("SELECT partial FROM item_texts WHERE item_id = ?", (item_id,)).get
    if not partial:
        return False
    connection.execute(
        """
        UPDATE items SET state = 'done', failure = NULL, cause = '', reserved_micros = 0, updated_ms = ?,
            note = 'The answer broke off and was accepted as it is.'
        WHERE id = ? AND state = 'in_doubt'
        """,
        (now_ms, item_id),
    )
    if not connection.changes():
        return False
    connection.execute("UPDATE item_texts SET result = partial, partial = NULL WHERE item_id = ?", (item_id,))
    item = get(connection, item_id)
    if item.parent_id is None:
        index_result(connection, item_id, item.document.name, partial)
    return True


def cancel_pending(connection: Connection, job_id: int, now_ms: int) -> int:
    """Cancel everything of a job that was not sent; how many items that were."""
    connection.execute(
        "UPDATE items SET state = 'cancelled', updated_ms = ? WHERE job_id = ? AND state = 'pending'", (now_ms, job_id)
    )
    return connection.changes()


def worst_of(connection: Connection, chosen: Chosen) -> Worst:
    """What `retry` would send, and what is known of its cost."""
    states = _allowed(chosen.states, RETRYABLE)
    where, values = chosen.where(connection, states)
    meant = _meant(connection, chosen, states) if has_parts(connection, chosen.job_id) else []
    tree = f"""
        WITH RECURSIVE tree (id) AS (
            SELECT value FROM json_each(?)
            UNION ALL SELECT i.id FROM items AS i JOIN tree ON i.parent_id = tree.id
        )
        SELECT id FROM tree UNION SELECT id FROM items WHERE {where} AND {_WITHOUT_PARTS}
    """  # noqa: S608
    again = [state.value for state in {*_PARTS_TO_RESET, *states}]
    row = connection.execute(
        f"""
        SELECT count(*) FILTER (WHERE parent_id IS NULL), count(*), count(worst), coalesce(sum(worst), 0),
               coalesce(sum(size) FILTER (WHERE worst IS NULL), 0),
               count(*) FILTER (WHERE worst IS NULL AND size IS NULL)
        FROM (
            SELECT i.parent_id, (SELECT max(a.worst_micros) FROM attempts AS a WHERE a.item_id = i.id) AS worst,
                   CASE WHEN i.size IS NOT NULL THEN i.size ELSE (
                        SELECT length(coalesce(t.content, t.body)) * 4 FROM item_texts AS t WHERE t.item_id = i.id
                   ) END AS size
            FROM ({tree}) AS t JOIN items AS i ON i.id = t.id WHERE i.state IN ({",".join("?" * len(again))})
        )
        """,  # noqa: S608  # constants and question marks
        (json_column(meant), *values, *again),
    ).fetchone()
    return Worst(*(row or (0, 0, 0, 0, 0, 0)))


def held_by_doubt(connection: Connection, chosen: Chosen) -> bool:
    """Whether one of these documents has a part in doubt."""
    roots = roots_of(connection, chosen.item_ids or ())
    return any(state is ItemState.IN_DOUBT for root in roots for _, _, state, _ in _tree(connection, root))


def has_parts(connection: Connection, job_id: int) -> bool:
    """Whether a document of the job was split."""
    return bool(
        connection.execute("SELECT 1 FROM job_counts WHERE job_id = ? AND parts = 1 AND count > 0", (job_id,)).get
    )


_WITHOUT_PARTS = "NOT EXISTS (SELECT 1 FROM items AS p WHERE p.parent_id = items.id)"


def _allowed(wanted: Collection[ItemState], allowed: Collection[ItemState]) -> list[ItemState]:
    return [state for state in ItemState if state in wanted and state in allowed]


def _meant(connection: Connection, chosen: Chosen, allowed: Sequence[ItemState]) -> list[int]:
    """Documents with parts that are meant: in one of the states themselves, or with a part in doubt that is meant.

    One with a part in doubt that is not meant is left out: it could not be finished without that part.
    """
    where, values = chosen.where(connection, allowed)
    ids = {row[0] for row in connection.execute(f"SELECT id FROM items WHERE {where} AND NOT {_WITHOUT_PARTS}", values)}  # noqa: S608
    doubtful = connection.execute(
        "SELECT id FROM items WHERE state = 'in_doubt' AND job_id = ? AND parent_id IS NOT NULL", (chosen.job_id,)
    )
    roots = set(roots_of(connection, [item_id for (item_id,) in doubtful]))
    if ItemState.IN_DOUBT not in allowed:
        ids -= roots
    elif chosen.cause is None:
        ids |= roots if chosen.item_ids is None else roots & set(roots_of(connection, chosen.item_ids))
    return sorted(ids)


def _retry_tree(connection: Connection, document_id: int, allowed: Sequence[ItemState], now_ms: int) -> bool:
    tree = _tree(connection, document_id)
    states = {state for _, _, state, _ in tree}
    if any(cause == CHANGED for _, _, _, cause in tree) and not states & {ItemState.SENDING, ItemState.RECEIVED}:
        _join_again(connection, document_id, [item_id for item_id, *_ in tree if item_id != document_id], now_ms)
        return True
    again = [(now_ms, item_id) for item_id, _, state, _ in tree if state in {*_PARTS_TO_RESET, *allowed} & RETRYABLE]
    connection.executemany(f"UPDATE items SET {_AFRESH}, updated_ms = ? WHERE id = ?", again)  # noqa: S608
    parents = {parent for _, parent, _, _ in tree if parent is not None}
    connection.executemany(
        f"UPDATE items SET waiting_for = {_UNFINISHED} WHERE id = ? AND state = 'pending'",  # noqa: S608
        [(parent,) for parent in parents],
    )
    return bool(again)


_UNFINISHED = "(SELECT count(*) FROM items AS p WHERE p.parent_id = items.id AND p.state <> 'done')"


def _tree(connection: Connection, document_id: int) -> list[tuple[int, int | None, ItemState, str]]:
    """(id, parent, state, cause) of a document and all its parts."""
    rows = connection.execute(
        """
        WITH RECURSIVE tree (id, parent_id, state, cause) AS (
            SELECT id, parent_id, state, cause FROM items WHERE id = ?
            UNION ALL SELECT i.id, i.parent_id, i.state, i.cause FROM items AS i JOIN tree ON i.parent_id = tree.id
        )
        SELECT id, parent_id, state, cause FROM tree
        """,
        (document_id,),
    )
    return [(item_id, parent, ItemState(state), cause) for item_id, parent, state, cause in rows]


def _join_again(connection: Connection, document_id: int, part_ids: Sequence[int], now_ms: int) -> None:
    """Undo the splitting of a document that changed: what its parts took stays with it, their answers go."""
    parts = json_column(list(part_ids))
    connection.execute(
        """
        UPDATE attempts SET item_id = ?1, number = n.number FROM (
            SELECT id, (SELECT coalesce(max(number), 0) FROM attempts WHERE item_id = ?1)
                       + row_number() OVER (ORDER BY id) AS number
            FROM attempts WHERE item_id IN (SELECT value FROM json_each(?2))
        ) AS n WHERE attempts.id = n.id
        """,
        (document_id, parts),
    )
    connection.execute(
        f"""
        UPDATE items SET {_AFRESH}, {_ACCEPT_FILE}, waiting_for = 0, updated_ms = ?3,
            attempts = items.attempts + s.attempts, refusals = items.refusals + s.refusals,
            input_tokens = iif(items.input_tokens IS NULL, s.input, items.input_tokens + coalesce(s.input, 0)),
            output_tokens = iif(items.output_tokens IS NULL, s.output, items.output_tokens + coalesce(s.output, 0)),
            usage_estimated = max(items.usage_estimated, s.guessed),
            cost_micros = iif(items.cost_micros IS NULL, s.cost, items.cost_micros + coalesce(s.cost, 0)),
            cost_estimated = max(items.cost_estimated, s.cost_guessed)
        FROM (SELECT sum(attempts) AS attempts, sum(refusals) AS refusals, sum(input_tokens) AS input,
                     sum(output_tokens) AS output, max(usage_estimated) AS guessed, sum(cost_micros) AS cost,
                     max(cost_estimated) AS cost_guessed
              FROM items WHERE id IN (SELECT value FROM json_each(?2))) AS s
        WHERE items.id = ?1
        """,  # noqa: S608  # constants
        (document_id, parts, now_ms),
    )
    # One in doubt leaves it first, so that what it may have cost is not forgotten with it.
    connection.execute(
        """
        UPDATE items SET state = 'skipped', reserved_micros = 0
        WHERE state = 'in_doubt' AND id IN (SELECT value FROM json_each(?))
        """,
        (parts,),
    )
    connection.execute("DELETE FROM items WHERE parent_id = ?", (document_id,))
