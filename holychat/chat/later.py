"""Questions that are asked for later, on the desk or in the provider's batch, and answered in their chat."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from holychat.chat.attachments import load_file
from holychat.chat.prompt import build_request
from holychat.domain.jobs import Document, JobSpec, Kind, Priority, Recipe, Source, SourceKind
from holychat.domain.roads import Road, Work
from holychat.errors import ProviderError, UsageError
from holychat.store import chats, later, later_answers, messages
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from holychat.domain.chat import ChatOptions, Message
    from holychat.domain.request import ReplyRequest
    from holychat.domain.roads import Choice
    from holychat.money.costs import Costs
    from holychat.providers.registry import ProviderRegistry
    from holychat.store.database import Connection, Database
    from holychat.store.messages import FileText

Roads: TypeAlias = "Callable[[str, str, Work, Priority | None], Awaitable[Choice]]"

_ASSUMED_ANSWER = 300
"""Tokens that an answer without a limit is taken to have, for telling price and time."""
_LONGEST_NAME = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked for later."""

    question: Message
    job_id: int
    choice: Choice


class LaterQuestions:
    """Asks for later, and puts what came of it into its chat. One per process.

    Args:
        database: Chats and jobs.
        registry: The providers.
        costs: Prices and token counts.
        roads: Lays the roads out for some work, as the desk does.
        wake: Starts the worker where none is there.
    """

    def __init__(
        self,
        database: Database,
        registry: ProviderRegistry,
        costs: Costs,
        roads: Roads,
        wake: Callable[[], Awaitable[bool]],
    ) -> None:
        self._database = database
        self._registry = registry
        self._costs = costs
        self._roads = roads
        self._wake = wake

    async def ask(
        self,
        chat_id: int,
        text: str,
        attachments: Sequence[Path | str] = (),
        priority: Priority = Priority.MEDIUM,
        *,
        draft: tuple[str, str] | None = None,
    ) -> Asked:
        """Ask a question whose answer may come later; on return it and the job that answers it are durable.

        All that was said in the chat goes along. The priority is MEDIUM for the desk, LOW for the provider's batch
        service where it has one; the rest is as for `ChatService.send`.

        Raises:
            UsageError: Nothing to ask, a file that cannot go along, an answer is arriving in the chat.
            StoreError: Nothing was stored.
        """
        if priority is Priority.HIGH:
            raise UsageError("What is asked for later is not urgent", "Send it, or ask with low or medium priority.")
        if not text.strip() and not attachments:
            raise UsageError("There is nothing to ask", "Type a question, or attach a file.")
        files = [await asyncio.to_thread(load_file, path) for path in attachments]
        options = (await self._database.read(lambda c: chats.get(c, chat_id))).options
        model = options.model or await self._default_model(options.provider)
        work = await self._work(chat_id, options, model, text, files)
        choice = await self._roads(options.provider, model, work, priority)

        def unit(connection: Connection) -> tuple[Message, int]:
            now_ms = time.time_ns() // 1_000_000
            messages.refuse_busy(connection, chat_id)
            question = messages.add_question(connection, chat_id, text, files, now_ms, draft=draft)
            job_id = self._order(connection, question, options, model, choice, now_ms)
            return messages.get(connection, question.id), job_id

        asked = Asked(*await self._database.write(unit), choice)
        await self._wake()
        return asked

    async def compare(
        self, chat_id: int | None, options: ChatOptions, text: str, attachments: Sequence[Path | str] = ()
    ) -> tuple[Work, Choice]:
        """What a question would take on each road, for somebody who waits at the screen; nothing is stored or sent.

        Raises:
            UsageError: A file cannot go along, or there is no such provider.
        """
        files = [await asyncio.to_thread(load_file, path) for path in attachments]
        model = options.model or self._registry.info(options.provider).model
        work = replace(await self._work(chat_id, options, model, text, files), waiting=True)
        return work, await self._roads(options.provider, model, work, None)

    async def deliver(self) -> int:
        """Put answers that are there into their chats, as the worker does; how many there were."""
        if not await self._database.read(later_answers.any_due):
            return 0
        return await self._database.write(lambda c: later_answers.deliver(c, time.time_ns() // 1_000_000))

    async def _default_model(self, provider: str) -> str:
        info = self._registry.info(provider)
        if info.model:
            return info.model
        try:
            found = next((model.id for model in await self._registry.get(provider).models()), "")
        except ProviderError as error:
            raise UsageError(f"Which model is not known: {error.title}", "Choose one first.") from error
        if not found:
            raise UsageError(f"{provider} offers no model", "Choose one first.")
        return found

    async def _work(
        self, chat_id: int | None, options: ChatOptions, model: str, text: str, files: Sequence[FileText]
    ) -> Work:
        tokens = self._costs.tokens
        given = tokens.text(text, model) + sum(tokens.text(file.text, model) for file in files)
        if chat_id is not None:
            said = await self._database.read(lambda c: self._request(c, chat_id, options, model))
            given += tokens.prompt(said.messages, model)
        return Work(1, given, options.max_tokens or _ASSUMED_ANSWER)

    def _order(
        self, connection: Connection, question: Message, options: ChatOptions, model: str, choice: Choice, now_ms: int
    ) -> int:
        request = self._request(connection, question.chat_id, options, model)
        spec = _spec(question, options.provider, model, choice.priority)
        document = Document(f"message {question.id}", spec.name, body=_body(request))
        # The desk is told by how long it takes at least, a provider's batch by what is promised.
        seconds = choice.offer.end_seconds[0 if choice.road is Road.DESK else 1]
        return later_answers.order(connection, question, spec, document, choice.road, round(seconds), now_ms)

    def _request(self, connection: Connection, chat_id: int, options: ChatOptions, model: str) -> ReplyRequest:
        """All that was said in a chat, with the question at its end once it is stored."""
        history = messages.page(connection, chat_id, 0, messages.count(connection, chat_id))
        files = messages.attachment_texts(connection, history)
        return build_request(options, model, later.as_read(connection, chat_id, history, None), files)


def _spec(question: Message, provider: str, model: str, priority: Priority) -> JobSpec:
    about = clean_line(question.text, _LONGEST_NAME) or question.attachments[0].name
    return JobSpec(
        clean_line(f"Later: {about}", _LONGEST_NAME),
        Recipe(Kind.REQUESTS),
        (Source(SourceKind.CHAT, str(question.chat_id)),),
        provider,
        model,
        priority,
        chat_id=question.chat_id,
    )


def _body(request: ReplyRequest) -> str:
    """A request as the body of a chat completion, which is what jobs carry."""
    body = {"model": request.model, "messages": [{"role": m.role.value, "content": m.text} for m in request.messages]}
    given = {"temperature": request.temperature, "max_tokens": request.max_tokens}
    return json.dumps(body | {name: value for name, value in given.items() if value is not None})
