"""Items: paging through them, their texts and attempts, failures by cause. Callers hold the transaction.

Pages are found by offset, counted from the nearer end: stepping over an entry of a partial index costs some 30 ns, so
the middle of 100,000 items is 2 ms away, 8 ms where many states are asked for, and nothing has to be kept for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.job_views import Cause
from holychat.domain.jobs import ItemState
from holychat.domain.usage import Cost, Usage
from holychat.errors import UsageError
from holychat.store.job_rows import ATTEMPT_COLUMNS, ITEM_COLUMNS, attempt_of, failure_of, item_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from holychat.domain.job_views import Attempt
    from holychat.domain.jobs import Item
    from holychat.store.database import Connection


def get(connection: Connection, item_id: int) -> Item:
    """The item with this number.

    Raises:
        UsageError: There is none.
    """
    found = select(connection, [item_id])
    if not found:
        raise UsageError(f"There is no item {item_id}", "Its job may have been deleted in another window.")
    return found[0]


def select(connection: Connection, item_ids: Sequence[int]) -> list[Item]:
    """The items with these numbers that are there, in their order."""
    marks = ",".join("?" * len(item_ids))
    rows = connection.execute(f"SELECT {ITEM_COLUMNS} FROM items AS i WHERE i.id IN ({marks})", tuple(item_ids))  # noqa: S608
    found = {row[0]: item_of(row) for row in rows}
    return [found[item_id] for item_id in item_ids if item_id in found]


def page(
    connection: Connection, job_id: int, first: int, count: int, states: Collection[ItemState] | None = None
) -> list[Item]:
    """`count` documents of a job from 0-based position `first` on, in the order of the input; fewer at the end.

    Args:
        connection: The database.
        job_id: The job.
        first: Position among the documents that pass the filter.
        count: How many at most.
        states: Only documents in one of these; None: all.
    """
    wanted = tuple(dict.fromkeys(ItemState if states is None else states))
    total = _total(connection, job_id, wanted)
    first, last = max(0, first), min(max(0, first) + count, total)
    if first >= last:
        return []
    backwards = first > total - last
    if states is None or len(wanted) == len(ItemState):
        branches = "SELECT id, ordinal FROM items WHERE job_id = ? AND parent_id IS NULL"
        values: list[int | str] = [job_id]
    else:
        # Each state is read in order from its own part of the index; SQLite merges them as it goes.
        one = "SELECT id, ordinal FROM items WHERE job_id = ? AND state = ? AND parent_id IS NULL"
        branches = " UNION ALL ".join([one] * len(wanted))
        values = [value for state in wanted for value in (job_id, state.value)]
    direction = "DESC" if backwards else "ASC"
    rows = connection.execute(
        f"{branches} ORDER BY ordinal {direction}, id {direction} LIMIT ? OFFSET ?",
        (*values, last - first, total - last if backwards else first),
    )
    ids = [item_id for item_id, _ in rows]
    return select(connection, ids[::-1] if backwards else ids)


def parts_page(connection: Connection, parent_id: int, first: int, count: int) -> list[Item]:
    """`count` direct parts of an item from 0-based position `first` on."""
    rows = connection.execute(
        "SELECT id FROM items WHERE parent_id = ? ORDER BY part, id LIMIT ? OFFSET ?", (parent_id, count, max(0, first))
    )
    return select(connection, [item_id for (item_id,) in rows])


def parts_count(connection: Connection, parent_id: int) -> int:
    """Direct parts of an item."""
    return int(connection.execute("SELECT count(*) FROM items WHERE parent_id = ?", (parent_id,)).get)


def parts_took(connection: Connection, item_ids: Sequence[int]) -> dict[int, tuple[Usage, Cost | None]]:
    """What all the parts of each item took together, parts of parts included; items without parts are left out."""
    marks = ",".join("?" * len(item_ids))
    rows = connection.execute(
        f"""
        WITH RECURSIVE tree (root, id) AS (
            SELECT parent_id, id FROM items WHERE parent_id IN ({marks})
            UNION ALL SELECT tree.root, i.id FROM items AS i JOIN tree ON i.parent_id = tree.id
        )
        SELECT t.root, sum(i.input_tokens), sum(i.output_tokens), max(i.usage_estimated), sum(i.cost_micros),
               max(i.cost_estimated)
        FROM tree AS t JOIN items AS i ON i.id = t.id GROUP BY t.root
        """,  # noqa: S608  # only question marks are put in
        tuple(item_ids),
    )
    return {
        root: (Usage(sent, came, estimated=bool(guess)), None if cost is None else Cost(cost, bool(cost_guess)))
        for root, sent, came, guess, cost, cost_guess in rows
    }


def texts(connection: Connection, item_id: int) -> tuple[str | None, str | None, str | None, str | None]:
    """(content, body, result, partial) of an item; None for what it has not."""
    row = connection.execute(
        "SELECT content, body, result, partial FROM item_texts WHERE item_id = ?", (item_id,)
    ).fetchone()
    return (None, None, None, None) if row is None else (row[0], row[1], row[2], row[3])


def attempts(connection: Connection, item_id: int) -> tuple[Attempt, ...]:
    """Every request that was written down for an item, the first one first."""
    rows = connection.execute(f"SELECT {ATTEMPT_COLUMNS} FROM attempts WHERE item_id = ? ORDER BY number", (item_id,))  # noqa: S608
    return tuple(attempt_of(row) for row in rows)


def causes(connection: Connection, job_id: int) -> list[Cause]:
    """Documents that failed or are in doubt, by cause, the most frequent one first."""
    rows = connection.execute(
        """
        SELECT state, cause, count(*), min(id), max(id) FROM items
        WHERE job_id = ? AND parent_id IS NULL AND state IN ('failed', 'in_doubt')
        GROUP BY state, cause ORDER BY count(*) DESC, state, cause
        """,
        (job_id,),
    )
    return [_cause(connection, *row) for row in list(rows)]


def _cause(connection: Connection, state: str, cause: str, count: int, example: int, last: int) -> Cause:
    failure, other = (
        failure_of(connection.execute("SELECT failure FROM items WHERE id = ?", (item_id,)).get)
        for item_id in (example, last)
    )
    title = failure.title if failure else "It was sent, and nobody knows what became of it"
    hint = failure.hint if failure else "Send it again at the risk of paying twice, keep what arrived, or skip it."
    if failure and other and other.title != title:
        title += ", and other reasons of this kind"
    return Cause(cause, title, count, ItemState(state), example, hint)


def _total(connection: Connection, job_id: int, states: Sequence[ItemState]) -> int:
    marks = ",".join("?" * len(states))
    return int(
        connection.execute(
            f"SELECT coalesce(sum(count), 0) FROM job_counts WHERE job_id = ? AND parts = 0 AND state IN ({marks})",  # noqa: S608
            (job_id, *(state.value for state in states)),
        ).get
    )
