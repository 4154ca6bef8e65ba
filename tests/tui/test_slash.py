"""Slash commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.errors import UsageError
from holychat.tui.slash import COMMANDS, Invocation, completions, parse
from tests.support.script import stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.loopback import Loopback


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("hello", "hello"),
        ("/new", Invocation("new", "")),
        ("/model gpt-4.1 ", Invocation("model", "gpt-4.1")),
        ("/system Be brief.\nVery.", Invocation("system", "Be brief.\nVery.")),
        ("//new is a command", "/new is a command"),
        ("/etc/hosts is a file", "/etc/hosts is a file"),
        ("/ alone", "/ alone"),
    ],
)
def test_a_line_is_a_command_or_a_message(text: str, meant: object) -> None:
    assert parse(text) == meant


def test_an_unknown_command_is_an_error_with_the_nearest_one() -> None:
    with pytest.raises(UsageError) as caught:
        parse("/modle x")
    assert "/modle" in caught.value.title
    assert "/model" in caught.value.hint


def test_completions_are_offered_for_the_first_word_only() -> None:
    assert [command.name for command in completions("/m")] == ["model", "max"]
    assert completions("/") == COMMANDS
    assert completions("/model ") == ()
    assert completions("//m") == ()
    assert completions("m") == ()


async def test_the_list_says_how_many_more_there_are() -> None:
    async with driving(settings_for()) as app:
        await app.type("/")
        await app.shows(f"↓ {len(COMMANDS) - 6} more")
        await app.press("up")
        await app.until(lambda: "more" not in app.text())
        await app.shows("/quit")


async def test_the_list_is_steered_by_keys_and_tab_completes() -> None:
    async with driving(settings_for()) as app:
        await app.type("/m")
        await app.shows("Choose a model, or use NAME")
        await app.press("down", "tab")
        await app.until(lambda: app.composer == "/max ")
        assert "Choose a model, or use NAME" not in app.text()
        await app.press("4", "2", "enter")
        await app.until(lambda: app.app.main.conversation.options.max_tokens == 42)
        await app.type("/he")
        await app.press("escape")
        await app.until(lambda: not app.app.main.composer.completing)
        assert app.composer == "/he"


async def test_enter_runs_the_marked_command_when_it_needs_nothing_more() -> None:
    async with driving(settings_for()) as app:
        await app.type("/he")
        await app.press("enter")
        await app.screen("HelpScreen")
        await app.press("escape")
        await app.screen("ChatScreen")


async def test_model_system_temp_and_max_change_what_is_asked(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        for command in ("/model other-model", "/system Be brief.", "/temp 0.5", "/max 99"):
            await app.send(command)
            await app.until(lambda: app.composer == "")
        await app.until(lambda: app.app.main.conversation.options.max_tokens == 99)
        await app.asked("hi")
        body = loopback.requests[-1].json
        assert body["model"] == "other-model"
        assert body["temperature"] == 0.5
        assert 99 in (body.get("max_tokens"), body.get("max_completion_tokens"))
        assert body["messages"][0] == {"role": "system", "content": "Be brief."}
        await app.send("/temp -")
        await app.until(lambda: app.app.main.conversation.options.temperature is None)


@pytest.mark.parametrize("command", ["/temp hot", "/temp 3", "/max 0", "/max 1.5", "/frobnicate"])
async def test_a_command_that_makes_no_sense_is_an_error_line(command: str) -> None:
    async with driving(settings_for()) as app:
        await app.send(command)
        await app.until(lambda: app.notices())
        # A chat may have been begun for what stood in the composer; nothing was asked in it.
        chat = app.app.main.conversation.chat
        assert chat is None or chat.message_count == 0


async def test_title_export_retry_new_and_quit(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loopback.chat(stream_of("first answer"), stream_of("second answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.send("/title My chat")
        await app.notified("Renamed to “My chat”")
        await app.send("/retry")
        await app.shows("second answer")
        await app.until(lambda: not app.busy)
        await app.send("/export out.md")
        await app.until((tmp_path / "out.md").is_file)
        await app.notified("Exported to")
        assert "second answer" in (tmp_path / "out.md").read_text()
        await app.send("/export out.json")
        await app.until((tmp_path / "out.json").is_file)
        await app.send("/new")
        await app.until(lambda: app.app.main.conversation.chat is None)
        await app.send("/quit")
        await app.until(lambda: not app.app.is_running)


async def test_attached_files_go_along_with_the_next_message(loopback: Loopback, tmp_path: Path) -> None:
    note = tmp_path / "note.txt"
    note.write_text("wombats dig")
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.send(f"/attach {tmp_path}/none.txt")
        await app.until(lambda: "none.txt" in app.notices())
        await app.until(lambda: app.composer == f"/attach {tmp_path}/none.txt")
        app.app.main.composer.set_text("")
        await app.send(f"/attach {note}")
        await app.shows("With: note.txt")
        await app.asked("what do they do")
        assert "wombats dig" in loopback.requests[-1].json["messages"][-1]["content"]
        assert "With:" not in app.text()
        await app.send(f"/attach {note}")
        await app.shows("With: note.txt")
        await app.send("/attach -")
        await app.until(lambda: "With:" not in app.text())


def test_file_is_another_name_of_attach() -> None:
    assert parse("/file my notes.txt") == Invocation("attach", "my notes.txt")
    assert [command.name for command in completions("/fi")] == ["attach"]


async def test_a_double_slash_sends_a_literal_one(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("//new is what")
        assert loopback.requests[-1].json["messages"][-1]["content"] == "/new is what"
