"""Streamed replies as servers really send them, over real sockets."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest

from holychat.domain.chat import Role
from holychat.domain.events import ReplyStarted, TextDelta, TurnFinished
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.domain.usage import Usage
from tests.providers.tools import KEY, REQUEST, ask, outcome_of, provider
from tests.support.loopback import (
    FOREVER,
    Gate,
    Loopback,
    Pause,
    Piece,
    Script,
    chunk,
    error_reply,
    event,
    events_reply,
    json_reply,
    reply_events,
    sse,
    stream_of,
    usage_chunk,
    whole,
)  # fmt: skip


async def test_a_reply_arrives_as_events_in_order(loopback: Loopback) -> None:
    loopback.chat(stream_of("Hel", "lo", reasoning=["I ", "think"]))
    outcome = await ask(loopback.base_url)
    assert outcome.events[0] == ReplyStarted("req-1", "test-model")
    assert (outcome.reasoning, outcome.text, outcome.finish) == ("I think", "Hello", "stop")
    assert outcome.usage == Usage(12, 34)
    assert isinstance(outcome.events[-1], TurnFinished)


async def test_the_request_holds_what_was_asked_and_nothing_else(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    messages = (PromptMessage(Role.SYSTEM, "Be short."), PromptMessage(Role.USER, "Hi \ud83d"))
    await ask(loopback.base_url, request=ReplyRequest("any/model:1", messages, temperature=0.0, max_tokens=7))
    request = loopback.requests[0]
    assert request.json == {
        "model": "any/model:1",
        "messages": [{"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi �"}],
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "max_tokens": 7,
    }
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["user-agent"].startswith("holychat/")


async def test_each_token_is_given_as_soon_as_it_arrives(loopback: Loopback) -> None:
    first, second = Gate(), Gate()
    loopback.chat(events_reply([event(chunk("one")), first, event(chunk("two")), second, *reply_events([])]))
    asked = provider(loopback.base_url)
    async with aclosing(asked.stream(REQUEST)) as events:
        assert isinstance(await anext(events), ReplyStarted)
        assert await anext(events) == TextDelta("one")
        first.open()
        assert await anext(events) == TextDelta("two")
        second.open()
    await asked.aclose()


@pytest.mark.parametrize("name", ["reasoning", "reasoning_content"])
async def test_reasoning_is_read_under_both_names(loopback: Loopback, name: str) -> None:
    other = {"reasoning": "reasoning_content", "reasoning_content": "reasoning"}[name]
    thoughts = [chunk(delta={name: "hm", other: ""}), chunk(delta={name: "m", other: None})]
    loopback.chat(events_reply(sse(*thoughts, chunk("yes", finish="stop"), "[DONE]")))
    outcome = await ask(loopback.base_url)
    assert (outcome.reasoning, outcome.text) == ("hmm", "yes")


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param([chunk("!", finish="stop")], id="finish with the last content and the end of the connection"),
        pytest.param([chunk("!"), chunk(finish="stop"), usage_chunk(1, 2)], id="finish, usage, no DONE"),
        pytest.param([chunk("!"), chunk(finish="stop"), "[DONE]"], id="finish, DONE"),
        pytest.param(
            [chunk("!", finish="stop", usage={"prompt_tokens": 1, "completion_tokens": 2})], id="usage inside"
        ),
        pytest.param([usage_chunk(1, 2), chunk("!"), chunk(finish="stop")], id="usage before the end"),
        pytest.param([chunk("!"), chunk(finish="stop"), " [DONE] "], id="DONE with blanks"),
        pytest.param([chunk("!"), chunk(finish="stop"), "[DONE]", chunk("never shown")], id="more after DONE"),
        pytest.param([chunk("!"), chunk(finish="stop"), "nonsense"], id="nonsense after the finish"),
    ],
)
async def test_every_usual_ending_is_a_complete_reply(loopback: Loopback, ending: list[object]) -> None:
    loopback.chat(events_reply(sse(chunk("Hello", role="assistant"), *ending)))  # type: ignore[arg-type]
    outcome = await ask(loopback.base_url)
    assert outcome.error is None
    assert (outcome.text, outcome.finish) == ("Hello!", "stop")


async def test_done_without_a_finish_reason_is_complete_and_logged(
    loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    loopback.chat(stream_of("Hi", finish=None))
    outcome = await ask(loopback.base_url)
    assert (outcome.text, outcome.finish, outcome.error) == ("Hi", "", None)
    assert "no finish reason" in caplog.text


@pytest.mark.parametrize(
    "tail",
    [
        pytest.param([FOREVER], id="silence"),
        pytest.param([Pause(0.05), b": keep-alive\n\n"] * 1000, id="comments"),
        pytest.param([Pause(0.05), event(chunk("."))] * 1000, id="more text"),
    ],
)
async def test_a_finished_reply_does_not_wait_for_usage_that_never_comes(loopback: Loopback, tail: list[Piece]) -> None:
    loopback.chat(events_reply([*sse(chunk("Hi", finish="stop")), *tail]))
    async with asyncio.timeout(20):
        outcome = await ask(loopback.base_url, idle=60)
    assert (outcome.text.rstrip("."), outcome.finish, outcome.error) == ("Hi", "stop", None)


async def test_comments_blank_lines_ids_and_unknown_fields_change_nothing(loopback: Loopback) -> None:
    noise = [
        b": OPENROUTER PROCESSING\n\n",
        b"\n\n",
        b"id: 7\n\n",
        b"retry: 5\n\n",
        b"event: ping\ndata:\n\n",
        b"x: y\n\n",
    ]
    pieces = [b"\xef\xbb\xbf"]
    for piece in reply_events(["Hel", "lo"]):
        pieces += [piece, *noise]
    loopback.chat(events_reply(pieces))
    outcome = await ask(loopback.base_url)
    assert (outcome.text, outcome.finish) == ("Hello", "stop")


@pytest.mark.parametrize(
    "media", ["Text/Event-Stream", "text/event-stream; charset=iso-8859-1", "TEXT/EVENT-STREAM ;x=y"]
)
async def test_the_media_type_has_any_case_and_the_charset_is_always_utf_8(loopback: Loopback, media: str) -> None:
    loopback.chat(Script(200, {"content-type": media}, reply_events(["Xin chào", " 你好"])))
    assert (await ask(loopback.base_url)).text == "Xin chào 你好"


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
async def test_all_line_ends_are_read(loopback: Loopback, end: bytes) -> None:
    body = b"".join(reply_events(["a\u2028b", "c\u0085d"])).replace(b"\n", end)
    loopback.chat(events_reply([body]))
    outcome = await ask(loopback.base_url)
    assert (outcome.text, outcome.finish) == ("a\u2028bc\u0085d", "stop")


async def test_a_stream_sent_byte_by_byte_is_the_same_reply(loopback: Loopback) -> None:
    body = b"".join(reply_events(["Xin ", "chào 👋"], reasoning=["hm"]))
    loopback.chat(events_reply([body[i : i + 1] for i in range(len(body))]))
    outcome = await ask(loopback.base_url)
    assert (outcome.reasoning, outcome.text, outcome.finish) == ("hm", "Xin chào 👋", "stop")
    assert outcome.usage == Usage(12, 34)


async def test_a_pair_cut_over_two_deltas_is_joined_and_a_lone_half_replaced(loopback: Loopback) -> None:
    halves = [r'{"choices":[{"delta":{"content":"a\ud83d"}}]}', r'{"choices":[{"delta":{"content":"\ude00b"}}]}']
    lone = r'{"choices":[{"delta":{"content":"\ud83d"},"finish_reason":"stop"}]}'
    loopback.chat(events_reply(sse(*halves, lone, "[DONE]")))
    outcome = await ask(loopback.base_url)
    assert outcome.text == "a😀b�"
    assert outcome.finish == "stop"


async def test_content_as_a_list_of_parts_and_refusals_are_text(loopback: Loopback) -> None:
    parts = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "A"}, "B"]
    loopback.chat(events_reply(sse(chunk(parts), chunk(delta={"refusal": "No."}), chunk(finish="stop"))))
    outcome = await ask(loopback.base_url)
    assert (outcome.reasoning, outcome.text) == ("hm", "ABNo.")


async def test_only_the_first_choice_is_read(loopback: Loopback) -> None:
    loopback.chat(events_reply(sse(chunk("x", index=1, finish="stop"), chunk("a"), chunk(finish="length"), "[DONE]")))
    outcome = await ask(loopback.base_url)
    assert (outcome.text, outcome.finish) == ("a", "length")


async def test_cached_and_reasoning_tokens_are_reported(loopback: Loopback) -> None:
    details = {"prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 3}}
    loopback.chat(events_reply(sse(chunk("a", finish="stop"), usage_chunk(10, 20, **details), "[DONE]")))
    assert (await ask(loopback.base_url)).usage == Usage(10, 20, 5, 3)
    loopback.chat(
        events_reply(sse(chunk("a", finish="stop"), usage_chunk(10, 20, prompt_cache_hit_tokens=4), "[DONE]"))
    )
    assert (await ask(loopback.base_url)).usage == Usage(10, 20, 4)


async def test_a_whole_reply_in_place_of_a_stream_is_taken(loopback: Loopback) -> None:
    loopback.chat(whole("All at once", reasoning="hm"))
    outcome = await ask(loopback.base_url)
    assert (outcome.reasoning, outcome.text, outcome.finish) == ("hm", "All at once", "stop")
    assert outcome.usage == Usage(12, 34)


async def test_the_connection_is_used_again_for_the_next_message(loopback: Loopback) -> None:
    loopback.chat(stream_of("Hi"))
    asked = provider(loopback.base_url)
    for _ in range(3):
        assert (await outcome_of(asked)).finish == "stop"
    await asked.aclose()
    assert loopback.connections == 1


async def test_closing_the_stream_closes_the_socket(loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse(chunk("Hi")), FOREVER]))
    asked = provider(loopback.base_url)
    async with aclosing(asked.stream(REQUEST)) as events:
        async for found in events:
            if isinstance(found, TextDelta):
                break
    assert await asyncio.to_thread(loopback.requests[0].gone.wait, 10)
    await asked.aclose()


async def test_cancelling_the_reader_closes_the_socket_and_stays_a_cancellation(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(events_reply([*sse(chunk("Hi")), gate]))
    asked = provider(loopback.base_url)
    task = asyncio.create_task(outcome_of(asked))
    await asyncio.to_thread(gate.wait_reached)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(loopback.requests[0].gone.wait, 10)
    await asked.aclose()


@pytest.mark.parametrize("sign", [b": keep-alive\n\n", b"data: {}\n\n", b"event: ping\ndata: {}\n\n", b"\n"])
async def test_signs_of_life_without_payload_do_not_reset_the_idle_clock(loopback: Loopback, sign: bytes) -> None:
    loopback.chat(events_reply([*sse(chunk("Hi")), *([Pause(0.05), sign] * 400)]))
    outcome = await ask(loopback.base_url, idle=0.4)
    assert outcome.text == "Hi"
    assert outcome.error is not None
    assert "nothing more for 0.4 s" in outcome.error.title


async def test_payload_resets_the_idle_clock(loopback: Loopback) -> None:
    tokens = [piece for _ in range(8) for piece in (Pause(0.15), event(chunk("x")))]
    loopback.chat(events_reply([*tokens, *reply_events([])]))
    outcome = await ask(loopback.base_url, idle=0.6)
    assert (outcome.text, outcome.error) == ("x" * 8, None)


async def test_a_slow_reader_is_not_taken_for_a_slow_server(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(events_reply([*sse(chunk("a")), gate, *reply_events(["b"])]))
    asked = provider(loopback.base_url, idle=0.3)
    text = ""
    async with aclosing(asked.stream(REQUEST)) as events:
        async for found in events:
            if isinstance(found, TextDelta):
                text += found.text
                await asyncio.sleep(0.7)  # longer than the server may take
                gate.open()
    assert text == "ab"
    await asked.aclose()


@pytest.mark.parametrize(
    ("message", "dropped", "kept"),
    [
        ("Unrecognized request argument supplied: stream_options", "stream_options", "max_tokens"),
        ("Use 'max_completion_tokens' instead of 'max_tokens'.", "max_tokens", "max_completion_tokens"),
    ],
)
async def test_a_parameter_that_the_server_does_not_know_is_worded_otherwise_once(
    loopback: Loopback, message: str, dropped: str, kept: str
) -> None:
    loopback.chat(error_reply(400, message), stream_of("ok"))
    asked = provider(loopback.base_url)
    request = replace(REQUEST, max_tokens=5)
    assert (await outcome_of(asked, request)).text == "ok"
    assert (await outcome_of(asked, request)).text == "ok"
    await asked.aclose()
    bodies = [json.loads(request.body) for request in loopback.requests]
    assert [dropped in body for body in bodies] == [True, False, False]
    assert kept in bodies[1]


async def test_a_400_that_names_the_parameter_for_ever_is_reported(loopback: Loopback) -> None:
    loopback.chat(error_reply(400, "stream_options is not allowed"))
    outcome = await ask(loopback.base_url)
    assert outcome.error is not None
    assert len(loopback.requests) == 2


async def test_a_reply_without_streaming(loopback: Loopback) -> None:
    loopback.chat(whole("Hello", reasoning="hm", finish="length"))
    asked = provider(loopback.base_url)
    reply = await asked.complete(REQUEST)
    assert (reply.text, reply.reasoning, reply.finish_reason, reply.model) == ("Hello", "hm", "length", "test-model")
    assert (reply.usage, reply.request_id) == (Usage(12, 34), "req-1")
    assert loopback.requests[0].json == {"model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}
    slow = [b"\n", b"\n", json.dumps({"choices": [{"message": {"content": "late"}}]}).encode()]
    loopback.chat(Script(200, {"content-type": "application/json"}, slow))
    assert (await asked.complete(REQUEST)).text == "late"
    await asked.aclose()


async def test_models_are_listed_by_name(loopback: Loopback) -> None:
    loopback.models("b", "a")
    asked = provider(loopback.base_url)
    assert [model.id for model in await asked.models()] == ["a", "b"]
    loopback.on("/v1/models", json_reply([{"id": "bare"}]), method="GET")
    assert [model.id for model in await asked.models()] == ["bare"]
    await asked.aclose()
