"""What became of the documents of a job, in pages that never depend on how long the job is.

Functions over a connection; the caller holds the transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.domain.usage import Cost, Usage
from holychat.store.job_rows import ITEM_COLUMNS, item_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.jobs import Item
    from holychat.store.database import Connection

_PAGE_ROWS = 200
_PAGE_CHARACTERS = 4_000_000

_PARTS = """
    WITH RECURSIVE tree (root, id) AS (
        SELECT parent_id, id FROM items WHERE parent_id IN ({marks})
        UNION ALL
        SELECT tree.root, child.id FROM tree JOIN items AS child ON child.parent_id = tree.id
    )
    SELECT tree.root, sum(i.input_tokens), sum(i.output_tokens), max(i.usage_estimated), sum(i.cost_micros),
           max(i.cost_estimated)
    FROM tree JOIN items AS i ON i.id = tree.id GROUP BY tree.root
"""


@dataclass(frozen=True, slots=True)
class Result:
    """One document and what came of it. Texts are as stored: clean them before showing."""

    item: Item
    text: str | None
    """The answer, where the document is done."""
    partial: str | None
    """What is legible of an answer that broke off."""
    usage: Usage
    """Over all attempts, those of its parts included."""
    cost: Cost | None
    """Likewise; None where nothing was answered, or the price is unknown."""


def results_after(connection: Connection, job_id: int, after: Result | None) -> list[Result]:
    """The next documents of a job, in the order of the input; an empty page is the end.

    Args:
        connection: Inside a transaction.
        job_id: Of the job.
        after: The last document of the page before; None for the first page.
    """
    place = (-1, 0) if after is None else (after.item.ordinal, after.item.id)
    found: list[tuple[Item, str | None, str | None]] = []
    characters = 0
    for *columns, text, partial in connection.execute(
        f"""
        SELECT {ITEM_COLUMNS}, t.result, t.partial FROM items AS i LEFT JOIN item_texts AS t ON t.item_id = i.id
        WHERE i.job_id = ? AND i.parent_id IS NULL AND (i.ordinal, i.id) > (?, ?) ORDER BY i.ordinal, i.id LIMIT ?
        """,  # noqa: S608  # only names of columns are put in
        (job_id, *place, _PAGE_ROWS),
    ):
        found.append((item_of(columns), text, partial))
        characters += len(text or "") + len(partial or "")
        if characters > _PAGE_CHARACTERS:
            break
    parts = _parts_of(connection, [item.id for item, _, _ in found])
    return [_result(item, text, partial, parts.get(item.id)) for item, text, partial in found]


def _result(item: Item, text: str | None, partial: str | None, parts: tuple[Usage, Cost | None] | None) -> Result:
    if parts is None:
        return Result(item, text, partial, item.usage, item.cost)
    usage, cost = parts
    return Result(item, text, partial, _added(item.usage, usage), _costs_added(item.cost, cost))


def _parts_of(connection: Connection, ids: Sequence[int]) -> dict[int, tuple[Usage, Cost | None]]:
    """Tokens and money of everything below the documents that were split."""
    rows = connection.execute(_PARTS.format(marks=",".join("?" * len(ids))), tuple(ids))
    return {
        root: (Usage(read, written, estimated=bool(guessed)), None if micros is None else Cost(micros, bool(rough)))
        for root, read, written, guessed, micros, rough in rows
    }


def _added(one: Usage, other: Usage) -> Usage:
    return Usage(
        _sum(one.input_tokens, other.input_tokens),
        _sum(one.output_tokens, other.output_tokens),
        estimated=one.estimated or other.estimated,
    )


def _costs_added(one: Cost | None, other: Cost | None) -> Cost | None:
    if one is None or other is None:
        return one or other
    return Cost(one.micros + other.micros, one.estimated or other.estimated)


def _sum(one: int | None, other: int | None) -> int | None:
    return one if other is None else other if one is None else one + other
