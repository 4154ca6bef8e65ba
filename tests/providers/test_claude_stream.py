"""Streamed messages of Anthropic, over real sockets."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace

import pytest

from holychat.domain.chat import Role
from holychat.domain.events import ReplyStarted, TextDelta, TurnFinished, UsageReported
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.domain.usage import Usage
from holychat.providers import messages as messages_module
from tests.providers.claudes import HI, ask_claude, claude, messages
from tests.providers.tools import KEY, outcome_of
from tests.support.loopback import FOREVER, Gate, Loopback, Pause, Piece, Script, events_reply
from tests.support.messages import (
    PING,
    STOPPED,
    closed,
    ended,
    message_events,
    message_stream,
    named,
    opened,
    other_delta,
    refusal,
    started,
    text,
    thinking,
    whole_message,
)  # fmt: skip


async def test_a_message_arrives_as_events_in_order(loopback: Loopback) -> None:
    messages(loopback, message_stream("Hel", "lo", thoughts=["I ", "think"]))
    outcome = await ask_claude(loopback)
    assert outcome.events[0] == ReplyStarted("req-1", "claude-test-1")
    assert (outcome.reasoning, outcome.text, outcome.finish) == ("I think", "Hello", "stop")
    assert outcome.usage == Usage(12, 34, 0)
    assert isinstance(outcome.events[-1], TurnFinished)


async def test_the_request_holds_what_was_asked_and_nothing_else(loopback: Loopback) -> None:
    messages(loopback, message_stream("ok"))
    prompt = (
        PromptMessage(Role.SYSTEM, "Be short."),
        PromptMessage(Role.USER, "Hi \ud83d"),
        PromptMessage(Role.ASSISTANT, "Hello."),
        PromptMessage(Role.ASSISTANT, " \n"),
        PromptMessage(Role.ASSISTANT, "Yes?"),
        PromptMessage(Role.SYSTEM, "And kind."),
        PromptMessage(Role.USER, "Who are you?"),
    )
    await ask_claude(loopback, request=ReplyRequest("any-model", prompt, temperature=0.0, max_tokens=7))
    request = loopback.requests[0]
    assert request.json == {
        "model": "any-model",
        "max_tokens": 7,
        "messages": [
            {"role": "user", "content": "Hi �"},
            {"role": "assistant", "content": "Hello.\n\nYes?"},
            {"role": "user", "content": "Who are you?"},
        ],
        "system": "Be short.\n\nAnd kind.",
        "stream": True,
        "temperature": 0.0,
    }
    assert (request.headers["x-api-key"], request.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert "authorization" not in request.headers
    assert request.headers["accept"] == "text/event-stream"
    assert request.headers["user-agent"].startswith("holychat/")


async def test_further_parameters_go_along_and_stop_has_its_own_name(loopback: Loopback) -> None:
    messages(loopback, message_stream("ok"))
    await ask_claude(loopback, request=replace(HI, parameters=(("stop", '"END"'), ("top_k", "5"))))
    await ask_claude(loopback, request=replace(HI, parameters=(("stop", '["A","B"]'),)))
    first, second = (request.json for request in loopback.requests)
    assert (first["stop_sequences"], first["top_k"], "stop" in first) == (["END"], 5, False)
    assert second["stop_sequences"] == ["A", "B"]


async def test_the_beginning_of_an_answer_ends_without_white_space(loopback: Loopback) -> None:
    messages(loopback, message_stream("ok"))
    prompt = (PromptMessage(Role.USER, "Hi"), PromptMessage(Role.ASSISTANT, "The best \n"))
    await ask_claude(loopback, request=replace(HI, messages=prompt))
    assert loopback.requests[0].json["messages"][-1] == {"role": "assistant", "content": "The best"}


@pytest.mark.parametrize("ending", ["", "/", "/v1", "/v1/"])
async def test_the_address_is_taken_with_and_without_its_version(loopback: Loopback, ending: str) -> None:
    loopback.on("/claude/v1/messages", message_stream("ok"))
    asked = claude(f"{loopback.url}/claude{ending}?api-version=7")
    assert (await outcome_of(asked)).text == "ok"
    await asked.aclose()
    assert loopback.requests[0].query == "api-version=7"


async def test_each_piece_is_given_as_soon_as_it_arrives(loopback: Loopback) -> None:
    first, second = Gate(), Gate()
    messages(loopback, events_reply([started(), opened(), text("one"), first, text("two"), second, ended(), STOPPED]))
    asked = claude(loopback.url)
    async with aclosing(asked.stream(HI)) as events:
        assert isinstance(await anext(events), ReplyStarted)
        assert await anext(events) == UsageReported(Usage(12, 1, 0))
        assert await anext(events) == TextDelta("one")
        first.open()
        assert await anext(events) == TextDelta("two")
        second.open()
    await asked.aclose()


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("pause_turn", "pause_turn"),
        ("something\x1bnew", "something�new"),
    ],
)
async def test_why_a_message_ended_is_told_in_the_words_of_all_providers(
    loopback: Loopback, reason: str, finish: str
) -> None:
    messages(loopback, message_stream("Hi", reason=reason))
    outcome = await ask_claude(loopback)
    assert (outcome.text, outcome.finish, outcome.error) == ("Hi", finish, None)


@pytest.mark.parametrize(
    "ending",
    [
        pytest.param([ended(), STOPPED], id="as documented"),
        pytest.param([ended()], id="a reason and the end of the connection"),
        pytest.param([ended(None), ended(), STOPPED], id="the reason in a second message_delta"),
        pytest.param([ended(), STOPPED, text("never shown")], id="more after the end"),
        pytest.param([ended(), b"data: [DONE]\n\n"], id="DONE, as gateways send it"),
        pytest.param([ended(), b"data: nonsense\n\n"], id="nonsense after the reason"),
    ],
)
async def test_every_usual_ending_is_a_complete_reply(loopback: Loopback, ending: list[bytes]) -> None:
    messages(loopback, events_reply([started(), opened(), text("Hello"), closed(), *ending]))
    outcome = await ask_claude(loopback)
    assert outcome.error is None
    assert (outcome.text, outcome.finish) == ("Hello", "stop")


async def test_an_end_without_a_reason_is_complete_and_logged(
    loopback: Loopback, caplog: pytest.LogCaptureFixture
) -> None:
    messages(loopback, events_reply([started(), opened(), text("Hi"), closed(), STOPPED]))
    outcome = await ask_claude(loopback)
    assert (outcome.text, outcome.finish, outcome.error) == ("Hi", "", None)
    assert "no finish reason" in caplog.text


@pytest.mark.parametrize("tail", [[FOREVER], [Pause(0.05), PING] * 1000])
async def test_a_finished_message_does_not_wait_for_its_last_event(loopback: Loopback, tail: list[Piece]) -> None:
    messages(loopback, events_reply([started(), opened(), text("Hi"), ended(), *tail]))
    async with asyncio.timeout(20):
        outcome = await ask_claude(loopback, idle=60)
    assert (outcome.text, outcome.finish, outcome.error) == ("Hi", "stop", None)


async def test_what_is_not_known_changes_nothing(loopback: Loopback) -> None:
    noise = [
        PING,
        b": comment\n\n",
        named("content_block_upgrade", index="x", delta=7, content_block=[], message="m"),
        named("usage_update", usage="much", error=None),
        other_delta(0, type="citations_delta", citation={"type": "char_location", "cited_text": "x"}),
        other_delta(0, type="summary_delta", text=[1], thinking={}).replace(b"content_block_delta", b"later_delta"),
        other_delta(0, type="hint_delta", text="not an answer"),
        opened(7, "server_tool_use", id="x", name="web_search", input={}),
        other_delta(7, type="input_json_delta", partial_json='{"a'),
        closed(7),
    ]
    pieces: list[bytes] = []
    for piece in message_events(["Hel", "lo"], thoughts=["hm"]):
        pieces += [piece, *noise] if not piece.startswith(b"event: message_stop") else [piece]
    messages(loopback, events_reply(pieces))
    outcome = await ask_claude(loopback)
    assert (outcome.reasoning, outcome.text, outcome.finish, outcome.error) == ("hm", "Hello", "stop", None)


async def test_text_of_several_blocks_is_one_answer(loopback: Loopback) -> None:
    pieces = [started(), opened(0, text="So "), text("it "), closed(0), opened(1), text("is.", 1), closed(1)]
    messages(loopback, events_reply([*pieces, ended(), STOPPED]))
    assert (await ask_claude(loopback)).text == "So it is."


async def test_tokens_of_the_cache_are_input_and_later_counts_replace_earlier_ones(loopback: Loopback) -> None:
    usage = {
        "input_tokens": 10, "cache_creation_input_tokens": 20, "cache_read_input_tokens": 300, "output_tokens": 1,
        "service_tier": "standard", "cache_creation": {"ephemeral_5m_input_tokens": 20},
    }  # fmt: skip
    pieces = [started(usage), opened(), text("Hi"), closed(), ended(output_tokens_details={"thinking_tokens": 5})]
    messages(loopback, events_reply([*pieces, STOPPED]))
    assert (await ask_claude(loopback)).usage == Usage(330, 34, 300, 5)
    late = {"input_tokens": 0, "output_tokens": 0}
    pieces = [started(late), opened(), text("Hi"), ended(input_tokens=11, cache_read_input_tokens=4), STOPPED]
    messages(loopback, events_reply(pieces))
    assert (await ask_claude(loopback)).usage == Usage(15, 34, 4)


@pytest.mark.parametrize("count", ["1", -1, 1e999, [], 10**12])
async def test_counts_that_cannot_be_true_make_the_usage_an_estimate_and_break_nothing(
    loopback: Loopback, count: object
) -> None:
    odd = [started(), opened(), text("Hello"), closed(), ended(output_tokens=count), STOPPED]
    messages(loopback, events_reply(odd))
    outcome = await ask_claude(loopback)
    assert (outcome.text, outcome.finish, outcome.error) == ("Hello", "stop", None)
    assert outcome.usage is not None
    assert (outcome.usage.output_tokens, outcome.usage.estimated) == (None, True)


async def test_a_stream_sent_byte_by_byte_is_the_same_message(loopback: Loopback) -> None:
    body = b"".join(message_events(["Xin ", "chào 👋\u2028"], thoughts=["hm"]))
    messages(loopback, events_reply([body[i : i + 1] for i in range(len(body))]))
    outcome = await ask_claude(loopback)
    assert (outcome.reasoning, outcome.text, outcome.finish) == ("hm", "Xin chào 👋\u2028", "stop")


async def test_a_whole_message_in_place_of_a_stream_is_taken(loopback: Loopback) -> None:
    messages(loopback, whole_message("All at once", thought="hm"))
    outcome = await ask_claude(loopback)
    assert (outcome.reasoning, outcome.text, outcome.finish) == ("hm", "All at once", "stop")
    assert outcome.usage == Usage(12, 34, 0)


async def test_the_connection_is_used_again_for_the_next_message(loopback: Loopback) -> None:
    messages(loopback, message_stream("Hi"))
    asked = claude(loopback.url)
    for _ in range(3):
        assert (await outcome_of(asked)).finish == "stop"
    await asked.aclose()
    assert loopback.connections == 1


async def test_closing_the_stream_closes_the_socket(loopback: Loopback) -> None:
    messages(loopback, events_reply([started(), opened(), text("Hi"), FOREVER]))
    asked = claude(loopback.url)
    async with aclosing(asked.stream(HI)) as events:
        async for found in events:
            if isinstance(found, TextDelta):
                break
    assert await asyncio.to_thread(loopback.requests[0].gone.wait, 10)
    await asked.aclose()


# The idle clock


@pytest.mark.parametrize("sign", [PING, b": keep-alive\n\n", named("heartbeat"), b"\n"])
async def test_signs_of_life_without_payload_do_not_reset_the_idle_clock(loopback: Loopback, sign: bytes) -> None:
    messages(loopback, events_reply([started(), opened(), text("Hi"), *([Pause(0.05), sign] * 400)]))
    outcome = await ask_claude(loopback, idle=0.4)
    assert outcome.text == "Hi"
    assert outcome.error is not None
    assert "nothing more for 0.4 s" in outcome.error.title


async def test_payload_resets_the_idle_clock(loopback: Loopback) -> None:
    pieces = [piece for _ in range(8) for piece in (Pause(0.15), text("x"))]
    messages(loopback, events_reply([started(), opened(), *pieces, ended(), STOPPED]))
    outcome = await ask_claude(loopback, idle=0.6)
    assert (outcome.text, outcome.error) == ("x" * 8, None)


@pytest.mark.parametrize("kind", ["thinking", "redacted_thinking"])
async def test_a_model_that_thinks_unheard_is_waited_for(loopback: Loopback, kind: str) -> None:
    quiet: list[Piece] = [started(), opened(0, kind), *([Pause(0.1), PING] * 12)]
    spoken = [other_delta(0, type="signature_delta", signature="c2ln"), closed(0), opened(1), text("42", 1), ended()]
    messages(loopback, events_reply([*quiet, *spoken, STOPPED]))
    outcome = await ask_claude(loopback, idle=0.4)
    assert (outcome.text, outcome.error) == ("42", None)


async def test_a_model_that_thinks_unheard_is_not_waited_for_forever(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages_module, "_UNHEARD_SECONDS", 0.4)
    messages(loopback, events_reply([started(), opened(0, "thinking"), *([Pause(0.05), PING] * 400)]))
    outcome = await ask_claude(loopback, idle=0.3)
    assert outcome.error is not None
    assert "nothing more for 0.7 s" in outcome.error.title


@pytest.mark.parametrize("heard", [[thinking("hm")], [closed(0)]])
async def test_once_thinking_is_heard_or_over_the_usual_time_holds_again(
    loopback: Loopback, heard: list[bytes]
) -> None:
    messages(loopback, events_reply([started(), opened(0, "thinking"), *heard, *([Pause(0.05), PING] * 400)]))
    async with asyncio.timeout(20):
        outcome = await ask_claude(loopback, idle=0.4)
    assert outcome.error is not None
    assert "nothing more for 0.4 s" in outcome.error.title


# How long an answer may be


async def lengths(loopback: Loopback, request: ReplyRequest, *, window: int | None = None) -> tuple[int, int]:
    """`max_tokens` of a streamed and of a whole request."""
    messages(loopback, message_stream("ok"), whole_message("ok"))
    asked = claude(loopback.url, window=window)
    await outcome_of(asked, request)
    await asked.complete(request)
    await asked.aclose()
    streamed, whole = (sent.json["max_tokens"] for sent in loopback.requests[-2:])
    return streamed, whole


async def test_where_nobody_says_how_long_an_answer_may_be_it_is_the_longest_of_the_model(loopback: Loopback) -> None:
    assert await lengths(loopback, replace(HI, model="claude-opus-4-8")) == (128_000, 21_333)
    assert await lengths(loopback, replace(HI, model="claude-haiku-4-5-20251001")) == (64_000, 21_333)
    assert await lengths(loopback, HI) == (32_000, 21_333)
    assert await lengths(loopback, HI, window=8192) == (4096, 4096)
    assert await lengths(loopback, replace(HI, max_tokens=100_000)) == (100_000, 100_000)


TOO_LONG = refusal(
    400,
    "invalid_request_error",
    "max_tokens: 32000 > 4096, which is the maximum allowed number of output tokens for claude-test-1",
)
NO_ROOM = refusal(
    400,
    "invalid_request_error",
    "input length and `max_tokens` exceed context limit: 178959 + 32000 > 200000, decrease input length or "
    "`max_tokens` and try again",
)


async def test_a_length_of_ours_that_is_too_long_becomes_what_the_model_allows(loopback: Loopback) -> None:
    messages(loopback, TOO_LONG, message_stream("ok"))
    asked = claude(loopback.url)
    for _ in range(2):
        assert (await outcome_of(asked)).text == "ok"
    await asked.aclose()
    assert [request.json["max_tokens"] for request in loopback.requests] == [32_000, 4096, 4096]


async def test_a_length_of_ours_that_leaves_no_room_is_shortened_for_that_request_alone(loopback: Loopback) -> None:
    messages(loopback, NO_ROOM, message_stream("ok"))
    asked = claude(loopback.url)
    for _ in range(2):
        assert (await outcome_of(asked)).text == "ok"
    await asked.aclose()
    assert [request.json["max_tokens"] for request in loopback.requests] == [32_000, 21_041, 32_000]


@pytest.mark.parametrize("answer", [TOO_LONG, NO_ROOM])
async def test_a_length_that_was_asked_for_is_never_changed(loopback: Loopback, answer: Script) -> None:
    messages(loopback, answer, message_stream("ok"))
    outcome = await ask_claude(loopback, request=replace(HI, max_tokens=32_000))
    assert outcome.error is not None
    assert len(loopback.requests) == 1


@pytest.mark.parametrize("answer", [TOO_LONG, NO_ROOM])
async def test_a_refusal_for_ever_is_reported(loopback: Loopback, answer: Script) -> None:
    messages(loopback, answer)
    outcome = await ask_claude(loopback)
    assert outcome.error is not None
    assert len(loopback.requests) == 2


# Without streaming


async def test_a_message_without_streaming(loopback: Loopback) -> None:
    messages(loopback, whole_message("Hello", thought="hm", reason="max_tokens", cache_read_input_tokens=5))
    asked = claude(loopback.url)
    reply = await asked.complete(HI)
    assert (reply.text, reply.reasoning, reply.finish_reason, reply.model) == ("Hello", "hm", "length", "claude-test-1")
    assert (reply.usage, reply.request_id) == (Usage(17, 34, 5), "req-1")
    assert "stream" not in loopback.requests[0].json
    slow = [b"\n", b"\n", json.dumps({"type": "message", "content": [{"type": "text", "text": "late"}]}).encode()]
    messages(loopback, Script(200, {"content-type": "application/json"}, slow))
    assert (await asked.complete(HI)).text == "late"
    await asked.aclose()


async def test_models_are_listed_by_name(loopback: Loopback) -> None:
    loopback.models("b", "a")
    asked = claude(loopback.url)
    assert [model.id for model in await asked.models()] == ["a", "b"]
    await asked.aclose()
    assert (loopback.requests[0].path, loopback.requests[0].query) == ("/v1/models", "limit=1000")
