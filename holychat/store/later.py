"""Questions that were asked for later: which job answers them, which message is the answer.

Callers hold the transaction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holychat.domain.chat import Later
from holychat.domain.jobs import ENDED_JOBS, OPEN_ITEMS, ItemState
from holychat.domain.roads import Road
from holychat.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holychat.domain.chat import Message
    from holychat.store.database import Connection


def waiting_in(connection: Connection, chat_id: int) -> list[int]:
    """The jobs that answers of a chat are still to come from, oldest first."""
    rows = connection.execute(
        """
        SELECT l.job_id FROM asked_later AS l
        JOIN messages AS q ON q.id = l.question_id JOIN items AS i ON i.id = l.item_id
        WHERE q.chat_id = ? AND l.settled = 0 AND l.told = '' AND i.state NOT IN ('skipped', 'cancelled')
        ORDER BY l.job_id
        """,
        (chat_id,),
    )
    return [job_id for (job_id,) in rows]


def refuse_coming(connection: Connection, message_id: int) -> None:
    """Make sure that no answer is still to come to a question.

    Raises:
        UsageError: It was asked for later, and its job is at it.
    """
    row = connection.execute(
        """
        SELECT l.job_id, i.state, j.state FROM asked_later AS l
        JOIN items AS i ON i.id = l.item_id JOIN jobs AS j ON j.id = l.job_id
        WHERE l.settled = 0 AND (l.question_id = ?1 OR l.answer_id = ?1)
        """,
        (message_id,),
    ).fetchone()
    if row is None:
        return
    job_id, item_state, job_state = row
    if item_state in {state.value for state in OPEN_ITEMS} and job_state not in {state.value for state in ENDED_JOBS}:
        raise UsageError(
            "The answer to this question was asked for later and is still to come",
            f"Wait for it, or cancel job {job_id} first.",
        )


def take_over(connection: Connection, message: Message, reply_id: int) -> None:
    """From now on the question `message`, or the one that it answers, is answered by another message, and live.

    Raises:
        UsageError: Its answer is still to come.
    """
    refuse_coming(connection, message.id)
    connection.execute(
        "UPDATE asked_later SET answer_id = ?1, settled = 1 WHERE question_id = ?2 OR answer_id = ?2",
        (reply_id, message.id),
    )


def answer_of(connection: Connection, question_id: int) -> int | None:
    """The answer to a question that was asked for later; None where there is none, or it was asked live."""
    row = connection.execute("SELECT answer_id FROM asked_later WHERE question_id = ?", (question_id,)).fetchone()
    return None if row is None else row[0]


def answers_that_stay(connection: Connection, chat_id: int, position: int, but: Iterable[int]) -> list[int]:
    """Answers behind `position` whose questions stand before it: they stay when what follows is replaced."""
    rows = connection.execute(
        """
        SELECT l.answer_id FROM messages AS a JOIN asked_later AS l ON l.answer_id = a.id
        JOIN messages AS q ON q.id = l.question_id
        WHERE a.chat_id = ? AND a.position >= ? AND q.position < ? ORDER BY a.position
        """,
        (chat_id, position, position),
    )
    left_out = set(but)
    return [answer_id for (answer_id,) in rows if answer_id not in left_out]


def as_read(connection: Connection, chat_id: int, history: Sequence[Message], answer_id: int | None) -> list[Message]:
    """A conversation in the order in which a model should read it.

    An answer that came later follows its question; a question whose answer is still to come is left out, so that it is
    not answered twice; the question that `answer_id` answers comes last.
    """
    rows = connection.execute(
        """
        SELECT l.question_id, l.answer_id FROM messages AS q JOIN asked_later AS l ON l.question_id = q.id
        WHERE q.chat_id = ?
        """,
        (chat_id,),
    )
    answers: dict[int, int | None] = dict(list[Any](rows))
    if not answers:
        return list(history)
    placed = {message.id: message for message in history if message.id in set(answers.values())}
    read: list[Message] = []
    last: list[Message] = []
    for message in history:
        if message.id in placed:
            continue
        if message.id not in answers:
            read.append(message)
            continue
        answer = answers[message.id]
        if answer is not None and answer == answer_id:
            last.append(message)
        elif answer in placed:
            read += [message, placed[answer]]
    return read + last


def of_messages(connection: Connection, message_ids: Sequence[int]) -> dict[int, Later]:
    """What is known of those messages that are questions asked for later, or answers to them."""
    marks = ",".join("?" * len(message_ids))
    rows = connection.execute(
        f"""
        SELECT l.question_id, l.answer_id, l.job_id, l.road, l.seconds, l.told, i.state, j.pause, j.deleted
        FROM asked_later AS l LEFT JOIN items AS i ON i.id = l.item_id LEFT JOIN jobs AS j ON j.id = l.job_id
        WHERE l.question_id IN ({marks}) OR l.answer_id IN ({marks})
        """,  # noqa: S608  # only question marks are put in
        (*message_ids, *message_ids),
    )
    found: dict[int, Later] = {}
    wanted = set(message_ids)
    for question_id, answer_id, job_id, road, seconds, told, state, pause, deleted in rows:
        standing = None if state is None or deleted else ItemState(state)
        later = Later(job_id, Road(road), False, standing, pause or "", seconds, answer_id is not None)
        if question_id in wanted:
            found[question_id] = later
        if answer_id in wanted and told:
            found[answer_id] = Later(job_id, Road(road), True, standing, "", seconds, True)
    return found
