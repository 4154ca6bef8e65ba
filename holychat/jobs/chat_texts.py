"""The messages of a chat as documents of a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.jobs.documents.options import ChatText
from holychat.store import messages

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holychat.jobs.documents import ChatTexts
    from holychat.store.database import Connection, Database


def chat_texts(database: Database) -> ChatTexts:
    """What lists the messages of a chat by the chat's number, in the order of writing. Blocking."""

    def read(connection: Connection, chat_id: int) -> list[ChatText]:
        return [
            ChatText(str(message.id), f"{message.role.value} {message.seq}", message.text)
            for message in messages.everything(connection, chat_id)
            if message.text
        ]

    def texts(chat_id: int) -> Iterable[ChatText]:
        return database.read_now(lambda connection: read(connection, chat_id))

    return texts
