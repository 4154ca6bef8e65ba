"""One live turn: a request goes out, its reply comes in, is shown and kept.

A task of the turn's own reads the provider, so that a turn neither waits for the one who watches it nor ends with them.
It appends to the buffer and to a queue of events; a timer hands new text to the store's writer thread; the end is
settled exactly once, whoever brings it about: the provider, a failure, `stop`, `interrupt`, the end of the event loop.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holychat.chat.checkpoints import Checkpoints
from holychat.chat.record import TurnRecord
from holychat.chat.whole import whole_reply
from holychat.domain.chat import MessageState
from holychat.domain.events import ReasoningDelta, RetryScheduled, TextDelta, TurnEnded, TurnFinished
from holychat.domain.failures import Failure
from holychat.errors import HolychatError, ProviderError, ReplyBroken, StoreError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from holychat.chat.journal import Journal
    from holychat.chat.retry import RetryPolicy
    from holychat.domain.chat import Message
    from holychat.domain.events import ReplyEvent, TurnEvent
    from holychat.domain.request import ReplyRequest
    from holychat.money.accounting import Accounting
    from holychat.providers.base import Provider

_log = logging.getLogger(__name__)

_SLICE_SECONDS = 0.008


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything a turn needs before the first byte."""

    provider: Provider
    request: ReplyRequest
    stream: bool = True
    """False asks for the whole reply at once."""

    def events(self) -> AsyncGenerator[ReplyEvent, None]:
        """One attempt."""
        return self.provider.stream(self.request) if self.stream else whole_reply(self.provider, self.request)


