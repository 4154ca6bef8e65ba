"""The text of a reply while it arrives: appended in constant time, handed to the store in what is new."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from holychat.domain.chat import ReasoningPart, TextPart

if TYPE_CHECKING:
    from holychat.domain.chat import Part

Mark: TypeAlias = tuple[int, int]
"""How far a reply is saved: segments, and pieces of the one after them."""


@dataclass(slots=True)
class _Segment:
    reasoning: bool
    pieces: list[str] = field(default_factory=list)


class ReplyBuffer:
    """Text and reasoning in the order in which they arrived."""

    def __init__(self) -> None:
        self._segments: list[_Segment] = []
        self._open: _Segment | None = None
        self._saved: Mark = (0, 0)

    @property
    def visible(self) -> bool:
        """Whether anything arrived that a person could see."""
        return bool(self._segments)

    def add(self, text: str, *, reasoning: bool) -> None:
        """Append what arrived."""
        segment = self._open
        if segment is None or segment.reasoning is not reasoning:
            segment = self._open = _Segment(reasoning)
            self._segments.append(segment)
        segment.pieces.append(text)

    def unsaved(self) -> tuple[list[tuple[str, str]], Mark]:
        """(kind, text) that came after the mark, and the mark to set once they are stored."""
        first, piece = self._saved
        chunks: list[tuple[str, str]] = []
        for segment in self._segments[first:]:
            fresh = segment.pieces[piece:]
            piece = 0
            if fresh:
                chunks.append(("reasoning" if segment.reasoning else "text", "".join(fresh)))
        if not self._segments:
            return [], self._saved
        return chunks, (len(self._segments) - 1, len(self._segments[-1].pieces))

    def mark_saved(self, mark: Mark) -> None:
        """Remember how far the reply is stored."""
        self._saved = mark

    def parts(self) -> tuple[Part, ...]:
        """The reply so far."""
        return tuple(
            ReasoningPart("".join(segment.pieces)) if segment.reasoning else TextPart("".join(segment.pieces))
            for segment in self._segments
        )

    def everything(self) -> str:
        """Text and reasoning as one string, for counting."""
        return "".join(piece for segment in self._segments for piece in segment.pieces)
