"""The screens over the chat: chats, models, help, first run, palette, panel, saving."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
from textual.widgets import OptionList

from holychat.settings import ChatSettings, ProviderSettings, Settings
from tests.support.script import error_reply, stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.loopback import Loopback


async def test_chats_are_found_by_what_was_said_and_opened_there(loopback: Loopback) -> None:
    loopback.chat(stream_of("The wombat digs."), stream_of("Something else."))
    async with driving(settings_for(loopback)) as app:
        await app.asked("animals")
        await app.press("ctrl+n")
        await app.asked("numbers")
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        await app.shows("2 chats")
        await app.type("womba")
        await app.shows("The wombat digs.")
        await app.press("enter")
        await app.screen("ChatScreen")
        await app.shows("animals")


async def test_enter_after_fast_typing_opens_what_was_typed_and_not_the_old_mark(loopback: Loopback) -> None:
    loopback.chat(stream_of("alpha"), stream_of("beta"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("first")
        await app.press("ctrl+n")
        await app.asked("second")
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        await app.type("alpha\r")
        await app.screen("ChatScreen")
        await app.until(lambda: app.app.main.conversation.chat and app.app.main.conversation.chat.title == "first")


async def test_a_chat_is_renamed_deleted_and_exported_from_the_list(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loopback.chat(stream_of("the answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        await app.shows("question")
        await app.press("f2")
        await app.screen("AskLineScreen")
        await app.type(" two")
        await app.press("enter")
        await app.screen("ChatsScreen")
        await app.shows("question two")
        await app.press("down", "e")
        await app.screen("SaveToFileScreen")
        await app.press("enter")
        await app.screen("ChatsScreen")
        assert "the answer" in (tmp_path / "question-two.md").read_text()
        await app.press("delete")
        await app.screen("ConfirmScreen")
        await app.press("enter")
        await app.screen("ChatsScreen")
        await app.shows("question two")
        await app.press("ctrl+d")
        await app.screen("ConfirmScreen")
        await app.press("tab", "enter")
        await app.shows("No chats yet.")
        await app.press("escape")
        await app.until(lambda: app.app.main.conversation.chat is None)


async def test_saving_warns_before_it_replaces_a_file(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "the-answer.md").write_text("mine")
    loopback.chat(stream_of("the answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up", "s")
        await app.screen("SaveToFileScreen")
        await app.press("enter")
        await app.shows("is there already")
        assert (tmp_path / "the-answer.md").read_text() == "mine"
        await app.press("enter")
        await app.screen("ChatScreen")
        assert (tmp_path / "the-answer.md").read_text() == "the answer"


async def test_models_are_fetched_filtered_and_any_name_is_taken(loopback: Loopback) -> None:
    loopback.models("model-one", "model-two", "other")
    async with driving(settings_for(loopback)) as app:
        await app.press("ctrl+l")
        await app.screen("ModelsScreen")
        await app.shows("3 models")
        await app.type("two")
        await app.press("enter")
        await app.until(lambda: app.app.main.conversation.options.model == "model-two")
        await app.shows("model-two · test")
        await app.press("ctrl+l")
        await app.screen("ModelsScreen")
        await app.type("my-own:7b")
        await app.shows("as typed")
        await app.press("down", "up", "enter")
        await app.until(lambda: app.app.main.conversation.options.model in ("my-own:7b",))


async def test_a_default_that_is_not_in_the_list_is_counted_with_it(loopback: Loopback) -> None:
    loopback.models("other")
    async with driving(settings_for(loopback)) as app:
        await app.press("ctrl+l")
        await app.screen("ModelsScreen")
        await app.shows("2 models.")
        assert app.app.screen.query_one(OptionList).option_count == 2


async def test_what_needs_a_chat_is_not_offered_where_none_is_found(loopback: Loopback) -> None:
    loopback.chat(stream_of("the answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("wombats at night")
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        await app.until(lambda: "open" in app.lines()[-1] and "rename" in app.lines()[-1])
        await app.type("zebra")
        await app.shows("Nothing found.")
        await app.until(lambda: "open" not in app.lines()[-1] and "rename" not in app.lines()[-1])
        await app.press("enter", "f2")
        await app.screen("ChatsScreen")
        await app.press(*["backspace"] * 5)
        await app.type("wombats")
        await app.press("enter")  # before the list is there
        await app.screen("ChatScreen")


async def test_a_provider_without_a_list_still_takes_a_name(loopback: Loopback) -> None:
    async with driving(settings_for(loopback)) as app:
        await app.press("ctrl+l")
        await app.screen("ModelsScreen")
        await app.shows("No list:")
        await app.press("ctrl+t")
        await app.until(lambda: app.app.screen._provider != "test")
        await app.press("escape")
        await app.screen("ChatScreen")
        assert app.app.main.conversation.options.provider == "test"


async def test_help_shows_the_keys_in_force() -> None:
    async with driving(settings_for(keys={"chat.panel": "f9"})) as app:
        await app.press("f1")
        await app.screen("HelpScreen")
        await app.shows("In a chat")
        await app.until(lambda: "F9" in app.text())
        await app.press("end", "pageup", "pagedown", "home", "escape")
        await app.screen("ChatScreen")


async def test_a_palette_opens_while_the_one_before_is_still_going() -> None:
    async with driving(settings_for()) as app:
        app.app.action_command_palette()
        await app.screen("PatientPalette")
        app.app.pop_screen()
        app.app.action_command_palette()
        await app.screen("PatientPalette")
        await app.type("replaced")
        await app.shows("Replaced messages")


async def test_the_palette_runs_commands_and_finds_chats(loopback: Loopback) -> None:
    loopback.chat(stream_of("the answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("wombats at night")
        await app.press("ctrl+n", "ctrl+p")
        await app.screen("PatientPalette")
        await app.type("wombats")
        await app.until(lambda: "wombats at night" in app.text().replace("wombats  ", ""))
        await app.press(*["backspace"] * 7)
        await app.type("side")
        await app.shows("Show or hide background jobs")
        await app.press("down", "enter")
        await app.until(lambda: app.app.main.query("#panel"))


@pytest.mark.parametrize("size", [(60, 15), (40, 10), (20, 5), (200, 60)])
async def test_every_screen_can_be_shown_at_every_size(loopback: Loopback, size: tuple[int, int]) -> None:
    loopback.chat(stream_of("the answer"))
    async with driving(settings_for(loopback), size=size) as app:
        await app.asked("question")
        for key, name in (("ctrl+s", "ChatsScreen"), ("ctrl+l", "ModelsScreen"), ("f1", "HelpScreen")):
            await app.press(key)
            await app.screen(name)
            await app.press("escape")
            await app.screen("ChatScreen")
        for line in app.lines():
            assert len(line) <= size[0]


def _without_key(loopback: Loopback) -> Settings:
    provider = ProviderSettings(kind="openai", base_url=loopback.base_url, model="m", needs_key=True, key_env="NO_KEY")
    return Settings(chat=ChatSettings(provider="test"), providers={"test": provider})


async def test_without_a_key_enter_is_enough_to_be_chatting_offline(loopback: Loopback) -> None:
    async with driving(_without_key(loopback)) as app:
        await app.screen("FirstRunScreen")
        await app.press("enter")
        await app.screen("ChatScreen")
        await app.until(lambda: app.app.main.conversation.options.provider == "offline")
        await app.asked("What can you do?")
        last = app.app.main.conversation.last
        assert last is not None
        assert last.text


async def test_a_pasted_key_is_checked_hidden_and_kept_for_this_run_when_there_is_no_keyring(
    loopback: Loopback,
) -> None:
    loopback.on("/v1/models", error_reply(401, "bad key"), method="GET")
    async with driving(_without_key(loopback)) as app:
        await app.screen("FirstRunScreen")
        await app.press("down", "enter")
        await app.shows("Paste the key")
        await app.type("sk-wrong-key-000")
        assert "sk-wrong" not in app.text()
        await app.press("enter")
        await app.until(lambda: not app.app.screen._checking)
        await app.screen("FirstRunScreen")
        loopback.models("m")
        loopback.chat(stream_of("thank you"))
        await app.shows("it was forgotten again")
        await app.type("sk-right-key-111")
        await app.press("enter")
        await app.screen("ChatScreen")
        await app.notified("kept for this run only")
        await app.asked("Hello")
        assert loopback.requests[-1].headers["authorization"] == "Bearer sk-right-key-111"
        await app.shows("key: this run")


async def test_a_rejected_key_is_forgotten_so_that_nothing_is_asked_with_it(loopback: Loopback) -> None:
    loopback.on("/v1/models", error_reply(401, "bad key"), method="GET")
    async with driving(_without_key(loopback)) as app:
        await app.screen("FirstRunScreen")
        await app.press("down", "enter")
        await app.type("sk-wrong-key-000")
        await app.press("enter")
        await app.shows("it was forgotten again")
        await app.press("escape", "escape")
        await app.screen("ChatScreen")
        await app.send("Hello")
        await app.screen("FirstRunScreen")


async def test_a_wrong_key_pasted_over_a_good_one_is_told_and_the_good_one_stays(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-good-key-000")
    settings = _without_key(loopback)
    settings.providers["test"] = msgspec.structs.replace(settings.providers["test"], key_env="TEST_KEY")
    loopback.on("/v1/models", error_reply(401, "bad key"), method="GET")
    loopback.chat(stream_of("thank you"))
    async with driving(settings) as app:
        await app.shows("key: TEST_KEY")
        app.app.main.show_first_run()
        await app.screen("FirstRunScreen")
        await app.press("down", "enter")
        await app.type("sk-wrong-key-111")
        await app.press("enter")
        await app.shows("it was forgotten again")
        assert loopback.requests[-1].headers["authorization"] == "Bearer sk-wrong-key-111"
        await app.press("escape", "escape")
        await app.screen("ChatScreen")
        await app.asked("Hello")
        assert loopback.requests[-1].headers["authorization"] == "Bearer sk-good-key-000"


async def test_a_key_that_is_rejected_later_is_replaced_without_a_restart(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_KEY", "sk-old-key-000")
    settings = _without_key(loopback)
    settings.providers["test"] = msgspec.structs.replace(settings.providers["test"], key_env="TEST_KEY")
    loopback.models("m")
    loopback.chat(error_reply(401, "expired"), stream_of("thank you"))
    async with driving(settings) as app:
        await app.send("Hello")
        await app.notified("takes another key for test")
        await app.press("ctrl+p")
        await app.screen("PatientPalette")
        await app.type("add a key")
        await app.press("enter")
        await app.screen("FirstRunScreen")
        await app.shows("comes from: TEST_KEY")
        await app.press("down", "enter")
        await app.type("sk-new-key-111")
        await app.press("enter")
        await app.screen("ChatScreen")
        await app.asked("Again")
        assert loopback.requests[-1].headers["authorization"] == "Bearer sk-new-key-111"


async def test_what_was_entered_before_the_missing_key_was_known_is_not_lost(loopback: Loopback) -> None:
    async with driving(_without_key(loopback), wait=False) as app:
        await app.send("early question")
        await app.screen("FirstRunScreen")
        await app.press("escape")
        await app.screen("ChatScreen")
        await app.until(lambda: app.composer == "early question")


async def test_the_lists_have_room_on_the_smallest_screen(loopback: Loopback) -> None:
    loopback.models("model-one", "model-two", "model-three")
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback), size=(60, 15)) as app:
        await app.asked("question")
        await app.press("ctrl+l")
        await app.screen("ModelsScreen")
        await app.shows("model-three")
        await app.shows("model-two")
        await app.press("escape", "ctrl+s")
        await app.screen("ChatsScreen")
        await app.shows("2 messages")
        await app.press("escape")


async def test_first_run_fits_on_the_smallest_screen(loopback: Loopback) -> None:
    async with driving(_without_key(loopback), size=(60, 15)) as app:
        await app.screen("FirstRunScreen")
        await app.shows("Start offline")
        await app.shows("Paste a test key")
        await app.press("down", "enter")
        await app.shows("Paste the key")
        assert app.app.screen.query_one("#key").region.bottom <= 15


async def test_the_marked_chat_is_opened_with_the_key_that_the_footer_names(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("wombats")
        await app.press("ctrl+n", "ctrl+s")
        await app.screen("ChatsScreen")
        await app.shows("1 chat")
        await app.press("down")
        await app.shows("Del delete")
        assert "Enter open" in app.text()
        await app.press("enter")
        await app.screen("ChatScreen")
        await app.until(lambda: app.app.main.conversation.chat is not None)


async def test_saving_from_a_folder_that_was_deleted_asks_for_the_whole_path(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("wombats")
        gone.rmdir()
        await app.send("/export")
        await app.screen("SaveToFileScreen")
        await app.shows("it was deleted")
        await app.press("enter")
        await app.shows("Cannot write")
        await app.press("escape")
        await app.send("/attach nothing.txt")
        await app.notified("Cannot read")


async def test_an_old_notice_does_not_lie_over_a_dialog(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holychat.tui.screens.dialog.READ_SECONDS", 0.0)
    async with driving(settings_for(loopback), size=(80, 24)) as app:
        app.app.notify("An old notice", timeout=60)
        await app.shows("An old notice")
        await app.press("ctrl+l")
        await app.screen("ModelsScreen")
        await app.shows("Any name can be typed")
        assert "An old notice" not in app.text()
        app.app.notify("A new notice", timeout=60)
        await app.shows("A new notice")
