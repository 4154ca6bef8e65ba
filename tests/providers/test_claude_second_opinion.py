"""The official client of Anthropic reads the same server: what we call a reply, it calls one too."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import anthropic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from holychat.domain.chat import Role
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.errors import KeyRejected, OutOfCredit, Overloaded, RateLimited, RequestRefused, ServerFault
from holychat.providers.message_types import encode_message_request
from tests.providers.claudes import HI, ask_claude, claude, messages
from tests.providers.tools import KEY
from tests.support.loopback import Loopback, events_reply
from tests.support.message_schema import check
from tests.support.messages import message_stream, named, opened, refusal, started, text, trouble, whole_message


def client(loopback: Loopback) -> anthropic.AsyncAnthropic:
    return anthropic.AsyncAnthropic(api_key=KEY, base_url=loopback.url, max_retries=0)


async def test_both_read_the_same_stream(loopback: Loopback) -> None:
    messages(loopback, message_stream("Xin ", "chào ", "你好 👋\u2028", "!", thoughts=["h", "m"]))
    prompt = (PromptMessage(Role.SYSTEM, "Be short."), *HI.messages)
    ours = await ask_claude(loopback, request=replace(HI, messages=prompt, max_tokens=100))
    async with client(loopback) as official:
        stream = await official.messages.create(
            model="claude-test-1",
            max_tokens=100,
            system="Be short.",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
        )
        said, thought, output = "", "", 0
        async for part in stream:
            if part.type == "content_block_delta":
                said += part.delta.text if part.delta.type == "text_delta" else ""
                thought += part.delta.thinking if part.delta.type == "thinking_delta" else ""
            elif part.type == "message_delta":
                reason, output = part.delta.stop_reason, part.usage.output_tokens
    assert (ours.text, ours.reasoning) == (said, thought)
    assert (ours.finish, reason) == ("stop", "end_turn")
    assert ours.usage is not None
    assert ours.usage.output_tokens == output
    first, second = loopback.requests
    assert (first.path, first.json) == (second.path, second.json), "we ask for something else than the official client"


async def test_both_read_the_same_whole_reply_and_models(loopback: Loopback) -> None:
    messages(loopback, whole_message("Hello", thought="hm", cache_read_input_tokens=3))
    loopback.models("b", "a")
    asked = claude(loopback.url)
    reply, models = await asked.complete(replace(HI, max_tokens=100)), await asked.models()
    await asked.aclose()
    async with client(loopback) as official:
        message = await official.messages.create(
            model="claude-test-1", max_tokens=100, messages=[{"role": "user", "content": "Hi"}]
        )
        listed = [model.id async for model in official.models.list(limit=1000)]
    assert [block.text for block in message.content if block.type == "text"] == [reply.text]
    assert [block.thinking for block in message.content if block.type == "thinking"] == [reply.reasoning]
    assert reply.usage.input_tokens == message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)
    assert sorted(listed) == [model.id for model in models]
    asked_for = [(request.method, request.path, request.query, request.body and request.json) for request in
                 loopback.requests]  # fmt: skip
    assert asked_for[:2] == asked_for[2:]


@pytest.mark.parametrize(
    ("status", "kind", "ours", "theirs"),
    [
        (400, "invalid_request_error", RequestRefused, anthropic.BadRequestError),
        (401, "authentication_error", KeyRejected, anthropic.AuthenticationError),
        (402, "billing_error", OutOfCredit, anthropic.APIStatusError),
        (403, "permission_error", KeyRejected, anthropic.PermissionDeniedError),
        (404, "not_found_error", RequestRefused, anthropic.NotFoundError),
        (413, "request_too_large", RequestRefused, anthropic.APIStatusError),
        (429, "rate_limit_error", RateLimited, anthropic.RateLimitError),
        (500, "api_error", ServerFault, anthropic.InternalServerError),
        (529, "overloaded_error", Overloaded, anthropic.APIStatusError),
    ],
)
async def test_both_take_a_status_for_the_same_error(
    loopback: Loopback, status: int, kind: str, ours: type[Exception], theirs: type[anthropic.APIStatusError]
) -> None:
    messages(loopback, refusal(status, kind))
    error = (await ask_claude(loopback)).error
    assert type(error) is ours
    async with client(loopback) as official:
        with pytest.raises(theirs) as caught:
            await official.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}])
    assert error is not None
    assert error.request_id == caught.value.request_id
    assert caught.value.type == kind or status == 413


async def test_both_take_an_error_event_for_an_error(loopback: Loopback) -> None:
    error = named("error", **trouble("overloaded_error", "Overloaded"))
    messages(loopback, events_reply([started(), opened(), text("Hi"), error]))
    assert (await ask_claude(loopback)).error is not None
    async with client(loopback) as official:
        stream = await official.messages.create(
            model="m", max_tokens=1, messages=[{"role": "user", "content": "Hi"}], stream=True
        )
        with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
            async for _ in stream:
                pass


# Bodies


requests = st.builds(
    ReplyRequest,
    model=st.text(),
    messages=st.lists(st.builds(PromptMessage, st.sampled_from(Role), st.text()), min_size=1).map(tuple),
    temperature=st.none() | st.floats(0, 1),
)


@given(request=requests, stream=st.booleans(), most=st.integers(1, 10**6))
def test_every_body_is_one_that_anthropic_describes(request: ReplyRequest, stream: bool, most: int) -> None:
    body = json.loads(encode_message_request(request, stream=stream, max_tokens=most))
    check(body)
    assert body.get("temperature") == request.temperature


@pytest.mark.parametrize(
    "broken",
    [
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}]},
        {"model": "m", "max_tokens": 1},
        {"model": "m", "max_tokens": 1, "messages": [{"role": "robot", "content": "Hi"}]},
        {"model": "m", "max_tokens": 1, "messages": [], "invented": 1},
    ],
)
def test_the_types_refuse_what_they_should(broken: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        check(broken)
