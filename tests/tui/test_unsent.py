"""Nothing typed is lost, and nothing is both sent and kept: drafts across chats, windows, edits, waits and failures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from holychat.errors import StoreError
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import ChatSettings, ProviderSettings, Settings
from holychat.tui.app import StartWith
from tests.support.script import Gate, stream_of
from tests.tui.driving import driving, gated, settings_for
from tests.tui.test_chatting import asked_texts
from tests.tui.test_elsewhere import shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.loopback import Loopback
    from tests.tui.driving import Driver


async def stored_drafts(app: Driver) -> dict[int, str]:
    """The draft of every chat in the store, by number."""
    chats = app.app.main.conversation.chats
    return {entry.chat.id: entry.chat.draft for entry in await chats.list()}


async def stores(app: Driver, drafts: dict[int, str]) -> None:
    """Wait until these are the drafts in the store."""
    found: dict[int, str] = {}
    for _ in range(300):
        if (found := await stored_drafts(app)) == drafts:
            return
        await app.pilot.pause(0.02)
    raise AssertionError(f"the drafts are {found}, not {drafts}")


def waiting_for_key(loopback: Loopback, go: Path) -> Settings:
    """Settings whose key is there as soon as the file `go` is: what that holds."""
    command = ["sh", "-c", f"while [ ! -e {go} ]; do sleep 0.05; done; cat {go}"]
    test = ProviderSettings("openai", loopback.base_url, "m", key_env="NO_KEY", key_command=command, needs_key=True)
    return Settings(chat=ChatSettings(provider="test"), providers={"test": test})


async def test_a_text_that_waits_for_the_key_is_the_draft_until_it_is_sent(loopback: Loopback, tmp_path: Path) -> None:
    go = tmp_path / "go"
    loopback.chat(stream_of("answer"))
    async with driving(waiting_for_key(loopback, go), wait=False) as app:
        await app.until(lambda: app.app.main.drafts.chats is not None)
        await app.send("precious")
        await app.shows("Next: precious")
        assert app.composer == ""
        await stores(app, {1: "precious"})
        await app.type("later")
        await stores(app, {1: "precious\n\nlater"})
        go.write_text("sk-0123456789")
        await app.until(lambda: asked_texts(loopback) == ["precious"])
        await stores(app, {1: "later"})


async def test_two_texts_that_wait_for_the_key_keep_their_order_and_make_one_dialog(
    loopback: Loopback, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    async with driving(waiting_for_key(loopback, go), wait=False) as app:
        await app.until(lambda: app.app.main.drafts.chats is not None)
        await app.send("first")
        await app.send("second")
        go.touch()
        await app.screen("FirstRunScreen")
        await app.pilot.pause(0.3)
        assert [type(screen).__name__ for screen in app.app.screen_stack].count("FirstRunScreen") == 1
        await app.press("escape")
        await app.until(lambda: app.composer == "first\n\nsecond")
        await stores(app, {1: "first\n\nsecond"})


async def test_a_text_on_its_way_is_sent_to_the_chat_it_was_entered_in(loopback: Loopback, tmp_path: Path) -> None:
    go = tmp_path / "go"
    loopback.chat(stream_of("answer"))
    async with driving(waiting_for_key(loopback, go), wait=False) as app:
        await app.until(lambda: app.app.main.drafts.chats is not None)
        await app.send("for the first")
        await app.press("ctrl+n")
        await app.type("for the second")
        await stores(app, {1: "for the first", 2: "for the second"})
        go.write_text("sk-0123456789")
        await app.until(lambda: asked_texts(loopback) == ["for the first"])
        await stores(app, {1: "", 2: "for the second"})
        assert app.composer == "for the second"


async def test_what_waits_and_what_is_typed_are_both_kept_when_the_chat_is_left(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(gated(gate, ["part"], [" end"]))
    async with driving(settings_for(loopback)) as app:
        await app.send("one")
        await app.shows("part")
        await app.send("queued")
        await app.type("typed")
        await app.press("ctrl+n")
        await stores(app, {1: "queued\n\ntyped"})
        app.app.main.attempt(app.app.main.show_chat, 1)
        await app.until(lambda: app.composer == "queued\n\ntyped")
        gate.open()


async def test_a_window_that_changed_nothing_leaves_the_draft_of_another_one(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holychat.tui.drafts.DELAY", 60.0)  # what is typed here is sent before it is stored as a draft
    loopback.chat(stream_of("answer"), stream_of("again"))
    settings = settings_for(loopback)
    async with driving(settings) as app:
        await app.asked("question")
        other = open_services(Paths.resolve(), settings)
        await other.chats.save_draft(1, "of the other window")
        await app.asked("another question")
        await other.close()
    async with driving(settings, start=StartWith(chat=1)) as app:
        assert app.composer == "of the other window"


async def test_a_question_from_the_shell_leaves_the_draft_of_a_window(loopback: Loopback) -> None:
    loopback.chat(stream_of("answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.type("precious")
        await stores(app, {1: "precious"})
        await shell("ask", "--continue", "-p", "offline", "What can you do?")
        await stores(app, {1: "precious"})


async def test_an_edit_ends_when_the_chat_is_left_and_what_was_put_aside_stays_with_it(loopback: Loopback) -> None:
    loopback.chat(stream_of("first answer"), stream_of("second answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.type("aside")
        await app.press("alt+up", "up", "e")
        await app.until(lambda: app.composer == "question")
        await app.press("ctrl+n")
        await app.until(lambda: "Editing" not in app.text())
        await app.asked("brand new")
        await app.shows("second answer")
        await stores(app, {1: "aside", 2: ""})
        assert "first answer" not in app.text()
        assert len(await app.app.main.conversation.chats.messages(1, 0, 9)) == 2


async def test_what_was_sent_before_the_history_was_open_is_no_draft_any_more(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback), wait=False) as app:
        await app.send("early bird")
        await app.until(lambda: asked_texts(loopback) == ["early bird"])
        await app.shows("ok")
        await app.pilot.pause(0.5)  # longer than a draft waits to be stored
        await stores(app, {1: ""})


async def test_a_draft_that_cannot_be_stored_when_its_chat_is_left_comes_along(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with driving(settings_for()) as app:

        async def full(*_: Any, **__: Any) -> bool:
            raise StoreError("The disk is full")

        monkeypatch.setattr(app.app.main.conversation.chats, "save_draft", full)
        await app.type("precious")
        await app.press("ctrl+n")
        await app.notified("disk is full")
        await app.until(lambda: app.composer == "precious")
        monkeypatch.undo()


async def test_files_stay_with_the_chat_they_were_attached_in(loopback: Loopback, tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("secret")
    loopback.chat(stream_of("answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.send(f"/attach {notes}")
        await app.shows("With: notes.txt")
        await app.press("ctrl+n")
        await app.until(lambda: "With: notes.txt" not in app.text())
        app.app.main.attempt(app.app.main.show_chat, 1)
        await app.shows("With: notes.txt")


async def test_with_a_damaged_history_a_message_stays_in_the_composer(loopback: Loopback) -> None:
    database = Paths.resolve().database
    database.parent.mkdir(parents=True)
    database.write_text("garbage " * 1000)
    async with driving(settings_for(loopback), wait=False) as app:
        await app.notified("damaged")
        await app.send("precious")
        await app.notified("Nothing can be kept")
        assert app.composer == "precious"
        assert "Next:" not in app.text()
        assert asked_texts(loopback) == []


async def test_a_text_entered_before_the_history_turned_out_damaged_comes_back(loopback: Loopback) -> None:
    database = Paths.resolve().database
    database.parent.mkdir(parents=True)
    database.write_text("garbage " * 1000)
    async with driving(settings_for(loopback), wait=False) as app:
        await app.press("h", "i", "enter")
        await app.notified("damaged")
        await app.until(lambda: app.composer == "hi")


@pytest.mark.parametrize("command", ["/attach ~nobodyx/a", "/export ~nobodyx/a.md", f"/export {'x' * 300}.md"])
async def test_a_path_that_cannot_be_is_an_error_to_read_and_the_command_comes_back(command: str) -> None:
    async with driving(settings_for()) as app:
        app.app.main.composer.set_text(command)
        await app.pilot.pause()
        await app.press("enter")
        await app.notified("Cannot")
        await app.until(lambda: app.composer == command)
        assert app.app.is_running


async def test_a_chat_that_cannot_be_deleted_stays_on_the_screen(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback.chat(stream_of("the answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")

        async def full(_: int) -> None:
            raise StoreError("The disk is full")

        monkeypatch.setattr(app.app.main.conversation.chats, "delete", full)
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        await app.until(lambda: len(getattr(app.app.screen, "_entries", ())) == 1)
        await app.press("down", "delete")
        await app.screen("ConfirmScreen")
        await app.press("tab", "enter")
        await app.notified("disk is full")
        await app.press("escape")
        await app.screen("ChatScreen")
        assert app.app.main.conversation.chat is not None
        await app.shows("the answer")


async def test_ctrl_c_does_not_copy_a_key(loopback: Loopback) -> None:
    test = ProviderSettings("openai", loopback.base_url, "m", key_env="NO_KEY", needs_key=True)
    settings = Settings(chat=ChatSettings(provider="test"), providers={"test": test})
    async with driving(settings) as app:
        await app.screen("FirstRunScreen")
        await app.press("down", "enter")
        await app.type("sk-secret")
        await app.press("ctrl+a", "shift+home", "ctrl+c")
        await app.notified("not copied")
