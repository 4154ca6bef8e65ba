"""The three steps that every item takes, for many items at once: about to be sent, received, done. Callers hold the
transaction.

A statement takes all rows of a step as one JSON array and answers with one row. A statement per item would cost four
times as much, and each would let go of Python's lock and wait for it again while the event loop computes: measured with
a hundred requests at once, most of a transaction was that waiting.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from holychat.domain.job_moves import moved
from holychat.domain.jobs import ItemState, JobState
from holychat.store.folding import storable
from holychat.store.search import index_results

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holychat.store.database import Connection
    from holychat.store.ledger_entries import Done, Received, Sending

T = TypeVar("T")

_MOST_AT_ONCE = 8 * 1024 * 1024
"""Characters or bytes of answers in one statement, unless one alone is longer; SQLite takes a thousand million."""


def when(old: ItemState, new: ItemState) -> str:
    """The condition of a statement that makes `new` of `old`; an impossible move is a fault of this package."""
    moved(old, new)
    return f"state = '{old.value}'"


# Each row is an array, ?1 an array of them; `->> 0` is its item. Every piece put in below is a literal of this module.
_ROWS = "json_each(?1) AS e"
_MAY_LEAVE = f"""
    {when(ItemState.PENDING, ItemState.SENDING)} AND waiting_for = 0
    AND (SELECT j.state FROM jobs AS j WHERE j.id = items.job_id) = '{JobState.RUNNING.value}'
"""  # noqa: S608
_ATTEMPTS = f"""
INSERT INTO attempts (item_id, number, owner, request_sha256, worst_micros, model, sent_ms)
SELECT items.id, (SELECT coalesce(max(a.number), 0) + 1 FROM attempts AS a WHERE a.item_id = items.id), ?2,
       e.value ->> 2, e.value ->> 1, e.value ->> 4, ?3
FROM {_ROWS} JOIN items ON items.id = e.value ->> 0 WHERE {_MAY_LEAVE}
"""  # noqa: S608
_SEND = f"""
UPDATE items SET state = 'sending', attempts = attempts + 1, reserved_micros = coalesce(e.value ->> 1, 0),
                 sha256 = e.value ->> 3, failure = NULL, cause = '', note = '', submission_id = NULL, updated_ms = ?2
FROM {_ROWS} WHERE items.id = e.value ->> 0 AND {_MAY_LEAVE}
"""  # noqa: S608
_RECEIVE = f"""
UPDATE items SET state = 'received', reserved_micros = 0, request_id = e.value ->> 2, elapsed_ms = e.value ->> 3,
                 updated_ms = ?2
FROM {_ROWS} WHERE items.id = e.value ->> 0 AND {when(ItemState.SENDING, ItemState.RECEIVED)}
"""  # noqa: S608
_KEEP_RAW = f"""
UPDATE attempts SET raw = substr(?2, e.value ->> 5, e.value ->> 6), status = e.value ->> 4, request_id = e.value ->> 2,
                    ended_ms = ?3, outcome = 'answered'
FROM {_ROWS} WHERE attempts.id = e.value ->> 1
"""  # noqa: S608
_DONE = f"""
UPDATE items SET state = 'done', input_tokens = coalesce(input_tokens, 0) + (e.value ->> 2),
                 output_tokens = coalesce(output_tokens, 0) + (e.value ->> 3),
                 usage_estimated = max(usage_estimated, e.value ->> 4),
                 cost_micros = iif(e.value ->> 5 IS NULL, cost_micros, coalesce(cost_micros, 0) + (e.value ->> 5)),
                 cost_estimated = max(cost_estimated, e.value ->> 6),
                 model = e.value ->> 7, finish_reason = e.value ->> 8, note = e.value ->> 9, updated_ms = ?2
FROM {_ROWS} WHERE items.id = e.value ->> 0 AND {when(ItemState.RECEIVED, ItemState.DONE)}
"""  # noqa: S608
_ANSWERED = f"""
UPDATE attempts SET input_tokens = e.value ->> 2, output_tokens = e.value ->> 3, cost_micros = e.value ->> 5,
                    cost_estimated = e.value ->> 6, failure = NULL, raw = NULL
