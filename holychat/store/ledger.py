"""The ledger of what is sent: every move of an item that a worker makes. Callers hold the transaction.

A transaction takes whatever gathered while the one before it ran, so everything here works on lists. Each statement
repeats the state that it expects: an item that somebody else moved meanwhile (skipped, cancelled, deleted) is left as
it is, and what comes back tells which ones were moved.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeAlias

from holychat.domain.jobs import ItemState
from holychat.store import ledger_steps
from holychat.store.folding import storable
from holychat.store.ledger_entries import Entries, Written
from holychat.store.ledger_steps import when
from holychat.store.ledger_tree import part_done, part_failed, part_in_doubt
from holychat.store.rows import failure_column
from holychat.store.search import index_result

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holychat.domain.failures import Failure
    from holychat.store.database import Connection
    from holychat.store.ledger_entries import Back, Bill, Done, Doubt, Failed, Joined, Repair, Sending


# Every piece put in below is a literal of this package.
_BILL = """
    input_tokens = coalesce(input_tokens, 0) + ?, output_tokens = coalesce(output_tokens, 0) + ?,
    usage_estimated = max(usage_estimated, ?), cost_micros = CASE WHEN ?4 IS NULL THEN cost_micros
    ELSE coalesce(cost_micros, 0) + ?4 END, cost_estimated = max(cost_estimated, ?)
"""
_REPAIR = f"""
UPDATE items SET state = 'pending', {_BILL}, repairs = repairs + 1, failure = ?, updated_ms = ?
WHERE id = ? AND {when(ItemState.RECEIVED, ItemState.PENDING)} RETURNING id
"""  # noqa: S608
_FAIL = """
UPDATE items SET state = 'failed', reserved_micros = 0, failure = ?, cause = ?, updated_ms = ?
WHERE id = ? AND state IN ('pending', 'sending', 'received') RETURNING id, parent_id, part
"""
_FAIL_BILL = f"UPDATE items SET {_BILL} WHERE id = ?"  # noqa: S608
_DOUBT = f"""
UPDATE items SET state = 'in_doubt', failure = ?, cause = ?, updated_ms = ?
WHERE id = ? AND {when(ItemState.SENDING, ItemState.IN_DOUBT)} RETURNING id, parent_id, part
"""  # noqa: S608
_AGAIN = f"""
UPDATE items SET state = 'pending', reserved_micros = 0, updated_ms = ?
WHERE id = ? AND {when(ItemState.IN_DOUBT, ItemState.PENDING)} RETURNING id
"""  # noqa: S608
_BACK = f"""
UPDATE items SET state = 'pending', reserved_micros = 0, attempts = max(0, attempts - ?), refusals = refusals + ?,
                 faults = faults + ?, updated_ms = ?
WHERE id = ? AND {when(ItemState.SENDING, ItemState.PENDING)} RETURNING id
"""  # noqa: S608
_GIVE_UP = f"""
UPDATE items SET state = 'cancelled', updated_ms = ?
WHERE id = ? AND {when(ItemState.PENDING, ItemState.CANCELLED)}
  AND (SELECT state FROM jobs WHERE id = items.job_id) = 'cancelled'
"""  # noqa: S608
_ANSWERED = """
UPDATE attempts SET input_tokens = ?, output_tokens = ?, cost_micros = ?, cost_estimated = ?, failure = ?,
                    raw = CASE WHEN ? THEN raw END
