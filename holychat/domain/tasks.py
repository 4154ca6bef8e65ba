"""What is asked through the gateway, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from holychat.domain.jobs import ItemState, PauseReason, Priority
from holychat.domain.usage import Usage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holychat.domain.failures import Failure
    from holychat.domain.usage import Cost

Messages: TypeAlias = "str | Sequence[tuple[str, str] | Mapping[str, str]]"
"""A question, or a conversation: (role, text) pairs or {"role": …, "content": …}, the last one the user's."""
NEED_SOMEBODY = frozenset({PauseReason.BUDGET, PauseReason.KEY, PauseReason.QUOTA, PauseReason.STORE})
"""Pauses of a job that do not end by themselves: money, a key or room on the disk is missing."""


@dataclass(frozen=True, slots=True)
class Task:
    """One thing that is asked of a model."""

    messages: Messages
    id: str = ""
    """Yours, to know the answer by; empty: the place in the list, from 1."""
    provider: str = ""
    """Empty: the one of the settings."""
    model: str = ""
    """Empty: the provider's default."""
    temperature: float | None = None
    max_tokens: int | None = None
    priority: Priority = Priority.MEDIUM
    callback_url: str = ""
    """Told when the whole batch has ended (Standard Webhooks); a live stream has nobody to call back."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a task."""

    id: str
    text: str
    """Empty where there is none."""
    state: ItemState
    """DONE, FAILED, IN_DOUBT (it may have been done and billed), SKIPPED or CANCELLED."""
    failure: Failure | None = None
    usage: Usage = Usage()
    cost: Cost | None = None
    """None: the price is unknown, or nothing was answered."""
    model: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a ticket is."""

    done: int
    total: int
    ended: bool
    state: str
    """In the words of the desk: "running", "paused" …"""
    waiting_for: str = ""
    """Why nothing moves, where nothing does: a pause and what to do about it, or the provider's time."""
