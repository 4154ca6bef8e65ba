"""A reply asked for without streaming, as the same events as a streamed one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.events import ReasoningDelta, ReplyStarted, TextDelta, TurnFinished, UsageReported

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from holychat.domain.events import ReplyEvent
    from holychat.domain.request import ReplyRequest
    from holychat.providers.base import Provider


async def whole_reply(provider: Provider, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
    """The events of a reply that arrives at once.

    Raises:
        ProviderError: As for `Provider.complete`.
    """
    reply = await provider.complete(request)
    yield ReplyStarted(reply.request_id, reply.model)
    if reply.reasoning:
        yield ReasoningDelta(reply.reasoning)
    if reply.text:
        yield TextDelta(reply.text)
    yield UsageReported(reply.usage)
    yield TurnFinished(reply.finish_reason)
