"""Chats as the screen uses them: sending, editing, asking again, going on, several windows, closing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import ChatOptions, MessageState, ReasoningPart, TextPart
from holychat.domain.events import ReplyStarted, TextDelta, TurnFinished, UsageReported
from holychat.domain.usage import Usage
from holychat.errors import ReplyBroken, Unreachable, UsageError
from holychat.store import messages as message_rows
from tests.chat.tools import ask, ended, eventually, has_text, open_home, run, until, use
from tests.support.loopback import CUT, FOREVER, Loopback, events_reply, sse, stream_of
from tests.support.script import chunk

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.domain.chat import Message
    from holychat.services import Services

START = ReplyStarted("req-1", "test-model")
DONE = TurnFinished("stop")


async def texts(services: Services, chat_id: int) -> list[str]:
    return [message.text for message in (await services.chats.tail(chat_id, 100))[1]]


async def talked(services: Services, *exchanges: tuple[str, str]) -> tuple[int, list[Message]]:
    chat = await services.chats.create()
    for question, reply in exchanges:
        use(services, START, TextDelta(reply), DONE)
        await ended(await services.chats.send(chat.id, question))
    return chat.id, (await services.chats.tail(chat.id, 100))[1]


# Sending


async def test_sending_clears_the_draft_and_titles_the_chat_in_the_same_write(services: Services) -> None:
    chat = await services.chats.create()
    await services.chats.save_draft(chat.id, "How do I boil a p")
    use(services, START, DONE)
    await services.chats.send(chat.id, "How do I boil a pot?")
    now = await services.chats.get(chat.id)
    assert (now.draft, now.title, now.message_count) == ("", "How do I boil a pot?", 2)


@pytest.mark.parametrize("text", ["", "  \n\t"])
async def test_nothing_is_not_sent(services: Services, text: str) -> None:
    chat = await services.chats.create()
    with pytest.raises(UsageError, match="nothing to send"):
        await services.chats.send(chat.id, text)
    assert (await services.chats.get(chat.id)).message_count == 0


async def test_a_file_goes_along_without_a_word(services: Services, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("tea at five")
    chat = await services.chats.create()
    provider = use(services, START, TextDelta("ok"), DONE)
    await ended(await services.chats.send(chat.id, "", [file]))
    assert provider.requests[0].messages[-1].text == '<file name="notes.txt">\ntea at five\n</file>\n'
    assert (await services.chats.get(chat.id)).title == "notes.txt"


async def test_a_file_that_can_not_go_along_keeps_the_question_from_being_sent(services: Services) -> None:
    chat = await services.chats.create()
    await services.chats.save_draft(chat.id, "read this")
    with pytest.raises(UsageError, match="Cannot read"):
        await services.chats.send(chat.id, "read this", ["/nowhere/at/all"])
    now = await services.chats.get(chat.id)
    assert (now.draft, now.message_count) == ("read this", 0)


async def test_a_chat_that_is_not_there_is_a_usage_error(services: Services) -> None:
    for call in (
        services.chats.get(77),
        services.chats.send(77, "x"),
        services.chats.tail(77, 5),
        services.chats.rename(77, "x"),
        services.chats.delete(77),
        services.chats.export(77, "json"),
        services.chats.set_options(77, ChatOptions("test")),
    ):
        with pytest.raises(UsageError, match="no chat 77"):
            await call


async def test_the_history_goes_along_as_the_person_saw_it(services: Services) -> None:
    chat_id, _ = await talked(services, ("one", "1"))
    use(services, START, TextDelta("tw"), ReplyBroken("cut"))
    await ended(await services.chats.send(chat_id, "two"))
    use(services, Unreachable("no line", retryable=False))
    await ended(await services.chats.send(chat_id, "three"))
    await services.chats.set_options(chat_id, ChatOptions("test", "test-model", "Be brief.", 0.2, 50))
    provider = use(services, START, TextDelta("4"), DONE)
    await ended(await services.chats.send(chat_id, "four"))
    (request,) = provider.requests
    assert [(m.role.value, m.text) for m in request.messages] == [
        ("system", "Be brief."), ("user", "one"), ("assistant", "1"), ("user", "two"), ("assistant", "tw"),
        ("user", "three\n\nfour"),
    ]  # fmt: skip
    assert (request.model, request.temperature, request.max_tokens) == ("test-model", 0.2, 50)


async def test_one_answer_at_a_time_arrives_in_a_chat(services: Services, loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse(chunk("x")), FOREVER]))
    chat_id, turn = await ask(services)
    events = turn.events()
    await until(events, has_text("x"))
    answer = turn.answer.id
    for call in (
        services.chats.send(chat_id, "again"),
        services.chats.regenerate(chat_id, answer),
        services.chats.continue_reply(chat_id, answer),
        services.chats.edit(chat_id, turn.question.id, "other"),
    ):
        with pytest.raises(UsageError, match="still arriving"):
            await call
    assert services.chats.live_turn(chat_id) is turn
    assert len((await services.chats.tail(chat_id, 9))[1]) == 2
    await events.aclose()
    assert services.chats.live_turn(chat_id) is None


async def test_cancelling_while_sending_loses_nothing_and_leaves_nothing_arriving(services: Services) -> None:
    chat = await services.chats.create()
    use(services, START, DONE)
    sending = asyncio.create_task(services.chats.send(chat.id, "dear question"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    found = (await services.chats.tail(chat.id, 9))[1]
    assert [(m.text, m.state) for m in found] in (
        [], [("dear question", MessageState.COMPLETE), ("", MessageState.INTERRUPTED)],
    )  # fmt: skip
    use(services, START, TextDelta("ok"), DONE)
    await ended(await services.chats.send(chat.id, "again"))


# Editing, asking again, going on


async def test_regenerating_replaces_the_answer_and_deletes_nothing(services: Services) -> None:
    chat_id, found = await talked(services, ("one", "1"), ("two", "2"))
    provider = use(services, START, TextDelta("II"), DONE)
    turn = await services.chats.regenerate(chat_id, found[3].id)
    assert turn.question is None
    await ended(turn)
    assert await texts(services, chat_id) == ["one", "1", "two", "II"]
    assert [m.text for m in provider.requests[0].messages] == ["one", "1", "two"]
    assert (await services.chats.message(found[3].id)).replaced
    assert (await services.chats.get(chat_id)).message_count == 4


async def test_regenerating_an_earlier_answer_replaces_what_followed(services: Services) -> None:
    chat_id, found = await talked(services, ("one", "1"), ("two", "2"))
    use(services, START, TextDelta("I"), DONE)
    await ended(await services.chats.regenerate(chat_id, found[1].id))
    assert await texts(services, chat_id) == ["one", "I"]


async def test_regenerating_from_a_question_answers_it_again(services: Services) -> None:
    chat_id, found = await talked(services, ("one", "1"), ("two", "2"))
    use(services, START, TextDelta("I"), DONE)
    await ended(await services.chats.regenerate(chat_id, found[0].id))
    assert await texts(services, chat_id) == ["one", "I"]


async def test_editing_replaces_the_question_and_all_after_it_and_keeps_its_files(
    services: Services, tmp_path: Path
) -> None:
    file = tmp_path / "a.txt"
    file.write_text("sheep")
    chat = await services.chats.create()
    use(services, START, TextDelta("1"), DONE)
    first = await services.chats.send(chat.id, "count", [file])
    await run(first)
    await ended(await services.chats.send(chat.id, "more"))
    await services.chats.save_draft(chat.id, "a thought for later")
    provider = use(services, START, TextDelta("2"), DONE)
    turn = await services.chats.edit(chat.id, first.question.id, "count again")
    assert turn.question.attachments == first.question.attachments
    await ended(turn)
    assert await texts(services, chat.id) == ["count again", "2"]
    assert provider.requests[0].messages[0].text == '<file name="a.txt">\nsheep\n</file>\ncount again'
    assert (await services.chats.get(chat.id)).draft == "a thought for later"


async def test_only_questions_of_the_conversation_can_be_edited(services: Services) -> None:
    chat_id, found = await talked(services, ("one", "1"))
    other, _ = await talked(services, ("two", "2"))
    with pytest.raises(UsageError, match="Only your own"):
        await services.chats.edit(chat_id, found[1].id, "x")
    with pytest.raises(UsageError, match="not in this conversation"):
        await services.chats.edit(other, found[0].id, "x")
    with pytest.raises(UsageError, match="nothing to send"):
        await services.chats.edit(chat_id, found[0].id, " ")
    with pytest.raises(UsageError, match="no message"):
        await services.chats.edit(chat_id, 999, "x")
    use(services, START, DONE)
    await run(await services.chats.edit(chat_id, found[0].id, "x"))
    with pytest.raises(UsageError, match="not in this conversation"):
        await services.chats.edit(chat_id, found[0].id, "x")


async def test_going_on_continues_the_same_message_and_adds_up_what_it_took(services: Services) -> None:
    chat = await services.chats.create()
    use(services, START, UsageReported(Usage(10, 3)), TextDelta("Once upon"), TurnFinished("length"))
    first = await ended(await services.chats.send(chat.id, "a tale"))
    provider = use(services, START, UsageReported(Usage(20, 4)), TextDelta(" a time"), DONE)
    turn = await services.chats.continue_reply(chat.id, first.id)
    assert (turn.question, turn.answer.id, turn.answer.text) == (None, first.id, "Once upon")
    message = await ended(turn)
    assert (message.state, message.parts) == (MessageState.COMPLETE, (TextPart("Once upon a time"),))
    assert (message.usage, message.finish_reason, message.timing.attempts) == (Usage(30, 7), "stop", 2)
    assert message.timing.first_token_ms == first.timing.first_token_ms
    assert message == await services.chats.message(first.id)
    sent = provider.requests[0].messages
    assert [m.role.value for m in sent] == ["user", "assistant", "user"]
    assert sent[1].text == "Once upon"
    assert (await services.chats.search("upon time"))[0].message_id == first.id
    with pytest.raises(UsageError, match="whole"):
        await services.chats.continue_reply(chat.id, first.id)


async def test_going_on_after_nothing_arrived_just_asks_again(services: Services) -> None:
    use(services, Unreachable("no line", retryable=False))
    chat_id, turn = await ask(services)
    failed = await ended(turn)
    provider = use(services, START, TextDelta("ok"), DONE)
    message = await ended(await services.chats.continue_reply(chat_id, failed.id))
    assert (message.state, message.text, message.failure) == (MessageState.COMPLETE, "ok", None)
    assert [m.text for m in provider.requests[0].messages] == ["why?"]


async def test_going_on_that_fails_keeps_what_was_there(services: Services) -> None:
    use(services, START, TextDelta("half"), ReplyBroken("cut"))
    chat_id, turn = await ask(services)
    cut = await ended(turn)
    use(services, Unreachable("no line", retryable=False))
    message = await ended(await services.chats.continue_reply(chat_id, cut.id))
    assert (message.state, message.text, message.failure.kind) == (MessageState.INTERRUPTED, "half", "Unreachable")
    assert message.usage == cut.usage


async def test_only_the_last_answer_can_be_continued(services: Services) -> None:
    use(services, START, TextDelta("half"), ReplyBroken("cut"))
    chat_id, turn = await ask(services)
    cut = await ended(turn)
    use(services, START, TextDelta("2"), DONE)
    await ended(await services.chats.send(chat_id, "two"))
    with pytest.raises(UsageError, match="Only the last"):
        await services.chats.continue_reply(chat_id, cut.id)


async def test_reasoning_before_and_after_going_on_stays_in_its_place(services: Services, loopback: Loopback) -> None:
    loopback.chat(
        events_reply([*sse(chunk(reasoning="a"), chunk("b")), CUT]), stream_of("d", reasoning=("c",)),
    )  # fmt: skip
    chat_id, turn = await ask(services)
    cut = await ended(turn)
    message = await ended(await services.chats.continue_reply(chat_id, cut.id))
    assert message.parts == (ReasoningPart("a"), TextPart("b"), ReasoningPart("c"), TextPart("d"))
    assert (message.text, message.reasoning) == ("bd", "ac")


# Looking


async def test_opening_a_chat_sends_nothing(services: Services) -> None:
    chat_id, _ = await talked(services, ("one", "1"))
    provider = use(services, START, DONE)
    await services.chats.tail(chat_id, 50)
    await services.chats.messages(chat_id, 0, 50)
    await services.chats.get(chat_id)
    await services.chats.last()
    assert provider.requests == []


async def test_the_tail_and_the_pages_meet(services: Services) -> None:
    chat_id, found = await talked(services, *((f"q{n}", f"a{n}") for n in range(5)))
    first, tail = await services.chats.tail(chat_id, 4)
    assert (first, tail) == (6, found[6:])
    assert await services.chats.messages(chat_id, 2, 4) == found[2:6]
    assert [await services.chats.position_of(m.id) for m in found] == list(range(10))
    assert await services.chats.tail(chat_id, 100) == (0, found)


async def test_an_arriving_answer_is_seen_with_all_that_has_arrived(services: Services, loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse(chunk("Hel"), chunk("lo")), FOREVER]))
    chat_id, turn = await ask(services)
    events = turn.events()
    await until(events, has_text("lo"))
    assert await texts(services, chat_id) == ["why?", "Hello"]
    assert (await services.chats.message(turn.answer.id)).state is MessageState.STREAMING
    await events.aclose()


async def test_deleting_a_chat_stops_what_arrives_in_it(services: Services, loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse(chunk("x")), FOREVER]))
    chat_id, turn = await ask(services)
    events = turn.events()
    await until(events, has_text("x"))
    await services.chats.delete(chat_id)
    assert await asyncio.to_thread(loopback.requests[0].gone.wait, 10)
    with pytest.raises(UsageError):
        await services.chats.get(chat_id)
    await events.aclose()


# Several windows, closing


async def test_two_windows_see_each_other(services: Services, loopback: Loopback, private_environment: Path) -> None:
    other = open_home(private_environment, loopback.base_url)
    try:
        chat_id, _ = await talked(services, ("one", "1"))
        noticed = asyncio.Event()

        async def watch() -> None:
            async for _ in other.chats.changes(0.01):
                noticed.set()

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.05)
        noticed.clear()
        await services.chats.rename(chat_id, "Tea")
        async with asyncio.timeout(10):
            await noticed.wait()
        assert (await other.chats.get(chat_id)).title == "Tea"
        watching.cancel()
    finally:
        await other.close()


async def test_an_answer_of_another_living_window_is_left_alone(
    services: Services, loopback: Loopback, private_environment: Path
) -> None:
    loopback.chat(events_reply([*sse(chunk("Hello")), FOREVER]))
    chat_id, turn = await ask(services)
    events = turn.events()
    await until(events, has_text("Hello"))
    other = open_home(private_environment, loopback.base_url)
    try:
        await eventually(lambda: other.database.read_now(lambda c: message_rows.get(c, turn.answer.id)).text)
        (message,) = (await other.chats.tail(chat_id, 1))[1]
        assert (message.state, message.text) == (MessageState.STREAMING, "Hello")
        with pytest.raises(UsageError, match="still arriving"):
            await other.chats.send(chat_id, "me too")
    finally:
        await other.close()
    await events.aclose()


async def test_closing_keeps_what_is_arriving(loopback: Loopback, private_environment: Path) -> None:
    loopback.chat(events_reply([*sse(chunk("Hello")), FOREVER]))
    services = open_home(private_environment, loopback.base_url)
    chat_id, turn = await ask(services)
    events = turn.events()
    await until(events, has_text("Hello"))
    await services.close()
    await services.close()
    await events.aclose()
    again = open_home(private_environment, loopback.base_url)
    (message,) = (await again.chats.tail(chat_id, 1))[1]
    assert (message.state, message.text) == (MessageState.INTERRUPTED, "Hello")
    await again.close()
    assert list((private_environment / "state" / "locks").iterdir()) == []


async def test_a_turn_that_was_made_and_never_run_is_interrupted_on_closing(
    loopback: Loopback, private_environment: Path
) -> None:
    services = open_home(private_environment, loopback.base_url)
    chat_id, _ = await ask(services)
    await services.close()
    again = open_home(private_environment, loopback.base_url)
    assert (await again.chats.tail(chat_id, 1))[1][0].state is MessageState.INTERRUPTED
    await again.close()
    assert loopback.requests == []


async def test_opening_touches_neither_network_nor_keyring(
    loopback: Loopback, private_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.backend")
    services = open_home(private_environment, loopback.base_url)
    await services.chats.prepare()
    assert loopback.connections == 0
    await services.close()


async def test_a_history_in_memory_leaves_no_file(loopback: Loopback, private_environment: Path) -> None:
    from holychat.paths import Paths
    from holychat.services import open_services
    from holychat.settings import Settings

    paths = Paths.resolve({"HOLYCHAT_HOME": str(private_environment)})
    services = open_services(paths, Settings(), {}, in_memory=True)
    chat = await services.chats.create(replace(services.chats.default_options(), provider="test"))
    await services.chats.save_draft(chat.id, "secret")
    await services.close()
    assert not await asyncio.to_thread(private_environment.exists)
