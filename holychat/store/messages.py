"""Messages: paging through them, writing a reply as it arrives, ending it. Callers hold the transaction.

A reply's life in the tables: `start_reply` makes its row, owned by the process that will write it; `append_chunks` adds
what arrived since the last time; `finish_reply` turns everything into parts, indexes it and lets go of the row.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holychat.domain.chat import AttachmentPart, Message, MessageState, ReasoningPart, Role, TextPart, title_from
from holychat.errors import UsageError
from holychat.store import chats
from holychat.store.folding import key, storable
from holychat.store.later import answers_that_stay
from holychat.store.rows import MESSAGE_COLUMNS, failure_column, merged, messages_of
from holychat.store.search import index_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holychat.domain.chat import Part
    from holychat.domain.failures import Failure
    from holychat.store.database import Connection


@dataclass(frozen=True, slots=True)
class FileText:
    """A file's text on its way into the store."""

    part: AttachmentPart
    text: str


@dataclass(frozen=True, slots=True)
class NewReply:
    """Who writes a reply, and whom it is asked of."""

    owner: str
    provider: str
    model: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Told:
    """An answer as another road brought it, whole."""

    state: MessageState
    parts: tuple[Part, ...]
    provider: str
    model: str
    finish_reason: str
    request_id: str
    failure: Failure | None


def get(connection: Connection, message_id: int) -> Message:
    """The message with this number.

    Raises:
        UsageError: There is none.
    """
    found = _select(connection, "id = ?", (message_id,))
    if not found:
        raise UsageError(f"There is no message {message_id}", "It may have been deleted in another window.")
    return found[0]


def page(connection: Connection, chat_id: int, first: int, count: int) -> list[Message]:
    """`count` messages of the conversation from 0-based position `first` on; fewer at its end."""
    where = "chat_id = ? AND position >= ? AND position < ? ORDER BY position"
    return _select(connection, where, (chat_id, max(0, first), max(0, first) + count))


def everything(connection: Connection, chat_id: int) -> list[Message]:
    """All messages of a chat in the order in which they were written, replaced ones included."""
    return _select(connection, "chat_id = ? ORDER BY seq", (chat_id,))


def replaced(connection: Connection, chat_id: int) -> list[Message]:
    """What has left the conversation, in the order in which it was written."""
    return _select(connection, "chat_id = ? AND position IS NULL ORDER BY seq", (chat_id,))


def count(connection: Connection, chat_id: int) -> int:
    """How many messages the conversation has."""
    row = connection.execute("SELECT coalesce(max(position) + 1, 0) FROM messages WHERE chat_id = ?", (chat_id,)).get
    return int(row)


def position_of(connection: Connection, message_id: int) -> int | None:
    """The 0-based place of a message in its conversation; None for a replaced or deleted one."""
    row = connection.execute("SELECT position FROM messages WHERE id = ?", (message_id,)).fetchone()
    return None if row is None else row[0]


def attachment_texts(connection: Connection, messages: Iterable[Message]) -> dict[str, str]:
    """Text by hash of the files that go with these messages."""
    hashes = {part.sha256 for message in messages for part in message.attachments}
    select = "SELECT text FROM attachments WHERE sha256 = ?"
    return {sha256: connection.execute(select, (sha256,)).get for sha256 in sorted(hashes)}


def files_of(connection: Connection, message: Message) -> list[FileText]:
    """The files that go with a message, to go with another one."""
    texts = attachment_texts(connection, [message])
    return [FileText(part, texts[part.sha256]) for part in message.attachments]


def add_question(
    connection: Connection,
    chat_id: int,
    text: str,
    files: Sequence[FileText],
    now_ms: int,
    *,
    draft: tuple[str, str] | None = None,
) -> Message:
    """A person's message at the end of the conversation; it titles an untitled chat and clears the draft it was.

    `draft` is the draft as the sender knows it, and what is left of it; another one that is there stays, unless
    something is left to be kept. None clears any draft.
    """
    known, left = draft or (None, "")
    text = storable(text)
    parts: list[Part] = []
    for file in files:
        keep = "INSERT INTO attachments (sha256, size, text) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        connection.execute(keep, (file.part.sha256, file.part.size, storable(file.text)))
        parts.append(replace(file.part, name=storable(file.part.name), path=storable(file.part.path)))
    if text:
        parts.append(TextPart(text))
    message_id = _insert(connection, chat_id, Role.USER, now_ms)
    _write_parts(connection, message_id, parts)
    title = title_from(text) or (parts[0].name if parts and isinstance(parts[0], AttachmentPart) else "")
    connection.execute(
        """
        UPDATE chats SET draft = iif(?1 IS NULL OR ?6 <> '' OR draft = ?1, ?6, draft), updated_ms = ?2, unseen = 0,
            title = iif(title = '', ?3, title), title_key = iif(title = '', ?4, title_key) WHERE id = ?5
        """,
        (None if known is None else storable(known), now_ms, title, key(title), chat_id, storable(left)),
    )
    return get(connection, message_id)


