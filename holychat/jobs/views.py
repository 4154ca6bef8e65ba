"""One item in full, pages of items as people read them, and what sending some of them again could cost."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.job_views import ItemDetail
from holychat.domain.usage import Cost, Usage
from holychat.store import item_moves, items, jobs

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from holychat.catalog.prices import PriceBook
    from holychat.domain.jobs import Item, ItemState, Job, Recipe
    from holychat.jobs.estimate import Estimate
    from holychat.money.costs import Costs
    from holychat.settings import Settings
    from holychat.store.database import Connection, Database
    from holychat.store.item_moves import Chosen


_MOST_PARTS = 1_000
_AROUND = 4_000
"""Bytes that holychat says around a document, at most."""


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
    return with_parts(connection, job_id, found)


async def detail(database: Database, item_id: int, max_bytes: int) -> ItemDetail:
    """One item with its texts and attempts; its file is read as it is now, outside any transaction.

    Raises:
        UsageError: There is none.
    """
    found, inline = await database.read(lambda c: _stored(c, item_id))
    if found.source is not None:
        return found
    return await asyncio.to_thread(_with_source, found, inline, max_bytes)


async def estimate(
    database: Database, job: Job, costs: Costs, settings: Settings, progress: Callable[[int], None] | None
) -> Estimate:
    """What a job will take, counted in a thread; being cancelled ends the counting.

    Raises:
        UsageError: The recipe cannot be followed.
    """
    from holychat.jobs import documents
    from holychat.jobs import estimate as estimating
    from holychat.jobs.chat_texts import chat_texts

    loop = asyncio.get_running_loop()
    stop = threading.Event()
    spec, jobs_settings = job.spec, settings.jobs

    def tell(count: int) -> None:
        if progress is not None and not stop.is_set():
            loop.call_soon_threadsafe(progress, count)

    def count() -> Estimate:
        known = estimating.Known(
            options=documents.WalkOptions(max_bytes=jobs_settings.max_document_bytes),
            limits=documents.ReadLimits(max_bytes=jobs_settings.max_document_bytes),
            chat_texts=chat_texts(database),
            assumed_context=jobs_settings.assumed_context,
            requests_per_minute=jobs_settings.requests_per_minute.get(spec.provider),
            concurrency=jobs_settings.max_concurrency,
            measure=lambda text: costs.tokens.text(text, spec.model),
        )
        return estimating.estimate(spec, costs.prices, known, progress=tell, cancelled=stop.is_set)

    try:
        return await asyncio.to_thread(count)
    finally:
        stop.set()


def worst_cost(
    connection: Connection, chosen: Chosen, prices: PriceBook, assumed_context: int
) -> tuple[int, int | None]:
    """How many documents a retry would take, and what their requests cost at worst; None: unknown.

    What was sent before has its worst case; for the rest it is made of sizes, as no tokenizer makes more tokens than
    bytes.
    """
    spec = jobs.get(connection, chosen.job_id).spec
    found = item_moves.worst_of(connection, chosen)
    new = found.requests - found.known
    if not new:
        return found.documents, found.micros
    window = prices.context_window(spec.model, spec.provider) or assumed_context
    around = sum(map(len, (spec.recipe.prompt, spec.recipe.system, spec.recipe.schema, *spec.recipe.labels))) * 4
    read = found.size + found.unsized * window + new * (around + _AROUND)
    worst = prices.worst_cost(spec.provider, spec.model, read, new * _answer_limit(spec.recipe, window))
    return found.documents, None if worst is None else worst + found.micros


def _answer_limit(recipe: Recipe, window: int) -> int:
    from holychat.jobs import recipes

    return recipes.answer_limit(recipe, window)


def _stored(connection: Connection, item_id: int) -> tuple[ItemDetail, str | None]:
    """An item as it is stored, and the text of its document where that is kept."""
    item = items.get(connection, item_id)
    content, body, result, partial = items.texts(connection, item_id)
    parts = items.parts_page(connection, item_id, 0, _MOST_PARTS)
    source = body
    if item.parent_id is not None and parts:
        # It merges what came of its parts.
        source = "\n\n".join(items.texts(connection, part.id)[2] or "…" for part in parts)
    elif item.parent_id is not None:
        content = items.texts(connection, item_moves.roots_of(connection, [item_id])[0])[0]
    found = ItemDetail(
        item=with_parts(connection, item.job_id, [item])[0],
        source=source,
        result=result,
        partial=partial,
        attempts=items.attempts(connection, item_id),
        parts=items.parts_count(connection, item_id),
    )
    return found, content


def _with_source(found: ItemDetail, inline: str | None, max_bytes: int) -> ItemDetail:
    from holychat.jobs import documents

    item = found.item
    now = replace(item.document, size=None, mtime_ns=None)
    try:
        read = documents.read(now, inline, documents.ReadLimits(max_bytes=max_bytes))
    except documents.DocumentProblem as problem:
        return replace(found, source_failure=problem.failure)
    changed = "It was changed since it was sent." if item.sha256 not in ("", read.sha256) else ""
    text = read.text if item.span is None else read.text[item.span.start : item.span.end]
    return replace(found, source=text, source_note=" ".join(filter(None, (changed, read.note))))


def with_parts(connection: Connection, job_id: int, found: list[Item]) -> list[Item]:
    """The same items, with what their own parts took added to what they took themselves."""
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
