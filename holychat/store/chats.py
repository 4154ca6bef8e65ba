"""Chats: making, finding, changing and deleting them. Every function runs inside a transaction of its caller."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from holychat.domain.search import ChatEntry
from holychat.errors import UsageError
from holychat.store.folding import key, storable
from holychat.store.rows import CHAT_COLUMNS, chat_of
from holychat.store.search import LONGEST_WALK, MOST_TERMS, match_expression, matches, snippet, terms_of, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.domain.chat import Chat, ChatOptions
    from holychat.store.database import Connection

_WORTH_LISTING = "(c.title <> '' OR c.draft <> '' OR EXISTS (SELECT 1 FROM messages AS m WHERE m.chat_id = c.id))"
_ABANDONED_MS = 30 * 86_400_000


def create(connection: Connection, options: ChatOptions, now_ms: int) -> Chat:
    """A new, empty chat."""
    connection.execute(
        """
        INSERT INTO chats (provider, model, system, temperature, max_tokens, created_ms, updated_ms)
        VALUES (?, ?, ?, ?, ?, ?, ?)
        """,
        (*_option_columns(options), now_ms, now_ms),
    )
    return get(connection, connection.last_insert_rowid())


def get(connection: Connection, chat_id: int) -> Chat:
    """The chat with this number.

    Raises:
        UsageError: There is none.
    """
    row = connection.execute(f"SELECT {CHAT_COLUMNS} FROM chats AS c WHERE c.id = ?", (chat_id,)).fetchone()  # noqa: S608
    if row is None:
        raise no_chat(chat_id)
    return chat_of(row)


def last(connection: Connection) -> Chat | None:
    """The chat in which something was last said or typed."""
    return next(_listed(connection), None)


def count(connection: Connection) -> int:
    """How many chats there are to list."""
    return int(connection.execute(f"SELECT count(*) FROM chats AS c WHERE {_WORTH_LISTING}").get)  # noqa: S608


def unfinished(connection: Connection) -> Chat | None:
    """The last chat, if it holds a draft or an answer that broke off and was not looked at since."""
    chat = last(connection)
    if chat is None or chat.draft:
        return chat
    return chat if is_unseen(connection, chat.id) else None


def entries(connection: Connection, filter_text: str, limit: int, offset: int) -> list[ChatEntry]:
    """Chats by last activity; with a filter, those with it in the title, then those with it in a message.

    Args:
        connection: The database.
        filter_text: Words as typed so far, all of which must occur; empty for all chats.
        limit: How many to return at most.
        offset: How many of the first to leave out.
    """
    if not filter_text.strip():
        return [ChatEntry(chat) for chat in islice(_listed(connection), offset, offset + limit)]
    wanted = offset + limit
    found = {chat.id: ChatEntry(chat) for chat in islice(_titled(connection, filter_text), wanted)}
    terms = terms_of(filter_text)
    expression = match_expression(filter_text, typing=True)
    # One letter is in nearly every message; for Chinese it is a word.
    if expression and len(found) < wanted and not (len(filter_text.strip()) == 1 and filter_text.isascii()):
        for chat_id, message_id in islice(matches(connection, expression), LONGEST_WALK):
            if chat_id not in found:
                pieces = snippet(text_of(connection, message_id), terms)
                found[chat_id] = ChatEntry(get(connection, chat_id), pieces, message_id)
                if len(found) == wanted:
                    break
    return list(islice(found.values(), offset, wanted))


def rename(connection: Connection, chat_id: int, title: str) -> Chat:
    """Give a chat a title; an empty one is filled again by the next message."""
    get(connection, chat_id)
    title = storable(title).strip()
    connection.execute("UPDATE chats SET title = ?, title_key = ? WHERE id = ?", (title, key(title), chat_id))
    return get(connection, chat_id)


def set_options(connection: Connection, chat_id: int, options: ChatOptions) -> Chat:
    """Change what a chat asks of the model from the next message on."""
    get(connection, chat_id)
    connection.execute(
        "UPDATE chats SET provider = ?, model = ?, system = ?, temperature = ?, max_tokens = ? WHERE id = ?",
        (*_option_columns(options), chat_id),
    )
    return get(connection, chat_id)


def save_draft(connection: Connection, chat_id: int, text: str, now_ms: int, *, was: str | None = None) -> bool:
    """Keep what stands in the composer.

    Args:
        connection: Where to.
        chat_id: The chat.
        text: The draft; an empty one takes the place of `was` alone, not of a draft from another window.
        now_ms: The time.
        was: The draft as the writer knows it; None for whatever it is.

    Returns:
        Whether the chat is there; one that is gone takes no draft.
    """
    connection.execute(
        """
        UPDATE chats SET draft = ?1, updated_ms = iif(?1 = '', updated_ms, ?2)
        WHERE id = ?3 AND draft <> ?1 AND (?1 <> '' OR ?4 IS NULL OR draft = ?4)
        """,
        (storable(text), now_ms, chat_id, None if was is None else storable(was)),
    )
    return bool(list(connection.execute("SELECT 1 FROM chats WHERE id = ?", (chat_id,))))


def touch(connection: Connection, chat_id: int, now_ms: int) -> None:
    """Make a chat the last one."""
    connection.execute("UPDATE chats SET updated_ms = ? WHERE id = ?", (now_ms, chat_id))


def mark_unseen(connection: Connection, chat_id: int, *, unseen: bool) -> None:
    """Remember whether an answer broke off that nobody has looked at since."""
    connection.execute("UPDATE chats SET unseen = ?1 WHERE id = ?2 AND unseen <> ?1", (int(unseen), chat_id))


def is_unseen(connection: Connection, chat_id: int) -> bool:
    """Whether an answer broke off that nobody has looked at since.

    Raises:
        UsageError: There is no such chat.
    """
    row = connection.execute("SELECT unseen FROM chats WHERE id = ?", (chat_id,)).fetchone()
    if row is None:
        raise no_chat(chat_id)
    return bool(row[0])


def no_chat(chat_id: int) -> UsageError:
    """The error for a chat that is not there."""
    return UsageError(f"There is no chat {chat_id}", "`holychat history list` shows the chats there are.")


def delete(connection: Connection, chat_id: int) -> None:
    """Delete a chat with its messages, its place in the index, and the file texts that no other message uses.

    Raises:
        UsageError: There is no such chat.
    """
    get(connection, chat_id)
    hashes = connection.execute(
        "SELECT DISTINCT p.sha256 FROM parts AS p JOIN messages AS m ON m.id = p.message_id "
        "WHERE m.chat_id = ? AND p.sha256 IS NOT NULL",
        (chat_id,),
    ).fetchall()
    connection.execute("DELETE FROM chats WHERE id = ?", (chat_id,))
    connection.executemany(
        "DELETE FROM attachments WHERE sha256 = ?1 AND NOT EXISTS (SELECT 1 FROM parts WHERE sha256 = ?1)", hashes
    )


def delete_abandoned(connection: Connection, now_ms: int) -> None:
    """Delete chats that were opened and never used, a month ago or more."""
    connection.execute(
        f"DELETE FROM chats AS c WHERE c.updated_ms < ? AND NOT {_WORTH_LISTING}",  # noqa: S608  # a constant
        (now_ms - _ABANDONED_MS,),
    )


def _option_columns(options: ChatOptions) -> tuple[str, str, str, float | None, int | None]:
    return (options.provider, options.model, storable(options.system), options.temperature, options.max_tokens)


def _listed(connection: Connection) -> Iterator[Chat]:
    rows = connection.execute(
        f"SELECT {CHAT_COLUMNS} FROM chats AS c WHERE {_WORTH_LISTING} ORDER BY c.updated_ms DESC, c.id DESC"  # noqa: S608
    )
    return (chat_of(row) for row in rows)


def _titled(connection: Connection, filter_text: str) -> Iterator[Chat]:
    words = key(filter_text).replace('"', " ").split()[:MOST_TERMS]
    if not words:
        return iter(())
    holds_all = " AND ".join(["instr(c.title_key, ?)"] * len(words))
    rows = connection.execute(
        f"SELECT {CHAT_COLUMNS} FROM chats AS c WHERE {holds_all} ORDER BY c.updated_ms DESC, c.id DESC",  # noqa: S608
        tuple(words),
    )
    return (chat_of(row) for row in rows)