def start_reply(connection: Connection, chat_id: int, new: NewReply) -> Message:
    """An empty answer at the end of the conversation, owned by the process that will write it.

    Raises:
        UsageError: Another answer is arriving in this chat.
    """
    refuse_busy(connection, chat_id)
    message_id = _insert(connection, chat_id, Role.ASSISTANT, new.now_ms, new)
    chats.touch(connection, chat_id, new.now_ms)
    return get(connection, message_id)


def reopen_reply(connection: Connection, message: Message, new: NewReply) -> Message:
    """Make a reply that broke off arrive again; what it has so far stays.

    Raises:
        UsageError: Another answer is arriving in this chat.
    """
    refuse_busy(connection, message.chat_id)
    connection.execute(
        """
        UPDATE messages SET state = 'streaming', owner = ?, provider = ?, model = ?, finish_reason = '', failure = NULL,
            worst_micros = NULL
        WHERE id = ?
        """,
        (new.owner, new.provider, new.model, message.id),
    )
    chats.touch(connection, message.chat_id, new.now_ms)
    return get(connection, message.id)


def set_worst(connection: Connection, message_id: int, worst_micros: int | None) -> None:
    """Let limits count a reply that is about to arrive at the most it can cost; None: that is not known."""
    connection.execute("UPDATE messages SET worst_micros = ? WHERE id = ?", (worst_micros, message_id))


def append_chunks(connection: Connection, message_id: int, owner: str, chunks: Iterable[tuple[str, str]]) -> None:
    """Keep (kind, text) that arrived since the last time; nothing where the row is no longer `owner`'s."""
    connection.executemany(
        """
        INSERT INTO chunks (message_id, kind, text)
        SELECT ?, ?, ? WHERE EXISTS (SELECT 1 FROM messages WHERE id = ? AND owner = ?)
        """,
        [(message_id, kind, storable(text), message_id, owner) for kind, text in chunks],
    )


def finish_reply(connection: Connection, message: Message, owner: str, *, unseen: bool = False) -> Message:
    """Store a reply whole, as it is in `message`, index it, and let go of it.

    Returns:
        The message as stored. Where the chat was deleted meanwhile, or another process is writing the row, nothing is
        stored and `message` comes back as it is.
    """
    # A row that was let go for us, because another process took us for dead, is taken back: we have all of the text.
    held = connection.execute(
        "SELECT 1 FROM messages WHERE id = ? AND (owner = ? OR state = 'interrupted')", (message.id, owner)
    ).get
    if not held:
        return message
    usage, cost, timing = message.usage, message.cost, message.timing
    connection.execute(
        """
        UPDATE messages SET state = ?, owner = NULL, provider = ?, model = ?, finish_reason = ?, request_id = ?,
            input_tokens = ?, output_tokens = ?, cached_input_tokens = ?, reasoning_tokens = ?, usage_estimated = ?,
            cost_micros = ?, cost_estimated = ?, first_token_ms = ?, elapsed_ms = ?, attempts = ?, failure = ?
        WHERE id = ?
        """,
        (
            message.state.value, message.provider, storable(message.model), storable(message.finish_reason),
            storable(message.request_id),
            usage.input_tokens, usage.output_tokens, usage.cached_input_tokens, usage.reasoning_tokens, usage.estimated,
            None if cost is None else cost.micros, cost is not None and cost.estimated,
            timing.first_token_ms, timing.elapsed_ms, timing.attempts, failure_column(message.failure), message.id,
        ),
    )  # fmt: skip
    _write_parts(connection, message.id, message.parts)
    chats.mark_unseen(connection, message.chat_id, unseen=unseen)
    return get(connection, message.id)


def add_told(connection: Connection, chat_id: int, told: Told, now_ms: int, *, replaced: bool = False) -> int:
    """An answer that is there at once, at the end of the conversation or, `replaced`, out of it; its number.

    It has no usage and no cost: these are counted where it was made.
    """
    connection.execute(
        """
        INSERT INTO messages (chat_id, seq, position, role, state, created_ms, provider, model, finish_reason,
            request_id, failure)
        VALUES (
            ?1,
            (SELECT coalesce(max(seq) + 1, 1) FROM messages WHERE chat_id = ?1),
            iif(?2, NULL, (SELECT coalesce(max(position) + 1, 0) FROM messages WHERE chat_id = ?1)),
            'assistant', ?3, ?4, ?5, ?6, ?7, ?8, ?9
        )
        """,
        (
            chat_id, replaced, told.state.value, now_ms, told.provider, storable(told.model),
            storable(told.finish_reason), storable(told.request_id), failure_column(told.failure),
        ),
    )  # fmt: skip
    message_id = int(connection.last_insert_rowid())
    _write_parts(connection, message_id, told.parts)
    return message_id


