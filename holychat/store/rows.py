"""Rows of the database as values of the domain, and back."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from holychat.domain.chat import (
    AttachmentPart,
    Chat,
    ChatOptions,
    Message,
    MessageState,
    ReasoningPart,
    Role,
    TextPart,
)
from holychat.domain.failures import Failure
from holychat.domain.usage import Cost, Timing, Usage
from holychat.store.later import of_messages
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holychat.domain.chat import Later, Part
    from holychat.store.database import Connection

CHAT_COLUMNS = """
    c.id, c.title, c.provider, c.model, c.system, c.temperature, c.max_tokens, c.draft, c.created_ms, c.updated_ms,
    (SELECT coalesce(max(m.position) + 1, 0) FROM messages AS m WHERE m.chat_id = c.id)
"""
"""What `chat_of` reads, from `chats AS c`."""

MESSAGE_COLUMNS = """
    id, chat_id, seq, position IS NULL, role, state, created_ms, provider, model, finish_reason, request_id,
    input_tokens, output_tokens, cached_input_tokens, reasoning_tokens, usage_estimated, cost_micros, cost_estimated,
    first_token_ms, elapsed_ms, attempts, failure
"""
"""What `messages_of` reads, from `messages`."""

_PLACES = 500


def chat_of(row: Sequence[Any]) -> Chat:
    """The chat in a row of CHAT_COLUMNS."""
    return Chat(
        id=row[0],
        title=row[1],
        options=ChatOptions(provider=row[2], model=row[3], system=row[4], temperature=row[5], max_tokens=row[6]),
        draft=row[7],
        created_ms=row[8],
        updated_ms=row[9],
        message_count=row[10],
    )


def messages_of(connection: Connection, rows: Iterable[Sequence[Any]]) -> list[Message]:
    """The messages in rows of MESSAGE_COLUMNS, with their parts, in a few further queries whatever their number."""
    rows = list(rows)
    ids = [row[0] for row in rows]
    parts = parts_of(connection, ids)
    later: dict[int, Later] = {}
    for first in range(0, len(ids), _PLACES):
        later |= of_messages(connection, ids[first : first + _PLACES])
    return [_message_of(row, parts.get(row[0], ()), later.get(row[0])) for row in rows]


def parts_of(connection: Connection, message_ids: Sequence[int]) -> dict[int, tuple[Part, ...]]:
    """Parts of messages, what was checkpointed of a streaming one included."""
    found: dict[int, list[Part]] = {}
    for first in range(0, len(message_ids), _PLACES):
        some = tuple(message_ids[first : first + _PLACES])
        marks = ",".join("?" * len(some))
        for message_id, kind, text, name, path, sha256, size in connection.execute(
            f"""
            SELECT p.message_id, p.kind, p.text, p.name, p.path, p.sha256, a.size
            FROM parts AS p LEFT JOIN attachments AS a USING (sha256)
            WHERE p.message_id IN ({marks}) ORDER BY p.message_id, p.ordinal
            """,  # noqa: S608  # only question marks are put in
            some,
        ):
            part: Part = (
                AttachmentPart(name=name, path=path, sha256=sha256, size=size)
                if kind == "attachment"
                else plain_part(kind, text)
            )
            found.setdefault(message_id, []).append(part)
        for message_id, chunks in groupby(
            connection.execute(
                f"SELECT message_id, kind, text FROM chunks WHERE message_id IN ({marks}) ORDER BY message_id, id",  # noqa: S608
                some,
            ),
            key=lambda row: row[0],
        ):
            found.setdefault(message_id, []).extend(plain_part(kind, text) for _, kind, text in chunks)
    return {message_id: merged(parts) for message_id, parts in found.items()}


def plain_part(kind: str, text: str) -> Part:
    """A part that is text."""
    return ReasoningPart(text) if kind == "reasoning" else TextPart(text)


def merged(parts: Iterable[Part]) -> tuple[Part, ...]:
    """Parts with neighbours of one kind joined."""
    result: list[Part] = []
    for kind, group in groupby(parts, key=type):
        if kind is AttachmentPart:
            result.extend(group)
        else:
            text = "".join(part.text for part in group if not isinstance(part, AttachmentPart))
            result.append(ReasoningPart(text) if kind is ReasoningPart else TextPart(text))
    return tuple(result)


def failure_column(failure: Failure | None) -> str | None:
    """A failure as JSON."""
    return None if failure is None else msgspec.json.encode(failure.to_dict()).decode()


def _message_of(row: Sequence[Any], parts: tuple[Part, ...], later: Later | None) -> Message:
    return Message(
        id=row[0],
        chat_id=row[1],
        seq=row[2],
        replaced=bool(row[3]),
        role=Role(row[4]),
        state=MessageState(row[5]),
        created_ms=row[6],
        provider=row[7],
        model=row[8],
        finish_reason=row[9],
        request_id=row[10],
        usage=Usage(row[11], row[12], row[13], row[14], bool(row[15])),
        cost=None if row[16] is None else Cost(row[16], bool(row[17])),
        timing=Timing(row[18], row[19], row[20]),
        failure=None if row[21] is None else Failure.from_dict(decode(row[21], dict[str, object])),
        parts=parts,
        later=later,
    )
