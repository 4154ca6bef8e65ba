"""What the status line says, from the chat, its running reply and its last answer."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holychat.domain.chat import MessageState
from holychat.domain.usage import Usage
from holychat.tui.widgets.status_line import Facts

if TYPE_CHECKING:
    from holychat.domain.chat import Message
    from holychat.tui.conversation import Conversation
    from holychat.tui.live_reply import LiveReply

CHARACTERS_PER_TOKEN = 4
"""Only for the live figure, which is marked "~"; the provider's own count replaces it at the end."""

_STATES = {
    MessageState.STOPPED: "stopped",
    MessageState.INTERRUPTED: "cut short",
    MessageState.FAILED: "failed",
}


def facts(conversation: Conversation, key: str, last: Message | None) -> Facts:
    """Facts of this moment.

    Args:
        conversation: The chat shown.
        key: Where its provider's key comes from.
        last: Its newest answer, when none is arriving.
    """
    options = conversation.options
    model = options.model
    if not model and conversation.services is not None:
        model = _default_model(conversation)
    base = Facts(provider=options.provider, model=model, key=key)
    if (live := conversation.reply) is not None:
        return _of_live(base, live)
    return _of_message(base, last) if last is not None else base


def _default_model(conversation: Conversation) -> str:
    assert conversation.services is not None
    infos = {info.name: info for info in conversation.services.registry.infos()}
    info = infos.get(conversation.options.provider)
    return info.model if info is not None else ""


def _of_live(base: Facts, live: LiveReply) -> Facts:
    usage = live.usage or Usage()
    estimated = usage.output_tokens is None
    tokens = usage.output_tokens if usage.output_tokens is not None else live.characters // CHARACTERS_PER_TOKEN
    elapsed = time.monotonic() - live.first_at if live.first_at is not None else 0.0
    waiting = live.first_at is None
    return Facts(
        provider=base.provider,
        model=base.model,
        key=base.key,
        state=f"waiting {time.monotonic() - live.started:.0f} s" if waiting else "streaming",
        first_token_ms=live.first_token_ms,
        tokens_per_second=tokens / elapsed if elapsed > 0.2 else None,
        input_tokens=usage.input_tokens,
        output_tokens=None if waiting else tokens,
        estimated=estimated,
    )


def _of_message(base: Facts, message: Message) -> Facts:
    return Facts(
        provider=base.provider,
        model=base.model,
        key=base.key,
        state=_STATES.get(message.state, ""),
        first_token_ms=message.timing.first_token_ms,
        tokens_per_second=message.timing.tokens_per_second(message.usage.output_tokens),
        input_tokens=message.usage.input_tokens,
        output_tokens=message.usage.output_tokens,
        estimated=message.usage.estimated,
        cost=message.cost,
    )
