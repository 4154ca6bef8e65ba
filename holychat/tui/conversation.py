"""The chat on the screen: what is sent, what is shown, what waits. Knows the transcript, not the screen."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

from holychat.domain.chat import ChatOptions, MessageState, Role
from holychat.errors import HolychatError, UsageError
from holychat.tui.drafts import Drafts, DraftView
from holychat.tui.elsewhere import show_changes
from holychat.tui.live_reply import LiveReply
from holychat.tui.unsent import Unsent

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.chat.service import ChatService
    from holychat.chat.turn import Turn
    from holychat.domain.chat import Chat, Message
    from holychat.services import Services
    from holychat.tui.unsent import Flight
    from holychat.tui.widgets.transcript import Transcript

_FIRST_PAGE = 60
"""Messages read before a chat is shown; the transcript pages the rest in."""


_HEAD_START = 0.008
"""Seconds at most that a request has to get on its way before painting its question takes the event loop."""


class ConversationView(DraftView, Protocol):
    """What a conversation tells its screen."""

    def chat_changed(self) -> None:
        """Another chat is shown, or its title or options changed."""

    def reply_changed(self) -> None:
        """A reply began or ended."""

    def key_rejected(self, provider: str) -> None:
        """A provider does not accept its key."""


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
        self.last: Message | None = None
        """The newest answer of the chat shown, once it has ended."""
        self.services: Services | None = None
        self.trouble: HolychatError | None = None
        """Why the history cannot be opened in this run."""
        self.drafts = Drafts(view, self._create)
        self._transcript = transcript
        self._view = view
        self._shown = 0  # goes up whenever the transcript shows something else
        self._replies: dict[int, LiveReply] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def chats(self) -> ChatService:
        """The chat service; a UsageError while the history is still being opened, or where it cannot be."""
        if self.trouble is not None:
            raise UsageError("Nothing can be kept in this run, so nothing is sent", self.trouble.title)
        if self.services is None:
            raise UsageError("Your history is still being opened", "Try again in a moment.")
        return self.services.chats

    @property
    def reply(self) -> LiveReply | None:
        """The running reply of the chat shown."""
        return self._replies.get(self.chat.id) if self.chat is not None else None

    async def open(self, chat_id: int, message_id: int | None = None, *, keep_typed: bool = False) -> None:
        """Show a chat and its draft, before what is typed if that is kept; a reply that runs in it goes on."""
        known = self.drafts.of(chat_id)
        stored = known.stored if known is not None else ""
        chat = await self.chats.get(chat_id)
        first, messages = await self.chats.tail(chat_id, _FIRST_PAGE)
        if known is not None and not known.is_needed and known.stored == stored:
            known = None  # the store knew it all when it was asked, and may know something newer
        if keep_typed:
            known = self.drafts.shown
            self.drafts.set_typed(known.loaded(chat.id, chat.draft))
        old = self._show(chat, chat.options, known or Unsent(chat.id, chat.draft))
        self.last = _newest_answer(messages)
        live = self._replies.get(chat_id)
        if await self._paint(chat_id, first, messages, live) and live is not None:
            live.attach(self._transcript)
        if message_id is not None and (position := await self.chats.position_of(message_id)) is not None:
            await self._transcript.jump_to(position)
        self._view.chat_changed()
        await self.drafts.leave(old)

    async def refresh(self) -> bool:
        """Show what another process has written, unless a reply is arriving; False where the chat is gone."""
        chat, shown = self.chat, self._shown
        if chat is None or self.reply is not None:
            return True
        try:
            fresh = await self.chats.get(chat.id)
        except UsageError:
            return self.chat is not chat
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

    def new(self) -> Unsent:
        """Show an empty chat at once; it is stored with its first word. Answers with what `drafts.leave` stores."""
        shown = self.drafts.shown
        empty = shown.chat_id is None and not shown.draft
        old = self._show(None, self.default_options, Unsent(files=shown.files if empty else ()))
        self._transcript.clear()
        self._view.chat_changed()
        return old

    def lose_chat(self) -> None:
        """The chat shown was deleted: an empty one takes its place, with all that is unsent."""
        self.drafts.lose_chat()
        self._show(None, self.default_options, self.drafts.shown)
        self._transcript.clear()
        self._view.chat_changed()

    def _show(self, chat: Chat | None, options: ChatOptions, unsent: Unsent) -> Unsent:
        """Change over in one go, so that no key falls between two chats; answers with what is unsent of the old one."""
        if (live := self.reply) is not None:
            live.detach()
        self.drafts.shown.options = self.options
        self._shown += 1
        self.chat, self.options, self.last = chat, options, None
        return self.drafts.show(unsent)

    async def _create(self, unsent: Unsent) -> int:
        shown = unsent is self.drafts.shown
        chat = await self.chats.create(self.options if shown or unsent.options is None else unsent.options)
        if shown and unsent is self.drafts.shown:
            self.chat = chat
        return chat.id

    async def ensure_chat(self) -> int:
        """Id of the chat shown, which is stored now if it was not yet."""
        return await self.drafts.chat_of(self.drafts.shown)

    def has_to_wait(self) -> bool:
        """Whether a text entered now waits: for a reply, for the history, or for one that is on its way."""
        return self.services is None or self.reply is not None or self.drafts.shown.in_flight

    async def send(self, unsent: Unsent, flight: Flight) -> None:
        """Send a text in flight to the chat it was typed in, whatever is shown by now; it is given back on failure."""
        shown = self._shown
        live = await self.drafts.launch(
            unsent,
            flight,
            lambda chat_id, draft: self.chats.send(chat_id, flight.text, flight.files, draft=draft),
            self._start,
        )
        await live.begins(_HEAD_START)
        if self.drafts.shown is not unsent:
            return
        if self._shown == shown:
            assert live.turn.question is not None
            self._transcript.add(live.turn.question)
            self._transcript.add(live.answer)
            self._watch(live)
        else:
            await self.open(live.chat_id)  # left and come back to while the question was being stored

    async def release_queue(self) -> None:
        """Send what waits, if anything does and nothing runs."""
        unsent = self.drafts.shown
        if unsent.queued and not self.has_to_wait():
            flight = unsent.fly(unsent.take_queue(), with_files=True)
            self._view.unsent_changed(unsent)
            await self.send(unsent, flight)

    async def edit(self, unsent: Unsent, flight: Flight, message: Message) -> None:
        """Send another text in place of a message; it and what follows leave the conversation."""

        async def begin(chat_id: int, draft: tuple[str, str]) -> Turn:
            self._need_quiet()
            return await self.chats.edit(chat_id, message.id, flight.text, draft=draft)

        live = await self.drafts.launch(unsent, flight, begin, self._start)
        if self.drafts.shown is unsent:
            await self._show_again(live)

    async def regenerate(self, message: Message | None = None) -> None:
        """Ask for another answer; None means the last one."""
        self._need_quiet()
        target = message or self.last
        if target is None:
            raise UsageError("There is no answer yet")
        await self._show_again(self._start(await self.chats.regenerate(target.chat_id, target.id)))

    async def continue_reply(self, message: Message) -> None:
        """Ask for the rest of an answer that was cut short."""
        self._need_quiet()
        await self._show_again(self._start(await self.chats.continue_reply(message.chat_id, message.id)))

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

    async def _paint(self, chat_id: int, first: int, messages: Sequence[Message], live: LiveReply | None) -> bool:
        """Paint the end of a chat, ending with the answer that is arriving; whether there is one."""
        shown = [message for message in messages if live is None or message.id != live.answer.id]
        await self._transcript.show(_Source(self.chats, chat_id), first + len(shown), first, shown)
        if live is None or len(shown) == len(messages):
            return False
        self._transcript.add(live.answer)
        return True

    async def _show_again(self, live: LiveReply) -> None:
        """Paint the chat anew after messages left it, ending with the answer that is to come."""
        chat_id = live.chat_id
        await self._paint(chat_id, *await self.chats.tail(chat_id, _FIRST_PAGE), live)
        self._watch(live)

    def _start(self, turn: Turn) -> LiveReply:
        shown = self.chat is not None and self.chat.id == turn.answer.chat_id
        live = LiveReply(turn, self.chat.title if shown and self.chat else "", self._ended)
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
            else:
                self.drafts.take_back()
        except HolychatError as error:
            self._view.say(str(error), error=True)


def _newest_answer(messages: Sequence[Message]) -> Message | None:
    return next((message for message in reversed(messages) if message.role is Role.ASSISTANT), None)
