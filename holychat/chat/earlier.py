"""A conversation that began elsewhere, as the beginning of a chat."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.domain.chat import MessageState, Role, TextPart
from holychat.store import messages
from holychat.store.messages import NewReply

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.chat import Chat
    from holychat.domain.request import PromptMessage
    from holychat.store.database import Connection


def add_earlier(connection: Connection, chat: Chat, said: Sequence[PromptMessage], now_ms: int) -> None:
    """Put what was said before into a chat, as questions and whole answers. Nothing of it is counted as spent."""
    for message in said:
        if message.role is not Role.ASSISTANT:
            messages.add_question(connection, chat.id, message.text, (), now_ms)
            continue
        owner = f"earlier-{secrets.token_hex(8)}"
        new = NewReply(owner, chat.options.provider, chat.options.model, now_ms)
        reply = messages.start_reply(connection, chat.id, new)
        whole = replace(reply, state=MessageState.COMPLETE, parts=(TextPart(message.text),))
        messages.finish_reply(connection, whole, owner)
