"""Whole messages of Anthropic over a lane, and providers of that kind as the registry makes them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.domain.request import ProviderInfo, RateLimits, RawReply
from holychat.errors import KeyMissing, KeyRejected, Outcome, Overloaded, RateLimited, ReplyBroken
from holychat.log import Masker
from holychat.providers.anthropic import AnthropicProvider
from tests.offline.test_registry import registry_of
from tests.providers.claudes import HI, claude, messages
from tests.providers.tools import KEY, FakeSecret, outcome_of
from tests.support.loopback import CUT, RESET, Gate, Loopback, Request, Script, error_reply
from tests.support.messages import message_stream, refusal, trouble, whole_message

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

JSON = {"content-type": "application/json"}


@pytest.fixture
async def asked(loopback: Loopback) -> AsyncIterator[AnthropicProvider]:
    made = claude(loopback.url, connections=20)
    yield made
    await made.aclose()


async def test_a_message_is_sent_for_kept_raw_and_read_later(loopback: Loopback, asked: AnthropicProvider) -> None:
    messages(loopback, whole_message("Hello", thought="Hm"))
    raw = await asked.send(HI)
    assert (raw.status, raw.request_id, raw.limits) == (200, "req-1", None)
    assert json.loads(raw.body)["content"][1]["text"] == "Hello"
    reply = claude("http://elsewhere.invalid", key=None).read(RawReply(raw.status, raw.body, raw.request_id))
    assert (reply.text, reply.reasoning, reply.finish_reason, reply.request_id) == ("Hello", "Hm", "stop", "req-1")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 34)


async def test_the_request_is_the_same_as_over_the_ordinary_road(loopback: Loopback, asked: AnthropicProvider) -> None:
    messages(loopback, whole_message("x"))
    await asked.send(HI)
    ordinary = claude(loopback.url)
    await ordinary.send(HI)
    await ordinary.aclose()
    ours, theirs = loopback.requests
    assert (ours.path, ours.query, ours.body) == (theirs.path, theirs.query, theirs.body)
    assert {**ours.headers, "connection": "keep-alive"} == theirs.headers
    assert ours.headers["x-api-key"] == KEY


async def test_limits_come_with_replies_and_with_refusals(loopback: Loopback, asked: AnthropicProvider) -> None:
    named = {
        "date": "Sun, 01 Mar 2026 12:00:00 GMT",
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "59",
        "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:01Z",
    }
    limits = RateLimits(60.0, 59.0, 1.0)
    reply = whole_message("x")
    messages(
        loopback,
        replace(reply, headers={**reply.headers, **named}),
        refusal(429, "rate_limit_error", headers={**named, "retry-after": "2"}),
        refusal(529, "overloaded_error"),
    )
    assert (await asked.send(HI)).limits == limits
    with pytest.raises(RateLimited) as refused:
        await asked.send(HI)
    assert (refused.value.limits, refused.value.retry_after) == (limits, 2.0)
    with pytest.raises(Overloaded) as busy:
        await asked.send(HI)
    assert busy.value.outcome is Outcome.REFUSED


@pytest.mark.parametrize(
    ("script", "outcome"),
    [
        pytest.param(Script(200, JSON, [b'{"type":"message","content":[{"ty', CUT]), Outcome.AMBIGUOUS, id="cut"),
        pytest.param(Script(pieces=[RESET], framing="raw"), Outcome.AMBIGUOUS, id="reset"),
        pytest.param(Script(200, JSON, [b"<html>"]), Outcome.AMBIGUOUS, id="web page"),
        pytest.param(
            Script(200, JSON, [json.dumps(trouble("overloaded_error")).encode()]), Outcome.REFUSED, id="error with 200"
        ),
    ],
)
async def test_what_may_have_been_billed_is_in_doubt(
    loopback: Loopback, asked: AnthropicProvider, script: Script, outcome: Outcome
) -> None:
    messages(loopback, script)
    with pytest.raises((ReplyBroken, Overloaded)) as caught:
        await asked.send(HI)
    assert caught.value.outcome is outcome
    assert len(loopback.requests) == 1


async def test_a_key_is_found_once_for_many_requests_and_again_when_it_was_rejected(loopback: Loopback) -> None:
    keys = [FakeSecret("sk-old-0000000000000000"), FakeSecret("sk-new-0000000000000000")]
    rejected: list[object] = []

    def by_key(request: Request) -> Script:
        if "sk-new" in request.headers["x-api-key"]:
            return whole_message("ok")
        return refusal(401, "authentication_error", "invalid x-api-key")

    messages(loopback, by_key)
    made = AnthropicProvider(
        ProviderInfo("test", "anthropic", loopback.url, "m", True),
        key=lambda: keys[len(set(rejected))],
        masker=Masker(),
        connections=20,
        on_rejected=rejected.append,
    )
    first = await asyncio.gather(*(made.send(HI) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(error, KeyRejected) for error in first)
    await asyncio.gather(*(made.send(HI) for _ in range(5)))
    await made.aclose()
    assert set(rejected) == {keys[0]}


async def test_as_many_requests_are_under_way_as_are_wanted(loopback: Loopback, asked: AnthropicProvider) -> None:
    gate = Gate()
    reply = whole_message("x")
    messages(loopback, Script(200, reply.headers, [gate, *reply.pieces], "chunked"))
    running = [asyncio.create_task(asked.send(HI)) for _ in range(60)]
    await asyncio.to_thread(loopback.wait_for, 60)
    gate.open()
    assert len(await asyncio.gather(*running)) == 60


# As the registry makes them


async def test_the_built_in_one_asks_where_the_environment_says_with_its_own_key(loopback: Loopback) -> None:
    messages(loopback, message_stream("Hi"), whole_message("Hi"))
    environ = {"ANTHROPIC_API_KEY": "sk-of-anthropic", "OPENAI_API_KEY": "sk-of-openai"}
    registry = registry_of(f'[providers.anthropic]\nbase_url = "{loopback.url}"', environ)
    assert (await outcome_of(registry.get("anthropic"), HI)).text == "Hi"  # type: ignore[arg-type]
    lane = registry.lane("anthropic", connections=5)
    assert lane.read(await lane.send(HI)).text == "Hi"
    await lane.aclose()
    await registry.aclose()
    assert [request.headers["x-api-key"] for request in loopback.requests] == ["sk-of-anthropic"] * 2
    assert all("sk-of-openai" not in str(request.headers) for request in loopback.requests)


async def test_without_its_own_key_nothing_is_sent(loopback: Loopback) -> None:
    settings = f'[providers.anthropic]\nbase_url = "{loopback.url}"'
    registry = registry_of(settings, {"OPENAI_API_KEY": "sk-of-openai"})
    with pytest.raises(KeyMissing):
        await registry.get("anthropic").complete(HI)
    assert not loopback.requests


async def test_a_host_of_ones_own_may_speak_messages_and_need_no_key(loopback: Loopback) -> None:
    messages(loopback, whole_message("Hi"))
    loopback.models("its-model")
    registry = registry_of(f'[providers.mine]\nkind = "anthropic"\nbase_url = "{loopback.base_url}"')
    reply = await registry.get("mine").complete(replace(HI, model=""))
    await registry.aclose()
    assert reply.text == "Hi"
    assert [request.path for request in loopback.requests] == ["/v1/models", "/v1/messages"]
    assert loopback.requests[1].json["model"] == "its-model"
    assert "x-api-key" not in loopback.requests[1].headers


async def test_a_context_of_the_settings_bounds_the_length_that_is_asked_for(loopback: Loopback) -> None:
    messages(loopback, whole_message("Hi"))
    settings = (
        f'[providers.mine]\nkind = "anthropic"\nbase_url = "{loopback.url}"\nmodel = "tiny-1"\n'
        '[prices.mine."tiny-1"]\ncontext = 8192\n'
    )
    registry = registry_of(settings)
    await registry.get("mine").complete(replace(HI, model="tiny-1"))
    await registry.aclose()
    assert loopback.requests[0].json["max_tokens"] == 4096


async def test_a_key_is_checked_without_a_message(loopback: Loopback) -> None:
    from holychat.credentials.secret import Secret

    loopback.models("m")
    registry = registry_of(f'[providers.anthropic]\nbase_url = "{loopback.url}"')
    await registry.check_key("anthropic", Secret("sk-ant-1234567890"))
    loopback.on("/v1/models", error_reply(401, "no"), method="GET")
    with pytest.raises(KeyRejected):
        await registry.check_key("anthropic", Secret("sk-ant-1234567890"))
    assert all(request.method == "GET" for request in loopback.requests)
    await registry.aclose()
