"""`holychat history`."""

from __future__ import annotations

import json
import shutil
import stat
from typing import TYPE_CHECKING

import pytest

from tests.support.loopback import Loopback, stream_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the history of `past` is kept for the next test that wants it."""
    return tmp_path_factory.mktemp("past") / "data"


@pytest.fixture
def past(connected: Shell, loopback: Loopback, private_environment: Path, kept: Path) -> Shell:
    """A shell with two chats in its history."""
    data = private_environment / "data"
    if kept.is_dir():
        shutil.copytree(kept, data)
        return connected
    loopback.chat(stream_of("Green \x1b[31mtea\x1b[0m is fine"), stream_of("Cà phê sữa đá"))
    connected.run("ask", "What of tea?")
    connected.run("ask", "And of\u202e coffee?")
    shutil.copytree(data, kept)
    return connected


def test_list_has_the_latest_first(past: Shell) -> None:
    assert [line.split()[0] for line in past.run("history", "list").text.splitlines()] == ["2", "1"]
    chats = past.run("history", "list", "--json").json
    assert [(chat["id"], chat["messages"], chat["provider"]) for chat in chats] == [
        (2, 2, "holysheep"),
        (1, 2, "holysheep"),
    ]
    assert past.run("history", "list", "-n", "1").text.splitlines()[0].split()[0] == "2"
    assert len(past.run("history", "list", "-n", "1").text.splitlines()) == 1


def test_an_empty_history_is_an_empty_list(shell: Shell) -> None:
    for arguments, said in ((("list",), "No chats yet."), (("search", "tea"), "Nothing found.")):
        done = shell.run("history", *arguments)
        assert (done.out, done.error.strip()) == (b"", said)
        assert shell.run("history", *arguments, "--json").json == []
    done = shell.run("history", "show", "last")
    assert (done.status, "no chat" in done.error) == (2, True)


def test_search_finds_words_in_any_script(past: Shell) -> None:
    hits = past.run("history", "search", "phê", "sữa", "--json").json
    assert [(hit["chat_id"], hit["role"]) for hit in hits] == [(2, "assistant")]
    assert past.run("history", "search", "tea").text.split()[0] == "1"
    assert past.run("history", "search", "absent").out == b""


@pytest.mark.pty
def test_a_terminal_shows_hits_marked_and_clean(past: Shell) -> None:
    done = past.run_in_terminal("history", "search", "tea")
    assert "[tea]" in done.text
    assert "\x1b" not in done.text
    assert "\u202e" not in past.run_in_terminal("history", "list").text


def test_show_prints_the_conversation(past: Shell) -> None:
    text = past.run("history", "show", "2").text
    assert "Cà phê sữa đá" in text
    shown = past.run("history", "show", "1", "--json").json
    assert [message["role"] for message in shown["messages"]] == ["user", "assistant"]
    assert shown["messages"][1]["text"] == "Green \x1b[31mtea\x1b[0m is fine"


@pytest.mark.parametrize("number", ["9", "0", "-1", "x", "99999999999999999999"])
def test_a_chat_that_is_not_there_is_2(past: Shell, number: str) -> None:
    for command in (["show"], ["export"], ["delete", "--yes"]):
        done = past.run("history", *command, "--", number)
        assert done.status == 2
        assert 1 <= len(done.error.splitlines()) <= 2


def test_export_goes_to_stdout_or_to_a_new_private_file(past: Shell, tmp_path: Path) -> None:
    file = tmp_path / "chat.json"
    assert past.run("history", "export", "last", "--format", "json", "-o", str(file)).status == 0
    assert json.loads(file.read_text()) == past.run("history", "export", "2", "--format", "json").json
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    before = file.read_text()
    assert past.run("history", "export", "1", "-o", str(file)).status == 2
    assert file.read_text() == before
    assert past.run("history", "export", "1", "-o", str(tmp_path / "no" / "folder.md")).status in (1, 2)


def test_delete_asks_and_without_anybody_to_ask_does_nothing(past: Shell) -> None:
    done = past.run("history", "delete", "1")
    assert (done.status, "--yes" in done.error) == (2, True)
    assert len(past.run("history", "list", "--json").json) == 2


@pytest.mark.pty
@pytest.mark.parametrize(("typed", "status", "left"), [(b"n\r", 130, 2), (b"y\r", 0, 1), (b"\x03", 130, 2)])
def test_delete_does_what_is_answered(past: Shell, typed: bytes, status: int, left: int) -> None:
    done = past.run_in_terminal("history", "delete", "1", typed=typed, wait_for=b"[y/N]")
    assert done.status == status
    assert "What of tea?" in done.text
    assert ("Nothing was deleted." in done.text) == (status == 130)
    assert len(past.run("history", "list", "--json").json) == left


def test_deleting_several_is_all_or_nothing(past: Shell) -> None:
    assert past.run("history", "delete", "--yes", "1", "77").status == 2
    assert len(past.run("history", "list", "--json").json) == 2
    assert past.run("history", "delete", "--yes", "1", "2").status == 0
    assert past.run("history", "list", "--json").json == []


def test_a_damaged_history_is_set_aside_and_a_new_one_begins(past: Shell, private_environment: Path) -> None:
    database = private_environment / "data" / "holychat.db"
    done = past.run("history", "move-aside", "--yes")
    assert (done.status, "sound" in done.text, database.exists()) == (0, True, True)

    database.write_bytes(b"no database at all, whatever its name says" * 100)
    assert "holychat history move-aside" in past.run("history", "list").error
    done = past.run("history", "move-aside")
    assert (done.status, "--yes" in done.error, database.exists()) == (2, True, True)
    done = past.run("history", "move-aside", "--yes")
    assert (done.status, database.exists()) == (0, False)
    (aside,) = database.parent.glob("*.damaged")
    assert str(aside) in done.text
    assert aside.read_bytes().startswith(b"no database")
    assert past.run("history", "list", "--json").json == []
    assert past.run("history", "move-aside", "--yes").status == 0


def test_without_a_history_there_is_nothing_to_set_aside(shell: Shell) -> None:
    assert shell.run("history", "move-aside", "--yes").status == 2


@pytest.mark.pty
@pytest.mark.parametrize(("typed", "status", "moved"), [(b"n\r", 130, False), (b"y\r", 0, True)])
def test_setting_aside_asks_first(
    past: Shell, private_environment: Path, typed: bytes, status: int, moved: bool
) -> None:
    database = private_environment / "data" / "holychat.db"
    half = database.stat().st_size // 8192 * 4096
    with database.open("r+b") as file:  # behind the pages that opening reads
        file.seek(half)
        file.write(b"\xff" * half)
    done = past.run_in_terminal("history", "move-aside", typed=typed, wait_for=b"[y/N]")
    assert (done.status, "damaged" in done.text, not database.exists()) == (status, True, moved)
    assert ("It was left where it is." in done.text) != moved


def test_a_reader_that_leaves_ends_quietly(past: Shell) -> None:
    with past.start("history", "show", "1") as running:
        assert running.process.stdout is not None
        running.process.stdout.close()
        done = running.end()
        running.process.stdout = None
    assert (done.status, done.err) == (141, b"")
