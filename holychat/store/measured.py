"""How the requests of a job went, one by one: what a benchmark reads. Callers hold the transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from holychat.store.database import Connection


class Answered(NamedTuple):
    """A request that was answered."""

    sent_ms: int
    """Unix time."""
    elapsed_ms: int
    output_tokens: int
    tokens_estimated: bool
    cost_micros: int | None
    cost_estimated: bool


def answered(connection: Connection, job_id: int) -> list[Answered]:
    """The requests of documents that are done, in the order in which they were sent."""
    rows = connection.execute(
        """
        SELECT a.sent_ms, i.elapsed_ms, coalesce(a.output_tokens, 0), i.usage_estimated, a.cost_micros,
            a.cost_estimated
        FROM items AS i JOIN attempts AS a ON a.item_id = i.id AND a.outcome = 'answered'
        WHERE i.job_id = ? AND i.state = 'done' AND i.elapsed_ms IS NOT NULL ORDER BY a.sent_ms, a.id
        """,
        (job_id,),
    )
    return [
        Answered(sent, elapsed, tokens, bool(guessed), cost, bool(estimated))
        for sent, elapsed, tokens, guessed, cost, estimated in rows
    ]


def refusals(connection: Connection, job_id: int) -> int:
    """How often a request of a job was turned away and sent again."""
    return int(connection.execute("SELECT coalesce(sum(refusals), 0) FROM items WHERE job_id = ?", (job_id,)).get)


def commonest_failure(connection: Connection, job_id: int) -> str:
    """What most of the documents failed of that did; empty where none did."""
    found = connection.execute(
        """
        SELECT failure ->> 'title' FROM items WHERE job_id = ? AND failure IS NOT NULL
        GROUP BY 1 ORDER BY count(*) DESC, 1 LIMIT 1
        """,
        (job_id,),
    ).get
    return str(found or "")
