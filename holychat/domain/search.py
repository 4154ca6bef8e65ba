"""What a search over the chats brings back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from holychat.domain.chat import Chat, Role

Pieces: TypeAlias = tuple[tuple[str, bool], ...]
"""A line in pieces: text as stored (clean it before showing), and whether it is what was searched for."""


@dataclass(frozen=True, slots=True)
class ChatEntry:
    """A chat in the list of chats."""

    chat: Chat
    pieces: Pieces = ()
    """Where the filter was found in a message; empty where it was found in the title, or where there is no filter."""
    message_id: int | None = None
    """The message it was found in."""

    @property
    def snippet(self) -> str:
        """The found line as plain text."""
        return "".join(text for text, _ in self.pieces)


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A message that matches a search."""

    chat_id: int
    title: str
    message_id: int
    role: Role
    pieces: Pieces
    created_ms: int
    replaced: bool
    """True for a message that an edit or a regeneration took out of the conversation."""

    @property
    def snippet(self) -> str:
        """The found line as plain text."""
        return "".join(text for text, _ in self.pieces)


@dataclass(frozen=True, slots=True)
class ResultHit:
    """A result of a job that matches a search."""

    job_id: int
    job_name: str
    item_id: int
    name: str
    """Of the document."""
    pieces: Pieces
    created_ms: int

    @property
    def snippet(self) -> str:
        """The found line as plain text."""
        return "".join(text for text, _ in self.pieces)


Hit: TypeAlias = SearchHit | ResultHit
