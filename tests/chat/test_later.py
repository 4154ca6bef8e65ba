"""Questions asked for later: question and job are one write, the answer lands in the chat once, nothing is lost."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest

from holychat.chat.later import LaterQuestions
from holychat.domain.chat import ChatOptions, MessageState, Role
from holychat.domain.jobs import ItemState, JobState, Priority
from holychat.domain.roads import Road
from holychat.domain.search import ResultHit, SearchHit
from holychat.errors import UsageError
from holychat.store import later_answers
from tests.jobs.desk import Desk, answer, now_ms
from tests.support.script import Gate, error_reply, events_reply, reply_events, stream_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from holychat.domain.chat import Message
    from tests.support.loopback import Loopback
    from tests.support.script import Request


class Talk:
    """A chat of a desk."""

    def __init__(self, desk: Desk, chat_id: int) -> None:
        self.desk, self.chat_id = desk, chat_id
        own = desk.services
        self.later = LaterQuestions(own.database, own.registry, own.costs, own.jobs.advise, self._stay)
        self.woken = 0

    async def _stay(self) -> bool:
        self.woken += 1
        return False

    async def ask(self, text: str, priority: Priority = Priority.MEDIUM) -> int:
        return (await self.later.ask(self.chat_id, text, priority=priority)).job_id

    async def live(self, text: str) -> Message:
        turn = await self.desk.services.chats.send(self.chat_id, text)
        return await self.end(turn)

    async def end(self, turn: Any) -> Message:
        async for _ in turn.events():
            pass
        return await self.desk.services.chats.message(turn.answer.id)

    async def said(self) -> list[str]:
        return [message.text for message in await self.messages()]

    async def messages(self) -> list[Message]:
        return await self.desk.services.chats.messages(self.chat_id, 0, 100)


@pytest.fixture
async def talk(tmp_path: Path, loopback: Loopback) -> AsyncIterator[Talk]:
    loopback.chat(replied)
    async with Desk(tmp_path, loopback.base_url) as desk:
        chat = await desk.services.chats.create(ChatOptions("here", "m", system="Be brief."))
        yield Talk(desk, chat.id)


def replied(request: Request) -> Any:
    """Answers with what was asked last; streamed where a stream is wanted."""
    body = json.loads(request.body)
    text = f"about {body['messages'][-1]['content']}"
    return stream_of(text, model="m") if body.get("stream") else answer(text)


def streams(request: Request) -> bool:
    return bool(json.loads(request.body).get("stream"))


def read_by(request: Request) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in json.loads(request.body)["messages"]]


async def test_the_answer_lands_in_the_chat_and_is_marked(talk: Talk, loopback: Loopback) -> None:
    await talk.live("one")
    asked = await talk.later.ask(talk.chat_id, "two")
    assert (asked.choice.road, talk.woken) == (Road.DESK, 1)
    assert asked.question.later is not None
    assert (asked.question.later.job_id, asked.question.later.state) == (asked.job_id, ItemState.PENDING)
    await talk.desk.work()
    assert await talk.later.deliver() == 1
    assert await talk.later.deliver() == 0
    *_, question, answered = await talk.messages()
    assert (question.text, answered.text, answered.role) == ("two", "about two", Role.ASSISTANT)
    assert (answered.state, answered.model, answered.provider) == (MessageState.COMPLETE, "m", "here")
    assert answered.later is not None
    assert (answered.later.is_answer, answered.later.job_id) == (True, asked.job_id)
    assert question.later is not None
    assert question.later.answered
    # The whole chat went along.
    assert read_by(loopback.requests[-1]) == [
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "about one"),
        ("user", "two"),
    ]
    job = await talk.desk.job(asked.job_id)
    assert (job.state, job.spec.chat_id, job.spec.name) == (JobState.FINISHED, talk.chat_id, "Later: two")


async def test_question_and_job_are_written_together_or_not_at_all(talk: Talk) -> None:
    talk.desk.sql("CREATE TRIGGER no_items BEFORE INSERT ON items BEGIN SELECT RAISE(ABORT, 'full'); END")
    with pytest.raises(Exception):  # noqa: B017, PT011  # whatever the store makes of it
        await talk.ask("one")
    talk.desk.sql("DROP TRIGGER no_items")
    assert await talk.messages() == []
    assert talk.desk.sql("SELECT count(*) FROM jobs") == [(0,)]


async def test_what_it_cost_is_counted_with_the_job_and_not_again(talk: Talk) -> None:
    await talk.ask("one")
    await talk.desk.work()
    await talk.later.deliver()
    assert talk.desk.sql("SELECT sum(requests), sum(micros) FROM spending") == [(1, 20)]
    (answered,) = [message for message in await talk.messages() if message.role is Role.ASSISTANT]
    assert (answered.cost, answered.usage.output_tokens) == (None, None)


async def test_it_waits_while_another_reply_arrives_and_then_comes_behind_it(talk: Talk, loopback: Loopback) -> None:
    await talk.ask("one")
    gate = Gate()
    held = events_reply([gate, *reply_events(["live"], model="m")])
    loopback.chat(lambda request: held if streams(request) else replied(request))
    turn = await talk.desk.services.chats.send(talk.chat_id, "two")
    await talk.desk.work()
    assert await talk.later.deliver() == 0
    gate.open()
    await talk.end(turn)
    assert await talk.later.deliver() == 1
    assert await talk.said() == ["one", "two", "live", "about one"]


async def test_a_model_reads_an_answer_after_its_question_and_no_question_that_waits(
    talk: Talk, loopback: Loopback
) -> None:
    first = await talk.ask("first")
    await talk.live("second")
    assert read_by(loopback.requests[-1])[1:] == [("user", "second")], "it would have answered both"
    await talk.desk.work()
    await talk.later.deliver()
    assert await talk.said() == ["first", "second", "about second", "about first"]
    await talk.live("third")
    assert [text for _, text in read_by(loopback.requests[-1])[1:]] == [
        "first",
        "about first",
        "second",
        "about second",
        "third",
    ]
    assert (await talk.desk.job(first)).state is JobState.FINISHED


async def test_a_failure_is_shown_as_a_failed_reply_and_asked_again_live(talk: Talk, loopback: Loopback) -> None:
    loopback.chat(lambda request: error_reply(400, "too odd"))
    await talk.ask("one")
    await talk.desk.work()
    assert await talk.later.deliver() == 1
    question, failed = await talk.messages()
    assert (failed.state, failed.later is not None) == (MessageState.FAILED, True)
    assert failed.failure is not None
    assert "too odd" in failed.failure.title
    loopback.chat(replied)
    again = await talk.end(await talk.desk.services.chats.regenerate(talk.chat_id, failed.id))
    assert (again.state, again.text) == (MessageState.COMPLETE, "about one")
    assert read_by(loopback.requests[-1])[-1] == ("user", "one")
    assert await talk.said() == ["one", "about one"]
    assert (await talk.messages())[0].id == question.id


async def test_a_failed_one_that_is_retried_on_the_desk_is_mended_in_its_place(talk: Talk, loopback: Loopback) -> None:
    loopback.chat(lambda request: error_reply(400, "too odd"))
    job_id = await talk.ask("one")
    await talk.desk.work()
    await talk.later.deliver()
    before = [message.id for message in await talk.messages()]
    loopback.chat(replied)
    (item,) = await talk.desk.items(job_id)
    from holychat.jobs import commands
    from holychat.store.item_moves import Chosen

    await talk.desk.command(lambda c: commands.retry(c, Chosen(job_id, (ItemState.FAILED,), [item.id]), now_ms()))
    await talk.desk.work()
    assert await talk.later.deliver() == 1
    assert [message.id for message in await talk.messages()] == before
    assert await talk.said() == ["one", "about one"]
    assert (await talk.messages())[-1].failure is None


async def test_an_answer_that_was_asked_again_live_is_not_overwritten_by_the_job(
    talk: Talk, loopback: Loopback
) -> None:
    loopback.chat(lambda request: error_reply(400, "too odd"))
    job_id = await talk.ask("one")
    await talk.desk.work()
    await talk.later.deliver()
    loopback.chat(lambda request: stream_of("live answer") if streams(request) else replied(request))
    failed = (await talk.messages())[-1]
    await talk.end(await talk.desk.services.chats.regenerate(talk.chat_id, failed.id))
    (item,) = await talk.desk.items(job_id)
    from holychat.jobs import commands
    from holychat.store.item_moves import Chosen

    await talk.desk.command(lambda c: commands.retry(c, Chosen(job_id, (ItemState.FAILED,), [item.id]), now_ms()))
    await talk.desk.work()
    assert await talk.later.deliver() == 0
    assert await talk.said() == ["one", "live answer"]
    assert await talk.desk.results(job_id) == ["about one"]


async def test_a_question_that_is_still_to_be_answered_cannot_be_asked_twice(talk: Talk) -> None:
    job_id = await talk.ask("one")
    (question,) = await talk.messages()
    chats = talk.desk.services.chats
    with pytest.raises(UsageError, match="still to come"):
        await chats.regenerate(talk.chat_id, question.id)
    with pytest.raises(UsageError, match="still to come"):
        await chats.edit(talk.chat_id, question.id, "other")
    from holychat.jobs import commands

    await talk.desk.command(lambda c: commands.cancel(c, job_id, now_ms()))
    again = await talk.end(await chats.regenerate(talk.chat_id, question.id))
    assert again.text == "about one"


async def test_an_edit_further_up_keeps_answers_whose_questions_stay(talk: Talk, loopback: Loopback) -> None:
    await talk.ask("first")
    await talk.live("second")
    await talk.desk.work()
    await talk.later.deliver()
    second = (await talk.messages())[1]
    await talk.end(await talk.desk.services.chats.edit(talk.chat_id, second.id, "other"))
    assert await talk.said() == ["first", "about first", "other", "about other"]
    assert [text for _, text in read_by(loopback.requests[-1])[1:]] == ["first", "about first", "other"]


async def test_a_question_that_left_the_conversation_keeps_its_answer_out_of_it(talk: Talk) -> None:
    await talk.live("zero")
    await talk.ask("one")
    zero = (await talk.messages())[0]
    await talk.end(await talk.desk.services.chats.edit(talk.chat_id, zero.id, "nought"))
    await talk.desk.work()
    assert await talk.later.deliver() == 1
    assert await talk.said() == ["nought", "about nought"]
    assert "about one" in await talk.desk.services.chats.export(talk.chat_id, "markdown")


async def test_the_answer_is_found_once_and_exported_with_its_job(talk: Talk) -> None:
    job_id = await talk.ask("walrus")
    await talk.desk.work()
    chats = talk.desk.services.chats
    (hit,) = await chats.search("about walrus")
    assert isinstance(hit, ResultHit)
    await talk.later.deliver()
    (hit,) = await chats.search("about walrus")
    assert isinstance(hit, SearchHit)
    assert f"answered later by job {job_id}" in await chats.export(talk.chat_id, "markdown")
    exported = json.loads(await chats.export(talk.chat_id, "json"))
    assert exported["messages"][1]["later"] == {"job": job_id, "road": "desk"}


async def test_a_deleted_chat_leaves_the_answer_with_the_job(talk: Talk) -> None:
    job_id = await talk.ask("one")
    assert await talk.desk.services.chats.delete(talk.chat_id) == [job_id]
    await talk.desk.work()
    assert await talk.later.deliver() == 0
    assert await talk.desk.results(job_id) == ["about one"]
    (hit,) = await talk.desk.services.chats.search("about one")
    assert isinstance(hit, ResultHit)


async def test_a_deleted_job_leaves_its_answer_in_the_chat(talk: Talk) -> None:
    job_id = await talk.ask("one")
    await talk.desk.work()
    await talk.desk.services.jobs.delete(job_id)  # nobody had put it there yet
    assert await talk.said() == ["one", "about one"]
    await talk.desk.services.jobs.sweep()
    (_, answered) = await talk.messages()
    assert answered.later is not None
    assert (answered.later.job_id, answered.later.state) == (job_id, None)


async def test_whoever_opens_the_history_puts_into_chats_what_was_left_over(talk: Talk) -> None:
    await talk.ask("one")
    await talk.desk.work()
    from holychat.services import open_services

    other = open_services(talk.desk.services.paths, talk.desk.services.settings, {})
    await other.close()
    assert await talk.said() == ["one", "about one"]


async def test_many_who_deliver_at_once_put_it_there_once(talk: Talk) -> None:
    for number in range(5):
        await talk.ask(f"question {number}")
    await talk.desk.work()
    own, window = talk.desk.services.database, talk.desk.window
    counts = await asyncio.gather(
        *(store.write(lambda c: later_answers.deliver(c, now_ms())) for store in (own, window) * 4)
    )
    assert sum(counts) == 5
    said = await talk.said()
    assert sorted(said[5:]) == sorted(f"about question {number}" for number in range(5))


async def test_what_cannot_be_asked_for_later_is_refused_and_nothing_is_stored(talk: Talk) -> None:
    for text, priority in ((" ", Priority.MEDIUM), ("one", Priority.HIGH)):
        with pytest.raises(UsageError):
            await talk.ask(text, priority)
    assert await talk.messages() == []


async def test_low_priority_says_that_there_is_no_batch_service(talk: Talk) -> None:
    asked = await talk.later.ask(talk.chat_id, "one", priority=Priority.LOW)
    assert asked.choice.road is Road.DESK
    assert "no batch service" in asked.choice.reasons[-1]
    assert (await talk.desk.job(asked.job_id)).spec.priority is Priority.LOW
