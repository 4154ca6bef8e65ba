"""Chats for the benchmarks, written through the store."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from holychat.domain.chat import ChatOptions, MessageState, TextPart
from holychat.paths import Paths
from holychat.store import chats, messages
from holychat.store.database import Database
from tests.bench.texts import TAG, pieces

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holychat.domain.chat import Chat
    from holychat.store.database import Connection

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
    """One chat per size (an even number of messages, questions and answers in turn), by size."""
    database = Database.open(Paths.resolve({"HOLYCHAT_HOME": str(home)}).database)
    try:
        found = {}
        for number, size in enumerate(sizes):
            tag = f"S{number:03d}"
            chat = database.write_now(_create)
            for first in range(0, size, _BATCH):
                tags = [tag if position == size - 1 else TAG for position in range(first, min(first + _BATCH, size))]
                database.write_now(partial(_write, chat_id=chat.id, first=first, tags=tags))
            title = f"chat-of-{size}-messages"
            database.write_now(partial(chats.rename, chat_id=chat.id, title=title))
            found[size] = SeededChat(chat.id, title, f"zq{tag}Lz")
        return found
    finally:
        database.close()


def _create(connection: Connection) -> Chat:
    return chats.create(connection, _OPTIONS, 1)


def _write(connection: Connection, chat_id: int, first: int, tags: Sequence[str]) -> None:
    """Questions at even positions, answers at odd ones, with the tags of their marks."""
    answer = "".join(pieces("mixed", 120))
    new = messages.NewReply(_OWNER, _OPTIONS.provider, _OPTIONS.model, 1)
    for position, tag in enumerate(tags, first):
        if position % 2 == 0:
            messages.add_question(connection, chat_id, f"Question number {position}, please explain", (), 1)
        else:
            reply = messages.start_reply(connection, chat_id, new)
            text = f"Answer number {position}.\n\n{answer.replace(TAG, tag)}"
            done = replace(reply, state=MessageState.COMPLETE, parts=(TextPart(text),), finish_reason="stop")
            messages.finish_reply(connection, done, _OWNER)
