"""Chats and messages."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from holychat.domain.usage import Timing, Usage

if TYPE_CHECKING:
    from holychat.domain.failures import Failure
    from holychat.domain.jobs import ItemState
    from holychat.domain.roads import Road
    from holychat.domain.usage import Cost


class Role(StrEnum):
    """Who said it."""

    SYSTEM = "system"
    USER = "user"
    ASSISTANT = "assistant"


class MessageState(StrEnum):
    """Where a message stands. A person's own message is always COMPLETE."""

    STREAMING = "streaming"
    """The answer is arriving, in this process or another one that is alive."""
    COMPLETE = "complete"
    """A finish reason or [DONE] was seen."""
    STOPPED = "stopped"
    """The person stopped it; what had arrived is kept."""
    INTERRUPTED = "interrupted"
    """The stream, the process or the machine broke off; what had arrived is kept."""
    FAILED = "failed"
    """The provider refused or never answered; there is usually no text."""


@dataclass(frozen=True, slots=True)
class TextPart:
    """Markdown as it was typed or arrived, never decorated."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """What a model thought aloud; never counted as answer text, never sent back."""

    text: str


@dataclass(frozen=True, slots=True)
class AttachmentPart:
    """A file by reference: its text is kept once in the store, under its hash."""

    name: str
    """File name without folders, as the person gave it."""
    path: str
    sha256: str
    size: int
    """Bytes of the file."""


Part: TypeAlias = TextPart | ReasoningPart | AttachmentPart


@dataclass(frozen=True, slots=True)
class Later:
    """That a question was asked for later, or that a message is the answer to such a one."""

    job_id: int
    """The job that answers, or answered; it may be gone."""
    road: Road
    is_answer: bool
    """Whether the message is the answer."""
    state: ItemState | None
    """Where the job's one item stands; None: the job was deleted."""
    pause: str = ""
    """Why the job is paused, a value of `PauseReason`; "" where it is not."""
    seconds: int | None = None
    """How long it was expected to take when it was asked."""
    answered: bool = False
    """Whether the chat has an answer."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a chat, as stored."""

    id: int
    chat_id: int
    seq: int
    """Order within the chat: 1, 2, 3 … over all messages, replaced ones included."""
    role: Role
    state: MessageState
    parts: tuple[Part, ...]
    created_ms: int
    """Unix time, milliseconds."""
    replaced: bool = False
    """True for a message that an edit or a regeneration took out of the conversation; it is kept and searchable."""
    provider: str = ""
    model: str = ""
    finish_reason: str = ""
    usage: Usage = Usage()
    cost: Cost | None = None
    timing: Timing = Timing()
    request_id: str = ""
    failure: Failure | None = None
    later: Later | None = None
    """What is known of it where it was asked for later, or answers such a question."""

    @property
    def text(self) -> str:
        """The message's own text, without reasoning and attachments."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def reasoning(self) -> str:
        """What the model thought aloud."""
        return "".join(part.text for part in self.parts if isinstance(part, ReasoningPart))

    @property
    def attachments(self) -> tuple[AttachmentPart, ...]:
        """Files that go with the message."""
        return tuple(part for part in self.parts if isinstance(part, AttachmentPart))


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """What a chat asks of the model; None leaves it to the provider."""

    provider: str
    model: str = ""
    """Empty: the provider's default model, looked up when the message is sent."""
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None

    def asking(self, provider: str | None, model: str | None) -> ChatOptions:
        """These, with another provider or model where one is given; another provider's model is its default one."""
        name = provider or self.provider
        kept = self.model if name == self.provider else ""
        return replace(self, provider=name, model=kept if model is None else model)


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation, without its messages."""

    id: int
    title: str
    """Empty until the first message or a renaming gives it one."""
    options: ChatOptions
    draft: str
    """What stands in the composer, unsent."""
    created_ms: int
    updated_ms: int
    message_count: int
    """Messages in the conversation, replaced ones left out."""


def title_from(text: str, limit: int = 60) -> str:
    """A chat's first title: the first line with words of its first message, cut at a word."""
    line = next((stripped for raw in text.splitlines() if (stripped := raw.strip(" \t#>*-`"))), "")
    line = " ".join(line.split())
    if len(line) <= limit:
        return line
    cut = line[:limit].rsplit(" ", 1)[0] if " " in line[limit // 2 : limit] else line[: limit - 1]
    return cut.rstrip(" ,.;:") + "…"
