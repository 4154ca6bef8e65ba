"""Sums of what was spent. Times are quarters of an hour since 1970 in UTC, first included, last excluded.

Callers hold the transaction. The rows are kept by triggers, see 0004, 0006 and 0008 of the migrations.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from holychat.domain.spending import Share, Spent, Unsettled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.store.database import Connection

QUARTER_MS = 900_000
Quarters: TypeAlias = tuple[int, int]
"""First and end, which is not part of it."""

_SUMS = """
    coalesce(sum(s.requests), 0), coalesce(sum(s.estimated), 0), coalesce(sum(s.unknown), 0),
    coalesce(sum(s.micros), 0), coalesce(sum(s.input_tokens), 0), coalesce(sum(s.output_tokens), 0)
"""
_WITHIN = "s.quarter >= ? AND s.quarter < ?"


def add(connection: Connection, provider: str, model: str, spent: Spent, now_ms: int) -> None:
    """Add what was spent beside chats and jobs, by a benchmark."""
    sums = (spent.requests, spent.estimated, spent.unknown, spent.micros, spent.input_tokens, spent.output_tokens)
    connection.execute(
        """
        INSERT INTO spending VALUES (?, 0, 0, ?, ?, ?, ?, ?, ?, ?, ?)
        ON CONFLICT DO UPDATE SET requests = requests + excluded.requests, estimated = estimated + excluded.estimated,
            unknown = unknown + excluded.unknown, micros = micros + excluded.micros,
            input_tokens = input_tokens + excluded.input_tokens, output_tokens = output_tokens + excluded.output_tokens
        """,
        (now_ms // QUARTER_MS, provider, model, *sums),
    )


def total(connection: Connection, when: Quarters) -> Spent:
    """All that was spent in a time."""
    return _sum(connection, _WITHIN, when)


def of_chat(connection: Connection, chat_id: int) -> Spent:
    """All that a chat has cost, replaced answers included."""
    return _sum(connection, "s.chat_id = ? AND s.chat_id <> 0", (chat_id,))


def of_job(connection: Connection, job_id: int) -> Spent:
    """All that a job has cost, attempts that were made again included."""
    return _sum(connection, "s.job_id = ? AND s.job_id <> 0", (job_id,))


def by_model(connection: Connection, when: Quarters) -> list[Share]:
    """Models with what each has cost at its provider, the dearest first."""
    rows = connection.execute(
        f"""
        SELECT s.model, s.provider, {_SUMS} FROM spending AS s WHERE {_WITHIN}
        GROUP BY s.model, s.provider ORDER BY sum(s.micros) DESC, sum(s.requests) DESC, s.model, s.provider
        """,  # noqa: S608  # literals of this module
        when,
    )
    return [Share(model, Spent(*sums), provider=provider) for model, provider, *sums in rows]


def by_provider(connection: Connection, when: Quarters) -> list[Share]:
    """Providers with what each has cost, the dearest first."""
    rows = connection.execute(
        f"""
        SELECT s.provider, {_SUMS} FROM spending AS s WHERE {_WITHIN}
        GROUP BY s.provider ORDER BY sum(s.micros) DESC, sum(s.requests) DESC, s.provider
        """,  # noqa: S608
        when,
    )
    return [Share(provider, Spent(*sums), provider=provider) for provider, *sums in rows]


def by_thing(connection: Connection, when: Quarters, kind: Literal["chat", "job"], most: int = 100) -> list[Share]:
    """Chats or jobs with what each has cost in a time, the dearest first; a deleted one has no name."""
    table, name, key = ("chats", "title", "chat_id") if kind == "chat" else ("jobs", "name", "job_id")
    rows = connection.execute(
        f"""
        SELECT s.{key}, coalesce((SELECT {name} FROM {table} WHERE id = s.{key}), ''), {_SUMS} FROM spending AS s
        WHERE {_WITHIN} AND s.{key} <> 0
        GROUP BY s.{key} ORDER BY sum(s.micros) DESC, sum(s.requests) DESC, s.{key} LIMIT ?
        """,  # noqa: S608
        (*when, most),
    )
    return [Share(title, Spent(*sums), id=number) for number, title, *sums in rows]


def by_time(connection: Connection, times: Sequence[Quarters]) -> list[Spent]:
    """What was spent in each of some times, in their order."""
    values = ",".join(f"({place}, ?, ?)" for place in range(len(times)))
    if not values:
        return []
    rows = connection.execute(
        f"""
        WITH times (place, first, past) AS (VALUES {values})
        SELECT {_SUMS} FROM times AS t LEFT JOIN spending AS s ON s.quarter >= t.first AND s.quarter < t.past
        GROUP BY t.place ORDER BY t.place
        """,  # noqa: S608  # numbers and question marks
        [edge for time in times for edge in time],
    )
    return [Spent(*row) for row in rows]


def unsettled(connection: Connection, when: Quarters) -> Unsettled:
    """Requests of jobs, and replies that arrive live, of a time, that may have been billed and have no cost yet.

    Of live ones those whose worst case was written down, which is done where there is a limit.
    """
    times = (when[0] * QUARTER_MS, when[1] * QUARTER_MS)
    row: Any = connection.execute(
        """
        SELECT count(*), coalesce(sum(worst_micros), 0), count(*) - count(worst_micros) FROM attempts
        WHERE sent_ms >= ? AND sent_ms < ? AND cost_micros IS NULL AND (outcome IS NULL OR outcome = 'ambiguous'
            OR (outcome = 'answered' AND raw IS NOT NULL AND failure IS NULL))
        """,
        times,
    ).fetchone()
    requests, micros, unknown = row
    # An answer is spent when its chat was last touched, which its beginning does.
    live: Any = connection.execute(
        """
        SELECT count(*), coalesce(sum(m.worst_micros), 0) FROM messages AS m JOIN chats AS c ON c.id = m.chat_id
        WHERE m.state = 'streaming' AND m.worst_micros IS NOT NULL AND c.updated_ms >= ? AND c.updated_ms < ?
        """,
        times,
    ).fetchone()
    return Unsettled(requests + live[0], micros + live[1], unknown)


def first_quarter(connection: Connection) -> int | None:
    """When something was first spent; None where nothing was."""
    found = connection.execute("SELECT min(quarter) FROM spending").get
    return None if found is None else int(found)


def _sum(connection: Connection, where: str, values: tuple[int, ...]) -> Spent:
    row: Any = connection.execute(f"SELECT {_SUMS} FROM spending AS s WHERE {where}", values).fetchone()  # noqa: S608
    return Spent(*row)
