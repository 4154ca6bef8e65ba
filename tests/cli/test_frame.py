"""`holychat` itself: version, help, the way to the app, and what happens to faults of ours."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import holychat
from holychat.cli.root import COMMANDS
from tests.cli.shell import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell


def test_version_is_one_line(shell: Shell) -> None:
    assert shell.run("--version").text == f"holychat {holychat.__version__}\n"


def test_python_dash_m_is_the_same_program(shell: Shell) -> None:
    done = subprocess.run([sys.executable, "-m", "holychat", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == shell.run("--version").text


def test_help_names_every_command_and_each_has_help(shell: Shell, private_environment: Path) -> None:
    overview = shell.run("--help").text
    for name in COMMANDS:
        assert re.search(rf"^  {name} ", overview, flags=re.MULTILINE)
        done = shell.run(name, "-h")
        assert (done.status, done.err) == (0, b"")
        assert done.text.startswith(f"Usage: holychat {name}")
    assert not private_environment.exists()


def test_the_shell_completes_commands(shell: Shell) -> None:
    shell.set(_HOLYCHAT_COMPLETE="bash_complete", COMP_WORDS="holychat hi", COMP_CWORD="1")
    assert "history" in shell.run().text


def test_the_shell_completes_providers(shell: Shell, private_environment: Path) -> None:
    shell.set(_HOLYCHAT_COMPLETE="bash_complete", COMP_WORDS="holychat ask -p o", COMP_CWORD="3")
    assert shell.run().text.splitlines() == ["plain,openai", "plain,offline"]
    config = private_environment / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[nonsense]\n")
    done = shell.run()
    assert (done.text.strip(), done.err) == ("", b"")


def test_a_question_without_ask_is_answered_with_how_to_ask(shell: Shell) -> None:
    done = shell.run("Why is the sky blue?\x1b[31m")
    assert done.status == 2
    assert "holychat ask" in done.error
    assert "\x1b" not in done.error


@pytest.mark.parametrize(
    "arguments",
    [
        ["--chat", "x"],
        ["--chat", "0"],
        ["-c", "--chat", "1"],
        ["-c", "history", "list"],
        ["-m", "x", "models"],
        ["--nonsense"],
    ],
)
def test_options_that_make_no_sense_are_2(shell: Shell, arguments: list[str]) -> None:
    done = shell.run(*arguments)
    assert done.status == 2
    assert 1 <= len(done.error.splitlines()) <= 2


def test_without_a_terminal_the_app_points_to_ask(shell: Shell, private_environment: Path) -> None:
    done = shell.run()
    assert (done.status, done.out) == (2, b"")
    assert "holychat ask" in done.error
    assert not private_environment.exists()


@pytest.mark.pty
def test_the_app_is_not_opened_with_a_provider_that_is_none(shell: Shell) -> None:
    done = shell.run_in_terminal("-p", "nobody")
    assert done.status == 2
    assert "There is no provider called 'nobody'" in done.text
    assert "\x1b" not in done.text


@pytest.mark.pty
@pytest.mark.parametrize("term", ["dumb", ""])
def test_in_a_dumb_terminal_the_app_points_to_ask(shell: Shell, term: str) -> None:
    done = shell.run_in_terminal(TERM=term)
    assert done.status == 2
    assert "holychat ask" in done.text
    assert "\x1b" not in done.text


def test_a_fault_of_ours_is_a_short_message_and_a_log_without_keys(tmp_path: Path, private_environment: Path) -> None:
    # The fault: a command whose code cannot be imported.
    program = (
        "import sys, holychat.cli.root as root; from holychat.cli.frame import run\n"
        f"root.COMMANDS['doctor'] = 'holychat.cli.{KEY}:doctor'\n"
        "import holychat.log; learn = holychat.log.Masker.__init__\n"
        f"holychat.log.Masker.__init__ = lambda self: (learn(self), self.add('{KEY}'))[0]\n"
        "sys.exit(run(['doctor']))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False)
    log = private_environment / "state" / "holychat.log"
    assert done.returncode == 1
    assert done.stdout == ""
    assert str(log) in done.stderr
    assert len(done.stderr.splitlines()) == 2
    assert "Traceback" not in done.stderr
    assert "Traceback" in log.read_text()
    assert KEY not in log.read_text() + done.stderr
    assert log.stat().st_mode & 0o777 == 0o600


def test_a_fault_in_a_thread_goes_to_the_log_and_not_to_the_screen(private_environment: Path) -> None:
    program = (
        "import threading; from holychat.cli.frame import run\n"
        "run(['--version'])\n"
        "thread = threading.Thread(target=lambda: 1 / 0); thread.start(); thread.join()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "ZeroDivisionError" in (private_environment / "state" / "holychat.log").read_text()


def test_a_home_of_nobody_is_a_folder_of_that_name(shell: Shell) -> None:
    shell.set(HOLYCHAT_HOME="~nobody-is-called-that")
    done = shell.run("config", "path")
    assert (done.status, done.err) == (0, b"")
    assert done.text.endswith("/~nobody-is-called-that/config/config.toml\n")
