"""When a turn sends again, and when it does not."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import pytest

from holychat.chat.retry import RetryPolicy
from holychat.domain.chat import MessageState
from holychat.domain.events import (
    ReasoningDelta,
    RetryScheduled,
    TextDelta,
    TurnEnded,
)
from holychat.errors import KeyRejected, RateLimited
from holychat.store import messages
from tests.chat.tools import START, ask, ended, run, until, use
from tests.support.loopback import Loopback, error_reply, stream_of

if TYPE_CHECKING:
    from holychat.services import Services


def kinds(events: list[object]) -> list[str]:
    return [type(event).__name__ for event in events]


async def stored(services: Services, message_id: int) -> object:
    return await services.database.read(lambda c: messages.get(c, message_id))


async def test_a_refused_request_is_sent_again_and_the_wait_is_told(services: Services, loopback: Loopback) -> None:
    loopback.chat(error_reply(429), error_reply(503), stream_of("Hello"))
    events = await run((await ask(services))[1])
    assert kinds(events)[:3] == ["RetryScheduled", "RetryScheduled", "ReplyStarted"]
    assert [(event.attempt, event.attempts, event.failure.kind) for event in events[:2]] == [
        (2, 3, "RateLimited"), (3, 3, "Overloaded"),
    ]  # fmt: skip
    assert (events[-1].message.state, events[-1].message.timing.attempts) == (MessageState.COMPLETE, 3)
    assert len(loopback.requests) == 3


async def test_after_the_last_attempt_the_failure_is_told(services: Services, loopback: Loopback) -> None:
    loopback.chat(error_reply(503))
    message = await ended((await ask(services))[1])
    assert (message.state, message.failure.kind, message.timing.attempts) == (MessageState.FAILED, "Overloaded", 3)
    assert len(loopback.requests) == 3


@pytest.mark.parametrize("delta", [TextDelta("x"), ReasoningDelta("x")], ids=["text", "reasoning"])
async def test_nothing_is_sent_again_once_something_was_visible(services: Services, delta: object) -> None:
    provider = use(services, START, delta, RateLimited("no"))
    message = await ended((await ask(services))[1])
    assert len(provider.requests) == 1
    assert message.state is MessageState.INTERRUPTED


async def test_what_can_not_be_helped_by_a_retry_is_not_retried(services: Services) -> None:
    provider = use(services, KeyRejected("no"))
    await ended((await ask(services))[1])
    assert len(provider.requests) == 1


@pytest.mark.parametrize("form", ["seconds", "date", "milliseconds"])
async def test_the_provider_says_how_long_to_wait(services: Services, loopback: Loopback, form: str) -> None:
    headers = {
        "seconds": {"retry-after": "1"},
        "date": {"retry-after": formatdate(time.time() + 2, usegmt=True)},
        "milliseconds": {"retry-after-ms": "1000"},
    }[form]
    loopback.chat(error_reply(429, headers=headers), stream_of("Hello"))
    began = time.monotonic()
    events = await run((await ask(services))[1])
    waited = time.monotonic() - began
    assert 0.3 < events[0].delay <= 2.2
    assert waited >= events[0].delay
    assert events[-1].message.state is MessageState.COMPLETE


async def test_a_wait_that_is_too_long_is_left_to_the_person(services: Services, loopback: Loopback) -> None:
    loopback.chat(error_reply(429, headers={"retry-after": "200"}))
    message = await ended((await ask(services))[1])
    assert message.state is MessageState.FAILED
    assert "3 min 20 s" in message.failure.hint
    assert len(loopback.requests) == 1


async def test_a_wait_for_a_retry_can_be_stopped(services: Services, loopback: Loopback) -> None:
    loopback.chat(error_reply(429, headers={"retry-after": "50"}))
    _, turn = await ask(services)
    events = turn.events()
    await until(events, lambda event: isinstance(event, RetryScheduled))
    turn.stop()
    last = await until(events, lambda event: isinstance(event, TurnEnded))
    assert last.message.state is MessageState.STOPPED


def test_the_policy_of_the_settings_is_the_number_of_retries() -> None:
    assert RetryPolicy(5).attempts == 6
