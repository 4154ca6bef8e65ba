"""Where typing goes: nothing typed is lost, and the focus moves only when it is asked to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.events import Paste

from tests.support.script import stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from tests.support.loopback import Loopback


async def test_tab_in_the_composer_does_nothing_where_nothing_can_be_completed(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.press("tab", "a", "tab", "b", "shift+tab", "c")
        await app.until(lambda: app.composer == "abc")
        await app.asked("d")
        await app.press("tab", "e")
        await app.until(lambda: app.composer == "e")
        assert app.app.main.composer.has_focus


async def test_an_empty_chat_has_nothing_to_focus() -> None:
    async with driving(settings_for()) as app:
        await app.press("up", "alt+up", "alt+down")
        await app.pilot.click("#conversation")
        await app.press("a")
        await app.until(lambda: app.composer == "a")
        assert app.app.main.composer.has_focus


async def test_letters_that_are_no_command_of_a_message_are_typed(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up")
        await app.until(lambda: app.app.main.pane.has_focus)
        await app.press("w", "h", "y", "space", "j", "k")
        await app.until(lambda: app.composer == "why jk")
        assert app.app.main.composer.has_focus
        assert app.app.main.transcript.cursor is None


async def test_a_command_that_the_message_does_not_offer_is_a_letter(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up")
        await app.until(lambda: app.app.main.pane.has_focus)
        assert "c continue" not in app.text()
        await app.press("c", "o", "o", "l")
        await app.until(lambda: app.composer == "cool")


async def test_a_burst_of_keys_on_a_message_keeps_its_order(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up")
        await app.until(lambda: app.app.main.pane.has_focus)
        from textual.events import Key

        for letter in "jktyped":
            app.app.post_message(Key(letter, letter))
        await app.until(lambda: app.composer == "typed")
        assert app.app.main.transcript.cursor is None


async def test_a_paste_on_a_message_goes_to_the_composer(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up")
        await app.until(lambda: app.app.main.pane.has_focus)
        app.app.post_message(Paste("pasted text"))
        await app.until(lambda: app.composer == "pasted text")


async def test_tab_and_down_lead_from_the_messages_back_to_writing(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        for key in ("tab", "down", "escape"):
            await app.press("up")
            await app.until(lambda: app.app.main.pane.has_focus)
            await app.press(key)
            await app.until(lambda: app.app.main.composer.has_focus)
            await app.until(lambda: app.app.main.transcript.cursor is None)


async def test_a_click_into_the_conversation_leaves_the_focus_where_typing_goes(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.pilot.click("#transcript", offset=(4, 1))
        await app.press("j")
        await app.until(lambda: app.composer == "j")


async def test_r_on_a_question_asks_it_again(loopback: Loopback) -> None:
    loopback.chat(stream_of("first answer"), stream_of("second answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up", "up", "r")
        await app.shows("second answer")
        assert "first answer" not in app.text()
