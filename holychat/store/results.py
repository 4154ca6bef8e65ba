"""What became of the documents of a job, in pages that never depend on how long the job is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.store.job_rows import ITEM_COLUMNS, item_of

if TYPE_CHECKING:
    from holychat.domain.jobs import Item
    from holychat.store.database import Connection

_PAGE_ROWS = 200
_PAGE_CHARACTERS = 4_000_000


def results_after(connection: Connection, job_id: int, after: Item | None) -> list[tuple[Item, str | None, str | None]]:
    """The next documents of a job in the order of the input, with their answer and what is legible of a broken one.

    Args:
        connection: The database; the caller holds the transaction.
        job_id: Of the job.
        after: The last document of the page before; None for the first page.

    Returns:
        A page; an empty one is the end. Texts are as stored.
    """
    place = (-1, 0) if after is None else (after.ordinal, after.id)
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
    return found
