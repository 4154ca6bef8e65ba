"""One item in full, pages of items as people read them, and what sending some of them again could cost."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.failures import Failure
from holychat.domain.job_views import ItemDetail
from holychat.domain.usage import Cost, Usage
from holychat.store import item_moves, items, jobs

if TYPE_CHECKING:
    from collections.abc import Collection

    from holychat.domain.jobs import Item, ItemState
    from holychat.store.database import Connection, Database
    from holychat.store.item_moves import Chosen


def page(
    connection: Connection,
    job_id: int,
    first: int,
    count: int,
    states: Collection[ItemState] | None,
    parent_id: int | None,
) -> list[Item]:
    """Documents of a job, or direct parts of an item, with what their own parts took."""
    if parent_id is None:
        found = items.page(connection, job_id, first, count, states)
    else:
        found = items.parts_page(connection, parent_id, first, count)
    return _with_parts(connection, job_id, found)


async def detail(database: Database, item_id: int, max_bytes: int) -> ItemDetail:
    """One item with its texts and attempts; its file is read as it is now, outside any transaction.

    Raises:
        UsageError: There is none.
    """
    found, content = await database.read(lambda c: _stored(c, item_id))
    if content is not None or not found.item.document.path:
        return replace(found, source=content)
    return await asyncio.to_thread(_with_file, found, max_bytes)


def worst_cost(connection: Connection, chosen: Chosen) -> tuple[int, int | None]:
    """How many documents a retry would take, and what their requests cost at worst; None: unknown."""
    jobs.get(connection, chosen.job_id)
    documents, requests, known, micros = item_moves.worst_of(connection, chosen)
    if not documents or known == requests:
        return documents, micros
    return documents, None


def _stored(connection: Connection, item_id: int) -> tuple[ItemDetail, str | None]:
    item = items.get(connection, item_id)
    content, body, result, partial = items.texts(connection, item_id)
    found = ItemDetail(
        item=_with_parts(connection, item.job_id, [item])[0],
        source=None,
        result=result,
        partial=partial,
        attempts=items.attempts(connection, item_id),
        parts=items.parts_count(connection, item_id),
    )
    return found, content if content is not None else body


def _with_file(found: ItemDetail, max_bytes: int) -> ItemDetail:
    from pathlib import Path

    try:
        with Path(found.item.document.path).open("rb") as file:
            text = file.read(max_bytes).decode("utf-8", "replace")
    except OSError as error:
        failure = Failure("Unreadable", f"It cannot be read: {error.strerror}")
        return replace(found, source_failure=failure)
    return replace(found, source=text)


def _with_parts(connection: Connection, job_id: int, found: list[Item]) -> list[Item]:
    if not found or not item_moves.has_parts(connection, job_id):
        return found
    took = items.parts_took(connection, [item.id for item in found])
    return [_plus(item, *took[item.id]) if item.id in took else item for item in found]


def _plus(item: Item, usage: Usage, cost: Cost | None) -> Item:
    together = Usage(
        _sum(item.usage.input_tokens, usage.input_tokens),
        _sum(item.usage.output_tokens, usage.output_tokens),
        estimated=item.usage.estimated or usage.estimated,
    )
    if item.cost is not None and cost is not None:
        cost = Cost(item.cost.micros + cost.micros, item.cost.estimated or cost.estimated)
    return replace(item, usage=together, cost=cost or item.cost)


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None and second is None else (first or 0) + (second or 0)
