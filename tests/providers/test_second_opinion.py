"""The official client of OpenAI reads the same server: what we call a reply, it calls one too."""

from __future__ import annotations

import openai
import pytest

from holychat.errors import KeyRejected, RateLimited, RequestRefused, ServerFault
from tests.providers.tools import KEY, ask, provider
from tests.support.loopback import Loopback, error_reply, stream_of, whole


def client(loopback: Loopback) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(api_key=KEY, base_url=loopback.base_url, max_retries=0)


async def test_both_read_the_same_stream(loopback: Loopback) -> None:
    loopback.chat(stream_of("Xin ", "chào ", "你好 👋\u2028", "!", reasoning=["hm"]))
    ours = await ask(loopback.base_url)
    text, finish, usage = "", None, None
    async with client(loopback) as theirs:
        stream = await theirs.chat.completions.create(
            model="test-model",
            messages=[{"role": "user", "content": "Hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        async for part in stream:
            usage = part.usage or usage
            for choice in part.choices:
                text += choice.delta.content or ""
                finish = choice.finish_reason or finish
    assert (ours.text, ours.finish) == (text, finish)
    assert ours.usage is not None
    assert usage is not None
    assert (ours.usage.input_tokens, ours.usage.output_tokens) == (usage.prompt_tokens, usage.completion_tokens)
    bodies = [request.json for request in loopback.requests]
    assert bodies[0] == bodies[1], "we ask for something else than the official client"


async def test_both_read_the_same_whole_reply_and_models(loopback: Loopback) -> None:
    loopback.chat(whole("Hello"))
    loopback.models("b", "a")
    asked = provider(loopback.base_url)
    from tests.providers.tools import REQUEST

    reply, models = await asked.complete(REQUEST), await asked.models()
    await asked.aclose()
    async with client(loopback) as theirs:
        completion = await theirs.chat.completions.create(
            model="test-model", messages=[{"role": "user", "content": "Hi"}]
        )
        listed = [model.id async for model in theirs.models.list()]
    assert reply.text == completion.choices[0].message.content
    assert sorted(listed) == [model.id for model in models]


@pytest.mark.parametrize(
    ("status", "ours", "theirs"),
    [
        (400, RequestRefused, openai.BadRequestError),
        (401, KeyRejected, openai.AuthenticationError),
        (403, KeyRejected, openai.PermissionDeniedError),
        (404, RequestRefused, openai.NotFoundError),
        (422, RequestRefused, openai.UnprocessableEntityError),
        (429, RateLimited, openai.RateLimitError),
        (500, ServerFault, openai.InternalServerError),
    ],
)
async def test_both_take_a_status_for_the_same_error(
    loopback: Loopback, status: int, ours: type[Exception], theirs: type[openai.APIStatusError]
) -> None:
    loopback.chat(error_reply(status, "what it says", headers={"x-request-id": "req-3"}))
    error = (await ask(loopback.base_url)).error
    assert type(error) is ours
    async with client(loopback) as official:
        with pytest.raises(theirs) as caught:
            await official.chat.completions.create(model="m", messages=[])
    assert error is not None
    assert error.request_id == caught.value.request_id
