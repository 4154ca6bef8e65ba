"""Keeps everything unsent durable: of the chat shown, and of chats that were left with a text still in flight."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

from holychat.errors import HolychatError
from holychat.tui.unsent import Unsent, joined

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from holychat.chat.service import ChatService
    from holychat.chat.turn import Turn
    from holychat.domain.chat import Message
    from holychat.tui.live_reply import LiveReply
    from holychat.tui.unsent import Flight

_T = TypeVar("_T")

DELAY = 0.3
"""Seconds after the last key."""


class DraftView(Protocol):
    """Where texts are typed."""

    def typed_text(self) -> str:
        """What stands in the composer."""

    def set_typed(self, text: str) -> None:
        """Put a text into the composer."""

    def unsent_changed(self, unsent: Unsent) -> None:
        """Something else waits, goes along or is being edited."""

    def chat_lost(self) -> None:
        """The chat shown was deleted elsewhere."""

    def say(self, text: str, error: bool = False) -> None:
        """A short notice."""


class Drafts:
    """The one owner of what was typed and is not yet a message.

    A text in flight stays part of the draft until the very write that makes it a message, so a kill at any moment
    leaves it in one of the two places and never in both.

    Args:
        view: Where texts are typed.
        create: Stores a chat for what is unsent and answers with its id.
    """

    def __init__(self, view: DraftView, create: Callable[[Unsent], Awaitable[int]]) -> None:
        self.chats: ChatService | None = None
        """Where drafts are stored; None until the history is open and the first chat is shown."""
        self.shown = Unsent()
        self.shown.show(view.typed_text)
        self._view = view
        self._create = create
        self._left: list[Unsent] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._complained = False

    # Showing

    def of(self, chat_id: int) -> Unsent | None:
        """What is unsent of a chat and not wholly in the store."""
        return next((unsent for unsent in (self.shown, *self._left) if unsent.chat_id == chat_id), None)

    def show(self, unsent: Unsent) -> Unsent:
        """Show what is unsent of another chat, at once; answers with that of the chat left, for `leave`."""
        old = self.shown
        if old is not unsent:
            old.leave()
            self._left = [*(other for other in self._left if other is not unsent), old]
            self._view.set_typed(unsent.typed)
            self.shown = unsent
            unsent.show(self._view.typed_text)
        self._view.unsent_changed(unsent)
        return old

    async def leave(self, old: Unsent) -> None:
        """Store the draft of a chat that was left. What cannot be stored comes along into the composer.

        Raises:
            HolychatError: It cannot be stored.
        """
        try:
            await self.keep(old)
        except HolychatError:
            if old is not self.shown:
                self.put_back(old.take_all())
            raise
        self._forget_settled()

    def _forget_settled(self) -> None:
        self._left = [unsent for unsent in self._left if unsent.is_needed]

    # What is typed

    def enter(self, text: str, *, with_files: bool = False) -> Flight:
        """Enter was pressed: the text leaves the composer, and what was put aside for it comes back.

        With files it is a message: what waits already, for whatever reason, goes before it.
        """
        if with_files and self.shown.queued:
            text = joined(self.shown.take_queue(), text)
        flight = self.shown.fly(text, with_files=with_files)
        self._view.set_typed(self.shown.end_edit())
        self._view.unsent_changed(self.shown)
        return flight

    def wait(self, text: str) -> None:
        """Enter was pressed on a text that has to wait."""
        self.shown.wait(text)
        self._view.set_typed("")
        self._view.unsent_changed(self.shown)

    def wait_again(self, unsent: Unsent, flight: Flight) -> None:
        """A text in flight has to wait after all, before what waits already."""
        if unsent is not self.shown:
            self.give_back(unsent, flight)
            return
        unsent.wait(unsent.came_back(flight), first=True)
        self._view.unsent_changed(unsent)

    def give_back(self, unsent: Unsent, flight: Flight) -> None:
        """A text could not be sent: it, and what waits behind it, can be written on again."""
        text = unsent.came_back(flight)
        unsent.wait(text, first=True)
        text = unsent.add(unsent.take_queue())
        if unsent is self.shown:
            self._view.set_typed(text)
            self._view.unsent_changed(unsent)
        self.changed()

    def put_back(self, text: str) -> None:
        """A text belongs into the composer, before what was typed since."""
        if text.strip():
            self._view.set_typed(self.shown.add(text))
            self.changed()

    def take_back(self) -> None:
        """What waits belongs into the composer."""
        text = self.shown.take_queue()
        self._view.unsent_changed(self.shown)
        self.put_back(text)

    def set_typed(self, text: str) -> None:
        """Let the composer hold this text instead."""
        self._view.set_typed(text)

    def lose_chat(self) -> None:
        """The chat shown was deleted: nothing waits and nothing is edited any more, every text stays."""
        self.shown.lose_chat()
        self.put_back(self.shown.end_edit())
        self.take_back()
        self.changed()

    def attach(self, files: tuple[Path, ...]) -> None:
        """Let these files go along with the next message, and no others."""
        self.shown.files = files
        self._view.unsent_changed(self.shown)

    def edit(self, message: Message) -> None:
        """Put a message into the composer; what stood there comes back afterwards."""
        self.shown.edit(message)
        self._view.set_typed(message.text)
        self._view.unsent_changed(self.shown)

    def end_edit(self) -> None:
        """Leave the message as it is."""
        self._view.set_typed(self.shown.end_edit())
        self._view.unsent_changed(self.shown)

    # Storing

    def changed(self) -> None:
        """Something was typed; it is stored when no other key follows soon."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(DELAY, self._start)

    def _start(self) -> None:
        self._timer = None
        self._task = asyncio.create_task(self._flush_or_say())

    async def _flush_or_say(self) -> None:
        try:
            await self.flush()
        except HolychatError as error:
            if not self._complained:
                self._view.say(f"What you typed is not stored yet. {error}", error=True)
            self._complained = True
        else:
            self._complained = False

    async def flush(self) -> None:
        """Store now what is not stored yet, of every chat.

        Raises:
            HolychatError: Something could not be stored; the rest is.
        """
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        trouble: HolychatError | None = None
        for unsent in (self.shown, *self._left):
            try:
                await self.keep(unsent)
            except HolychatError as error:
                trouble = error
        self._forget_settled()
        if trouble is not None:
            raise trouble

    async def keep(self, unsent: Unsent) -> None:
        """Store what is unsent of one chat, if it changed here; nothing is made for an empty text.

        Raises:
            HolychatError: It cannot be stored.
        """
        async with unsent.lock:
            text = unsent.draft
            if self.chats is None or text == unsent.stored:
                return
            if unsent.chat_id is None:
                unsent.chat_id = await self._create(unsent)
            if not await self.chats.save_draft(unsent.chat_id, text, was=unsent.stored):
                if unsent is self.shown:
                    self._view.chat_lost()
                unsent.lose_chat()
                if not text:
                    return
                unsent.chat_id = await self._create(unsent)
                await self.chats.save_draft(unsent.chat_id, text)
            unsent.stored = text

    async def chat_of(self, unsent: Unsent) -> int:
        """The chat of what is unsent, stored now if it was not yet."""
        async with unsent.lock:
            if unsent.chat_id is None:
                unsent.chat_id = await self._create(unsent)
            return unsent.chat_id

    async def launch(
        self,
        unsent: Unsent,
        flight: Flight,
        begin: Callable[[int, tuple[str, str]], Awaitable[Turn]],
        start: Callable[[Turn], LiveReply],
    ) -> LiveReply:
        """`send`, then `start` the turn; both are done even when the one who waits for them is dropped.

        Raises:
            HolychatError: It was not sent and is back where it was typed.
        """

        async def work() -> LiveReply:
            return start(await self.send(unsent, flight, begin))

        try:
            return await asyncio.shield(asyncio.create_task(work()))
        except HolychatError:
            self.give_back(unsent, flight)
            raise

    async def send(self, unsent: Unsent, flight: Flight, begin: Callable[[int, tuple[str, str]], Awaitable[_T]]) -> _T:
        """Let a text in flight become a message.

        Args:
            unsent: Where it comes from.
            flight: The text.
            begin: Stores the message of a chat and, in the same write, turns the first draft into the second.

        Raises:
            HolychatError: It is not stored, and still in flight.
        """
        async with unsent.lock:
            if unsent.chat_id is None:
                unsent.chat_id = await self._create(unsent)
            left = unsent.draft_without(flight)
            sent = await begin(unsent.chat_id, (unsent.stored, left))
            unsent.landed(flight)
            unsent.stored = left
        self.changed()
        return sent
