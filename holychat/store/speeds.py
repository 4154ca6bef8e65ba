"""How fast replies were here: what an estimate of time rests on. Callers hold the transaction."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from holychat.store.database import Connection

_LOOKED_THROUGH = 2_000
"""Newest rows that are looked through, so that a model that was never used costs no walk through the history."""
_ENOUGH = 50


class Speed(NamedTuple):
    """What was measured of one model at one provider; medians, milliseconds."""

    first_token_ms: float | None
    reply_ms: float | None
    replies: int
    """How many replies `reply_ms` rests on."""


def speed_of(connection: Connection, provider: str, model: str) -> Speed:
    """The speed of a model, as its latest replies in chats and jobs had it."""
    live = list(
        connection.execute(
            """
            SELECT first_token_ms, elapsed_ms FROM (SELECT * FROM messages ORDER BY id DESC LIMIT ?)
            WHERE provider = ? AND model = ? AND state = 'complete' AND first_token_ms IS NOT NULL LIMIT ?
            """,
            (_LOOKED_THROUGH, provider, model, _ENOUGH),
        )
    )
    replies = [float(elapsed) for _, elapsed in live if elapsed is not None]
    replies += [
        float(elapsed)
        for (elapsed,) in connection.execute(
            """
            SELECT i.elapsed_ms
            FROM (SELECT * FROM items ORDER BY id DESC LIMIT ?) AS i JOIN jobs AS j ON j.id = i.job_id
            WHERE j.provider = ? AND j.model = ? AND i.state = 'done' AND i.elapsed_ms IS NOT NULL
                AND i.submission_id IS NULL
            LIMIT ?
            """,
            (_LOOKED_THROUGH, provider, model, _ENOUGH),
        )
    ]
    firsts = [float(first) for first, _ in live]
    return Speed(median(firsts) if firsts else None, median(replies) if replies else None, len(replies))
