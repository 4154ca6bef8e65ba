"""Chats as the screen and the shell use them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, TypeAlias

from holychat.chat.attachments import load_file
from holychat.chat.export import as_json, as_markdown
from holychat.chat.left import interrupt_left
from holychat.chat.turns import Turns
from holychat.domain.chat import ChatOptions, Message, MessageState, Role
from holychat.domain.search import ChatEntry, Hit, ResultHit
from holychat.errors import StoreError, UsageError
from holychat.store import chats, later, messages, search

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path
    from typing import Literal

    from holychat.chat.retry import RetryPolicy
    from holychat.chat.turn import Turn
    from holychat.chat.turns import Rows
    from holychat.credentials.chain import KeyChain
    from holychat.domain.chat import Chat
    from holychat.money.costs import Costs
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings
    from holychat.store.database import Connection, Database
    from holychat.store.owners import Owners

Entries: TypeAlias = list[ChatEntry]
Hits: TypeAlias = list[Hit]
Results: TypeAlias = list[ResultHit]
Messages: TypeAlias = list[Message]
JobIds: TypeAlias = list[int]


class ChatService:
    """Everything that can be done with chats. One per process; belongs to one event loop."""

    def __init__(
        self,
        database: Database,
        owners: Owners,
        registry: ProviderRegistry,
        keychain: KeyChain,
        settings: Settings,
        costs: Costs,
        *,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._database = database
        self._owners = owners
        self._costs = costs
        self._settings = settings
        self._turns = Turns(database, owners, registry, keychain, settings, costs, policy)
        self._closed = False

    # Chats

    def default_options(self) -> ChatOptions:
        """What a new chat starts with, from the settings."""
        chat = self._settings.chat
        return ChatOptions(chat.provider, chat.model, chat.system, chat.temperature, chat.max_tokens)

    async def create(self, options: ChatOptions | None = None) -> Chat:
        """A new, empty chat; it is not listed before something is typed into it.

        Raises:
            StoreError: It cannot be stored.
        """
        return await self._database.write(lambda c: chats.create(c, options or self.default_options(), _now_ms()))

    async def get(self, chat_id: int) -> Chat:
        """The chat with this number.

        Raises:
            UsageError: There is none.
        """
        return await self._database.read(lambda c: chats.get(c, chat_id))

    async def last(self) -> Chat | None:
        """The chat in which something was last said or typed; None where there is none yet."""
        return await self._database.read(chats.last)

    async def unfinished(self) -> Chat | None:
        """The last chat, if it holds a draft or an answer that broke off unseen."""
        return await self._database.read(chats.unfinished)

    async def list(self, filter: str = "", limit: int = 50, offset: int = 0) -> Entries:  # noqa: A002
        """Chats by last activity; with a filter, those with all its words in the title, then in a message."""
        return await self._database.read(lambda c: chats.entries(c, filter, limit, offset))

    async def search(self, query: str, limit: int = 20) -> Hits:
        """Messages and results of jobs with every word of `query` (the last may be unfinished), newest first."""
        return await self._database.read(lambda c: search.find(c, query, limit))

    async def results(self, query: str, limit: int = 20) -> Results:
        """Results of jobs alone, as `search` finds them."""
        return await self._database.read(lambda c: search.results(c, query, limit))

    async def rename(self, chat_id: int, title: str) -> Chat:
        """Give a chat a title; an empty one is filled again by the next message."""
        return await self._database.write(lambda c: chats.rename(c, chat_id, title))

    async def delete(self, chat_id: int) -> JobIds:
        """Delete a chat and all it holds; an answer that is arriving here ends. Returns jobs that still answer there.

        Raises:
            UsageError: There is no such chat.
        """
        if (turn := self._turns.live(chat_id)) is not None:
            await turn.interrupt()
        return await self._database.write(lambda c: _deleted(c, chat_id))

    async def set_options(self, chat_id: int, options: ChatOptions) -> Chat:
        """Change what a chat asks of the model from the next message on."""
        return await self._database.write(lambda c: chats.set_options(c, chat_id, options))

    async def save_draft(self, chat_id: int, text: str, *, was: str | None = None) -> bool:
        """Keep what stands in the composer; an empty text clears `was` alone. False where the chat is gone."""
        return await self._database.write(lambda c: chats.save_draft(c, chat_id, text, _now_ms(), was=was))

    # Messages

    async def messages(self, chat_id: int, first: int, count: int) -> Messages:
        """`count` messages of the conversation from 0-based position `first` on; replaced ones are left out."""
        return self._turns.as_they_are_now(await self._database.read(lambda c: messages.page(c, chat_id, first, count)))

    async def tail(self, chat_id: int, count: int) -> tuple[int, Messages]:
        """The last `count` messages and the position of the first of them. The chat counts as looked at."""
        first, found, unseen = await self._database.read(lambda c: _tail(c, chat_id, count))
        if any(message.state is MessageState.STREAMING and message.id not in self._turns for message in found):
            # Another process is writing it, or died over it.
            await self.recover()
            first, found, unseen = await self._database.read(lambda c: _tail(c, chat_id, count))
        if unseen:
            await self._database.write(lambda c: chats.mark_unseen(c, chat_id, unseen=False))
        return first, self._turns.as_they_are_now(found)

    async def message(self, message_id: int) -> Message:
        """One message.

        Raises:
            UsageError: There is none.
        """
        return self._turns.as_they_are_now([await self._database.read(lambda c: messages.get(c, message_id))])[0]

    async def replaced(self, chat_id: int) -> Messages:
        """What an edit or another answer took out of the conversation, in the order in which it was written."""
        return self._turns.as_they_are_now(await self._database.read(lambda c: messages.replaced(c, chat_id)))

    async def position_of(self, message_id: int) -> int | None:
        """The 0-based place of a message in its conversation; None for a replaced or deleted one."""
        return await self._database.read(lambda c: messages.position_of(c, message_id))

    async def export(self, chat_id: int, format: Literal["markdown", "json"]) -> str:  # noqa: A002
        """A chat as text, replaced messages and the texts of its files included.

        Raises:
            UsageError: There is no such chat.
        """
        return await self._database.read(lambda c: _exported(c, chat_id, as_json if format == "json" else as_markdown))

    # Turns

    async def send(
        self,
        chat_id: int,
        text: str,
        attachments: Sequence[Path | str] = (),
        *,
        stream: bool = True,
        draft: tuple[str, str] | None = None,
    ) -> Turn:
        """Ask a question. On return it and its empty answer are durable and the draft is cleared, all in one write.

        `draft` is what the caller knows to be stored and what is left of it: a draft of another window stays.

        Raises:
            UsageError: Nothing to send, a file that cannot go along, or an answer is still arriving in the chat.
            StoreError: Nothing was stored and nothing is sent.
        """
        if not text.strip() and not attachments:
            raise UsageError("There is nothing to send", "Type a message or attach a file.")
        files = [await asyncio.to_thread(load_file, path) for path in attachments]

        def begin(connection: Connection) -> Rows:
            messages.refuse_busy(connection, chat_id)
            question = messages.add_question(connection, chat_id, text, files, _now_ms(), draft=draft)
            return question, messages.start_reply(connection, chat_id, self._turns.new_reply(connection, chat_id))

        return await self._turns.begin(begin, stream=stream)

    async def regenerate(self, chat_id: int, message_id: int, *, stream: bool = True) -> Turn:
        """Ask again for the answer `message_id`, or for the answer to the question `message_id`.

        The old answer and what followed it leave the conversation; they are kept, marked replaced. The turn has no
        question of its own.

        Raises:
            UsageError: It is not in the conversation, or an answer is still arriving in the chat.
        """

        def begin(connection: Connection) -> Rows:
            message = _made_way_for(connection, chat_id, message_id)
            reply = messages.start_reply(connection, chat_id, self._turns.new_reply(connection, chat_id))
            later.take_over(connection, message, reply.id)
            return None, reply

        return await self._turns.begin(begin, stream=stream)

    async def edit(
        self, chat_id: int, message_id: int, text: str, *, stream: bool = True, draft: tuple[str, str] = ("", "")
    ) -> Turn:
        """Ask a question differently: it and all after it are replaced, its files go along; drafts stay.

        Raises:
            UsageError: It is not a question of the conversation, it would be empty, or an answer is still arriving.
        """

        def begin(connection: Connection) -> Rows:
            old, position = _editable(connection, chat_id, message_id)
            if not text.strip() and not old.attachments:
                raise UsageError("There is nothing to send", "Type a message.")
            messages.replace_from(connection, chat_id, position)
            files = messages.files_of(connection, old)
            question = messages.add_question(connection, chat_id, text, files, _now_ms(), draft=draft)
            return question, messages.start_reply(connection, chat_id, self._turns.new_reply(connection, chat_id))

        return await self._turns.begin(begin, stream=stream)

    async def continue_reply(self, chat_id: int, message_id: int, *, stream: bool = True) -> Turn:
        """Ask for the rest of an answer that was stopped, interrupted or cut at its length, in the same message.

        `Turn.question` is None; the text so far is in `Turn.answer` and is not sent as events again.

        Raises:
            UsageError: It is not the last message, it is whole, or an answer is still arriving in the chat.
        """

        def begin(connection: Connection) -> Rows:
            message = _unfinished(connection, chat_id, message_id)
            later.take_over(connection, message, message.id)
            return None, messages.reopen_reply(connection, message, self._turns.new_reply(connection, chat_id))

        return await self._turns.begin(begin, stream=stream)

    async def recover(self) -> int:
        """Turn replies of processes that died into interrupted ones, with all that was checkpointed.

        Returns:
            How many there were.
        """
        if not await self._database.read(messages.streaming_owners):
            return 0
        return await self._database.write(lambda c: interrupt_left(c, self._owners.is_dead, self._costs.accounting))

    async def prepare(self) -> None:
        """Do ahead what the first message would otherwise wait for. Never fails."""
        with contextlib.suppress(StoreError, OSError):
            await asyncio.to_thread(self._owners.own)
            await asyncio.to_thread(self._owners.sweep)
            await asyncio.to_thread(self._costs.prices.price, "", "")
            await self._database.write(lambda c: chats.delete_abandoned(c, _now_ms()))

    async def changes(self, interval: float = 1.0) -> AsyncGenerator[None, None]:
        """Yields whenever another process (another window, a worker) has written; looks every `interval` seconds."""
        seen = await self._database.version_after(None)
        while not self._closed:
            await asyncio.sleep(interval)
            if seen != (seen := await self._database.version_after(seen)):
                yield

    async def interrupt_all(self) -> None:
        """Store every arriving reply as interrupted, at once; for SIGTERM and SIGHUP."""
        await self._turns.interrupt_all()

    async def close(self) -> None:
        """Store arriving replies as interrupted, give connections back, close the database; once."""
        if self._closed:
            return
        self._closed = True
        await self._turns.close()
        await asyncio.to_thread(self._database.close)
        await asyncio.to_thread(self._owners.release)


def _tail(connection: Connection, chat_id: int, count: int) -> tuple[int, list[Message], bool]:
    first = max(0, messages.count(connection, chat_id) - count)
    return first, messages.page(connection, chat_id, first, count), chats.is_unseen(connection, chat_id)


def _deleted(connection: Connection, chat_id: int) -> JobIds:
    waiting = later.waiting_in(connection, chat_id)
    chats.delete(connection, chat_id)
    return waiting


def _exported(connection: Connection, chat_id: int, form: Callable[[Chat, Messages, dict[str, str]], str]) -> str:
    chat = chats.get(connection, chat_id)
    everything = messages.everything(connection, chat_id)
    return form(chat, everything, messages.attachment_texts(connection, everything))


def _unfinished(connection: Connection, chat_id: int, message_id: int) -> Message:
    message, position = _placed(connection, chat_id, message_id)
    messages.refuse_busy(connection, chat_id)
    if position + 1 != messages.count(connection, chat_id):
        raise UsageError("Only the last answer can be continued", "Edit or ask again instead.")
    cut = message.state in (MessageState.STOPPED, MessageState.INTERRUPTED, MessageState.FAILED)
    if message.role is not Role.ASSISTANT or not (cut or message.finish_reason == "length"):
        raise UsageError("This answer is whole", "Ask for it again to get another one.")
    return message


def _made_way_for(connection: Connection, chat_id: int, message_id: int) -> Message:
    """A message that is answered again; what is replaced by that has left the conversation."""
    message, position = _placed(connection, chat_id, message_id)
    old = later.answer_of(connection, message.id) or message.id
    messages.replace_from(connection, chat_id, position + (message.role is Role.USER), but=[old])
    return message


def _editable(connection: Connection, chat_id: int, message_id: int) -> tuple[Message, int]:
    message, position = _placed(connection, chat_id, message_id)
    if message.role is not Role.USER:
        raise UsageError("Only your own messages can be edited", "Ask for the answer again instead.")
    later.refuse_coming(connection, message.id)
    return message, position


def _placed(connection: Connection, chat_id: int, message_id: int) -> tuple[Message, int]:
    message = messages.get(connection, message_id)
    position = messages.position_of(connection, message_id)
    if message.chat_id != chat_id or position is None:
        raise UsageError(f"Message {message_id} is not in this conversation", "It was replaced or is in another chat.")
    return message, position


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
