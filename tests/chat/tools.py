"""Shorthands of the chat's tests."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holychat.chat.retry import RetryPolicy
from holychat.domain.events import ReasoningDelta, ReplyStarted, TextDelta, TurnEnded, TurnFinished
from holychat.domain.request import ProviderInfo
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import ChatSettings, NetworkSettings, ProviderSettings, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from holychat.chat.turn import Turn
    from holychat.domain.chat import Message
    from holychat.domain.events import ReplyEvent, TurnEvent
    from holychat.domain.request import ModelInfo, Reply, ReplyRequest
    from holychat.services import Services

START = ReplyStarted("req-1", "test-model")
DONE = TurnFinished("stop")
DEADLINE = 20.0
QUICK = RetryPolicy(2, first_delay=0.01, longest_delay=0.02)


def open_home(
    home: Path, base_url: str, *, key: bool = False, idle: float = 60.0, policy: RetryPolicy = QUICK
) -> Services:
    """Services of one HOLYCHAT_HOME, all of whose messages go to `base_url`."""
    provider = ProviderSettings(base_url=base_url, model="test-model", needs_key=key)
    settings = Settings(
        network=NetworkSettings(idle_timeout=idle),
        chat=ChatSettings(provider="test"),
        providers={"test": provider},
    )
    services = open_services(Paths.resolve({"HOLYCHAT_HOME": str(home)}), settings, {})
    services.chats._turns._policy = policy
    return services


async def run(turn: Turn) -> list[TurnEvent]:
    """All events of a turn."""
    async with asyncio.timeout(DEADLINE):
        return [event async for event in turn.events()]


async def ended(turn: Turn) -> Message:
    """The answer of a turn, once it is over."""
    last = (await run(turn))[-1]
    assert isinstance(last, TurnEnded)
    return last.message


async def until(events: AsyncGenerator[TurnEvent, None], wanted: Callable[[TurnEvent], bool]) -> TurnEvent:
    """Read events up to the one that is wanted."""
    async with asyncio.timeout(DEADLINE):
        async for event in events:
            if wanted(event):
                return event
    raise AssertionError("the turn ended before")


def has_text(text: str) -> Callable[[TurnEvent], bool]:
    """Whether an event is this piece of text or reasoning."""
    return lambda event: isinstance(event, TextDelta | ReasoningDelta) and event.text == text


async def eventually(condition: Callable[[], object], what: str = "it") -> None:
    """Wait for a condition on the event loop."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {DEADLINE} s"
        await asyncio.sleep(0.005)


async def ask(services: Services, text: str = "why?") -> tuple[int, Turn]:
    """A new chat and the turn of its first question."""
    chat = await services.chats.create()
    return chat.id, await services.chats.send(chat.id, text)


@dataclass
class ScriptedProvider:
    """A provider that yields what it is given; an exception among it is raised, an awaitable function is awaited."""

    script: list[object]
    info: ProviderInfo = field(
        default_factory=lambda: ProviderInfo("test", "openai", "", "test-model", needs_key=False)
    )
    requests: list[ReplyRequest] = field(default_factory=list)
    closed: int = 0

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """See `Provider.stream`."""
        self.requests.append(request)
        try:
            for step in self.script:
                if isinstance(step, BaseException):
                    raise step
                if callable(step):
                    await step()
                else:
                    yield step
        finally:
            self.closed += 1

    async def complete(self, request: ReplyRequest) -> Reply:
        """See `Provider.complete`."""
        raise NotImplementedError

    async def models(self) -> tuple[ModelInfo, ...]:
        """See `Provider.models`."""
        return ()

    def warnings(self) -> tuple[str, ...]:
        """See `Provider.warnings`."""
        return ()

    async def warm(self) -> None:
        """See `Provider.warm`."""

    async def aclose(self) -> None:
        """See `Provider.aclose`."""


def use(services: Services, *script: object) -> ScriptedProvider:
    """Let the default provider of these services play a script."""
    provider = ScriptedProvider(list(script))
    services.registry._built["test"] = provider
    return provider


async def texts(services: Services, chat_id: int) -> list[str]:
    """What stands in a chat."""
    return [message.text for message in (await services.chats.tail(chat_id, 100))[1]]


async def talked(services: Services, *exchanges: tuple[str, str]) -> tuple[int, list[Message]]:
    """A chat in which these questions had these answers."""
    chat = await services.chats.create()
    for question, reply in exchanges:
        use(services, START, TextDelta(reply), DONE)
        await ended(await services.chats.send(chat.id, question))
    return chat.id, (await services.chats.tail(chat.id, 100))[1]
