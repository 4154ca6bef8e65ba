"""What happens while a reply arrives.

A provider yields, in this order: `ReplyStarted` once, then any number of `TextDelta`, `ReasoningDelta` and
`UsageReported`, then `TurnFinished` once. A stream that ends without `TurnFinished` is not a reply: providers raise
`ReplyBroken` instead. A turn (`chat/turn.py`) passes these on and adds `RetryScheduled` and `TurnEnded`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from holychat.domain.chat import Message
    from holychat.domain.failures import Failure
    from holychat.domain.usage import Usage


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The provider accepted the request; no text yet."""

    request_id: str = ""
    model: str = ""
    """The model that answers, as the provider names it; may differ from the one asked for; may be empty."""
    sent_at: float | None = field(default=None, compare=False)
    """When the last byte of the request was written, in seconds of the clock of the event loop; None: nobody knows."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer. Never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of what the model thinks aloud. Never empty."""

    text: str


@dataclass(frozen=True, slots=True)
class UsageReported:
    """Token counts so far; a later report replaces an earlier one."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class TurnFinished:
    """The provider says the reply is whole."""

    finish_reason: str
    """"stop", "length", "content_filter", "tool_calls" …; empty where only [DONE] was seen."""


@dataclass(frozen=True, slots=True)
class RetryScheduled:
    """An attempt failed before any visible text; the turn waits and sends again."""

    attempt: int
    """The attempt to come: 2 for the first retry."""
    attempts: int
    """How many attempts there can be at most."""
    delay: float
    """Seconds until it is sent."""
    failure: Failure


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn is over and stored: complete, stopped, interrupted or failed. Always the last event of a turn."""

    message: Message


ReplyEvent: TypeAlias = ReplyStarted | TextDelta | ReasoningDelta | UsageReported | TurnFinished
TurnEvent: TypeAlias = ReplyEvent | RetryScheduled | TurnEnded
