"""Whole replies over a lane: what is sent, what comes back, keys and connections."""

from __future__ import annotations

import asyncio
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holychat.domain.request import ProviderInfo, RateLimits, RawReply
from holychat.errors import (
    KeyRejected,
    RateLimited,
)  # fmt: skip
from holychat.log import Masker
from holychat.providers.openai import OpenAIProvider
from tests.providers.lanes import laned, send
from tests.providers.tools import KEY, REQUEST, FakeSecret
from tests.support.loopback import (
    FOREVER,
    Gate,
    Loopback,
    Request,
    Script,
    error_reply,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
JSON = {"content-type": "application/json"}


@pytest.fixture
async def asked(loopback: Loopback) -> AsyncIterator[OpenAIProvider]:
    made = laned(loopback.base_url)
    yield made
    await made.aclose()


# Replies


async def test_a_reply_is_sent_for_kept_raw_and_read_later(loopback: Loopback, asked: OpenAIProvider) -> None:
    loopback.chat(whole("Hello", reasoning="Hm"))
    raw = await asked.send(REQUEST)
    assert (raw.status, raw.request_id, raw.limits) == (200, "req-1", None)
    assert json.loads(raw.body)["choices"][0]["message"]["content"] == "Hello"
    stored = RawReply(raw.status, raw.body, raw.request_id)
    reply = laned("http://elsewhere.invalid/v1", key=None).read(stored)
    assert (reply.text, reply.reasoning, reply.finish_reason, reply.request_id) == ("Hello", "Hm", "stop", "req-1")
    assert (reply.usage.input_tokens, reply.usage.output_tokens) == (12, 34)
    assert (await asked.complete(REQUEST)).text == "Hello"


async def test_the_request_is_the_same_as_over_the_ordinary_road(loopback: Loopback, asked: OpenAIProvider) -> None:
    loopback.chat(whole("x"))
    await asked.send(REQUEST)
    ordinary = OpenAIProvider(asked.info, key=FakeSecret(), masker=Masker())
    await ordinary.send(REQUEST)
    await ordinary.aclose()
    ours, theirs = loopback.requests
    assert (ours.path, ours.query, ours.body) == (theirs.path, theirs.query, theirs.body)
    assert {**ours.headers, "connection": "keep-alive"} == theirs.headers


async def test_a_query_of_the_address_is_kept(loopback: Loopback) -> None:
    loopback.chat(whole("x"))
    await send(f"{loopback.base_url}/?api-version=2%2F1&x=a+b")
    assert (loopback.requests[0].path, loopback.requests[0].query) == (
        "/v1/chat/completions",
        "api-version=2%2F1&x=a+b",
    )


async def test_a_compressed_reply_is_inflated(loopback: Loopback, asked: OpenAIProvider) -> None:
    plain = b"".join(piece for piece in whole("Hello").pieces if isinstance(piece, bytes))
    loopback.chat(Script(200, {**JSON, "content-encoding": "gzip"}, [gzip.compress(plain)], "length"))
    assert asked.read(await asked.send(REQUEST)).text == "Hello"


async def test_limits_come_with_replies_and_with_refusals(loopback: Loopback, asked: OpenAIProvider) -> None:
    named = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
    }
    limits = RateLimits(60.0, 59.0, 1.0)
    reply = whole("x")
    loopback.chat(
        Script(200, {**reply.headers, **named}, reply.pieces, "length"),
        error_reply(429, headers={**named, "retry-after": "2"}),
    )
    assert (await asked.send(REQUEST)).limits == limits
    with pytest.raises(RateLimited) as refused:
        await asked.send(REQUEST)
    assert (refused.value.limits, refused.value.retry_after) == (limits, 2.0)


# Keys, dialects, connections


class Ladder:
    """Finds another key once the first was rejected."""

    def __init__(self) -> None:
        self.keys = [FakeSecret("sk-old-0000000000000000"), FakeSecret("sk-new-0000000000000000")]
        self.asked = 0
        self.rejected: list[object] = []

    def __call__(self) -> FakeSecret:
        self.asked += 1
        return self.keys[0]

    def reject(self, key: object) -> None:
        self.rejected.append(key)
        if key in self.keys:
            self.keys.remove(key)  # type: ignore[arg-type]


