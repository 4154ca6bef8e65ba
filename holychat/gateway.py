"""One door to every road: a live stream, the desk, a provider's batch service. The same three words choose everywhere.

    from holychat import Gateway, Priority, Task

    async with Gateway.open() as gateway:
        async for text in gateway.stream(Task("Why is the sky blue?")):
            print(text, end="")

        ticket = await gateway.submit([Task(f"Translate: {line}", id=str(n)) for n, line in enumerate(lines)])
        print(ticket.road, ticket.reasons)
        for answer in await ticket:
            print(answer.id, answer.text or answer.failure)

HIGH goes to a live stream, MEDIUM to the desk (many requests at once, in a worker process of its own), LOW to the
provider's batch service where it has one, else to the desk at background rate. What is asked and answered is kept in
the person's history like everything else; prices, keys, limits and settings are those of `holychat`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from holychat.chat.earlier import add_earlier
from holychat.domain.chat import ChatOptions, MessageState, Role
from holychat.domain.events import TextDelta, TurnEnded
from holychat.domain.failures import Failure
from holychat.domain.jobs import ENDED_JOBS, ItemState, JobLimits, JobSpec, Kind, Priority, Recipe, Source, SourceKind
from holychat.domain.request import PromptMessage
from holychat.domain.roads import Choice, Road, Work, choose
from holychat.domain.tasks import NEED_SOMEBODY, Answer, Standing, Task
from holychat.errors import HolychatError, JobPaused, UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Generator, Mapping, Sequence
    from pathlib import Path

    from holychat.chat.turn import Turn
    from holychat.domain.chat import Message
    from holychat.domain.jobs import Job
    from holychat.services import Services

_PAGE = 200
_POLL_SECONDS = 0.25
_GO_ON = "`holychat batch resume {}` (--budget USD for more money) or the app lets it go on; then await it again."
_ASSUMED_ANSWER = 300
"""Tokens that an answer without a limit is taken to have, for choosing a road."""


class Ticket:
    """What `Gateway.submit` gives: poll it, or await it for the answers in the order of the tasks."""

    def __init__(self, name: str, choice: Choice) -> None:
        self.name = name
        """"job 12", or "chat 7" for a live one: what the app and the shell know it by."""
        self.choice = choice

    @property
    def road(self) -> Road:
        """The road that is taken."""
        return self.choice.road

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why."""
        return self.choice.reasons

    async def poll(self) -> Standing:
        """How far it is, now."""
        raise NotImplementedError

    async def cancel(self) -> None:
        """End it; what is answered stays."""
        raise NotImplementedError

    async def answers(self) -> tuple[Answer, ...]:
        """All answers in the order of the tasks, once it has ended.

        Raises:
            JobPaused: A job lacks money, a key or room on the disk; once it was resumed it can be awaited again.
        """
        raise NotImplementedError

    def __await__(self) -> Generator[Any, None, tuple[Answer, ...]]:
        return self.answers().__await__()


