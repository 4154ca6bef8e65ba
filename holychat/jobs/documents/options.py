"""How documents are listed and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

MAX_BYTES = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class WalkOptions:
    """How folders are walked. Files that are named one by one are always listed."""

    hidden: bool = False
    """Whether names that begin with a dot belong to it."""
    gitignore: bool = True
    """Whether what .gitignore names is left out."""
    max_bytes: int = MAX_BYTES
    """Larger files and records are listed as failed."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What reading one document may take."""

    max_bytes: int = MAX_BYTES
    """Largest file, in bytes."""
    max_characters: int = 16 * 1024 * 1024
    """Longest text that is made of a PDF, DOCX or HTML file."""
    seconds: float = 60.0
    """Longest time that taking the text out of one may last."""


@dataclass(frozen=True, slots=True)
class ChatText:
    """One message of a chat, as a document."""

    key: str
    """What it is, unique within the chat: its number."""
    name: str
    """For people and for {name}."""
    text: str


ChatTexts: TypeAlias = Callable[[int], Iterable[ChatText]]
"""The messages of a chat, by the chat's number; blocking."""


@dataclass(frozen=True, slots=True)
class DocumentText:
    """What a document says."""

    text: str
    sha256: str
    """Of the text as UTF-8, hexadecimal."""
    note: str = ""
    """What a person should know: how it was taken out of its file, what was replaced."""
