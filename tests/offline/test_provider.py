"""The offline provider on the whole road: registry, client, transport, events."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from holychat.catalog.tokens import estimate_tokens
from holychat.credentials.chain import KeyChain
from holychat.domain.chat import Role
from holychat.domain.events import ReplyStarted, TextDelta, TurnFinished, UsageReported
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.errors import SettingsError
from holychat.log import Masker
from holychat.providers.offline.transport import OfflineTransport
from holychat.providers.registry import ProviderRegistry
from holychat.settings import Settings

if TYPE_CHECKING:
    from holychat.domain.events import ReplyEvent
    from holychat.providers.base import Provider

TEXT = "Cats sleep for most of the day. Dogs bark loudly at night. 猫喜欢睡觉。Birds sing early in the morning."
REQUEST = ReplyRequest("extractive", (PromptMessage(Role.USER, f'<file name="a.txt">\n{TEXT}\n</file>\nSummarise'),))


def offline(pace: str = "0") -> Provider:
    settings, masker = Settings(), Masker()
    environ = {"HOLYCHAT_OFFLINE_PACE": pace} if pace else {}
    return ProviderRegistry(settings, KeyChain(settings, masker, environ), masker, environ).get("offline")


async def events_of(provider: Provider, request: ReplyRequest = REQUEST) -> list[ReplyEvent]:
    async with aclosing(provider.stream(request)) as stream:
        return [event async for event in stream]


def text_of(events: list[ReplyEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_a_reply_streams_and_ends_properly() -> None:
    events = await events_of(offline())
    assert isinstance(events[0], ReplyStarted)
    assert events[0].model == "extractive"
    assert events[0].request_id.startswith("offline-")
    assert events[-1] == TurnFinished("stop")
    usage = next(event.usage for event in events if isinstance(event, UsageReported))
    assert usage.input_tokens == estimate_tokens(REQUEST.messages[0].text)
    assert usage.output_tokens is not None
    assert 30 < usage.output_tokens < 150
    assert "Cats sleep for most of the day." in text_of(events)


async def test_the_whole_reply_is_the_streamed_one() -> None:
    provider = offline()
    reply = await provider.complete(REQUEST)
    assert reply.text == text_of(await events_of(provider))
    assert reply.finish_reason == "stop"
    assert reply.usage.output_tokens


async def test_the_same_question_gets_the_same_answer() -> None:
    assert await events_of(offline()) == await events_of(offline())


async def test_a_limit_of_tokens_cuts_the_reply_and_says_length() -> None:
    request = ReplyRequest("extractive", REQUEST.messages, max_tokens=7)
    events = await events_of(offline(), request)
    assert events[-1] == TurnFinished("length")
    assert next(event.usage.output_tokens for event in events if isinstance(event, UsageReported)) == 7
    whole = text_of(await events_of(offline()))
    assert whole.startswith(text_of(events))
    assert (await offline().complete(request)).finish_reason == "length"


async def test_each_token_is_an_event_of_its_own() -> None:
    transport: Any = OfflineTransport(pace=0)
    body = {
        "messages": [{"role": "user", "content": "How do I quit?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    async with httpx.AsyncClient(transport=transport) as client:
        response = await client.post("https://offline.invalid/v1/chat/completions", json=body)
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    assert lines.pop() == "[DONE]"
    events = [json.loads(line) for line in lines]
    tokens = [event["choices"][0]["delta"]["content"] for event in events[1:-2]]
    assert all(tokens)
    assert events[-1]["usage"]["completion_tokens"] == len(tokens)
    assert "Ctrl+Q" in "".join(tokens)


async def test_the_usual_pace_is_one_to_read_along() -> None:
    request = ReplyRequest("extractive", REQUEST.messages, max_tokens=40)
    started = time.monotonic()
    await events_of(offline(pace=""), request)
    assert 0.6 < time.monotonic() - started < 3


async def test_a_reply_can_be_stopped_in_the_middle() -> None:
    provider = offline(pace="20")
    async with aclosing(provider.stream(REQUEST)) as stream:
        async for event in stream:
            if isinstance(event, TextDelta):
                break
    assert text_of(await events_of(offline()))


async def test_the_event_loop_stays_free_while_a_long_text_is_read() -> None:
    long = " ".join(f"Sentence number {number} speaks of topic {number % 97} at some length." for number in range(6000))
    request = ReplyRequest("extractive", (PromptMessage(Role.USER, f'<file name="a.txt">\n{long}\n</file>\n'),))
    provider = offline()
    await provider.warm()
    task = asyncio.create_task(provider.complete(request))
    gaps, began = [], time.monotonic()
    while not task.done():
        last = time.monotonic()
        await asyncio.sleep(0.005)
        gaps.append(time.monotonic() - last)
    assert (await task).text
    # In proportion, whatever else the machine does: a loop that is held has one gap as long as all the reading.
    assert len(gaps) >= 10
    assert max(gaps) < (time.monotonic() - began) / 2


async def test_it_lists_its_one_model() -> None:
    assert [model.id for model in await offline().models()] == ["extractive"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/chat/completions", b"not json", 400),
        ("POST", "/v1/chat/completions", b"{}", 400),
        ("POST", "/v1/chat/completions", b'{"messages": [], "max_tokens": 0}', 400),
        ("POST", "/v1/embeddings", b"{}", 404),
        ("DELETE", "/v1/models", b"", 405),
        ("POST", "/v1/chat/completions", b'{"messages": [{"role": "user", "content": [{"text": "Hi"}]}]}', 200),
    ],
)
async def test_requests_that_make_no_sense_are_refused_as_a_server_would(
    method: str, path: str, body: bytes, status: int
) -> None:
    transport: Any = OfflineTransport(pace=0)
    async with httpx.AsyncClient(transport=transport, base_url="https://offline.invalid") as client:
        response = await client.request(method, path, content=body)
    assert response.status_code == status
    assert ("error" in response.json()) is (status != 200)


async def test_the_official_client_reads_it_too() -> None:
    import openai

    transport: Any = OfflineTransport(pace=0)
    http_client = httpx.AsyncClient(transport=transport)
    client = openai.AsyncOpenAI(base_url="https://offline.invalid/v1", api_key="unused", http_client=http_client)
    async with client:
        stream = await client.chat.completions.create(
            model="extractive", messages=[{"role": "user", "content": "How do I quit?"}], stream=True
        )
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
    assert "Ctrl+Q" in text


@pytest.mark.parametrize("pace", ["fast", "-1", "nan", "inf", "1e99"])
def test_a_pace_that_is_no_number_is_a_clear_error(pace: str) -> None:
    with pytest.raises(SettingsError, match="HOLYCHAT_OFFLINE_PACE"):
        offline(pace)


def test_choosing_the_offline_provider_loads_no_http_library() -> None:
    program = """
import sys
from holychat.credentials.chain import KeyChain
from holychat.log import Masker
from holychat.providers.registry import ProviderRegistry
from holychat.settings import Settings
ProviderRegistry(Settings(), KeyChain(Settings(), Masker()), Masker()).get("offline")
print(sorted({"httpx", "keyring", "holychat.providers.offline.answers"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
