"""Shorthands of the store's tests."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.chat import ChatOptions, MessageState, ReasoningPart, TextPart
from holychat.store import chats, messages
from holychat.store.messages import NewReply

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holychat.domain.chat import Chat, Message
    from holychat.store.database import Connection, Database

OPTIONS = ChatOptions("test", "model-1")
NOW = 1_800_000_000_000
DEADLINE = 30.0


def new_chat(database: Database, now_ms: int = NOW) -> Chat:
    """An empty chat."""
    return database.write_now(lambda c: chats.create(c, OPTIONS, now_ms))


def ask(
    connection: Connection, chat_id: int, text: str, now_ms: int = NOW, owner: str = "me"
) -> tuple[Message, Message]:
    """A question and its answer, which is about to arrive."""
    question = messages.add_question(connection, chat_id, text, [], now_ms)
    return question, messages.start_reply(connection, chat_id, NewReply(owner, "test", "model-1", now_ms))


def answer(connection: Connection, reply: Message, text: str, reasoning: str = "", owner: str = "me") -> Message:
    """End an answer well."""
    parts = (ReasoningPart(reasoning), TextPart(text)) if reasoning else (TextPart(text),)
    whole = replace(reply, state=MessageState.COMPLETE, parts=parts, finish_reason="stop")
    return messages.finish_reply(connection, whole, owner)


def talk(database: Database, *exchanges: tuple[str, str], now_ms: int = NOW) -> Chat:
    """A chat of questions and answers."""
    chat = new_chat(database, now_ms)

    def work(connection: Connection) -> Chat:
        for question, reply in exchanges:
            answer(connection, ask(connection, chat.id, question, now_ms)[1], reply)
        return chats.get(connection, chat.id)

    return database.write_now(work)


def contents(database: Database) -> list[tuple[object, ...]]:
    """Every row of every table, the index's own tables included: equal means that nothing changed."""

    def work(connection: Connection) -> list[tuple[object, ...]]:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
        ]
        plain = [name for name in names if not name.startswith("search_index") or name == "search_index_docsize"]
        return [(name, *row) for name in plain for row in connection.execute(f"SELECT * FROM {name} ORDER BY 1")]

    return database.read_now(work)


def is_sound(database: Database) -> bool:
    """Whether SQLite finds no fault in the file, its references and its index."""

    def work(connection: Connection) -> bool:
        connection.execute("INSERT INTO search_index (search_index) VALUES ('integrity-check')")
        checked = connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return checked and not connection.execute("PRAGMA foreign_key_check").fetchall()

    return database.write_now(work)


def python(script: str, *arguments: object) -> subprocess.Popen[str]:
    """Another process that runs `script`; it is spoken to through its standard streams."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def expect(process: subprocess.Popen[str], line: str) -> None:
    """Wait for a line of another process."""
    assert process.stdout is not None
    got = process.stdout.readline().strip()
    if got != line:
        process.kill()
        raise AssertionError(f"expected {line!r}, got {got!r}: {process.communicate()[1]}")


def wait_until(condition: Callable[[], object], what: str = "it") -> None:
    """Wait for a condition; fail after DEADLINE seconds."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {DEADLINE} s"
        time.sleep(0.01)


def files_beside(path: Path) -> set[str]:
    """Names of what lies in the database's folder."""
    return {file.name for file in path.parent.iterdir()}
