"""The message that tells a receiver that a job has ended."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class WebhookState(StrEnum):
    """Where a message stands."""

    PENDING = "pending"
    """Waiting for its next attempt."""
    DELIVERED = "delivered"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Webhook:
    """One message of the outbox."""

    id: int
    message_id: str
    """The same for every attempt."""
    job_id: int
    url: str
    payload: str
    """JSON: exactly what is signed and sent."""
    state: WebhookState
    attempts: int
    next_ms: int | None
    """Unix time in milliseconds of the next attempt; None: there is none."""
    last_status: int | None
    """HTTP status of the last answer; None: there was no answer."""
    last_error: str
    created_ms: int
    delivered_ms: int | None
