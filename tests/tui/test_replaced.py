"""What an edit or another answer replaced: kept, found, and read in the app."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.script import error_reply, stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from tests.support.loopback import Loopback
    from tests.tui.driving import Driver


async def ask_again(app: Driver) -> None:
    conversation = app.app.main.conversation
    before = conversation.last
    await app.press("up", "r")
    await app.until(lambda: not app.busy and conversation.last and before and conversation.last.id != before.id)


async def test_what_was_replaced_is_read_one_after_another_and_copied(loopback: Loopback) -> None:
    loopback.chat(stream_of("The *first* answer"), stream_of("The second answer"), stream_of("The third answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("A question")
        await ask_again(app)
        await ask_again(app)
        await app.shows("The third answer")
        assert "second" not in app.text()
        await app.press("up", "v")
        await app.screen("ReplacedScreen")
        await app.shows("Replaced, 2 of 2 · Answer, model-one")
        await app.shows("The second answer")
        await app.press("right", "left")
        await app.shows("Replaced, 1 of 2")
        await app.shows("The first answer")
        await app.press("left", "y")
        await app.notified("Copied")
        await app.press("s")
        await app.screen("SaveToFileScreen")
        await app.shows("The-first-answer.md")
        await app.press("escape")
        await app.screen("ReplacedScreen")
        await app.press("escape")
        await app.screen("ChatScreen")


async def test_a_search_that_finds_what_was_replaced_shows_it(loopback: Loopback) -> None:
    loopback.chat(stream_of("It is a wombat"), stream_of("It is a heron"), stream_of("It is a stork"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("Which animal digs?")
        await app.press("up", "up", "e")
        await app.until(lambda: app.composer == "Which animal digs?")
        await app.asked(" And flies?")
        await ask_again(app)
        await app.press("ctrl+n", "ctrl+s")
        await app.screen("ChatsScreen")
        await app.type("wombat")
        await app.shows("It is a wombat")
        await app.press("enter")
        await app.screen("ReplacedScreen")
        await app.shows("Replaced, 2 of 3")
        await app.shows("It is a wombat")
        await app.press("escape")
        await app.shows("It is a stork")


async def test_where_nothing_was_replaced_that_is_said(loopback: Loopback) -> None:
    loopback.chat(error_reply(400, "no"), stream_of("yes"))
    async with driving(settings_for(loopback)) as app:
        await app.send("A question")
        await app.shows("asks again")
        await ask_again(app)  # what is replaced by that has nothing to be read
        await app.press("up", "v")
        await app.notified("Nothing was replaced in this chat.")