def tell_again(connection: Connection, message_id: int, told: Told) -> None:
    """Let an answer that failed or is in doubt say what is known by now."""
    connection.execute(
        "UPDATE messages SET state = ?, model = ?, finish_reason = ?, request_id = ?, failure = ? WHERE id = ?",
        (
            told.state.value, storable(told.model), storable(told.finish_reason), storable(told.request_id),
            failure_column(told.failure), message_id,
        ),
    )  # fmt: skip
    _write_parts(connection, message_id, told.parts)


def replace_from(connection: Connection, chat_id: int, position: int, *, but: Iterable[int] = ()) -> None:
    """Take the messages from a position on out of the conversation; they are kept.

    Args:
        connection: The database.
        chat_id: The chat.
        position: The first of them. Answers that came later to questions before it stay, and move up.
        but: Answers that do not.

    Raises:
        UsageError: An answer is arriving in this chat.
    """
    refuse_busy(connection, chat_id)
    staying = answers_that_stay(connection, chat_id, position, but)
    connection.execute("UPDATE messages SET position = NULL WHERE chat_id = ? AND position >= ?", (chat_id, position))
    connection.executemany(
        "UPDATE messages SET position = ? WHERE id = ?",
        [(position + place, message_id) for place, message_id in enumerate(staying)],
    )


def refuse_busy(connection: Connection, chat_id: int) -> None:
    """Make sure that no answer is arriving in a chat.

    Raises:
        UsageError: One is.
    """
    if connection.execute("SELECT 1 FROM messages WHERE chat_id = ? AND state = 'streaming'", (chat_id,)).get:
        raise UsageError("An answer is still arriving in this chat", "Stop it first, here or in the other window.")


def streaming_owners(connection: Connection) -> set[str]:
    """Processes that are writing a reply, or were when they died."""
    return {owner for (owner,) in connection.execute("SELECT DISTINCT owner FROM messages WHERE state = 'streaming'")}


def chunks_of(connection: Connection, message_id: int) -> list[tuple[str, str]]:
    """(kind, text) that arrived of a reply since it was last begun, as far as it was checkpointed."""
    rows = connection.execute("SELECT kind, text FROM chunks WHERE message_id = ? ORDER BY id", (message_id,))
    return [(kind, text) for kind, text in rows]


def interrupt_replies_of(
    connection: Connection, is_dead: Callable[[str], bool], accounted: Callable[[Message], Message] | None = None
) -> int:
    """Turn the arriving replies of dead owners into interrupted ones with all that was checkpointed.

    Args:
        connection: The database.
        is_dead: Whether an owner is.
        accounted: Adds to a reply what it took; None: nothing is known of that.

    Returns:
        How many there were.
    """
    dead = sorted(owner for owner in streaming_owners(connection) if is_dead(owner))
    ended = 0
    for owner in dead:
        for message in _select(connection, "state = 'streaming' AND owner = ?", (owner,)):
            told = message if accounted is None else accounted(message)
            finish_reply(connection, replace(told, state=MessageState.INTERRUPTED), owner, unseen=True)
            ended += 1
    return ended


def _select(connection: Connection, where: str, values: tuple[object, ...]) -> list[Message]:
    rows = connection.execute(f"SELECT {MESSAGE_COLUMNS} FROM messages WHERE {where}", values)  # noqa: S608  # literals
    return messages_of(connection, rows)


def _insert(connection: Connection, chat_id: int, role: Role, now_ms: int, new: NewReply | None = None) -> int:
    chats.get(connection, chat_id)
    connection.execute(
        """
        INSERT INTO messages (chat_id, seq, position, role, state, owner, created_ms, provider, model) VALUES (
            ?1,
            (SELECT coalesce(max(seq) + 1, 1) FROM messages WHERE chat_id = ?1),
            (SELECT coalesce(max(position) + 1, 0) FROM messages WHERE chat_id = ?1),
            ?2, ?3, ?4, ?5, ?6, ?7
        )
        """,
        (
            chat_id,
            role.value,
            (MessageState.COMPLETE if new is None else MessageState.STREAMING).value,
            None if new is None else new.owner,
            now_ms,
            "" if new is None else new.provider,
            "" if new is None else storable(new.model),
        ),
    )
    return int(connection.last_insert_rowid())


def _write_parts(connection: Connection, message_id: int, parts: Iterable[Part]) -> None:
    connection.execute("DELETE FROM chunks WHERE message_id = ?", (message_id,))
    connection.execute("DELETE FROM parts WHERE message_id = ?", (message_id,))
    found: list[str] = []
    for ordinal, part in enumerate(merged(parts)):
        if isinstance(part, AttachmentPart):
            columns: tuple[str | None, ...] = ("attachment", None, part.name, part.path, part.sha256)
            found.append(part.name)
        else:
            kind, text = ("reasoning" if isinstance(part, ReasoningPart) else "text"), storable(part.text)
            columns = (kind, text, None, None, None)
            if kind == "text":
                found.append(text)
        connection.execute(
            "INSERT INTO parts (message_id, ordinal, kind, text, name, path, sha256) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (message_id, ordinal, *columns),
        )
    index_message(connection, message_id, "\n".join(found))