WHERE id = ?
"""
_ENDED = "UPDATE attempts SET ended_ms = ?, outcome = ?, status = ?, request_id = ?, failure = ? WHERE id = ?"
_FORGET_OLDER = "DELETE FROM attempts WHERE item_id = ? AND id < ? AND outcome IN ('refused', 'never_sent')"
_RESULT = """
INSERT INTO item_texts (item_id, result) VALUES (?, ?)
ON CONFLICT DO UPDATE SET result = excluded.result, partial = NULL
"""
_PARTIAL = """
INSERT INTO item_texts (item_id, partial) VALUES (?, ?) ON CONFLICT DO UPDATE SET partial = excluded.partial
"""


Room: TypeAlias = "Callable[[Connection, int], int | None]"


def write_entries(
    connection: Connection, entries: Entries, owner: str, now_ms: int, room: Room | None = None
) -> Written:
    """Write everything. What was moved already by somebody else is passed over.

    Args:
        connection: The database.
        entries: What happened, and what is about to be sent.
        owner: The worker that sends.
        now_ms: The time.
        room: Micro-dollars that may still be spent, on everything together, at that time; None: no limit.
    """
    written = Written()
    sums = _Sums()
    if entries.received:
        written.moved |= ledger_steps.receive(connection, entries.received, now_ms)
    if entries.done:
        _finish(connection, entries.done, written, sums, now_ms)
    if entries.repair:
        _repair(connection, entries.repair, written, sums, now_ms)
    for failed in entries.failed:
        _fail(connection, failed, written, sums, now_ms)
    for doubt in entries.doubt:
        _doubt(connection, doubt, written, sums, now_ms)
    for joined in entries.joined:
        _join(connection, joined, written, now_ms)
    if entries.back:
        _back(connection, entries.back, written, now_ms)
    sums.write(connection, now_ms)
    if entries.sending:
        left = None if room is None else room(connection, now_ms)
        written.attempts = ledger_steps.send(connection, _within(entries.sending, left, written), owner, now_ms)
    return written


def cause_of(failure: Failure) -> str:
    """What failures that are shown together have in common."""
    return f"{failure.kind} {failure.status}" if failure.status is not None else failure.kind


def _within(rows: Sequence[Sending], left: int | None, written: Written) -> Sequence[Sending]:
    """Those that may still be paid for."""
    if left is None:
        return rows
    within = []
    for row in rows:
        # What costs nobody knows how much is held only where nothing is left.
        worst = row.worst_micros
        if (worst and worst > left) or (worst is None and left <= 0):
            written.over.add(row.item_id)
        else:
            left -= worst or 0
            within.append(row)
    return within


def _finish(connection: Connection, rows: Sequence[Done], written: Written, sums: _Sums, now_ms: int) -> None:
    did = ledger_steps.finish(connection, rows, now_ms)
    for row in rows:
        if row.item_id in did:
            sums.add(row.job_id, row.bill)
            parent_id = did[row.item_id]
            if parent_id is not None and part_done(connection, parent_id, now_ms):
                written.ready.add(row.job_id)
    written.moved |= did.keys()


def _repair(connection: Connection, rows: Sequence[Repair], written: Written, sums: _Sums, now_ms: int) -> None:
    did = {
        item_id
        for (item_id,) in connection.executemany(
            _REPAIR, [(*row.bill, failure_column(row.problem), now_ms, row.item_id) for row in rows]
        )
    }
    for row in rows:
        if row.item_id in did:
            connection.execute(_PARTIAL, (row.item_id, storable(row.text)))
            connection.execute(_ANSWERED, _answered(row.bill, row.attempt_id, row.problem))
            sums.add(row.job_id, row.bill)
    written.moved |= did


def _fail(connection: Connection, row: Failed, written: Written, sums: _Sums, now_ms: int) -> None:
    failure = failure_column(row.failure)
    found: list[Any] = connection.execute(_FAIL, (failure, cause_of(row.failure), now_ms, row.item_id)).fetchall()
    if not found:
        return
    written.moved.add(row.item_id)
    if row.partial is not None:
        connection.execute(_PARTIAL, (row.item_id, storable(row.partial)))
    if row.bill is not None:
        connection.execute(_FAIL_BILL, (*row.bill, row.item_id))
        sums.add(row.job_id, row.bill)
    if row.attempt_id is not None and row.outcome:
        connection.execute(_ENDED, _ended(row.failure, row.outcome, row.attempt_id, now_ms))
    elif row.attempt_id is not None and row.bill is not None:
        connection.execute(_ANSWERED, _answered(row.bill, row.attempt_id, row.failure, keep_raw=True))
    _, parent_id, part = found[0]
    if parent_id is not None:
        written.ended += part_failed(connection, parent_id, part, row.failure, now_ms)


def _doubt(connection: Connection, row: Doubt, written: Written, sums: _Sums, now_ms: int) -> None:
    failure = failure_column(row.failure)
    found: list[Any] = connection.execute(_DOUBT, (failure, cause_of(row.failure), now_ms, row.item_id)).fetchall()
    if not found:
        return
    written.moved.add(row.item_id)
    if row.partial:
        connection.execute(_PARTIAL, (row.item_id, storable(row.partial)))
    connection.execute(_ENDED, _ended(row.failure, row.failure.outcome, row.attempt_id, now_ms))
    if row.again:
        connection.execute(_AGAIN, (now_ms, row.item_id))
        sums.doubts[row.job_id] = sums.doubts.get(row.job_id, 0) + 1
        return
    _, parent_id, part = found[0]
    if parent_id is not None:
        written.ended += part_in_doubt(connection, parent_id, part, row.failure, now_ms)


def _join(connection: Connection, row: Joined, written: Written, now_ms: int) -> None:
    # Sent, received and done at once, because nothing has to leave for it.
    found: list[Any] = []
    for old, new in pairwise((ItemState.PENDING, ItemState.SENDING, ItemState.RECEIVED, ItemState.DONE)):
        found = connection.execute(
            f"UPDATE items SET state = ?, updated_ms = ? WHERE id = ? AND {when(old, new)}"  # noqa: S608  # a literal
            " RETURNING name, job_id, parent_id",
            (new.value, now_ms, row.item_id),
        ).fetchall()
        if not found:
            return
    written.moved.add(row.item_id)
    text = storable(row.text)
    connection.execute(_RESULT, (row.item_id, text))
    name, job_id, parent_id = found[0]
    if parent_id is None:
        index_result(connection, row.item_id, name, text)
    elif part_done(connection, parent_id, now_ms):
        written.ready.add(job_id)


def _back(connection: Connection, rows: Sequence[Back], written: Written, now_ms: int) -> None:
    # A request that failed at the server counts as sent; one that was refused or never left does not.
    came = {
        item_id
        for (item_id,) in connection.executemany(
            _BACK, [(0 if row.faults else 1, row.refusals, row.faults, now_ms, row.item_id) for row in rows]
        )
    }
    rows = [row for row in rows if row.item_id in came]
    connection.executemany(_ENDED, [_ended(row.failure, row.outcome, row.attempt_id, now_ms) for row in rows])
    # A provider may refuse an item a thousand times; the last time is enough to look at.
    connection.executemany(_FORGET_OLDER, [(row.item_id, row.attempt_id) for row in rows])
    connection.executemany(_GIVE_UP, [(now_ms, row.item_id) for row in rows])
    written.moved |= came


def _ended(failure: Failure | None, outcome: str, attempt_id: int, now_ms: int) -> tuple[object, ...]:
    status, request_id = (None, "") if failure is None else (failure.status, failure.request_id)
    return now_ms, outcome, status, request_id, failure_column(failure), attempt_id


def _answered(
    bill: Bill, attempt_id: int, failure: Failure | None = None, *, keep_raw: bool = False
) -> tuple[object, ...]:
    counted = (bill.input_tokens, bill.output_tokens, bill.cost_micros, bill.cost_estimated)
    return *counted, failure_column(failure), keep_raw, attempt_id


class _Sums:
    """What the jobs' own rows gain, added up so that each is written once per transaction."""

    def __init__(self) -> None:
        self._bills: dict[int, list[int]] = {}
        self.doubts: dict[int, int] = {}

    def add(self, job_id: int, bill: Bill) -> None:
        """One answer more."""
        sums = self._bills.setdefault(job_id, [0] * 6)
        sums[0] += bill.cost_micros or 0
        sums[1] |= bill.cost_estimated
        sums[2] += bill.cost_micros is None
        sums[3] += bill.input_tokens
        sums[4] += bill.output_tokens
        sums[5] += 1

    def write(self, connection: Connection, now_ms: int) -> None:
        """Add to the rows of the jobs."""
        for job_id, sums in self._bills.items():
            connection.execute(
                """
                UPDATE jobs SET spent_micros = spent_micros + ?, spent_estimated = max(spent_estimated, ?),
                                unpriced = unpriced + ?, input_tokens = input_tokens + ?,
                                output_tokens = output_tokens + ?, requests = requests + ?, updated_ms = ?
                WHERE id = ?
                """,
                (*sums, now_ms, job_id),
            )
        for job_id, count in self.doubts.items():
            connection.execute("UPDATE jobs SET doubts_retried = doubts_retried + ? WHERE id = ?", (count, job_id))
