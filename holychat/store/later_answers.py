"""Answers that were asked for later: ordered with their questions, put into their chats when they are there.

Callers hold the transaction. An answer is put into its chat by whoever sees first that it is there: the worker, or an
app. It is one transaction, and the row of the question says afterwards what the chat was told, so that doing it again
does nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from holychat.domain.chat import MessageState, TextPart
from holychat.domain.jobs import ItemState, JobState
from holychat.store import chats, ledger_jobs, messages
from holychat.store.job_rows import failure_of
from holychat.store.jobs import create, move

if TYPE_CHECKING:
    from holychat.domain.chat import Message
    from holychat.domain.jobs import Document, JobSpec
    from holychat.domain.roads import Road
    from holychat.store.database import Connection

_STATES = {
    ItemState.DONE: MessageState.COMPLETE,
    ItemState.FAILED: MessageState.FAILED,
    ItemState.IN_DOUBT: MessageState.INTERRUPTED,
}
_THERE = """
    FROM asked_later AS l JOIN items AS i ON i.id = l.item_id JOIN messages AS q ON q.id = l.question_id
    WHERE l.settled = 0 AND i.state IN ('done', 'failed', 'in_doubt') AND i.state <> l.told
"""
_QUIET = "NOT EXISTS (SELECT 1 FROM messages AS s WHERE s.chat_id = q.chat_id AND s.state = 'streaming')"
"""No other reply is arriving in the chat."""


class _Due(NamedTuple):
    question_id: int
    answer_id: int | None
    chat_id: int
    left: int
    item_id: int
    state: str
    job_id: int


def order(
    connection: Connection,
    question: Message,
    spec: JobSpec,
    document: Document,
    road: Road,
    seconds: int | None,
    now_ms: int,
) -> int:
    """Order the answer to a question: a job with this one item, which waits for the worker. The job's number."""
    job = create(connection, spec, now_ms)
    ledger_jobs.add_documents(connection, job.id, [document], now_ms)
    ledger_jobs.all_listed(connection, job.id, "", now_ms)
    move(connection, job.id, JobState.QUEUED, now_ms)
    connection.execute(
        "INSERT INTO asked_later (question_id, job_id, item_id, road, seconds)"
        " SELECT ?, job_id, id, ?, ? FROM items WHERE job_id = ?",
        (question.id, road.value, seconds, job.id),
    )
    return job.id


def any_due(connection: Connection) -> bool:
    """Whether an answer is there that its chat does not have yet, and can take now."""
    return connection.execute(f"SELECT 1 {_THERE} AND {_QUIET} LIMIT 1").get is not None


def deliver(connection: Connection, now_ms: int) -> int:
    """Put the answers that are there into their chats; one in which a reply is arriving waits.

    Returns:
        How many there were.
    """
    rows: list[Any] = connection.execute(
        "SELECT l.question_id, l.answer_id, q.chat_id, q.position IS NULL, i.id, i.state, i.job_id"
        f"{_THERE} AND {_QUIET} ORDER BY i.updated_ms, i.id"
    ).fetchall()
    for row in rows:
        _deliver(connection, _Due(*row), now_ms)
    return len(rows)


def _deliver(connection: Connection, due: _Due, now_ms: int) -> None:
    row: Any = connection.execute(
        """
        SELECT t.result, t.partial, i.failure, j.provider, iif(i.model = '', j.model, i.model), i.finish_reason,
            i.request_id
        FROM items AS i JOIN jobs AS j ON j.id = i.job_id LEFT JOIN item_texts AS t ON t.item_id = i.id WHERE i.id = ?
        """,
        (due.item_id,),
    ).fetchone()
    result, partial, failure, provider, model, finish_reason, request_id = row
    state = ItemState(due.state)
    done = state is ItemState.DONE
    text = (result if done else partial) or ""
    told = messages.Told(
        _STATES[state],
        (TextPart(text),) if text else (),
        provider,
        model,
        finish_reason if done else "",
        request_id,
        None if done else failure_of(failure),
    )
    answer_id = due.answer_id
    if answer_id is None:
        # A question that an edit took out of the conversation takes its answer along; both are kept.
        answer_id = messages.add_told(connection, due.chat_id, told, now_ms, replaced=bool(due.left))
    else:
        messages.tell_again(connection, answer_id, told)
    connection.execute(
        "UPDATE asked_later SET answer_id = ?, told = ?, settled = ? WHERE question_id = ?",
        (answer_id, due.state, int(done), due.question_id),
    )
    if not due.left:
        chats.touch(connection, due.chat_id, now_ms)


def is_held(connection: Connection, job_id: int) -> bool:
    """Whether an answer of a job waits for another reply in its chat to end."""
    return connection.execute(f"SELECT 1 {_THERE} AND l.job_id = ?", (job_id,)).get is not None