class Gateway:
    """Streams and submits. Made by `open`; belongs to one event loop."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, home: Path | str | None = None) -> AsyncIterator[Gateway]:
        """The gateway over this person's settings, keys and history, closed at the end; what the desk does goes on.

        Args:
            home: Where all of it is instead of the usual folders, as HOLYCHAT_HOME says it.

        Raises:
            SettingsError: The settings cannot be used.
            StoreError: The history cannot be opened.
        """
        from holychat.paths import HOME_VARIABLE, Paths
        from holychat.services import open_services
        from holychat.settings import load_settings

        environ = os.environ if home is None else {**os.environ, HOME_VARIABLE: str(home)}
        paths = Paths.resolve(environ)
        settings = load_settings(paths.config_file, environ)
        services = await asyncio.to_thread(open_services, paths, settings, environ)
        try:
            yield cls(services)
        finally:
            await services.close()

    async def advise(
        self,
        tasks: Task | Sequence[Task],
        *,
        waiting: bool = False,
        within_seconds: float | None = None,
        budget_usd: float | None = None,
    ) -> Choice:
        """Which road suits these tasks, whatever their priority says, with what each road offers.

        Args:
            tasks: What is asked.
            waiting: Somebody looks at the screen until it is there.
            within_seconds: How long it may take; None: no matter.
            budget_usd: What it may cost; None: no matter.
        """
        tasks = _listed(tasks)
        budget = None if budget_usd is None else round(budget_usd * 1_000_000)
        return await self._choice(tasks, None, waiting, within_seconds, budget)

    async def stream(self, task: Task) -> AsyncGenerator[str, None]:
        """The answer as it arrives, whatever the task's priority. Ending the iteration early stops and keeps it.

        Raises:
            HolychatError: It could not be asked, or broke off; what had arrived was given and is kept.
        """
        turn = await self._begin(task)
        try:
            async with aclosing(turn.events()) as events:
                async for event in events:
                    if isinstance(event, TextDelta):
                        yield event.text
                    elif isinstance(event, TurnEnded):
                        _raise_for(event.message)
        finally:
            turn.stop()

    async def submit(self, tasks: Task | Sequence[Task], *, name: str = "", budget_usd: float | None = None) -> Ticket:
        """Have tasks done on the road of their priority; they share provider, priority and callback_url.

        Args:
            tasks: What is asked; ids must differ.
            name: Of the job, for people.
            budget_usd: What the job may cost; it pauses before it could cost more.

        Raises:
            UsageError: The tasks do not go together, or cannot be sent.
        """
        tasks = _listed(tasks)
        choice = await self._choice(tasks, tasks[0].priority)
        if choice.road is Road.LIVE:
            if tasks[0].callback_url:
                raise UsageError("A live stream has nobody to call back", "Give the task a medium or low priority.")
            return _LiveTicket(self, tasks, choice)
        job = await self._order(tasks, name, budget_usd)
        return _DeskTicket(self._services, job.id, [task.id for task in tasks], choice)

    async def ticket(self, job_id: int) -> Ticket:
        """The ticket of a job that was submitted before, by this program or another one.

        Raises:
            UsageError: There is no such job.
        """
        job = await self._services.jobs.get(job_id)
        work = Work(max(1, job.counts.total), job.input_tokens, job.output_tokens)
        facts = await self._facts(job.spec.provider, job.spec.model, work)
        return _DeskTicket(self._services, job_id, [], choose(work, facts, job.spec.priority))

    # Inside

    async def _choice(
        self,
        tasks: Sequence[Task],
        priority: Priority | None,
        waiting: bool = False,
        within: float | None = None,
        budget: int | None = None,
    ) -> Choice:
        first = tasks[0]
        measure = self._services.costs.tokens
        given = sum(measure.prompt(_prompt(task), task.model) for task in tasks)
        made = sum(task.max_tokens or _ASSUMED_ANSWER for task in tasks)
        work = Work(len(tasks), given, made, waiting, within, budget)
        return choose(work, await self._facts(*self._whom(first), work), priority)

    async def _facts(self, provider: str, model: str, work: Work) -> Any:
        from holychat.jobs.roads import facts_of

        own = self._services
        return await facts_of(own.database, own.costs, own.registry, own.settings, provider, model, work)

    def _whom(self, task: Task) -> tuple[str, str]:
        """Provider and model that are asked."""
        chat = self._services.settings.chat
        provider = task.provider or chat.provider
        return provider, task.model or chat.model_of(provider)

    async def _begin(self, task: Task) -> Turn:
        options = self._services.chats.default_options()
        prompt = _prompt(task)
        system = "\n\n".join(message.text for message in prompt if message.role is Role.SYSTEM)
        wanted = ChatOptions(
            *self._whom(task),
            system or options.system,
            options.temperature if task.temperature is None else task.temperature,
            task.max_tokens or options.max_tokens,
        )
        said = [message for message in prompt if message.role is not Role.SYSTEM]
        chat = await self._services.chats.create(wanted)
        if said[:-1]:
            now_ms = time.time_ns() // 1_000_000
            await self._services.database.write(lambda c: add_earlier(c, chat, said[:-1], now_ms))
        return await self._services.chats.send(chat.id, said[-1].text)

    async def _order(self, tasks: Sequence[Task], name: str, budget_usd: float | None) -> Job:
        own, first = self._services, tasks[0]
        provider, model = self._whom(first)
        file = await asyncio.to_thread(_spool, own.paths.lists, tasks)
        limits = JobLimits(budget_micros=None if budget_usd is None else round(budget_usd * 1_000_000))
        spec = JobSpec(
            name=name or f"{len(tasks)} tasks",
            recipe=Recipe(Kind.REQUESTS),
            sources=(Source(SourceKind.REQUESTS, str(file)),),
            provider=provider,
            model=model,
            priority=first.priority,
            limits=limits,
            callback_url=first.callback_url,
        )
        try:
            job = await own.jobs.create(spec)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        return await own.jobs.confirm(job.id)


class _DeskTicket(Ticket):
    """A job of the desk, or of a provider's batch service: it goes on without this process."""

    def __init__(self, services: Services, job_id: int, ids: Sequence[str], choice: Choice) -> None:
        super().__init__(f"job {job_id}", choice)
        self.job_id = job_id
        self._services = services
        self._ids = ids

    async def poll(self) -> Standing:
        job = await self._services.jobs.get(self.job_id)
        counts = job.counts
        total = max(counts.total, len(self._ids))
        waiting = job.pause_detail or job.progress.waiting_for
        return Standing(counts.of(ItemState.DONE), total, job.state in ENDED_JOBS, job.state.value, waiting)

    async def cancel(self) -> None:
        await self._services.jobs.cancel(self.job_id)

    async def answers(self) -> tuple[Answer, ...]:
        while (job := await self._services.jobs.get(self.job_id)).state not in ENDED_JOBS:
            if job.pause in NEED_SOMEBODY:
                raise JobPaused(f"Job {job.id} is paused: {job.pause_detail or job.pause}", _GO_ON.format(job.id))
            await self._services.jobs.ensure_worker()
            await asyncio.sleep(_POLL_SECONDS)
        found: list[Answer] = []
        while page := await self._services.jobs.items(self.job_id, len(found), _PAGE):
            for item in page:
                detail = await self._services.jobs.item(item.id)
                text = detail.result or detail.partial or ""
                number = item.document.custom_id or str(item.ordinal + 1)
                found.append(Answer(number, text, item.state, item.failure, item.usage, item.cost, item.model))
        return tuple(found)


