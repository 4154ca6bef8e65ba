"""The turns of this process: making them, finding the live ones, ending them all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from holychat.chat.journal import Journal
from holychat.chat.prompt import build_request
from holychat.chat.retry import RetryPolicy
from holychat.chat.turn import Prepared, Turn
from holychat.errors import StoreError, UsageError
from holychat.store import chats, later, messages
from holychat.store.messages import NewReply

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.credentials.chain import KeyChain
    from holychat.domain.chat import ChatOptions, Message
    from holychat.money.costs import Costs
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings
    from holychat.store.database import Connection, Database
    from holychat.store.owners import Owners

_log = logging.getLogger(__name__)

_SHORT = 100
"""Messages of a conversation that is read in the unit that writes the question: it saves the way to another thread
before every request. A longer one is read after the question is on the screen."""

Rows: TypeAlias = "tuple[Message | None, Message]"
"""The question of a turn, where it has a new one, and its answer, still empty."""


class Turns:
    """Keeps every turn from its making until its connection is given back and its end is stored."""

    def __init__(
        self,
        database: Database,
        owners: Owners,
        registry: ProviderRegistry,
        keychain: KeyChain,
        settings: Settings,
        costs: Costs,
        policy: RetryPolicy | None,
    ) -> None:
        self._database = database
        self._owners = owners
        self._registry = registry
        self._keychain = keychain
        self._costs = costs
        self._policy = policy or RetryPolicy(settings.network.retries)
        self._turns: dict[int, Turn] = {}
        """By answer."""

    def __contains__(self, message_id: int) -> bool:
        return message_id in self._turns

    def live(self, chat_id: int) -> Turn | None:
        """The turn that is running in a chat."""
        return next((turn for turn in self._turns.values() if turn.answer.chat_id == chat_id and not turn.ended), None)

    def as_they_are_now(self, found: list[Message]) -> list[Message]:
        """Messages, those that are arriving here with all that arrived since the last checkpoint."""
        return [
            message if (turn := self._turns.get(message.id)) is None or turn.stored else turn.current()
            for message in found
        ]

    def new_reply(self, connection: Connection, chat_id: int) -> NewReply:
        """Whom the next answer of a chat is asked of; runs in the store's thread."""
        options = chats.get(connection, chat_id).options
        model = options.model
        if not model:
            # A provider that is gone from the settings is the turn's failure: the question is kept first.
            with contextlib.suppress(UsageError):
                model = self._registry.info(options.provider).model
        return NewReply(self._owners.own(), options.provider, model, time.time_ns() // 1_000_000)

    async def begin(self, work: Callable[[Connection], Rows], *, stream: bool) -> Turn:
        """A turn over the rows that `work` writes. Being cancelled meanwhile leaves them written and interrupted.

        Raises:
            StoreError: They are not written, or an earlier end could still not be stored.
        """
        await self.settle_leftovers()
        making = asyncio.create_task(self._make(work, stream=stream))
        try:
            return await asyncio.shield(making)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.create_task(_abandon(making)))
            raise

    async def interrupt_all(self) -> None:
        """Store every arriving reply as interrupted, at once."""
        await asyncio.gather(*(turn.interrupt() for turn in self._turns.values() if not turn.ended))

    async def close(self) -> None:
        """Interrupt what is arriving and give every connection back."""
        await self.interrupt_all()
        for turn in list(self._turns.values()):
            await turn.wait_closed()
        with contextlib.suppress(StoreError):
            await self.settle_leftovers()

    async def settle_leftovers(self) -> None:
        """Store ends that a full disk refused, now that there may be room; forget turns that are over.

        Raises:
            StoreError: There is no room yet.
        """
        for message_id, turn in list(self._turns.items()):
            if turn.ended:
                await turn.store_again()
                if turn.closed:
                    self._turns.pop(message_id, None)

    async def _make(self, work: Callable[[Connection], Rows], *, stream: bool) -> Turn:
        def unit(connection: Connection) -> tuple[Message | None, Message, str, Said | None]:
            question, answer = work(connection)
            said = said_before(connection, answer, at_most=_SHORT)
            if self._costs.has_limits:
                self._refuse_over_limits(connection, answer, said)
            return question, answer, self._owners.own(), said

        question, answer, owner, said = await self._database.write(unit)
        turn = Turn(
            answer,
            question=question,
            prepare=lambda: self._prepare(answer, said, stream=stream),
            journal=Journal(self._database, answer.id, owner, self._costs),
            policy=self._policy,
            money=self._costs.accounting,
        )
        self._turns[answer.id] = turn
        return turn

    def _refuse_over_limits(self, connection: Connection, answer: Message, said: Said | None) -> None:
        said = said or said_before(connection, answer)
        with contextlib.suppress(UsageError):
            if not self._registry.info(answer.provider).needs_key:
                return  # what needs no key sends no bill
        assert said is not None
        request = build_request(said.options, answer.model, said.history, said.files, partial=answer.text)
        worst = self._costs.refuse_over(connection, answer.provider, answer.model, request.messages, request.max_tokens)
        messages.set_worst(connection, answer.id, worst)

    async def _prepare(self, answer: Message, said: Said | None, *, stream: bool) -> Prepared:
        await self._keychain.require(self._registry.info(answer.provider))
        provider = self._registry.get(answer.provider)
        if said is None:
            said = await self._database.read(lambda c: said_before(c, answer))
        assert said is not None
        request = build_request(said.options, answer.model, said.history, said.files, partial=answer.text)
        return Prepared(provider, request, stream)


@dataclass(frozen=True, slots=True)
class Said:
    """What a request is made of."""

    options: ChatOptions
    history: list[Message]
    files: dict[str, str]


def said_before(connection: Connection, answer: Message, at_most: int | None = None) -> Said | None:
    """The conversation up to an answer; None where that is more than `at_most` messages."""
    position = messages.position_of(connection, answer.id) or 0
    if at_most is not None and position > at_most:
        return None
    history = later.as_read(
        connection, answer.chat_id, messages.page(connection, answer.chat_id, 0, position), answer.id
    )
    files = messages.attachment_texts(connection, history)
    return Said(chats.get(connection, answer.chat_id).options, history, files)


async def _abandon(making: asyncio.Task[Turn]) -> None:
    try:
        turn = await making
    except (StoreError, UsageError):
        _log.info("a turn that nobody waits for was not made", exc_info=True)
    else:
        await turn.interrupt()
