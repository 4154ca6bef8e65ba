"""The chat on the screen: what is sent, what is shown, what waits. Knows the transcript, not the screen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from holychat.domain.chat import ChatOptions, MessageState, Role
from holychat.errors import HolychatError, UsageError
from holychat.tui.elsewhere import show_changes
from holychat.tui.live_reply import LiveReply

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holychat.chat.service import ChatService
    from holychat.chat.turn import Turn
    from holychat.domain.chat import Chat, Message
    from holychat.services import Services
    from holychat.tui.widgets.transcript import Transcript

_FIRST_PAGE = 60
"""Messages read before a chat is shown; the transcript pages the rest in."""


_HEAD_START = 0.008
"""Seconds at most that a request has to get on its way before painting its question takes the event loop."""


class ConversationView(Protocol):
    """What a conversation tells its screen."""

    def chat_changed(self) -> None:
        """Another chat is shown, or its title or options changed."""

    def reply_changed(self) -> None:
        """A reply began or ended."""

    def queue_changed(self, text: str) -> None:
        """What waits to be sent; "" when nothing does."""

    def files_changed(self, files: Sequence[Path]) -> None:
        """What goes along with the next message."""

    def key_rejected(self, provider: str) -> None:
        """A provider does not accept its key."""

    def put_back(self, text: str) -> None:
        """A text could not be sent and belongs in the composer."""

    def say(self, text: str, error: bool = False) -> None:
        """A short notice."""


class _Source:
    """Pages of one chat for the transcript."""

    def __init__(self, chats: ChatService, chat_id: int) -> None:
        self._chats = chats
        self._chat_id = chat_id

    async def messages(self, first: int, count: int) -> Sequence[Message]:
        return await self._chats.messages(self._chat_id, first, count)


class Conversation:
    """Controller between the chat service and the transcript.

    A text sent while a reply arrives waits its turn instead of stopping the reply: someone who presses Enter wants to
    say the next thing, not to throw away what is being paid for. Esc stops the reply, and what waits goes out.

    Args:
        transcript: Where it is painted.
        view: Who is told.
        options: What a new chat starts with.
    """

    def __init__(self, transcript: Transcript, view: ConversationView, options: ChatOptions) -> None:
        self.chat: Chat | None = None
        """The chat shown; None for one that holds nothing yet and was never stored."""
        self.options = options
        self.default_options = options
        self.queued = ""
        self.files: tuple[Path, ...] = ()
        """What goes along with the next message."""
        self.last: Message | None = None
        """The newest answer of the chat shown, once it has ended."""
        self.services: Services | None = None
        self._transcript = transcript
        self._view = view
        self._shown = 0
        """Goes up whenever the transcript shows something else."""
        self._replies: dict[int, LiveReply] = {}
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def chats(self) -> ChatService:
        """The chat service.

        Raises:
            UsageError: The history is still being opened.
        """
        if self.services is None:
            raise UsageError("Your history is still being opened", "Try again in a moment.")
        return self.services.chats

    @property
    def reply(self) -> LiveReply | None:
        """The running reply of the chat shown."""
        return self._replies.get(self.chat.id) if self.chat is not None else None

    @property
    def running(self) -> tuple[LiveReply, ...]:
        """Every running reply, shown or not."""
        return tuple(self._replies.values())

    async def open(self, chat_id: int, message_id: int | None = None) -> None:
        """Show a chat, at its end or at a message; a reply that runs in it goes on being painted."""
        chat = await self.chats.get(chat_id)
        first, messages = await self.chats.tail(chat_id, _FIRST_PAGE)
        await self._leave()
        self._shown += 1
        self.chat, self.options, self.last = chat, chat.options, _newest_answer(messages)
        live = self._replies.get(chat_id)
        streaming = live is not None and bool(messages) and messages[-1].id == live.answer.id
        shown = messages[:-1] if streaming else messages
        await self._transcript.show(_Source(self.chats, chat_id), first + len(shown), first, shown)
        if live is not None and streaming:
            self._transcript.add(live.answer)
            live.attach(self._transcript)
        if message_id is not None and (position := await self.chats.position_of(message_id)) is not None:
            await self._transcript.jump_to(position)
        self._view.chat_changed()

    async def refresh(self) -> bool:
        """Show what another process has written, unless a reply is arriving; False where the chat is gone."""
        chat, shown = self.chat, self._shown
        if chat is None or self.reply is not None:
            return True
        try:
            fresh = await self.chats.get(chat.id)
        except UsageError:
            return False
        first, messages = await self.chats.tail(chat.id, _FIRST_PAGE)
        if self._shown != shown or self.reply is not None:
            return True
        changed = show_changes(self._transcript, first, messages)
        if changed:
            self.last = _newest_answer(messages)
        if changed or (fresh.title, fresh.options) != (chat.title, chat.options):
            self.chat, self.options = fresh, fresh.options
            self._view.chat_changed()
        return True

    async def new(self) -> None:
        """Show an empty chat; it is stored with its first word."""
        await self._leave()
        self._shown += 1
        self.chat, self.options, self.last = None, self.default_options, None
        self._transcript.clear()
        self._view.chat_changed()

    async def _leave(self) -> None:
        if self.queued:
            text, self.queued = self.queued, ""
            self._view.queue_changed("")
            await self.save_draft(text)
        if (live := self.reply) is not None:
            live.detach()

    async def ensure_chat(self) -> Chat:
        """The chat shown, stored now if it was not yet."""
        async with self._lock:
            if self.chat is None:
                self.chat = await self.chats.create(self.options)
            return self.chat

    async def save_draft(self, text: str) -> None:
        """Store what is unsent; nothing is made for an empty text in an empty chat."""
        if self.services is None or (self.chat is None and not text.strip()):
            return
        chat = await self.ensure_chat()
        await self.chats.save_draft(chat.id, text)

    async def submit(self, text: str) -> bool:
        """Send a text, or let it wait for the reply that is running.

        Returns:
            Whether it was sent; False when it waits.
        """
        if self.services is None or self.reply is not None:
            self.queued = f"{self.queued}\n\n{text}" if self.queued else text
            self._view.queue_changed(self.queued)
            return False
        shown = self._shown
        chat = await self.ensure_chat()
        turn = await self.chats.send(chat.id, text, self.files)
        self.attach(())
        live = self._start(turn)
        await live.begins(_HEAD_START)
        if self._shown == shown:
            assert turn.question is not None
            self._transcript.add(turn.question)
            self._transcript.add(live.answer)
            self._watch(live)
        elif self.chat is not None and self.chat.id == chat.id:
            await self.open(chat.id)  # left and come back to while the question was being stored
        return True

    def attach(self, files: tuple[Path, ...]) -> None:
        """Let these files go along with the next message, and no others."""
        self.files = files
        self._view.files_changed(files)

    async def release_queue(self) -> None:
        """Send what waits, if anything does and nothing runs."""
        if self.queued and self.reply is None and self.services is not None:
            text = self.take_back()
            try:
                await self.submit(text)
            except HolychatError:
                self._view.put_back(text)
                raise

    def take_back(self) -> str:
        """The waiting text, which waits no longer."""
        text, self.queued = self.queued, ""
        self._view.queue_changed("")
        return text

    async def edit(self, message: Message, text: str) -> None:
        """Send another text in place of a message; it and what follows leave the conversation."""
        self._need_quiet()
        turn = await self.chats.edit(message.chat_id, message.id, text)
        await self._show_again(turn)

    async def regenerate(self, message: Message | None = None) -> None:
        """Ask for another answer; None means the last one."""
        self._need_quiet()
        target = message or self.last
        if target is None:
            raise UsageError("There is no answer yet")
        await self._show_again(await self.chats.regenerate(target.chat_id, target.id))

    async def continue_reply(self, message: Message) -> None:
        """Ask for the rest of an answer that was cut short."""
        self._need_quiet()
        await self._show_again(await self.chats.continue_reply(message.chat_id, message.id))

    def stop(self) -> bool:
        """Stop the reply shown and keep its text; False when none runs."""
        if (live := self.reply) is None:
            return False
        live.turn.stop()
        return True

    async def set_options(self, options: ChatOptions) -> None:
        """Change what the chat asks of the model, from its next message on."""
        self.options = options
        if self.chat is not None:
            await self.chats.set_options(self.chat.id, options)
            self.chat = await self.chats.get(self.chat.id)
        self._view.chat_changed()

    def _need_quiet(self) -> None:
        if self.reply is not None:
            raise UsageError("A reply is arriving", "Esc stops it.")

    async def _show_again(self, turn: Turn) -> None:
        """Paint the chat anew after messages left it, ending with the answer that is to come."""
        chat_id = turn.answer.chat_id
        first, messages = await self.chats.tail(chat_id, _FIRST_PAGE)
        shown = [message for message in messages if message.id != turn.answer.id]
        await self._transcript.show(_Source(self.chats, chat_id), first + len(shown), first, shown)
        self._transcript.add(turn.answer)
        self._watch(self._start(turn))

    def _start(self, turn: Turn) -> LiveReply:
        live = LiveReply(turn, self.chat.title if self.chat else "", self._ended)
        self._replies[live.chat_id] = live
        live.start()
        return live

    def _watch(self, live: LiveReply) -> None:
        self.last = live.final
        live.attach(self._transcript)
        self._transcript.jump_latest()
        self._view.reply_changed()

    def _ended(self, live: LiveReply) -> None:
        self._replies.pop(live.chat_id, None)
        if not self._transcript.is_attached:
            return  # the app is on its way out, and nothing is left to show it on
        if self.chat is not None and self.chat.id == live.chat_id:
            task = asyncio.create_task(self._after(live))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self._view.say(f"The reply in “{live.title or 'another chat'}” has ended.")

    async def _after(self, live: LiveReply) -> None:
        try:
            chat = await self.chats.get(live.chat_id)
            if self.chat is None or self.chat.id != chat.id:
                return
            self.chat, self.last = chat, live.final
            if live.key_was_rejected:
                self._view.key_rejected(live.answer.provider)
            self._view.reply_changed()
            if live.final is not None and live.final.state in (MessageState.COMPLETE, MessageState.STOPPED):
                await self.release_queue()
            elif self.queued:
                self._view.put_back(self.take_back())
        except HolychatError as error:
            self._view.say(str(error), error=True)


def _newest_answer(messages: Sequence[Message]) -> Message | None:
    return next((message for message in reversed(messages) if message.role is Role.ASSISTANT), None)