class _LiveTicket(Ticket):
    """Tasks that are streamed one after the other, as long as the gateway is open."""

    def __init__(self, gateway: Gateway, tasks: Sequence[Task], choice: Choice) -> None:
        super().__init__("live", choice)
        self._gateway = gateway
        self._tasks = tasks
        self._answers: list[Answer] = []
        self._running = asyncio.create_task(self._run())

    async def poll(self) -> Standing:
        ended = self._running.done()
        done = sum(answer.state is ItemState.DONE for answer in self._answers)
        return Standing(done, len(self._tasks), ended, "finished" if ended else "running")

    async def cancel(self) -> None:
        self._running.cancel()
        await asyncio.wait({self._running})

    async def answers(self) -> tuple[Answer, ...]:
        await asyncio.wait({self._running})
        left = self._tasks[len(self._answers) :]
        return (*self._answers, *(Answer(task.id, "", ItemState.CANCELLED) for task in left))

    async def _run(self) -> None:
        for task in self._tasks:
            self._answers.append(await self._one(task))

    async def _one(self, task: Task) -> Answer:
        try:
            turn = await self._gateway._begin(task)  # noqa: SLF001  # the two are one room
        except HolychatError as error:
            return Answer(task.id, "", ItemState.FAILED, Failure.of(error))
        ended: Message | None = None
        try:
            async with aclosing(turn.events()) as events:
                async for event in events:
                    if isinstance(event, TurnEnded):
                        ended = event.message
        finally:
            turn.stop()
        assert ended is not None
        states = {MessageState.COMPLETE: ItemState.DONE, MessageState.INTERRUPTED: ItemState.IN_DOUBT}
        state = states.get(ended.state, ItemState.FAILED)
        return Answer(task.id, ended.text, state, ended.failure, ended.usage, ended.cost, ended.model)


def _listed(tasks: Task | Sequence[Task]) -> list[Task]:
    """Tasks that go together, each with an id."""
    found = [tasks] if isinstance(tasks, Task) else list(tasks)
    if not found:
        raise UsageError("There are no tasks")
    found = [task if task.id else replace(task, id=str(place)) for place, task in enumerate(found, 1)]
    if len({task.id for task in found}) < len(found):
        raise UsageError("Two tasks have the same id", "An answer is known by it: give each its own, or none.")
    if len({(task.provider, task.priority, task.callback_url) for task in found}) > 1:
        raise UsageError(
            "These tasks do not go together", "Submit tasks of another provider, priority or callback_url on their own."
        )
    for task in found:
        _prompt(task)
    return found


def _prompt(task: Task) -> tuple[PromptMessage, ...]:
    if isinstance(task.messages, str):
        said = [PromptMessage(Role.USER, task.messages)]
    else:
        said = [_message(message) for message in task.messages]
    if not said or said[-1].role is not Role.USER or not said[-1].text.strip():
        raise UsageError("A task ends with a question of the user", 'For example Task("Why is the sky blue?").')
    return tuple(said)


def _message(message: tuple[str, str] | Mapping[str, str]) -> PromptMessage:
    role, text = message if isinstance(message, tuple) else (message.get("role", ""), message.get("content", ""))
    try:
        return PromptMessage(Role(role), text)
    except ValueError:
        raise UsageError(f"There is no role {role!r}", "It is system, user or assistant.") from None


def _spool(folder: Path, tasks: Sequence[Task]) -> Path:
    """The tasks as a file of requests that the worker can read at any time. Blocking."""
    import json
    import secrets

    from holychat.paths import make_private_directory, private_file

    target = make_private_directory(folder) / f"{secrets.token_hex(8)}.jsonl"
    with private_file(target) as file:
        for task in tasks:
            body: dict[str, Any] = {"messages": [{"role": m.role.value, "content": m.text} for m in _prompt(task)]}
            given = {"model": task.model, "temperature": task.temperature, "max_tokens": task.max_tokens}
            body |= {name: value for name, value in given.items() if value not in (None, "")}
            line = {"custom_id": task.id, "method": "POST", "url": "/v1/chat/completions", "body": body}
            file.write(json.dumps(line) + "\n")
    return target


def _raise_for(message: Message) -> None:
    """Make an error of an end that is none."""
    if message.failure is not None and message.state is not MessageState.STOPPED:
        raise HolychatError(message.failure.title, message.failure.hint)
