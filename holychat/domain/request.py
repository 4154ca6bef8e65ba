"""What is asked of a provider."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.errors import RateLimits

if TYPE_CHECKING:
    from holychat.domain.chat import Role
    from holychat.domain.usage import Usage


__all__ = ["ModelInfo", "PromptMessage", "ProviderInfo", "RateLimits", "RawReply", "Reply", "ReplyRequest"]


@dataclass(frozen=True, slots=True)
class PromptMessage:
    """One message as the model will read it; attachments are already part of the text."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class ReplyRequest:
    """One request for a reply. None leaves a parameter to the provider."""

    model: str
    """Empty: the provider chooses one that it offers."""
    messages: tuple[PromptMessage, ...]
    temperature: float | None = None
    max_tokens: int | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    """Further fields of the body, each with its value as JSON: those of a request that came ready-made."""


@dataclass(frozen=True, slots=True)
class RawReply:
    """An answer as it came, whole and not yet read: what is kept before anything can go wrong with reading it."""

    status: int
    """HTTP status, 200 to 299."""
    body: bytes
    """After decompression."""
    request_id: str = ""
    """The provider's own id of the request, clean."""
    limits: RateLimits | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply, as a request without streaming brings it."""

    text: str
    reasoning: str
    finish_reason: str
    model: str
    request_id: str
    usage: Usage


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that a provider offers."""

    id: str
    owner: str = ""


@dataclass(frozen=True, slots=True)
class ProviderInfo:
    """A provider as the settings define it, without its key."""

    name: str
    kind: str
    base_url: str
    model: str
    """Default model; may be empty where the provider has to be asked."""
    needs_key: bool
