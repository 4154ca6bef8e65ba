"""The installed command, killed, hung up and crashed at the worst moments: what was typed is there afterwards."""

from __future__ import annotations

import signal
import sys
import time
from typing import TYPE_CHECKING

import apsw
import pytest

from tests.support.script import stream_of
from tests.tui.terminal import Terminal, environment, installed_command
from tests.tui.test_pty import is_stored, start

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.support.loopback import Loopback

__all__ = ["start"]

pytestmark = pytest.mark.pty


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_text_that_waits_for_a_slow_key_survives_the_end(
    start: Callable[..., Terminal], private_environment: Path, number: signal.Signals
) -> None:
    config = private_environment / "config"
    config.mkdir(parents=True)
    (config / "config.toml").write_text('[providers.holysheep]\nkey_command = ["sleep", "20"]\n')
    terminal = start(HOLYSHEEP_API_KEY="")
    terminal.shows("Ask anything")
    terminal.type("precious")
    database = private_environment / "data" / "holychat.db"
    terminal.until(lambda: is_stored(database, "precious"), "the draft")
    terminal.type("\r")
    terminal.shows("Next: precious")
    terminal.process.send_signal(number)
    assert terminal.wait() == (-number if number == signal.SIGKILL else 128 + number)
    assert is_stored(database, "precious")


def test_what_is_sent_as_soon_as_the_history_is_open_is_no_draft_as_well(
    start: Callable[..., Terminal], loopback: Loopback, private_environment: Path
) -> None:
    loopback.chat(stream_of("the answer"))
    terminal = start()
    terminal.shows("Ask anything")
    terminal.type("early\r")
    terminal.shows("the answer")
    time.sleep(0.6)  # longer than a draft waits to be stored
    terminal.process.kill()
    terminal.wait()
    connection = apsw.Connection(str(private_environment / "data" / "holychat.db"))
    assert list(connection.execute("SELECT draft FROM chats")) == [("",)]
    connection.close()


def test_keys_after_enter_and_after_ctrl_n_in_one_burst_go_where_they_belong(
    start: Callable[..., Terminal], loopback: Loopback, private_environment: Path
) -> None:
    loopback.chat(stream_of("the answer"))
    terminal = start()
    terminal.shows("HOLYSHEEP_API_KEY")
    terminal.type("question\rmore words")
    terminal.shows("the answer")
    terminal.shows("│ more words ")
    terminal.type(" still\x0etyped at once")
    terminal.shows("│ typed at once ")
    database = private_environment / "data" / "holychat.db"
    terminal.until(lambda: is_stored(database, "'more words still'") and is_stored(database, "'typed at once'"))


def test_a_signal_while_the_editor_is_open_keeps_what_was_written_there(
    start: Callable[..., Terminal], private_environment: Path, tmp_path: Path
) -> None:
    editor = tmp_path / "editor.sh"
    editor.write_text("#!/bin/sh\nprintf 'written in the editor' > \"$1\"\necho OPEN\nsleep 30\n")
    editor.chmod(0o755)
    terminal = start(EDITOR=str(editor), VISUAL="")
    terminal.shows("HOLYSHEEP_API_KEY")
    terminal.type("draft")
    terminal.shows("draft")
    terminal.type("\x0f")
    terminal.shows("OPEN")
    terminal.process.send_signal(signal.SIGTERM)
    assert terminal.wait() == 128 + signal.SIGTERM
    assert terminal.is_restored() == []
    assert is_stored(private_environment / "data" / "holychat.db", "written in the editor")


def test_standard_error_in_a_file_does_not_get_the_screen(loopback: Loopback, tmp_path: Path) -> None:
    errors = tmp_path / "errors"
    terminal = Terminal(["sh", "-c", f'exec "$@" 2>{errors}', "sh", *installed_command()], environment(loopback))
    try:
        terminal.shows("Ask anything")
        terminal.type("\x11")
        assert terminal.wait() == 0
        assert terminal.is_restored() == []
        assert errors.read_bytes() == b""
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("breaking", "keys"),
    [
        ("from holychat.tui.screens.chat_dialogs import ChatDialogs as Broken\nname = 'rename'", "/title x\r"),
        ("import holychat.services as Broken\nname = 'open_services'", ""),
    ],
    ids=["in a worker", "while the history is opened"],
)
def test_a_crash_names_its_cause_and_the_log_tells_where(
    loopback: Loopback, private_environment: Path, tmp_path: Path, breaking: str, keys: str
) -> None:
    program = tmp_path / "crash.py"
    program.write_text(
        f"import sys\nfrom holychat.cli import main\n{breaking}\n"
        "def broken_here(*_, **__):\n    raise ZeroDivisionError('value')\n"
        "setattr(Broken, name, broken_here)\n"
        "sys.exit(main())\n"
    )
    terminal = Terminal([sys.executable, str(program)], environment(loopback))
    try:
        if keys:
            terminal.shows("HOLYSHEEP_API_KEY")
            terminal.type(keys)
        assert terminal.wait() == 1
        said = bytes(terminal.output).decode().rpartition("\x1b[?1049l")[2]
        assert "Error: ZeroDivisionError" in said
        assert "WorkerFailed" not in said
    finally:
        terminal.close()
    log = (private_environment / "state" / "holychat.log").read_text()
    assert "in broken_here" in log
