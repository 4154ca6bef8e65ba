"""Chats for the benchmarks, written through the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from holychat.domain.chat import ChatOptions, MessageState, TextPart
from holychat.paths import Paths
from holychat.store import chats, messages
from holychat.store.database import Connection, Database
from tests.bench.texts import TAG, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence

_BATCH = 500
_OWNER = "seed"
_OPTIONS = ChatOptions("bench", "bench-model")


@dataclass(frozen=True, slots=True)
class SeededChat:
    """A chat that can be found and recognised."""

    id: int
    title: str
    last_mark: str


def seed_chats(home: Path, sizes: Sequence[int]) -> dict[int, SeededChat]:
    """One chat per size (in messages, questions and answers in turn), by size. They do not depend on each other."""
    database = Database.open(Paths.resolve({"HOLYCHAT_HOME": str(home)}).database)
    try:
        found = {}
        for number, size in enumerate(sizes):
            tag = f"S{number:03d}"
            chat = database.write_now(lambda connection: chats.create(connection, _OPTIONS, 1))
            for first in range(0, size, _BATCH):
                count = min(_BATCH, size - first)
                database.write_now(lambda c, i=chat.id, f=first, n=count, t=tag: _write(c, i, f, n, t))
            title = f"chat-of-{size}-messages"
            database.write_now(lambda c, i=chat.id, t=title: chats.rename(c, i, t))
            found[size] = SeededChat(chat.id, title, f"zq{tag}Lz")
        return found
    finally:
        database.close()


def _write(connection: Connection, chat_id: int, first: int, count: int, tag: str) -> None:
    """Questions at even positions, answers at odd ones; the last marks of all answers are the same word."""
    answer = "".join(pieces("mixed", 120)).replace(TAG, tag)
    new = messages.NewReply(_OWNER, _OPTIONS.provider, _OPTIONS.model, 1)
    for position in range(first, first + count):
        if position % 2 == 0:
            messages.add_question(connection, chat_id, f"Question number {position}, please explain", (), 1)
        else:
            reply = messages.start_reply(connection, chat_id, new)
            text = f"Answer number {position}.\n\n{answer}"
            done = replace(reply, state=MessageState.COMPLETE, parts=(TextPart(text),), finish_reason="stop")
            messages.finish_reply(connection, done, _OWNER)
