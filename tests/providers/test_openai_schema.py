"""Bodies of requests against OpenAI's published description of them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.domain.chat import Role
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.providers.wire_types import Dialect, encode_request
from tests.support.openai_schema import problems

requests = st.builds(
    ReplyRequest,
    model=st.text(),
    messages=st.lists(st.builds(PromptMessage, st.sampled_from(Role), st.text()), min_size=1).map(tuple),
    temperature=st.none() | st.floats(0, 2),
    max_tokens=st.none() | st.integers(1, 10_000_000),
)
dialects = st.builds(Dialect, stream_options=st.booleans(), max_completion_tokens=st.booleans())


@given(request=requests, stream=st.booleans(), dialect=dialects)
def test_every_body_is_one_that_openai_describes(request: ReplyRequest, stream: bool, dialect: Dialect) -> None:
    assert problems("chat_completion", json.loads(encode_request(request, stream=stream, dialect=dialect))) == []


@pytest.mark.parametrize(
    "broken",
    [
        {"model": "m", "messages": []},
        {"messages": [{"role": "user", "content": "Hi"}]},
        {"model": "m", "messages": [{"role": "robot", "content": "Hi"}]},
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "temperature": 3},
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "invented": 1},
    ],
)
def test_the_description_refuses_what_it_should(broken: object) -> None:
    assert problems("chat_completion", broken) != []
