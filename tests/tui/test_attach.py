"""Files that go along with a message: finding them while typing, taking them, sending them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.tui.completion import path_choices, path_typed
from holychat.tui.files import existing_path
from tests.support.script import stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.loopback import Loopback


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "place"
    (place / "my docs").mkdir(parents=True)
    (place / "my docs" / "Deep.txt").write_text("deep words")
    (place / "my file.txt").write_text("my words")
    (place / "notes.txt").write_text("note words")
    (place / ".hidden").write_text("hidden")
    monkeypatch.chdir(place)
    monkeypatch.setenv("HOME", str(place))
    return place


def texts(typed: str) -> list[str]:
    return [choice.text for choice in path_choices(typed)]


def test_files_and_folders_that_begin_with_the_path_are_offered(folder: Path) -> None:
    assert texts("/attach ") == ["/attach my docs/", "/attach my file.txt", "/attach notes.txt"]
    assert texts("/attach MY ") == ["/attach my docs/", "/attach my file.txt"]
    assert texts("/file my docs/d") == ["/file my docs/Deep.txt"]
    assert texts("/attach ~/no") == ["/attach ~/notes.txt"]
    assert texts("/attach ~") == ["/attach ~/my docs/", "/attach ~/my file.txt", "/attach ~/notes.txt"]
    assert texts(f"/attach {folder}/no") == [f"/attach {folder}/notes.txt"]
    assert texts("/attach .h") == ["/attach .hidden"]


def test_a_whole_name_a_minus_and_other_commands_offer_no_files(folder: Path) -> None:
    assert texts("/attach notes.txt") == []
    assert texts("/attach -") == []
    assert texts("/attach no/such/folder/x") == []
    assert texts("/attach \x00/x") == []
    assert path_typed("/title no") is None
    assert path_typed("/attach") is None


def test_a_name_that_cannot_be_shown_as_it_is_stays_out(folder: Path) -> None:
    (folder / "evil\x1b[2Jname").write_text("x")
    (folder / "evil\nline").write_text("x")
    (folder / "evil\u202ename").write_text("x")
    assert texts("/attach evil") == []


def test_a_dragged_path_may_be_quoted(folder: Path) -> None:
    assert existing_path("'my file.txt'") == existing_path("my file.txt")
    assert existing_path(r"my\ file.txt") == existing_path("my file.txt")
    assert str(existing_path("it's missing")) == "it's missing"


async def test_tab_and_enter_walk_through_folders_to_a_file(loopback: Loopback, folder: Path) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.type("/attach ")
        await app.shows("my docs/")
        await app.press("tab")
        await app.until(lambda: app.composer == "/attach my docs/")
        await app.shows("Deep.txt")
        await app.press("enter")
        await app.shows("With: Deep.txt")
        assert app.composer == ""
        await app.type("/file my")
        await app.shows("my file.txt")
        await app.press("down")
        await app.press("tab")
        await app.until(lambda: app.composer == "/file my file.txt")
        await app.until(lambda: not app.app.main.composer.completing)
        await app.press("enter")
        await app.shows("With: Deep.txt, my file.txt")
        await app.asked("what")
        sent = loopback.requests[-1].json["messages"][-1]["content"]
        assert "deep words" in sent
        assert "my words" in sent


async def test_a_file_is_attached_once_and_a_burst_of_typing_means_what_was_typed(folder: Path) -> None:
    async with driving(settings_for()) as app:
        await app.send("/attach notes.txt")
        await app.shows("With: notes.txt")
        await app.send("/attach ~/notes.txt")
        await app.until(lambda: app.composer == "")
        await app.pilot.pause(0.1)
        assert [file.name for file in app.app.main.drafts.shown.files] == ["notes.txt"]


async def test_a_command_that_fails_comes_back_to_be_mended(folder: Path) -> None:
    async with driving(settings_for()) as app:
        await app.send("/attach my docs")
        await app.until(lambda: app.composer.startswith("/attach my docs"))
        await app.send("/temp hot")
        await app.until(lambda: "/temp hot" in app.composer)
