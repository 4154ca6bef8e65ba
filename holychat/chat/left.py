"""Replies that a process left when it died: ended as interrupted, with what they are likely to have taken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.chat import accounting
from holychat.chat.prompt import build_request
from holychat.chat.turns import said_before
from holychat.store import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.domain.chat import Message
    from holychat.money.accounting import Accounting
    from holychat.store.database import Connection


def interrupt_left(connection: Connection, is_dead: Callable[[str], bool], money: Accounting) -> int:
    """Turn the arriving replies of dead processes into interrupted ones, with all that was checkpointed.

    What was told of a reply is paid for, and its provider told nobody how much it was: that is estimated, as for every
    other reply that broke off. One of which nothing was told may never have been begun, and counts as nothing.

    Returns:
        How many there were.
    """
    return messages.interrupt_replies_of(connection, is_dead, lambda message: _accounted(connection, message, money))


def _accounted(connection: Connection, message: Message, money: Accounting) -> Message:
    chunks = messages.chunks_of(connection, message.id)
    said = said_before(connection, message) if chunks else None
    if said is None:
        return message
    new = sum(len(text) for kind, text in chunks if kind == "text")
    before = message.text[: len(message.text) - new]
    request = build_request(said.options, message.model, said.history, said.files, partial=before)
    reply = "".join(text for _, text in chunks)
    usage = money.settle(message.model, None, request.messages, reply, whole=False)
    cost = money.price(message.provider, message.model, usage)
    if message.usage.input_tokens is not None:
        usage = accounting.add_usage(message.usage, usage)
        cost = accounting.add_cost(message.cost, cost)
    return replace(message, usage=usage, cost=cost)