FROM {_ROWS} WHERE attempts.id = e.value ->> 1
"""  # noqa: S608
_RESULTS = f"""
INSERT INTO item_texts (item_id, result) SELECT e.value ->> 0, e.value ->> 1 FROM {_ROWS} WHERE true
ON CONFLICT DO UPDATE SET result = excluded.result, partial = NULL
"""  # noqa: S608


def send(connection: Connection, rows: Sequence[Sending], owner: str, now_ms: int) -> dict[int, int]:
    """Write down that these are about to leave. Item -> attempt of those that may."""
    if not rows:
        return {}
    sent = _json(rows)
    connection.execute(_ATTEMPTS, (sent, owner, now_ms))
    count = connection.changes()
    if not count:
        return {}
    last = connection.last_insert_rowid()
    connection.execute(_SEND, (sent, now_ms))
    # The numbers that one statement gives follow each other.
    pairs = connection.execute(
        "SELECT json_group_array(json_array(item_id, id)) FROM attempts WHERE id > ? AND id <= ?", (last - count, last)
    ).get
    return dict(msgspec.json.decode(pairs))


def receive(connection: Connection, rows: Sequence[Received], now_ms: int) -> set[int]:
    """Keep the raw answers of those that were under way; which ones they were."""
    came = {item_id for item_id, *_ in _in_state(connection, rows, ItemState.SENDING)}
    for some in _pieces([row for row in rows if row.item_id in came], lambda row: len(row.raw)):
        told, place = [], 1
        for row in some:
            told.append((row.item_id, row.attempt_id, row.request_id, row.elapsed_ms, row.status, place, len(row.raw)))
            place += len(row.raw)
        described = _json(told)
        connection.execute(_RECEIVE, (described, now_ms))
        connection.execute(_KEEP_RAW, (described, b"".join(row.raw for row in some), now_ms))
    return came


def finish(connection: Connection, rows: Sequence[Done], now_ms: int) -> dict[int, int | None]:
    """Keep what the answers of received items say and took.

    Returns:
        Item -> item that it is a part of (None: of none), of those that were received.
    """
    did = {item_id: (name, parent_id) for item_id, name, parent_id in _in_state(connection, rows, ItemState.RECEIVED)}
    for some in _pieces([row for row in rows if row.item_id in did], lambda row: len(row.text)):
        counted = _json(
            [(row.item_id, row.attempt_id, *row.bill, row.model, row.finish_reason, row.note) for row in some]
        )
        connection.execute(_DONE, (counted, now_ms))
        connection.execute(_ANSWERED, (counted,))
        texts = {row.item_id: storable(row.text) for row in some}
        connection.execute(_RESULTS, (_json(list(texts.items())),))
        documents = [(item_id, did[item_id][0], text) for item_id, text in texts.items() if did[item_id][1] is None]
        index_results(connection, documents)
    return {item_id: parent_id for item_id, (_, parent_id) in did.items()}


def _in_state(
    connection: Connection, rows: Sequence[Received | Done], state: ItemState
) -> list[tuple[int, str, int | None]]:
    """(item, name, item that it is a part of) of those that are in this state."""
    found = connection.execute(
        """
        SELECT json_group_array(json_array(i.id, i.name, i.parent_id))
        FROM json_each(?) AS e JOIN items AS i ON i.id = e.value WHERE i.state = ?
        """,
        (_json([row.item_id for row in rows]), state.value),
    ).get
    items: list[tuple[int, str, int | None]] = msgspec.json.decode(found)
    return items


def _pieces(rows: Sequence[T], size_of: Callable[[T], int]) -> Iterator[Sequence[T]]:
    """The rows, so many at once that they are not too large for a statement."""
    piece: list[T] = []
    size = 0
    for row in rows:
        if piece and size + size_of(row) > _MOST_AT_ONCE:
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += size_of(row)
    if piece:
        yield piece


def _json(rows: Sequence[Any]) -> str:
    return msgspec.json.encode(rows).decode()
