"""Asking for later in the app: the question stays with a line of how far it is, the answer lands by itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import Later, MessageState
from holychat.domain.jobs import ItemState, JobState
from holychat.domain.roads import Road
from holychat.jobs import commands
from holychat.store.database import Database
from holychat.tui.later_words import about_words, waiting_words
from tests.jobs.desk import answer, gated, now_ms
from tests.support.script import Gate, error_reply, events_reply, reply_events, stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

    from holychat.settings import Settings
    from tests.support.loopback import Loopback
    from tests.support.script import Request
    from tests.tui.driving import Driver


@pytest.fixture
def settings(loopback: Loopback, private_environment: Path) -> Settings:
    """Settings of the app that a worker process of its own reads as well."""
    loopback.chat(replied)
    config = f"""
[jobs]
idle_seconds = 0.3
[chat]
provider = "test"
model = "model-one"
[providers.test]
kind = "openai"
base_url = "{loopback.base_url}"
model = "model-one"
needs_key = false
"""
    folder = private_environment / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.toml").write_text(config)
    return settings_for(loopback)


def replied(request: Request) -> Any:
    body = json.loads(request.body)
    text = f"about {body['messages'][-1]['content']}"
    return stream_of(text) if body.get("stream") else answer(text)


def streams(request: Request) -> bool:
    return bool(json.loads(request.body).get("stream"))


def conversation(app: Driver) -> list[tuple[str, str]]:
    document = app.app.main.transcript.document
    entries = [document.entry(place) for place in range(len(document))]
    return [(entry.message.role.value, entry.message.text) for entry in entries if entry is not None]


async def test_the_answer_of_a_worker_lands_in_the_open_chat_and_says_so(settings: Settings) -> None:
    async with driving(settings) as app:
        await app.asked("one")
        await app.send("/later two")
        await app.notified("Job 1 answers this here")
        assert "Medium priority: on the desk" in app.notices()
        assert app.composer == ""
        await app.shows("answered later by job 1")
        assert conversation(app) == [
            ("user", "one"),
            ("assistant", "about one"),
            ("user", "two"),
            ("assistant", "about two"),
        ]
        assert "asked for later" not in app.text()
        assert app.app.main.conversation.last is not None
        assert app.app.main.conversation.last.state is MessageState.COMPLETE


async def test_a_question_that_waits_has_a_quiet_line_and_can_be_followed_by_others(
    settings: Settings, loopback: Loopback
) -> None:
    gate = Gate()
    loopback.chat(lambda request: replied(request) if streams(request) else gated(gate, "held back"))
    async with driving(settings) as app:
        await app.send("/later low what is the sea?")
        await app.shows("asked for later: job 1, on the desk, about")
        assert "no batch service" in app.notices()
        await app.asked("and now this")
        assert conversation(app)[-1] == ("assistant", "about and now this")
        gate.open()
        await app.until(lambda: conversation(app)[-1] == ("assistant", "held back"), "the answer")
        assert "asked for later" not in app.text()


async def test_an_answer_waits_until_the_live_reply_has_ended(settings: Settings, loopback: Loopback) -> None:
    gate = Gate()
    live = events_reply(
        [*reply_events(["begun "], finish=None, usage=None, done=False), gate, *reply_events(["ended"])[1:]]
    )
    loopback.chat(lambda request: live if streams(request) else answer("the later one"))
    async with driving(settings) as app:
        await app.send("/later one")
        await app.send("two")
        await app.shows("begun")
        await app.until(lambda: [job.state for job in app.app.jobs_shown] == [JobState.FINISHED], "the job's end")
        assert conversation(app)[-1][0] == "assistant"
        assert ("assistant", "the later one") not in conversation(app)[2:]
        gate.open()
        await app.until(lambda: ("assistant", "the later one") in conversation(app), "the answer")


async def test_a_failed_one_says_so_and_is_asked_again_live(settings: Settings, loopback: Loopback) -> None:
    loopback.chat(lambda _: error_reply(400, "too odd for us"))
    async with driving(settings) as app:
        await app.send("/later one")
        await app.shows("too odd for us")
        await app.shows("answered later by job 1")
        loopback.chat(replied)
        await app.press("up", "r")
        await app.until(lambda: conversation(app) == [("user", "one"), ("assistant", "about one")], "the live answer")


async def test_a_cancelled_one_offers_to_ask_now(settings: Settings, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(lambda request: replied(request) if streams(request) else gated(gate, "held back"))
    async with driving(settings) as app:
        await app.send("/later one")
        await app.shows("asked for later: job 1, on the desk")
        await app.press("up", "r")
        await app.notified("still to come")
        await app.press("escape")
        window = Database.open(app.app.paths.database)
        window.write_now(lambda c: c.execute("UPDATE items SET state = 'pending', reserved_micros = 0"))
        window.write_now(lambda c: commands.cancel(c, 1, now_ms()))
        window.close()
        await app.shows("asked for later: job 1, cancelled")
        gate.open()


async def test_what_stands_in_the_composer_is_asked_for_later_with_a_key(settings: Settings) -> None:
    async with driving(settings) as app:
        await app.type("what is rain?")
        await app.press("f8")
        await app.shows("answered later by job 1")
        assert conversation(app) == [("user", "what is rain?"), ("assistant", "about what is rain?")]
        await app.press("f8")
        await app.notified("Type the question first")


async def test_a_question_that_cannot_be_asked_for_later_comes_back(settings: Settings, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(events_reply([*reply_events(["begun "], finish=None, usage=None, done=False), gate]))
    async with driving(settings) as app:
        await app.send("one")
        await app.shows("begun")
        await app.send("/later two")
        await app.notified("A reply is arriving")
        assert app.composer == "/later two"
        gate.open()


async def test_what_is_typed_is_compared_over_all_roads(settings: Settings) -> None:
    async with driving(settings) as app:
        await app.type("what is rain?")
        app.app.main.action_roads()
        await app.screen("RoadsScreen")
        for text in ("Which road?", "Live", "Desk", "Provider's batch", "First token", "Taken: live", "rest on"):
            assert text in app.text(), text
        await app.press("escape")
        await app.screen("ChatScreen")
        assert app.composer == "what is rain?"


@pytest.mark.parametrize(
    ("later", "words"),
    [
        (
            Later(3, Road.DESK, False, ItemState.PENDING, "", 118),
            "asked for later: job 3, on the desk, about 2 minutes",
        ),
        (
            Later(3, Road.PROVIDER_BATCH, False, ItemState.SENDING, "", 86_400),
            "asked for later: job 3, in the provider's batch, within 24 h",
        ),
        (Later(3, Road.DESK, False, ItemState.PENDING, "key", 5), "asked for later: job 3, paused: no key"),
        (
            Later(3, Road.DESK, False, ItemState.CANCELLED),
            "asked for later: job 3, cancelled. Alt+↑ then r asks now.",
        ),
        (Later(3, Road.DESK, False, None), "asked for later: job 3, which was deleted. Alt+↑ then r asks now."),
        (Later(3, Road.DESK, False, ItemState.DONE, answered=True), ""),
    ],
)
def test_the_line_at_a_question_says_where_it_waits(later: Later, words: str) -> None:
    assert waiting_words(later) == words


def test_nobody_sets_a_clock_to_an_estimate() -> None:
    assert [about_words(seconds) for seconds in (1, 23, 70, 600, 7200)] == [
        "5 seconds",
        "25 seconds",
        "a minute",
        "10 minutes",
        "2 h",
    ]
