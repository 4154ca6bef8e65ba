"""Bytes to events to the domain, without a socket: cut anywhere, the result is the same."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holychat.domain.chat import Role
from holychat.domain.events import ReasoningDelta, ReplyEvent, TextDelta, TurnFinished, UsageReported
from holychat.domain.request import PromptMessage, ProviderInfo, RawReply, ReplyRequest
from holychat.domain.usage import Usage
from holychat.log import Masker
from holychat.providers.bodies import BodyError
from holychat.providers.clock import IdleClock
from holychat.providers.error_bodies import WireTrouble
from holychat.providers.failures import Translator
from holychat.providers.reply import ReplyReader
from holychat.providers.sse import EventReader
from holychat.providers.whole import read_reply
from holychat.providers.wire_types import (
    Dialect,
    HalfJoiner,
    WireError,
    decode_completion,
    decode_models,
    encode_request,
)  # fmt: skip
from tests.support.loopback import chunk, reply_events

INFO = ProviderInfo("test", "openai", "http://127.0.0.1/v1", "m", False)
STREAM = b"".join(
    [
        b"\xef\xbb\xbf: hello\r\n\r\n",
        *reply_events(["Xin ", "chào\u2028", "👋"], reasoning=["h", "m"]),
        b"id: 9\r\nevent: message\r\n\r\n",
    ]
)

_FIELDS = ["error", "message", "code", "type", "status", "details", "metadata", "raw", "retryDelay", "detail"]
ERROR_BODIES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_FIELDS), inner),
)


def read(pieces: list[bytes]) -> list[ReplyEvent]:
    events = EventReader()
    reply = ReplyReader(Translator(INFO, Masker()), "")
    for piece in pieces:
        for name, data in events.feed(piece):
            reply.read(name, data)
    for name, data in events.finish():
        reply.read(name, data)
    return [*reply.take(), *reply.rest(), reply.finish()]


def test_a_stream_cut_at_every_byte_is_the_same_reply() -> None:
    whole = read([STREAM])
    assert [event.text for event in whole if isinstance(event, TextDelta)] == ["Xin chào\u2028👋"]
    assert [event.text for event in whole if isinstance(event, ReasoningDelta)] == ["hm"]
    assert UsageReported(Usage(12, 34)) in whole
    assert whole[-1] == TurnFinished("stop")
    for cut in range(len(STREAM) + 1):
        assert read([STREAM[:cut], STREAM[cut:]]) == whole
    assert read([STREAM[i : i + 1] for i in range(len(STREAM))]) == whole


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_any_text_survives_the_wire_cut_anywhere(tokens: list[str], random: object) -> None:
    body = b"".join(reply_events(tokens))
    pieces, start = [], 0
    while start < len(body):
        end = start + random.randint(1, 40)  # type: ignore[attr-defined]
        pieces.append(body[start:end])
        start = end
    assert "".join(event.text for event in read(pieces) if isinstance(event, TextDelta)) == "".join(tokens)


@given(st.text(alphabet=st.characters(categories=None), max_size=30), st.integers(0, 30))
def test_text_in_escapes_cut_between_surrogates_comes_out_joined(text: str, cut: int) -> None:
    """The server sends UTF-16 units as escapes and cuts the reply between any two of them."""
    raw = text.encode("utf-16-le", "surrogatepass")
    units = [f"\\u{int.from_bytes(raw[i : i + 2], 'little'):04x}" for i in range(0, len(raw), 2)]
    reply = ReplyReader(Translator(INFO, Masker()), "")
    for half in (units[:cut], units[cut:]):
        reply.read("message", f'{{"choices":[{{"delta":{{"content":"{"".join(half)}"}}}}]}}')
    found = "".join(event.text for event in [*reply.take(), *reply.rest()] if isinstance(event, TextDelta))
    assert found == raw.decode("utf-16-le", "replace")


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_no_bytes_make_the_event_reader_fail(data: bytes) -> None:
    events = EventReader()
    for name, text in [*events.feed(data), *events.finish()]:
        assert name
        assert text or name == "error"


@given(ERROR_BODIES)
@settings(max_examples=100)
def test_no_error_body_makes_the_translation_fail(value: object) -> None:
    trouble = WireTrouble.from_body(json.dumps(value).encode())
    assert isinstance(trouble.message, str)
    Translator(INFO, Masker()).error_object(value, request_id="", begun=False)


@given(st.text())
def test_no_data_is_worse_than_a_wire_error(data: str) -> None:
    with contextlib.suppress(WireError):
        decode_completion(data)


@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4])
def test_the_event_behind_a_byte_order_mark_is_not_lost(cut: int) -> None:
    data = b"\xef\xbb\xbfdata: \xef\xbb\xbfx\n\n"
    events = EventReader()
    assert [*events.feed(data[:cut]), *events.feed(data[cut:])] == [("message", "\ufeffx")]


# Limits of events


@pytest.mark.parametrize("unit", [b"x" * 100, b"data: x\n", b"\ndata: y"])
def test_an_event_over_the_limit_is_refused_however_it_comes(unit: bytes) -> None:
    events = EventReader(limit=10_000)
    events.feed(b"data: ")
    with pytest.raises(BodyError, match="larger than"):
        any(events.feed(unit) for _ in range(20_000))


def test_many_small_events_and_comments_are_no_large_event() -> None:
    events = EventReader(limit=1000)
    for _ in range(1000):
        events.feed(b": comment\n")
        assert events.feed(b"data: x\n\n") == [("message", "x")]


# The data


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "not JSON"),
        ("[1]", "Expected `object`"),
        ('{"choices":[{"delta":{"content":5}}]}', "$.choices[0].delta.content"),
        ('{"choices":[{"finish_reason":5}]}', "finish_reason"),
        (b'{"model":"\xff"}', "not JSON"),
    ],
)
def test_wrong_data_names_its_field(data: str | bytes, says: str) -> None:
    with pytest.raises(WireError) as caught:
        decode_completion(data)
    assert says in str(caught.value)


ODD_COUNTS = ("-1", "1.5", '"12"', "true", "[12]", "{}", "9" * 40, "200000000", "1e999", "-1e999", "NaN", "Infinity")
"""What no count of tokens can be, as it stands in the JSON of a reply."""


@pytest.mark.parametrize("odd", ODD_COUNTS)
@pytest.mark.parametrize("where", ["usage", "choice"])
def test_a_count_that_cannot_be_true_is_an_unknown_one_and_the_rest_of_the_reply_is_read(odd: str, where: str) -> None:
    details = f'"prompt_tokens_details":{{"cached_tokens":{odd}}}'
    usage = f',"usage":{{"prompt_tokens":{odd},"completion_tokens":5,{details}}}'
    inside, beside = (usage, "") if where == "choice" else ("", usage)
    body = f'{{"model":"m","choices":[{{"message":{{"content":"Hi"}}{inside}}}]{beside}}}'
    reply = read_reply(Translator(INFO, Masker()), RawReply(200, body.encode(), ""))
    assert (reply.text, reply.usage) == ("Hi", Usage(None, 5, estimated=True))


@pytest.mark.parametrize("odd", ['"none"', "7", "[]", "[1]", "true", '{"prompt_tokens_details":7}'])
def test_usage_that_is_no_object_tells_nothing_and_breaks_nothing(odd: str) -> None:
    body = f'{{"choices":[{{"message":{{"content":"Hi"}}}}],"usage":{odd}}}'
    reply = read_reply(Translator(INFO, Masker()), RawReply(200, body.encode(), ""))
    assert (reply.text, replace(reply.usage, estimated=False)) == ("Hi", Usage())


def test_a_count_with_a_point_and_nothing_behind_it_is_a_whole_number() -> None:
    body = b'{"choices":[{"message":{"content":"Hi"}}],"usage":{"prompt_tokens":12.0,"completion_tokens":5.0}}'
    assert read_reply(Translator(INFO, Masker()), RawReply(200, body, "")).usage == Usage(12, 5)


def test_unknown_fields_may_hold_anything() -> None:
    payload = chunk("a", obfuscation=[1, {}], service_tier={"x": None}, created="never", system_fingerprint=7)
    assert decode_completion(json.dumps(payload)).first() is not None


def test_model_lists_come_in_two_forms() -> None:
    assert [entry.id for entry in decode_models(b'{"data":[{"id":"a","owned_by":null}]}')] == ["a"]
    assert [entry.id for entry in decode_models(b'[{"id":"a","extra":1}]')] == ["a"]
    assert decode_models(b'{"data":null}') == []
    with pytest.raises(WireError, match="id"):
        decode_models(b'{"data":[{"id":7}]}')


def test_a_request_without_parameters_leaves_them_to_the_provider() -> None:
    request = ReplyRequest("m", (PromptMessage(Role.USER, "Hi"),))
    plain = json.loads(encode_request(request, stream=True, dialect=Dialect(stream_options=False)))
    assert plain == {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


def test_halves_are_joined_or_replaced() -> None:
    joiner = HalfJoiner()
    assert [joiner.join("a\ud83d"), joiner.join("\ude00b"), joiner.join("\ude00"), joiner.join("c\ud83d")] == [
        "a", "😀b", "�", "c",
    ]  # fmt: skip
    assert joiner.join("plain") == "�plain"
    assert joiner.join("\ud83d") == ""
    assert (joiner.rest(), joiner.rest()) == ("�", "")


# The clock


async def test_the_clock_cancels_only_who_waits() -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    clock = IdleClock(0.1)
    clock.watch()
    clock.rest()
    await asyncio.sleep(0.3)
    clock.restart()
    clock.watch()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(5)
    assert clock.was_it()
    assert not clock.was_it()
    clock.stop()
    await asyncio.sleep(0.2)
    assert not complaints


async def test_a_cancellation_from_outside_is_not_taken_for_the_clock() -> None:
    async def wait() -> bool:
        clock = IdleClock(60)
        clock.watch()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return clock.was_it()
        finally:
            clock.stop()
        return True

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    assert await task is False


async def test_a_process_that_was_stopped_reads_on_before_it_gives_up() -> None:
    clock = IdleClock(0.3)
    clock.watch()
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()
    time.sleep(1.5)  # noqa: ASYNC251  # nothing runs meanwhile, as after a SIGSTOP
    loop.call_later(0.05, arrived.set_result, "data that had come in the meantime")
    assert await arrived
    clock.rest()
    clock.stop()
