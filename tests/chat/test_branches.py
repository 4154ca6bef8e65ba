"""Editing, asking again and going on: nothing is deleted, what is replaced is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import MessageState, ReasoningPart, TextPart
from holychat.domain.events import TextDelta, TurnFinished, UsageReported
from holychat.domain.usage import Usage
from holychat.errors import ReplyBroken, Unreachable, UsageError
from tests.chat.tools import DONE, START, ask, ended, run, talked, texts, use
from tests.support.loopback import CUT, Loopback, events_reply, sse, stream_of
from tests.support.script import chunk

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.services import Services


async def test_regenerating_replaces_the_answer_and_deletes_nothing(services: Services) -> None:
    chat_id, found = await talked(services, ("one", "1"), ("two", "2"))
    provider = use(services, START, TextDelta("II"), DONE)
    turn = await services.chats.regenerate(chat_id, found[3].id)
    assert turn.question is None
    await ended(turn)
    assert await texts(services, chat_id) == ["one", "1", "two", "II"]
    assert [m.text for m in provider.requests[0].messages] == ["one", "1", "two"]
    assert (await services.chats.message(found[3].id)).replaced
    assert [message.text for message in await services.chats.replaced(chat_id)] == ["2"]
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
