"""What was typed in one chat and is not yet a stored message. No store, no widgets."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holychat.domain.chat import ChatOptions, Message


@dataclass(eq=False, frozen=True, slots=True)
class Flight:
    """A text between Enter and the moment it is a stored message."""

    text: str
    files: tuple[Path, ...] = ()


class Unsent:
    """Everything typed in a chat and not yet sent: in flight, waiting, put aside, in the composer, and files.

    Args:
        chat_id: The chat; None for one that was never stored.
        stored: The draft as the store has it.
        files: What goes along with the next message.
    """

    def __init__(self, chat_id: int | None = None, stored: str = "", files: tuple[Path, ...] = ()) -> None:
        self.chat_id = chat_id
        self.stored = stored
        self.files = files
        self.queued = ""
        """Waits for a reply to end, or for the history or a key to be there."""
        self.editing: Message | None = None
        """What the text in the composer is sent in place of."""
        self.options: ChatOptions | None = None
        """What a chat that was left before it was stored asks of the model."""
        self.lock = asyncio.Lock()
        """Held while the stored draft changes, by saving or by sending."""
        self._typed = stored
        self._composer: Callable[[], str] | None = None
        self._aside = ""
        self._flying: list[Flight] = []

    @property
    def typed(self) -> str:
        """What stands in the composer while this is shown, and stood there when it was left."""
        return self._composer() if self._composer is not None else self._typed

    @property
    def draft(self) -> str:
        """What has to be stored now."""
        return self.draft_without(None)

    @property
    def changed(self) -> bool:
        """Whether something changed here since it was loaded or stored."""
        return self.draft != self.stored

    @property
    def in_flight(self) -> bool:
        """Whether a text is on its way."""
        return bool(self._flying)

    @property
    def waiting(self) -> str:
        """What is on its way and what waits."""
        return joined(*(flight.text for flight in self._flying), self.queued)

    @property
    def is_needed(self) -> bool:
        """Whether it holds what the store does not."""
        return self.changed or self.in_flight or bool(self.files)

    def draft_without(self, flight: Flight | None) -> str:
        """What has to be stored once that text has become a message."""
        flying = [other.text for other in self._flying if other is not flight]
        return joined(*flying, self.queued, self._aside, self._own)

    @property
    def _own(self) -> str:
        typed = self.typed
        return "" if self.editing is not None and typed == self.editing.text else typed

    def show(self, composer: Callable[[], str]) -> None:
        """From now on the composer, which shows `typed` by now, holds the text."""
        self._composer = composer

    def leave(self) -> None:
        """Its chat is shown no longer: nothing waits, nothing is edited, everything is text that can be sent."""
        self._typed = joined(self.queued, self._aside, self._own)
        self._composer = self.editing = None
        self.queued = self._aside = ""

    def loaded(self, chat_id: int, stored: str) -> str:
        """What was typed belongs to this chat; returns the text for the composer, the stored draft first."""
        self.chat_id, self.stored = chat_id, stored
        return joined(stored, self.typed)

    def lose_chat(self) -> None:
        """Its chat was deleted: what is unsent belongs to a new one."""
        self.chat_id, self.stored = None, ""

    def fly(self, text: str, *, with_files: bool = False) -> Flight:
        """A text leaves the composer or the queue; it stays in the draft until it has landed."""
        flight = Flight(text, self.files if with_files else ())
        if with_files:
            self.files = ()
        self._flying.append(flight)
        return flight

    def landed(self, flight: Flight) -> None:
        """The text is a stored message, or a command that was done."""
        self._flying.remove(flight)

    def came_back(self, flight: Flight) -> str:
        """It cannot be sent; its files wait again, and the caller puts the text somewhere."""
        self._flying.remove(flight)
        self.files = (*flight.files, *(file for file in self.files if file not in flight.files))
        return flight.text

    def wait(self, text: str, *, first: bool = False) -> None:
        """Let a text wait, behind what waits already or before it."""
        self.queued = joined(text, self.queued) if first else joined(self.queued, text)

    def take_queue(self) -> str:
        """The waiting text, which waits no longer."""
        text, self.queued = self.queued, ""
        return text

    def edit(self, message: Message) -> None:
        """The composer is about to hold a message; what stood there is put aside."""
        self._aside = joined(self._aside, self._own)
        self.editing = message

    def end_edit(self) -> str:
        """Nothing is edited any more; returns what was put aside."""
        self.editing = None
        text, self._aside = self._aside, ""
        return text

    def add(self, text: str) -> str:
        """Take a text back, before what was typed since; returns what the composer has to hold then."""
        if self.editing is not None:
            self._aside = joined(text, self._aside)
            return self.typed
        text = joined(text, self.typed)
        if self._composer is None:
            self._typed = text
        return text

    def take_all(self) -> str:
        """Everything that is not in flight, which is someone else's from now on; only after `leave`."""
        text, self._typed, self.stored = self._typed, "", ""
        return text


def joined(*texts: str) -> str:
    """Texts one after the other, those without a word left out."""
    return "\n\n".join(text for text in texts if text.strip())