async def test_a_key_is_found_once_for_many_requests_and_again_when_it_was_rejected(loopback: Loopback) -> None:
    def by_key(request: Request) -> Script:
        return whole("ok") if "sk-new" in request.headers["authorization"] else error_reply(401, "wrong key")

    loopback.chat(by_key)
    ladder = Ladder()
    info = ProviderInfo("test", "openai", loopback.base_url, "test-model", needs_key=True)
    asked = OpenAIProvider(info, key=ladder, masker=Masker(), connections=20, on_rejected=ladder.reject)
    first = await asyncio.gather(*(asked.send(REQUEST) for _ in range(5)), return_exceptions=True)
    assert all(isinstance(error, KeyRejected) for error in first)
    assert ladder.asked == 1
    old = ladder.rejected[0]
    assert set(ladder.rejected) == {old}, "the rejection of an old key was held against another one"
    await asyncio.gather(*(asked.send(REQUEST) for _ in range(5)))
    await asked.aclose()
    assert ladder.asked == 2


async def test_a_late_rejection_of_an_old_key_leaves_the_new_one_alone(loopback: Loopback) -> None:
    gate = Gate()
    refusal = error_reply(401, "wrong key")
    late = Script(401, refusal.headers, [gate, *refusal.pieces], "chunked")
    loopback.chat(late, refusal, whole("ok"))
    ladder = Ladder()
    info = ProviderInfo("test", "openai", loopback.base_url, "test-model", needs_key=True)
    asked = OpenAIProvider(info, key=ladder, masker=Masker(), connections=20, on_rejected=ladder.reject)
    slow = asyncio.create_task(asked.send(REQUEST))
    await asyncio.to_thread(gate.wait_reached)
    with pytest.raises(KeyRejected):
        await asked.send(REQUEST)
    await asked.send(REQUEST)
    gate.open()
    with pytest.raises(KeyRejected):
        await slow
    await asked.send(REQUEST)
    await asked.aclose()
    assert [key.reveal() for key in ladder.keys] == ["sk-new-0000000000000000"]
    assert ladder.asked == 2


async def test_a_parameter_that_is_not_known_is_named_otherwise(loopback: Loopback, asked: OpenAIProvider) -> None:
    from dataclasses import replace

    refusal = error_reply(400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.")
    loopback.chat(refusal, whole("ok"))
    await asked.send(replace(REQUEST, max_tokens=9))
    await asked.send(replace(REQUEST, max_tokens=9))
    assert [request.json.get("max_completion_tokens") for request in loopback.requests] == [None, 9, 9]


async def test_as_many_requests_are_under_way_as_are_wanted(loopback: Loopback, asked: OpenAIProvider) -> None:
    gate = Gate()
    reply = whole("x")
    loopback.chat(Script(200, reply.headers, [gate, *reply.pieces], "chunked"))
    running = [asyncio.create_task(asked.send(REQUEST)) for _ in range(150)]
    await asyncio.to_thread(loopback.wait_for, 150)
    gate.open()
    assert len(await asyncio.gather(*running)) == 150


async def test_giving_up_closes_the_connection(loopback: Loopback, asked: OpenAIProvider) -> None:
    loopback.chat(Script(200, JSON, [FOREVER]))
    running = asyncio.create_task(asked.send(REQUEST))
    await asyncio.to_thread(loopback.wait_for, 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert await asyncio.to_thread(loopback.requests[0].gone.wait, 5)


async def test_a_closed_lane_can_be_used_again(loopback: Loopback, asked: OpenAIProvider) -> None:
    loopback.chat(whole("x"))
    for _ in range(2):
        assert (await asked.send(REQUEST)).status == 200
        await asked.aclose()


async def test_a_large_request_goes_as_it_is(loopback: Loopback, asked: OpenAIProvider) -> None:
    from dataclasses import replace

    message = replace(REQUEST.messages[0], text="ä" * 3_000_000)
    loopback.chat(whole("x"))
    await asked.send(replace(REQUEST, messages=(message,)))
    assert loopback.requests[0].json["messages"][0]["content"] == message.text


async def test_netrc_and_cookies_are_left_alone(
    loopback: Loopback, asked: OpenAIProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    reply = whole("x")
    loopback.chat(Script(200, {**reply.headers, "set-cookie": "a=b; Path=/"}, reply.pieces, "length"))
    await asked.send(REQUEST)
    await asked.send(REQUEST)
    assert loopback.requests[1].headers["authorization"] == f"Bearer {KEY}"
    assert "cookie" not in loopback.requests[1].headers


def test_nothing_heavy_is_loaded_before_the_first_request() -> None:
    code = """
import sys
from holychat.domain.request import ProviderInfo
from holychat.providers.openai import OpenAIProvider
OpenAIProvider(ProviderInfo("t", "openai", "http://127.0.0.1:9/v1", "m", False), connections=5)
heavy = {"httpx", "aiohttp", "yarl", "anyio"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
