"""Chats as the screen uses them: sending, editing, asking again, going on, several windows, closing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import apsw
import pytest

from holychat.domain.chat import ChatOptions, MessageState
from holychat.domain.events import TextDelta
from holychat.errors import ReplyBroken, Unreachable, UsageError
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import ChatSettings, ProviderSettings, Settings
from holychat.store import messages as message_rows
from tests.chat.tools import DONE, START, ask, ended, eventually, has_text, open_home, talked, texts, until, use
from tests.support.loopback import FOREVER, Loopback, events_reply, sse, stream_of
from tests.support.script import chunk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from holychat.services import Services


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
    assert len((await services.chats.tail(chat_id, 9))[1]) == 2
    await events.aclose()
    use(services, START, DONE)
    (await services.chats.send(chat_id, "again")).stop()


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


async def test_a_window_goes_on_watching_after_a_moment_in_which_nothing_could_be_read(
    loopback: Loopback, private_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without WAL, as on a network's disk, somebody who writes keeps all others from reading.
    monkeypatch.setattr("holychat.store.database.on_network_file_system", lambda _: True)
    monkeypatch.setattr("holychat.store.database._BUSY_MS", 50)
    services = open_home(private_environment, loopback.base_url)
    chat = await services.chats.create()
    heard: list[str] = []

    async def watch(name: str, changes: AsyncIterator[None]) -> None:
        async for _ in changes:
            heard.append(name)

    watched = (("chats", services.chats.changes(0.01)), ("jobs", services.jobs.changes(0.01)))
    watching = [asyncio.create_task(watch(name, changes)) for name, changes in watched]
    await asyncio.sleep(0.1)
    other = apsw.Connection(str(services.paths.database))
    other.execute("BEGIN EXCLUSIVE")
    await asyncio.sleep(0.5)
    heard.clear()
    other.execute("UPDATE chats SET title = 'Tea' WHERE id = ?", (chat.id,))
    other.execute("COMMIT")
    other.close()
    await eventually(lambda: "chats" in heard and "jobs" in heard)
    for task in watching:
        task.cancel()
    await services.close()


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


async def test_a_provider_without_a_model_is_asked_for_the_one_it_would_chat_with(
    loopback: Loopback, private_environment: Path
) -> None:
    loopback.models("bge-m3", "qwen3")
    loopback.chat(stream_of("Hi", model="qwen3"))
    settings = Settings(
        chat=ChatSettings(provider="local"), providers={"local": ProviderSettings(base_url=loopback.base_url)}
    )
    services = open_services(Paths.resolve({"HOLYCHAT_HOME": str(private_environment)}), settings, {})
    chat = await services.chats.create()
    answer = await ended(await services.chats.send(chat.id, "Hello"))
    await services.close()
    assert (loopback.requests[-1].json["model"], answer.model) == ("qwen3", "qwen3")