class Turn:
    """A reply that is arriving. Made by `ChatService`; `events` runs it, once.

    Attributes:
        question: The message that was stored for this turn; None where an earlier one is answered again or further.
    """

    def __init__(
        self,
        answer: Message,
        *,
        question: Message | None,
        prepare: Callable[[], Awaitable[Prepared]],
        journal: Journal,
        policy: RetryPolicy,
        money: Accounting,
    ) -> None:
        self.question = question
        self._answer = answer
        self._prepare = prepare
        self._journal = journal
        self._policy = policy
        self._record = TurnRecord(answer, money)
        self._checkpoints = Checkpoints(journal, self._record.buffer)
        self._events: deque[TurnEvent] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None
        self._asked: MessageState | None = None
        self._failure: Failure | None = None
        """The reply's own failure, while the store's stands in its place."""
        self._cancelled = False
        self._watched = False
        self._ended = False
        self._stored = False

    @property
    def answer(self) -> Message:
        """The answer: as it was when the turn was made, then as it is stored once the turn has ended."""
        return self._answer

    @property
    def ended(self) -> bool:
        """Whether `TurnEnded` was sent; `answer` is final then."""
        return self._ended

    @property
    def stored(self) -> bool:
        """Whether the end is in the store; False after the end where the store refused it, see `store_again`."""
        return self._stored

    @property
    def closed(self) -> bool:
        """Whether the connection was given back, which may be a moment after the end."""
        return self._task.done() if self._task is not None else self._ended

    def current(self) -> Message:
        """The answer with all that has arrived up to now."""
        return self._answer if self._settling is not None else replace(self._answer, parts=self._record.parts())

    def events(self) -> AsyncGenerator[TurnEvent, None]:
        """What happens, as it happens; the last event is `TurnEnded`. Leaving early interrupts the turn and stores it.

        Raises:
            RuntimeError: The turn was already run; opening a chat again never sends anything again.
        """
        if self._watched:
            raise RuntimeError("a turn runs once")
        self._watched = True
        return self._watch()

    def stop(self) -> None:
        """The person wants no more of it: the socket is closed, what arrived is kept as STOPPED."""
        if self._settling is None and self._asked is None:
            self._asked = MessageState.STOPPED
            self._cancel()

    async def interrupt(self) -> None:
        """Store what arrived as INTERRUPTED at once, then close the socket; for a process that has to go."""
        self._asked = self._asked or MessageState.INTERRUPTED
        settling = self._settle(self._asked)
        self._cancel()
        await asyncio.wait([settling])

    async def wait_closed(self) -> None:
        """Wait until the connection is given back."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def store_again(self) -> None:
        """Store an end that the store refused before; nothing where it is stored or has not come.

        Raises:
            StoreError: It refuses still.
        """
        if self._ended and not self._stored:
            self._answer = await self._journal.finish(replace(self._answer, failure=self._failure), unseen=False)
            self._stored = True

    def _cancel(self) -> None:
        # Once only: a second blow would hit the task while it closes the socket.
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            self._task.cancel()

    async def _watch(self) -> AsyncGenerator[TurnEvent, None]:
        loop = asyncio.get_running_loop()
        self._record.begin()
        self._task = asyncio.create_task(self._run(), name=f"turn-{self._answer.id}")
        events = self._events
        try:
            while True:
                slice_end = time.perf_counter() + _SLICE_SECONDS
                while events:
                    event = events.popleft()
                    yield event
                    if isinstance(event, TurnEnded):
                        return
                    if time.perf_counter() >= slice_end:
                        # What is done with an event may take longer than its arrival.
                        await asyncio.sleep(0)
                        slice_end = time.perf_counter() + _SLICE_SECONDS
                self._waiter = loop.create_future()
                await self._waiter
        finally:
            if not self._ended:
                await self.interrupt()

    async def _run(self) -> None:
        try:
            if self._asked is None:
                await self._converse()
        except asyncio.CancelledError:
            await asyncio.wait([self._settle(self._asked or MessageState.INTERRUPTED)])
        except HolychatError as error:
            await self._fail(error)
        except Exception as error:  # noqa: BLE001  # the turn's boundary: one broken reply must not take the app along
            _log.exception("a turn failed in a way nobody thought of")
            await self._fail(ReplyBroken(f"holychat failed: {type(error).__name__}", "The log has more."))
        else:
            await asyncio.wait([self._settle(self._asked or MessageState.COMPLETE)])

    async def _converse(self) -> None:
        prepared = await self._prepare()
        record = self._record
        record.request = prepared.request
        while True:
            try:
                return await self._receive(prepared)
            except ProviderError as error:
                if record.buffer.visible or self._settling is not None or self._asked is not None:
                    raise
                delay = self._policy.delay(error, record.attempt, random.random())
                if delay is None:
                    raise
                record.attempt += 1
                self._emit(RetryScheduled(record.attempt, self._policy.attempts, delay, Failure.of(error)))
                await asyncio.sleep(delay)

    async def _receive(self, prepared: Prepared) -> None:
        slice_end = time.perf_counter() + _SLICE_SECONDS
        record, checkpoints = self._record, self._checkpoints
        add = record.buffer.add
        async with aclosing(prepared.events()) as stream:
            async for event in stream:
                if isinstance(event, TextDelta):
                    add(event.text, reasoning=False)
                elif isinstance(event, ReasoningDelta):
                    add(event.text, reasoning=True)
                else:
                    self._note(event)
                    continue
                if not checkpoints.armed:
                    checkpoints.arm()
                now = time.perf_counter()
                if record.first_token is None:
                    record.first_token, slice_end = now, 0.0
                self._emit(event)
                if now >= slice_end:
                    # Parsing a burst never suspends by itself: let the screen paint and the timer fire.
                    await asyncio.sleep(0)
                    slice_end = time.perf_counter() + _SLICE_SECONDS
        if self._settling is None:
            raise ReplyBroken("The reply ended without a finish reason", provider=prepared.provider.info.name)

    def _note(self, event: ReplyEvent) -> None:
        self._record.note(event)
        if self._settling is None:
            self._emit(event)
        if isinstance(event, TurnFinished):
            # What the provider still reads off the connection is nothing the person should wait for.
            self._settle(MessageState.COMPLETE, finish_reason=event.finish_reason)

    async def _fail(self, error: HolychatError) -> None:
        failure = Failure.of(error)
        if isinstance(error, ProviderError):
            failure = replace(failure, hint=self._policy.hint(error))
        if self._settling is not None:
            _log.info("after the end of a reply: %s", error.title)
        elif self._asked is not None:
            # A provider that turns being cancelled into a failure of its own.
            self._settle(self._asked)
        elif self._record.has_text or isinstance(error, ReplyBroken):
            self._settle(MessageState.INTERRUPTED, failure)
        else:
            self._settle(MessageState.FAILED, failure)
        assert self._settling is not None
        await asyncio.wait([self._settling])

    def _emit(self, event: TurnEvent) -> None:
        self._events.append(event)
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _settle(
        self, state: MessageState, failure: Failure | None = None, finish_reason: str = ""
    ) -> asyncio.Task[None]:
        if self._settling is None:
            self._answer = self._record.message(state, failure, finish_reason)
            self._checkpoints.close()
            self._settling = asyncio.create_task(self._store())
            self._settling.add_done_callback(_log_failure)
        return self._settling

    async def _store(self) -> None:
        try:
            # Counting a long reply, or reading the prices for the first time, takes longer than a frame.
            self._answer = await asyncio.to_thread(self._record.accounted, self._answer)
        finally:
            # Whatever counting may run into, the text is kept.
            await self._keep(self._answer)

    async def _keep(self, answer: Message) -> None:
        try:
            unseen = answer.state is MessageState.INTERRUPTED and self._asked is not None
            answer = await self._journal.finish(answer, unseen=unseen, sample=self._record.sample)
            self._stored = True
        except StoreError as error:
            self._failure = answer.failure
            _log.error("the end of a reply was not stored: %s", error.title)  # expected, no traceback
            answer = replace(answer, failure=Failure.of(error))
        finally:
            self._answer = answer
            self._ended = True
            self._emit(TurnEnded(answer))


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a reply was kept, but its end was not settled well", exc_info=error)
