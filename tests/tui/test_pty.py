"""The installed command in a real terminal: it starts, answers, and leaves the terminal as it was, however it ends."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.support.script import Gate, stream_of
from tests.tui.driving import gated
from tests.tui.terminal import Terminal, environment, installed_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.loopback import Loopback

pytestmark = pytest.mark.pty


@pytest.fixture
def start(loopback: Loopback) -> Iterator[Callable[..., Terminal]]:
    """Starts holychat in a terminal."""
    terminals: list[Terminal] = []

    def begin(*arguments: str, columns: int = 100, rows: int = 30, **environ: str) -> Terminal:
        command = [*installed_command(), *arguments]
        terminals.append(Terminal(command, environment(loopback, **environ), columns, rows))
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def test_it_starts_answers_follows_resizes_and_quits(start: Callable[..., Terminal], loopback: Loopback) -> None:
    loopback.chat(stream_of("The answer ", "is 42."))
    terminal = start()
    terminal.shows("Ask anything")
    terminal.type("What is it?\r")
    terminal.shows("The answer is 42.")
    terminal.resize(60, 15)
    terminal.until(lambda: "│ Ask anything, or / for commands                          │" in terminal.text())
    terminal.shows("The answer is 42.")
    terminal.type("\x11")
    assert terminal.wait() == 0
    assert terminal.is_restored() == []


def test_what_is_typed_before_the_first_frame_is_kept_and_sent(
    start: Callable[..., Terminal], loopback: Loopback
) -> None:
    loopback.chat(stream_of("good morning"))
    terminal = start()
    terminal.type("early")
    terminal.until(lambda: b"\x1b[?1049h" in terminal.output)
    terminal.type(" bird\r")
    terminal.shows("good morning")
    assert loopback.requests[-1].json["messages"][-1]["content"] == "early bird"


def test_alt_enter_as_escape_return_breaks_the_line(start: Callable[..., Terminal], loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    terminal = start()
    terminal.shows("Ask anything")
    terminal.type("one\x1b\rtwo\r")
    loopback.wait_for(1)
    assert loopback.requests[0].json["messages"][-1]["content"] == "one\ntwo"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_stores_answer_and_draft_and_restores_the_terminal(
    start: Callable[..., Terminal], loopback: Loopback, number: signal.Signals
) -> None:
    loopback.chat(gated(Gate(), ["half an ", "answer"]))
    terminal = start()
    terminal.shows("Ask anything")
    terminal.type("question\r")
    terminal.shows("half an answer")
    terminal.type("my draft")
    terminal.shows("my draft")
    terminal.process.send_signal(number)
    assert terminal.wait() == 128 + number
    assert terminal.is_restored() == []
    again = start()
    again.shows("half an answer")
    again.shows("my draft")
    again.shows("question")


def test_a_closed_terminal_stores_answer_and_draft(start: Callable[..., Terminal], loopback: Loopback) -> None:
    loopback.chat(gated(Gate(), ["half an ", "answer"]))
    terminal = start()
    terminal.shows("Ask anything")
    terminal.type("question\r")
    terminal.shows("half an answer")
    terminal.type("my draft")
    terminal.shows("my draft")
    terminal.hang_up()
    assert terminal.wait() == 128 + signal.SIGHUP
    again = start()
    again.shows("half an answer")
    again.shows("my draft")


def test_after_sigkill_the_question_the_partial_answer_and_the_draft_are_there(
    start: Callable[..., Terminal], loopback: Loopback, private_environment: Path
) -> None:
    loopback.chat(gated(Gate(), ["half an ", "answer"]))
    terminal = start()
    terminal.shows("Ask anything")
    terminal.type("question\r")
    terminal.shows("half an answer")
    terminal.type("my draft")
    terminal.shows("my draft")
    database = private_environment / "data" / "holychat.db"
    terminal.until(lambda: is_stored(database, "answer") and is_stored(database, "my draft"), "the checkpoint")
    terminal.process.kill()
    terminal.wait()
    again = start()
    again.shows("half an answer")
    again.shows("my draft")
    again.shows("question")


def is_stored(database: Path, text: str) -> bool:
    import apsw

    try:
        connection = apsw.Connection(str(database), flags=apsw.SQLITE_OPEN_READONLY)
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        everything = ""
        for name in names:
            if "fts" not in name:
                everything += str(list(connection.execute(f'SELECT * FROM "{name}"')))
        connection.close()
    except apsw.Error:
        return False
    return text in everything


def test_a_crash_says_where_the_log_is_without_values_and_ends_with_1(
    loopback: Loopback, private_environment: Path, tmp_path: Path
) -> None:
    import sys

    program = tmp_path / "crash.py"
    program.write_text(
        "import sys\n"
        "from holychat.cli import main\n"
        "from holychat.tui.screens.chat import ChatScreen\n"
        "def broken(self):\n"
        "    password = 'sk-' + 'very-secret'\n"
        "    raise ZeroDivisionError(password)\n"
        "ChatScreen.action_toggle_panel = broken\n"
        "sys.exit(main())\n"
    )
    loopback.chat(stream_of("ok"))
    terminal = Terminal([sys.executable, str(program)], environment(loopback))
    try:
        terminal.shows("Ask anything")
        terminal.type("unsent")
        terminal.shows("unsent")
        terminal.type("\x02")
        assert terminal.wait() == 1
        assert terminal.is_restored() == []
        said = bytes(terminal.output).decode().rpartition("\x1b[?1049l")[2]
        assert "ended because of an error of its own" in said
        assert "ZeroDivisionError" in said
        assert "holychat.log" in said.replace("\r\n", "")
        assert "very-secret" not in said
        assert "Traceback" not in said
    finally:
        terminal.close()
    assert "ZeroDivisionError" in (private_environment / "state" / "holychat.log").read_text()


def test_no_color_means_not_one_colour_code(start: Callable[..., Terminal], loopback: Loopback) -> None:
    import re

    loopback.chat(stream_of("# Title\n\n`code` and **bold**\n\n```python\nprint(1)\n```\n"))
    terminal = start(NO_COLOR="1")
    terminal.shows("Ask anything")
    terminal.type("/m")
    terminal.shows("Choose a model")
    terminal.type("\x1b")
    terminal.until(lambda: "Choose a model" not in terminal.text())
    terminal.type("\x7f\x7fhello\r")
    terminal.shows("print(1)")
    terminal.type("\x13")
    terminal.shows("Search titles")
    codes = {code for codes in re.findall(rb"\x1b\[([\d;]*)m", bytes(terminal.output)) for code in codes.split(b";")}
    colours = {code for code in codes if code and (30 <= int(code) <= 49 or 90 <= int(code) <= 107)}
    assert colours == set()


def test_the_editor_gets_the_text_while_the_reply_goes_on(
    start: Callable[..., Terminal], loopback: Loopback, tmp_path: Path
) -> None:
    gate = Gate()
    loopback.chat(gated(gate, ["begun "], [f"{number} words arrive. " for number in range(200)]))
    editor = tmp_path / "editor.sh"
    editor.write_text(
        f'#!/bin/sh\necho EDITING\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.05; done\necho edited >> "$1"\n'
    )
    editor.chmod(0o755)
    terminal = start(EDITOR=str(editor))
    terminal.shows("Ask anything")
    terminal.type("question\r")
    terminal.shows("begun")
    terminal.type("draft ")
    terminal.shows("draft")
    terminal.type("\x0f")
    terminal.shows("EDITING")
    gate.open()
    (tmp_path / "go").touch()
    terminal.shows("draft edited")
    terminal.shows("199 words")
    terminal.type("\x11")
    assert terminal.wait() == 0
    assert terminal.is_restored() == []
