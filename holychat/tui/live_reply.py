"""One running reply: reads its turn to the end and paints it wherever its chat is on the screen."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import TYPE_CHECKING

from holychat.domain.events import ReasoningDelta, RetryScheduled, TextDelta, TurnEnded, UsageReported
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.chat.turn import Turn
    from holychat.domain.chat import Message
    from holychat.domain.usage import Usage
    from holychat.tui.widgets.transcript import Transcript

_LOG = logging.getLogger(__name__)


class LiveReply:
    """A turn and what has arrived of it.

    The turn is read whether or not its chat is shown, so going to another chat neither stops nor slows a reply.

    Args:
        turn: Started, not yet read.
        title: Title of its chat, for notices.
        ended: Called once, with this reply, after its last event.
    """

    def __init__(self, turn: Turn, title: str, ended: Callable[[LiveReply], None]) -> None:
        self.turn = turn
        self.answer = turn.answer
        """The answer as it was before anything arrived; the turn's own changes when it ends."""
        self.chat_id = turn.answer.chat_id
        self.title = title
        self.final: Message | None = None
        self.usage: Usage | None = None
        self.first_token_ms: int | None = None
        self.characters = 0
        """Characters of text and reasoning so far."""
        self.started = time.monotonic()
        self.first_at: float | None = None
        self.note = ""
        self._ended = ended
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._transcript: Transcript | None = None
        self._task: asyncio.Task[None] | None = None
        self._begun = asyncio.Event()

    def start(self) -> None:
        """Begin to read."""
        self._task = asyncio.create_task(self._read(), name=f"reply {self.turn.answer.id}")

    def attach(self, transcript: Transcript) -> None:
        """Paint into `transcript`, whose last message is this answer without what arrived in this run.

        What has arrived until now is painted first, the end included, so that nothing is lost or overtaken.
        """
        self._transcript = transcript
        if reasoning := "".join(self._reasoning):
            transcript.append_reasoning(reasoning)
        if text := "".join(self._text):
            transcript.append_text(text)
        transcript.note(self.note)
        if self.final is not None:
            transcript.finish(self.final)

    def detach(self) -> None:
        """Go on without being seen."""
        self._transcript = None

    @property
    def key_was_rejected(self) -> bool:
        """Whether it failed because the provider does not know the key; one that lacks a right is a good key."""
        failure = self.final.failure if self.final is not None else None
        return failure is not None and failure.kind == "KeyRejected" and failure.status == 401

    async def begins(self, seconds: float) -> None:
        """Wait for the first token or the end, but not longer than that."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._begun.wait(), seconds)

    async def wait(self) -> None:
        """Wait until the reply is over."""
        if self._task is not None:
            await asyncio.wait({self._task})

    async def _read(self) -> None:
        try:
            async for event in self.turn.events():
                match event:
                    case TextDelta(text):
                        self._arrived(text, self._text)
                        if self._transcript is not None:
                            self._transcript.append_text(text)
                    case ReasoningDelta(text):
                        self._arrived(text, self._reasoning)
                        if self._transcript is not None:
                            self._transcript.append_reasoning(text)
                    case UsageReported(usage):
                        self.usage = usage
                    case RetryScheduled():
                        self._say(_retry_note(event))
                    case TurnEnded(message):
                        self._end(message)
        finally:
            self._begun.set()
            self._ended(self)

    def _arrived(self, text: str, pieces: list[str]) -> None:
        if self.first_at is None:
            self._begun.set()
            self.first_at = time.monotonic()
            self.first_token_ms = round((self.first_at - self.started) * 1000)
            if self.note:
                self._say("")
        pieces.append(text)
        self.characters += len(text)

    def _say(self, note: str) -> None:
        self.note = note
        if self._transcript is not None:
            self._transcript.note(note)

    def _end(self, message: Message) -> None:
        self.final = message
        if self._transcript is not None:
            self._transcript.finish(message)


def _retry_note(event: RetryScheduled) -> str:
    cause = clean_line(event.failure.title, 80)
    delay = f"{event.delay:.{0 if event.delay >= 10 else 1}f} s"
    return f"{cause}; attempt {event.attempt} of {event.attempts} in {delay}"
