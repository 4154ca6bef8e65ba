"""Short ways to ask a provider in the tests of this folder."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from holychat.domain.chat import Role
from holychat.domain.events import ReasoningDelta, ReplyEvent, TextDelta, TurnFinished, UsageReported
from holychat.domain.request import PromptMessage, ProviderInfo, ReplyRequest
from holychat.errors import ProviderError
from holychat.log import Masker
from holychat.providers.openai import OpenAIProvider
from holychat.settings import NetworkSettings

if TYPE_CHECKING:
    from holychat.domain.usage import Usage
    from holychat.providers.endpoint import Endpoint

KEY = "sk-test-4fQ9zT7bWx1LrN5cVy8KpHd2Mj6GsAe3"
REQUEST = ReplyRequest("test-model", (PromptMessage(Role.USER, "Hi"),))


class FakeSecret:
    """Stands in for credentials.secret.Secret, which this room does not import."""

    def __init__(self, value: str = KEY) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value


def provider(
    base_url: str, *, key: str | None = KEY, idle: float = 20.0, connect: float = 5.0, needs_key: bool = True
) -> OpenAIProvider:
    info = ProviderInfo("test", "openai", base_url, "test-model", needs_key)
    secret = None if key is None else FakeSecret(key)
    network = NetworkSettings(connect_timeout=connect, idle_timeout=idle)
    return OpenAIProvider(info, key=secret, network=network, masker=Masker())


@dataclass
class Outcome:
    """What came of one streamed request."""

    events: list[ReplyEvent] = field(default_factory=list)
    error: ProviderError | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def usage(self) -> Usage | None:
        reports = [event.usage for event in self.events if isinstance(event, UsageReported)]
        return reports[-1] if reports else None

    @property
    def finish(self) -> str | None:
        last = self.events[-1] if self.events else None
        return last.finish_reason if isinstance(last, TurnFinished) else None


async def outcome_of(asked: Endpoint, request: ReplyRequest = REQUEST) -> Outcome:
    outcome = Outcome()
    try:
        async with aclosing(asked.stream(request)) as events:
            async for event in events:
                outcome.events.append(event)
    except ProviderError as error:
        outcome.error = error
    return outcome


async def ask(base_url: str, *, idle: float = 20.0, request: ReplyRequest = REQUEST) -> Outcome:
    """One streamed request to a provider made for it."""
    asked = provider(base_url, idle=idle)
    try:
        return await outcome_of(asked, request)
    finally:
        await asked.aclose()
