"""`holychat batch` on a terminal: the question, the live line, the editor."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.cli.batch_shell import TEA, rows_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.batch_shell import BatchShell

pytestmark = pytest.mark.pty


def painted(screen: str) -> str:
    """What stands there at the end: a line that was painted over is its last painting."""
    return "\n".join(line.rpartition("\r\x1b[K")[2] for line in screen.split("\n"))


@pytest.mark.parametrize(("typed", "status", "jobs"), [(b"n\r", 130, 0), (b"\x03", 130, 0), (b"y\r", 0, 1)])
def test_nothing_is_sent_before_somebody_says_yes(desk: BatchShell, typed: bytes, status: int, jobs: int) -> None:
    done = desk.run_in_terminal(
        "batch", "summarize", str(desk.documents), "-p", "offline", "--wait", typed=typed, wait_for=b"[y/N]"
    )
    assert done.status == status
    assert "Send 3 documents to offline? [y/N]" in done.text
    assert re.search(r"^Documents +3$", painted(done.text), flags=re.MULTILINE)
    assert ("Nothing was sent." in done.text) == (status == 130)
    assert len(desk.jobs()) == jobs


@pytest.mark.parametrize("typed", [b"n\r", b"\r", b"\x03"])
def test_a_no_is_answered_with_what_it_left_as_it_was(desk: BatchShell, typed: bytes) -> None:
    assert desk.summarize("--yes", "--wait").status == 0
    desk.batch("templates", "save", "brief", "--job", "1")
    for words in (("delete", "1"), ("templates", "delete", "brief")):
        done = desk.run_in_terminal("batch", *words, typed=typed, wait_for=b"[y/N]")
        assert (done.status, "Nothing was deleted." in done.text) == (130, True), done.text
    assert len(desk.jobs()) == 1
    assert "brief" in desk.batch("templates", "list").text


def test_one_line_shows_progress_and_leaves_the_summary(desk: BatchShell) -> None:
    done = desk.run_in_terminal("batch", "summarize", str(desk.documents), "-p", "offline", "--yes", "--wait")
    assert done.status == 0
    assert "\r\x1b[K" in done.text
    assert "█" in done.text
    left = painted(done.text)
    assert "█" not in left
    assert rows_of(left)["Successful"] == "3"


def test_names_and_results_cannot_steer_the_terminal(desk: BatchShell) -> None:
    desk.write(evil=f"\x1b]0;owned\x07 {TEA}")
    (desk.documents / "\x1b[31mred\u202e.md").write_text(TEA)
    desk.summarize("--yes", "--wait", "--name", "\x1b[2J")
    for arguments in (["list"], ["show", "1"], ["show", "1", "--items"], ["export", "1"], ["show", "1", "--item", "1"]):
        text = desk.run_in_terminal("batch", *arguments).text
        assert "\x1b" not in text
        assert "\u202e" not in text


def test_requests_for_another_engine_cannot_steer_the_terminal(desk: BatchShell) -> None:
    desk.write(evil=f"\x9b31m\u202e {TEA}")
    assert desk.summarize("--hold").status == 0
    done = desk.run_in_terminal("batch", "export", "1", "--format", "openai")
    assert (done.status, "/v1/chat/completions" in done.text) == (0, True)
    assert not {"\x9b", "\u202e"} & set(done.text)


def test_after_a_trial_the_rest_is_sent_when_somebody_says_yes(desk: BatchShell) -> None:
    done = desk.run_in_terminal(
        "batch", "summarize", str(desk.documents), "-p", "offline", "--yes", "--trial", "1", "--wait",
        typed=b"y\r", wait_for=b"Send the rest?",
    )  # fmt: skip
    assert done.status == 0, done.text
    assert "--- sea.md (done)" in done.text
    assert rows_of(painted(done.text))["Successful"] == "3"


def test_a_template_is_written_in_the_editor(desk: BatchShell, tmp_path: Path) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nprintf \"kind = 'summarize'\\nlength = '1 sentence'\\n\" > \"$1\"\n")
    editor.chmod(0o700)
    done = desk.run_in_terminal("batch", "templates", "edit", "brief", EDITOR=str(editor), VISUAL="")
    assert (done.status, "Kept the template brief." in done.text) == (0, True), done.text
    assert 'length = "1 sentence"' in desk.batch("templates", "show", "brief").text
    editor.write_text('#!/bin/sh\necho "kind = 3" > "$1"\n')
    assert desk.run_in_terminal("batch", "templates", "edit", "brief", EDITOR=str(editor), VISUAL="").status == 2
    assert 'length = "1 sentence"' in desk.batch("templates", "show", "brief").text
