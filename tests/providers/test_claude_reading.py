"""Bytes of Anthropic messages to events of the domain, without a socket: cut anywhere, the result is the same."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holychat.domain.chat import Role
from holychat.domain.events import ReasoningDelta, ReplyEvent, TextDelta, TurnFinished, UsageReported
from holychat.domain.request import PromptMessage, ProviderInfo, RawReply, ReplyRequest
from holychat.domain.usage import Usage
from holychat.errors import ProviderError
from holychat.log import Masker
from holychat.providers.anthropic import AnthropicProvider
from holychat.providers.failures import Translator
from holychat.providers.message_types import Wording, decode_event, encode_message_request, usual_answer
from holychat.providers.messages import MessageReader
from holychat.providers.openai import OpenAIProvider
from holychat.providers.sse import EventReader
from holychat.providers.wire_types import WireError
from tests.support.loopback import whole
from tests.support.messages import message_events, text, whole_message

INFO = ProviderInfo("test", "anthropic", "http://127.0.0.1", "m", False)
STREAM = b"".join(
    [
        b"\xef\xbb\xbf: hello\r\n\r\n",
        *message_events(["Xin ", "chào\u2028", "👋"], thoughts=["h", "m"]),
        b"id: 9\r\nevent: message\r\n\r\n",
    ]
)
_FIELDS = ["type", "message", "delta", "content_block", "usage", "error", "text", "stop_reason", "content", "id"]
_TYPES = ["message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "ping", "new"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.sampled_from(_TYPES),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_FIELDS), inner),
)


def reader() -> MessageReader:
    return MessageReader(Translator(INFO, Masker()), "")


def read(pieces: list[bytes]) -> list[ReplyEvent]:
    events, message = EventReader(), reader()
    for piece in pieces:
        for name, data in events.feed(piece):
            message.read(name, data)
    for name, data in events.finish():
        message.read(name, data)
    return [*message.take(), *message.rest(), message.finish()]


def test_a_stream_cut_at_every_byte_is_the_same_message() -> None:
    once = read([STREAM])
    assert [event.text for event in once if isinstance(event, TextDelta)] == ["Xin chào\u2028👋"]
    assert [event.text for event in once if isinstance(event, ReasoningDelta)] == ["hm"]
    assert UsageReported(Usage(12, 34, 0)) in once
    assert once[-1] == TurnFinished("stop")
    for cut in range(len(STREAM) + 1):
        assert read([STREAM[:cut], STREAM[cut:]]) == once
    assert read([STREAM[i : i + 1] for i in range(len(STREAM))]) == once


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_any_text_survives_the_wire_cut_anywhere(tokens: list[str], random: object) -> None:
    body = b"".join(message_events(tokens))
    pieces, start = [], 0
    while start < len(body):
        end = start + random.randint(1, 40)  # type: ignore[attr-defined]
        pieces.append(body[start:end])
        start = end
    assert "".join(event.text for event in read(pieces) if isinstance(event, TextDelta)) == "".join(tokens)


@given(st.text(alphabet=st.characters(categories=None), max_size=30), st.integers(0, 30))
def test_text_in_escapes_cut_between_surrogates_comes_out_joined(said: str, cut: int) -> None:
    raw = said.encode("utf-16-le", "surrogatepass")
    units = [f"\\u{int.from_bytes(raw[i : i + 2], 'little'):04x}" for i in range(0, len(raw), 2)]
    message = reader()
    for half in (units[:cut], units[cut:]):
        data = f'{{"type":"content_block_delta","delta":{{"type":"text_delta","text":"{"".join(half)}"}}}}'
        message.read("content_block_delta", data)
    found = "".join(event.text for event in [*message.take(), *message.rest()] if isinstance(event, TextDelta))
    assert found == raw.decode("utf-16-le", "replace")


@given(st.lists(JSON | st.text(min_size=1), max_size=6), st.sampled_from(["message", "error", "message_start"]))
@settings(max_examples=300)
def test_no_data_is_worse_than_an_error_of_the_provider(payloads: list[object], name: str) -> None:
    message = reader()
    with contextlib.suppress(WireError, ProviderError):
        for payload in payloads:
            message.read(name, payload if isinstance(payload, str) else json.dumps(payload))
    message.take()
    with contextlib.suppress(WireError, ProviderError):
        reader().read_whole(json.dumps(payloads[:1]).encode())


def test_an_event_that_is_not_known_may_hold_anything() -> None:
    assert decode_event('{"type":"brand_new","delta":7,"usage":"much"}').type == "brand_new"
    with pytest.raises(WireError, match=r"\$\.delta"):
        decode_event('{"type":"content_block_delta","delta":7}')
    with pytest.raises(WireError):
        decode_event('{"type":7,"delta":7}')


def test_the_event_of_a_token_is_decoded_to_its_text() -> None:
    data = text("Hi").decode().partition("data: ")[2].strip()
    message = reader()
    assert message.read("content_block_delta", data)
    assert message.take() == [TextDelta("Hi")]


# What is kept of a job may be older than the settings


def test_an_answer_is_read_whichever_wire_it_came_over() -> None:
    claude = AnthropicProvider(INFO)
    others = OpenAIProvider(ProviderInfo("test", "openai", "http://127.0.0.1/v1", "m", False))
    for script, said in ((whole_message("from claude"), "from claude"), (whole("from others"), "from others")):
        (body,) = script.pieces
        assert isinstance(body, bytes)
        for provider in (claude, others):
            assert provider.read(RawReply(200, body)).text == said
    with pytest.raises(ProviderError, match="`content`"):
        claude.read(RawReply(200, b"{}"))
    with pytest.raises(ProviderError, match="`choices`"):
        others.read(RawReply(200, b"{}"))


# Requests

prompts = st.lists(st.builds(PromptMessage, st.sampled_from(Role), st.text()), min_size=1).map(tuple)


@given(prompts)
def test_every_prompt_alternates_and_loses_nothing_but_blanks(prompt: tuple[PromptMessage, ...]) -> None:
    sent = json.loads(encode_message_request(ReplyRequest("m", prompt), stream=True, max_tokens=5))
    roles = [message["role"] for message in sent["messages"]]
    assert all(before != after for before, after in pairwise(roles))
    assert all(message["content"].strip() for message in sent["messages"])
    for role in (Role.USER, Role.ASSISTANT):
        texts = [message["content"] for message in sent["messages"] if message["role"] == role.value]
        told = "".join("".join(texts).split())
        assert told == "".join("".join(part.text for part in prompt if part.role is role).split())
    assert ("system" in sent) == any(part.role is Role.SYSTEM and part.text.strip() for part in prompt)


@given(st.none() | st.integers(1, 10**6), st.none() | st.integers(1, 10**8), st.booleans())
def test_the_usual_length_is_never_none_and_never_more_than_the_model_gives(
    longest: int | None, window: int | None, stream: bool
) -> None:
    most = usual_answer(longest, window, stream=stream)
    assert most >= 1
    assert longest is None or most <= longest
    if stream and longest is not None:
        assert most == longest


@given(st.text(), st.integers(1, 10**6))
def test_a_refusal_never_makes_a_length_longer(said: str, most: int) -> None:
    body = b'{"max_tokens":%d}' % most
    for message in (said, f"max_tokens: {most} > {said}", f"exceed context limit: {most} + 5 > {len(said)}"):
        other = Wording().after_refusal(message, body, chosen=False)
        assert other is None or 1 <= other.answer(most) <= most
