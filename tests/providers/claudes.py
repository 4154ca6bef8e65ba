"""Short ways to ask an Anthropic provider in the tests of this folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.chat import Role
from holychat.domain.request import PromptMessage, ProviderInfo, ReplyRequest
from holychat.log import Masker
from holychat.providers.anthropic import AnthropicProvider
from holychat.settings import NetworkSettings
from tests.providers.tools import KEY, FakeSecret, Outcome, outcome_of

if TYPE_CHECKING:
    from tests.support.loopback import Answer, Loopback

HI = ReplyRequest("claude-test-1", (PromptMessage(Role.USER, "Hi"),))


def claude(
    base_url: str,
    *,
    key: str | None = KEY,
    idle: float = 20.0,
    connections: int | None = None,
    window: int | None = None,
) -> AnthropicProvider:
    return AnthropicProvider(
        ProviderInfo("test", "anthropic", base_url, "claude-test-1", True),
        key=None if key is None else FakeSecret(key),
        network=NetworkSettings(idle_timeout=idle),
        masker=Masker(),
        connections=connections,
        context_window=lambda _: window,
    )


def messages(loopback: Loopback, *answers: Answer) -> None:
    loopback.on("/v1/messages", *answers)


async def ask_claude(loopback: Loopback, *, idle: float = 20.0, request: ReplyRequest = HI) -> Outcome:
    asked = claude(loopback.url, idle=idle)
    try:
        return await outcome_of(asked, request)
    finally:
        await asked.aclose()
