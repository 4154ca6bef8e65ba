"""The way of one reply from the turn to stdout, with everything that may come between: signals, pipes, disks."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING, Any

from holychat import errors
from holychat.catalog.money import usd
from holychat.cli.history import find_chat
from holychat.cli.output import LiveOutput, OutputLost, ReaderGone
from holychat.domain.chat import MessageState
from holychat.domain.events import RetryScheduled, TextDelta, TurnEnded
from holychat.errors import ExitCode, HolychatError, LimitReached

if TYPE_CHECKING:
    from holychat.chat.turn import Turn
    from holychat.cli.ask import Question
    from holychat.cli.session import Session
    from holychat.domain.chat import Chat, Message
    from holychat.services import Services

_TOOLS = ("tool_calls", "function_call")
"""Finish reasons of a reply that wants something done before it goes on."""
_LAST_WORDS = 1.0
"""Seconds that a slow reader still has after a signal."""

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


async def answer(session: Session, services: Services, question: Question) -> int:
    """Ask the question and print the reply; the exit status of `holychat ask`.

    Raises:
        HolychatError: The question could not be asked, or the output takes no more; the reply is kept all the same.
        ReaderGone: The reader of stdout left; the reply was stopped and is kept.
    """
    with _Interruption() as interruption:
        chat = await _chat_for(session, services, question)
        await _look_ahead(session, services, question, chat)
        # The draft, if there is one, is not this question but what someone is writing in a window.
        try:
            turn = await services.chats.send(
                chat.id, question.text, question.files, stream=question.stream, draft=("", "")
            )
        except LimitReached as held:
            held.hint = f"`--over-limit` asks all the same. {held.hint}"
            raise
        interruption.attach(turn)
        try:
            message = await _Printer(session, turn, live=not question.as_json).run(interruption.happened)
            status = _report(session, message, question)
            if question.as_json and (message.text or message.state is MessageState.COMPLETE):
                session.out.json(_fields(message, question))
        except ReaderGone:
            if interruption.status:  # a signal to the whole pipeline took the reader along
                return interruption.status
            raise
        except OutputLost as lost:
            lost.hint = f"The reply is kept: `holychat history show {chat.id}`." if question.save else ""
            raise
        return interruption.status or status


async def _look_ahead(session: Session, services: Services, question: Question, chat: Chat) -> None:
    """Tell of limits that are nearly used up and of a request that will not fit; let it pass where that was asked."""
    if question.over_limit:
        services.costs.allow_one()
    for limit in await services.costs.limits():
        if limit.near:
            session.warn(limit.text())
    use = await services.context.upcoming(chat.id, chat.options, question.text, question.files)
    if use is not None and use.too_long:
        session.warn(use.text())


async def _chat_for(session: Session, services: Services, question: Question) -> Chat:
    """The chat to ask in. A provider that does not exist is found out before anything is stored."""
    before = await find_chat(services, question.chat_id) if question.continues else None
    options = question.options(before.options if before is not None else services.chats.default_options())
    for warning in services.registry.get(options.provider).warnings():
        session.warn(warning)
    if before is None:
        return await services.chats.create(options)
    return before if options == before.options else await services.chats.set_options(before.id, options)


class _Interruption:
    """Signals while a reply arrives: the first one ends it in good order, SIGINT as stopped, the others as broken off.

    Attributes:
        happened: Set by the first signal.
        status: 128 + the signal, or 0.
    """

    def __init__(self) -> None:
        self.happened = asyncio.Event()
        self.status = 0
        self._turn: Turn | None = None
        self._ending: asyncio.Task[None] | None = None
        # What is ignored already stays so: nohup means it.
        self._signals = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]

    def attach(self, turn: Turn) -> None:
        """This is what a signal ends, also one that came before."""
        self._turn = turn
        if self.status:
            self._end(turn)

    def __enter__(self) -> _Interruption:
        loop = asyncio.get_running_loop()
        for number in self._signals:
            with contextlib.suppress(NotImplementedError):  # Windows: Ctrl+C ends the program as it always does there
                loop.add_signal_handler(number, self._receive, number)
        return self

    def __exit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        for number in self._signals:
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(number)

    def _receive(self, number: int) -> None:
        if self.status:
            return
        self.status = ExitCode.INTERRUPTED if number == signal.SIGINT else 128 + number
        self.happened.set()
        if self._turn is not None:
            self._end(self._turn)

    def _end(self, turn: Turn) -> None:
        if self.status == ExitCode.INTERRUPTED:
            turn.stop()
        else:
            self._ending = asyncio.create_task(turn.interrupt())


class _Printer:
    """Runs a turn and puts its text on stdout, unless `live` is False."""

    def __init__(self, session: Session, turn: Turn, *, live: bool) -> None:
        self._session = session
        self._turn = turn
        self._loop = asyncio.get_running_loop()
        self._written: asyncio.Future[ReaderGone | OutputLost | None] = self._loop.create_future()
        self._output = LiveOutput(session.out, self._on_end) if live else None

    async def run(self, interrupted: asyncio.Event) -> Message:
        """The answer as it is stored, once all of it is printed.

        Raises:
            ReaderGone: The reader left; the turn was stopped.
            OutputLost: The output takes no more; the turn went on to its end.
        """
        message = self._turn.answer
        async with contextlib.aclosing(self._turn.events()) as events:
            async for event in events:
                if isinstance(event, TextDelta):
                    if self._output is not None:
                        self._output.add(event.text)
                elif isinstance(event, RetryScheduled):
                    self._tell_of_retry(event)
                elif isinstance(event, TurnEnded):
                    message = event.message
        if self._output is not None:
            self._output.close()
            await self._all_written(interrupted)
        return message

    async def _all_written(self, interrupted: asyncio.Event) -> None:
        waiting = asyncio.create_task(interrupted.wait())
        either: list[asyncio.Future[Any]] = [self._written, waiting]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if not self._written.done():
            await asyncio.wait([self._written], timeout=_LAST_WORDS)
        if self._written.done() and (trouble := self._written.result()) is not None:
            raise trouble

    def _on_end(self, trouble: ReaderGone | OutputLost | None) -> None:
        """Called by the writing thread; the loop may be gone by then, when a signal came while the reader was slow."""

        def settle() -> None:
            self._written.set_result(trouble)
            if isinstance(trouble, ReaderGone):
                self._turn.stop()

        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(settle)

    def _tell_of_retry(self, event: RetryScheduled) -> None:
        again = f"trying again ({event.attempt} of {event.attempts}) in {event.delay:.1f} s"
        self._session.warn(f"{event.failure.title}; {again}")


def _report(session: Session, message: Message, question: Question) -> int:
    """Say on stderr what went wrong, if anything did; the exit status."""
    failure, state = message.failure, message.state
    kept = f"What arrived is kept; `holychat ask --continue {message.chat_id} …` goes on." if question.save else ""
    if state is MessageState.STOPPED:
        return ExitCode.INTERRUPTED
    if failure is None:
        if state is MessageState.COMPLETE and message.finish_reason == "length":
            session.report("The reply reached the limit of its length", kept)
        if message.finish_reason in _TOOLS:
            session.report("The model asked for tools, which holychat does not offer", "Ask it to answer in words.")
        return ExitCode.DONE if state is MessageState.COMPLETE else ExitCode.CUT_SHORT
    if state is MessageState.INTERRUPTED and (message.text or message.reasoning):
        session.report(failure.title, kept or failure.hint)
        return ExitCode.CUT_SHORT
    session.report(failure.title, failure.hint)
    status = _status_of(failure.kind)
    # Of a reply that broke before its first word there is nothing to go on with.
    return ExitCode.UNREACHABLE if status is ExitCode.CUT_SHORT else status


def _status_of(kind: str) -> ExitCode:
    error = getattr(errors, kind, None)
    return error.exit_code if isinstance(error, type) and issubclass(error, HolychatError) else ExitCode.FAILED


def _fields(message: Message, question: Question) -> dict[str, Any]:
    usage, timing, cost = message.usage, message.timing, message.cost
    return {
        "text": message.text,
        "reasoning": message.reasoning,
        "model": message.model,
        "provider": message.provider,
        "finish_reason": message.finish_reason or None,
        "usage": {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens},
        "cost_usd": usd(cost),
        "ttft_ms": timing.first_token_ms,
        "elapsed_ms": timing.elapsed_ms,
        "attempts": timing.attempts,
        "request_id": message.request_id or None,
        "chat_id": message.chat_id if question.save else None,
    }
