"""A turn: every way it can end, what is kept of it, and what it costs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import MessageState, ReasoningPart, TextPart
from holychat.domain.events import (
    TextDelta,
    TurnEnded,
    TurnFinished,
    UsageReported,
)
from holychat.domain.usage import Usage
from holychat.errors import RateLimited, ReplyBroken
from holychat.store import messages
from tests.chat.tools import START, ask, ended, eventually, has_text, run, until, use
from tests.support.loopback import CUT, FOREVER, RESET, Gate, Loopback, error_reply, events_reply, sse, stream_of
from tests.support.script import chunk, whole

if TYPE_CHECKING:
    from holychat.services import Services


def kinds(events: list[object]) -> list[str]:
    return [type(event).__name__ for event in events]


async def stored(services: Services, message_id: int) -> object:
    return await services.database.read(lambda c: messages.get(c, message_id))


# Ends


async def test_a_whole_reply_is_complete_with_everything_the_provider_said(
    services: Services, loopback: Loopback
) -> None:
    loopback.chat(stream_of("Hel", "lo", reasoning=("hm",)))
    _, turn = await ask(services)
    assert (turn.answer.state, turn.answer.text, turn.question.text) == (MessageState.STREAMING, "", "why?")
    events = await run(turn)
    assert kinds(events) == [
        "ReplyStarted", "ReasoningDelta", "TextDelta", "TextDelta", "UsageReported", "TurnFinished", "TurnEnded",
    ]  # fmt: skip
    message = events[-1].message
    assert message.state is MessageState.COMPLETE
    assert message.parts == (ReasoningPart("hm"), TextPart("Hello"))
    assert (message.finish_reason, message.usage, message.failure) == ("stop", Usage(12, 34), None)
    assert (message.provider, message.model, message.request_id) == ("test", "test-model", "req-1")
    assert 0 <= message.timing.first_token_ms <= message.timing.elapsed_ms
    assert await stored(services, message.id) == message == turn.answer


async def test_the_question_and_the_answer_are_stored_before_the_first_byte_is_sent(
    services: Services, loopback: Loopback
) -> None:
    gate = Gate()
    loopback.chat(lambda _request: events_reply([gate, *sse(chunk("hi", finish="stop"), "[DONE]")]))
    chat_id, turn = await ask(services)
    assert loopback.requests == []
    _, found = await services.chats.tail(chat_id, 9)
    assert [(m.text, m.state) for m in found] == [("why?", MessageState.COMPLETE), ("", MessageState.STREAMING)]
    gate.open()
    assert (await ended(turn)).text == "hi"


async def test_stopping_keeps_the_text_and_closes_the_socket(services: Services, loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse(chunk("Hel"), chunk("lo")), FOREVER]))
    _, turn = await ask(services)
    events = turn.events()
    await until(events, has_text("lo"))
    turn.stop()
    turn.stop()
    last = await until(events, lambda event: isinstance(event, TurnEnded))
    assert (last.message.state, last.message.text) == (MessageState.STOPPED, "Hello")
    assert last.message.failure is None
    assert await stored(services, last.message.id) == last.message
    assert await asyncio.to_thread(loopback.requests[0].gone.wait, 10)


async def test_stopping_before_the_first_byte_ends_the_turn_too(services: Services, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(events_reply([gate]))
    _, turn = await ask(services)
    asyncio.get_running_loop().call_later(0.05, turn.stop)
    assert (await ended(turn)).state is MessageState.STOPPED
    assert await asyncio.to_thread(loopback.requests[0].gone.wait, 10)
    gate.open()


async def test_stopping_before_the_turn_runs_sends_nothing(services: Services, loopback: Loopback) -> None:
    loopback.chat(stream_of("x"))
    _, turn = await ask(services)
    turn.stop()
    assert (await ended(turn)).state is MessageState.STOPPED
    assert loopback.requests == []


async def test_stopping_after_the_end_changes_nothing(services: Services, loopback: Loopback) -> None:
    loopback.chat(stream_of("x"))
    _, turn = await ask(services)
    message = await ended(turn)
    turn.stop()
    await turn.interrupt()
    assert await stored(services, message.id) == message
    assert message.state is MessageState.COMPLETE


@pytest.mark.parametrize("end", [CUT, RESET, None], ids=["cut", "reset", "clean end without a finish reason"])
async def test_a_reply_that_breaks_off_is_interrupted_and_kept(
    services: Services, loopback: Loopback, end: object
) -> None:
    loopback.chat(events_reply([*sse(chunk("Hel"), chunk("lo")), *([end] if end else [])]))
    _, turn = await ask(services)
    message = await ended(turn)
    assert (message.state, message.text, message.failure.kind) == (MessageState.INTERRUPTED, "Hello", "ReplyBroken")
    assert message.usage.estimated
    assert message.usage.output_tokens > 0
    assert await stored(services, message.id) == message
    assert len(loopback.requests) == 1


async def test_a_reply_cut_after_a_usage_report_is_still_an_estimate(services: Services) -> None:
    use(services, START, UsageReported(Usage(5, 1)), TextDelta("word " * 40), ReplyBroken("cut"))
    message = await ended((await ask(services))[1])
    assert message.usage.estimated
    assert message.usage.input_tokens == 5
    assert message.usage.output_tokens > 10


async def test_a_whole_reply_without_usage_is_estimated_and_marked(services: Services) -> None:
    use(services, START, TextDelta("four"), TurnFinished("stop"))
    message = await ended((await ask(services))[1])
    assert message.usage.estimated
    assert message.usage.output_tokens == 1


@pytest.mark.parametrize("odd", [-5, 2.5, "7", 10**30, [1], True])
async def test_odd_token_counts_end_no_reply_and_are_counted_by_us(
    odd: object, services: Services, loopback: Loopback
) -> None:
    usage = {"prompt_tokens": odd, "completion_tokens": odd}
    loopback.chat(events_reply(sse(chunk("Hel", usage=usage), chunk("lo", finish="stop", usage=usage), "[DONE]")))
    message = await ended((await ask(services))[1])
    assert (message.state, message.text, message.failure) == (MessageState.COMPLETE, "Hello", None)
    assert message.usage.estimated
    assert 0 < message.usage.output_tokens < 10
    assert 0 < message.usage.input_tokens < 100


async def test_costs_come_from_the_catalogue_and_are_marked_where_the_tokens_are_ours(services: Services) -> None:
    chat = await services.chats.create()
    await services.chats.set_options(chat.id, services.chats.default_options())
    provider = use(services, START, UsageReported(Usage(1_000_000, 1_000_000)), TextDelta("x"), TurnFinished("stop"))
    services.registry._built["holysheep"] = provider
    services.keychain.remember("holysheep", "sk-test-0123456789")
    from dataclasses import replace

    await services.chats.set_options(chat.id, replace(chat.options, provider="holysheep", model="gpt-4.1"))
    message = await ended(await services.chats.send(chat.id, "x"))
    assert (message.cost.micros, message.cost.estimated) == (10_000_000, False)
    provider.script = [START, TextDelta("x" * 4000), ReplyBroken("cut")]
    message = await ended(await services.chats.send(chat.id, "x"))
    assert message.cost.estimated
    assert message.cost.micros >= 8_000


async def test_a_refusal_is_failed_and_says_why(services: Services, loopback: Loopback) -> None:
    loopback.chat(error_reply(400, "model not found", headers={"x-request-id": "req-9"}))
    message = await ended((await ask(services))[1])
    assert (message.state, message.failure.kind, message.failure.status) == (
        MessageState.FAILED, "RequestRefused", 400,
    )  # fmt: skip
    assert message.request_id == "req-9"
    assert (message.usage, message.cost, message.timing.attempts) == (Usage(), None, 1)
    assert await stored(services, message.id) == message


async def test_an_unknown_provider_is_told_after_the_question_is_stored(services: Services) -> None:
    chat = await services.chats.create()
    from dataclasses import replace

    await services.chats.set_options(chat.id, replace(chat.options, provider="gone"))
    message = await ended(await services.chats.send(chat.id, "dear question"))
    assert (message.state, message.failure.kind) == (MessageState.FAILED, "UsageError")
    assert (await services.chats.tail(chat.id, 9))[1][0].text == "dear question"


async def test_a_missing_key_is_told_after_the_question_is_stored_and_nothing_is_sent(
    services: Services, loopback: Loopback
) -> None:
    chat = await services.chats.create()
    from dataclasses import replace

    await services.chats.set_options(chat.id, replace(chat.options, provider="openai", model="gpt-4.1"))
    message = await ended(await services.chats.send(chat.id, "dear question"))
    assert (message.state, message.failure.kind) == (MessageState.FAILED, "KeyMissing")
    assert message.failure.hint
    assert (await services.chats.tail(chat.id, 9))[1][0].text == "dear question"
    assert loopback.requests == []


async def test_a_fault_of_ours_ends_the_turn_and_not_the_app(
    services: Services, caplog: pytest.LogCaptureFixture
) -> None:
    use(services, START, TextDelta("half"), ZeroDivisionError("oops"))
    message = await ended((await ask(services))[1])
    assert (message.state, message.text) == (MessageState.INTERRUPTED, "half")
    assert "ZeroDivisionError" in message.failure.title
    assert "oops" in caplog.text


async def test_a_provider_that_just_ends_is_not_believed(services: Services) -> None:
    use(services, START, TextDelta("half"))
    message = await ended((await ask(services))[1])
    assert (message.state, message.failure.kind) == (MessageState.INTERRUPTED, "ReplyBroken")


async def test_the_end_is_not_held_up_by_what_remains_on_the_connection(services: Services) -> None:
    gate = asyncio.Event()
    provider = use(services, START, TextDelta("x"), TurnFinished("stop"), gate.wait, RateLimited("late"))
    _, turn = await ask(services)
    assert (await ended(turn)).state is MessageState.COMPLETE
    assert provider.closed == 0
    gate.set()
    await turn.wait_closed()
    assert provider.closed == 1
    assert turn.answer.state is MessageState.COMPLETE


async def test_a_provider_that_hides_being_cancelled_is_stopped_all_the_same(services: Services) -> None:
    async def stubborn() -> None:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            raise ReplyBroken("the connection was closed") from None

    use(services, START, TextDelta("x"), stubborn)
    _, turn = await ask(services)
    events = turn.events()
    await until(events, has_text("x"))
    turn.stop()
    last = await until(events, lambda event: isinstance(event, TurnEnded))
    assert (last.message.state, last.message.failure) == (MessageState.STOPPED, None)


async def test_interrupting_stores_at_once_and_marks_the_chat_unfinished(
    services: Services, loopback: Loopback
) -> None:
    loopback.chat(events_reply([*sse(chunk("Hel"), chunk("lo")), FOREVER]))
    chat_id, turn = await ask(services)
    await until(turn.events(), has_text("lo"))
    await turn.interrupt()
    message = await stored(services, turn.answer.id)
    assert (message.state, message.text) == (MessageState.INTERRUPTED, "Hello")
    assert (await services.chats.unfinished()).id == chat_id
    await services.chats.tail(chat_id, 9)
    assert await services.chats.unfinished() is None
    assert await asyncio.to_thread(loopback.requests[0].gone.wait, 10)


async def test_leaving_the_events_early_interrupts_the_turn(services: Services, loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse(chunk("Hello")), FOREVER]))
    _, turn = await ask(services)
    events = turn.events()
    await until(events, has_text("Hello"))
    await events.aclose()
    assert (await stored(services, turn.answer.id)).state is MessageState.INTERRUPTED


async def test_cancelling_the_one_who_watches_interrupts_the_turn(services: Services, loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse(chunk("Hello")), FOREVER]))
    _, turn = await ask(services)
    watcher = asyncio.create_task(run(turn))
    await eventually(lambda: turn.current().text == "Hello")
    watcher.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watcher
    assert (await stored(services, turn.answer.id)).text == "Hello"
    assert (await stored(services, turn.answer.id)).state is MessageState.INTERRUPTED


async def test_a_turn_runs_once(services: Services, loopback: Loopback) -> None:
    loopback.chat(stream_of("x"))
    _, turn = await ask(services)
    await run(turn)
    with pytest.raises(RuntimeError, match="once"):
        turn.events()


async def test_a_reply_without_streaming_is_the_same_turn(services: Services, loopback: Loopback) -> None:
    loopback.chat(whole("Hello", reasoning="hm"))
    chat = await services.chats.create()
    message = await ended(await services.chats.send(chat.id, "why?", stream=False))
    assert (message.state, message.text, message.reasoning) == (MessageState.COMPLETE, "Hello", "hm")
    assert not loopback.requests[0].json.get("stream")
