"""Clipboard, status line, editor command, exports: the parts that need no running app."""

from __future__ import annotations

import base64
import os
import sys
from pathlib import Path

import pytest

from holychat.domain.usage import Cost
from holychat.errors import UsageError
from holychat.tui.clipboard import OSC52_LIMIT, copy, osc52
from holychat.tui.editor import editor_command
from holychat.tui.files import path_from, write_export
from holychat.tui.widgets.status_line import Facts, fit, left_pieces, right_pieces


def test_a_native_tool_gets_cleaned_text_and_is_named(tmp_path: Path) -> None:
    target = tmp_path / "clipboard"
    sent: list[str] = []
    told = copy("a\x1b[31mb", sent.append, f"tee {target}", {})
    assert target.read_text() == "a\ufffd[31mb"
    assert sent == []
    assert str(told) == "Copied 7 characters with tee."


def test_without_a_tool_the_terminal_gets_it_and_nobody_claims_it_was_copied() -> None:
    sent: list[str] = []
    told = copy("hello", sent.append, "", {})
    assert sent == ["\x1b]52;c;" + base64.b64encode(b"hello").decode() + "\x07"]
    assert "Sent 5 characters to the terminal" in str(told)
    assert "saves to a file" in str(told)


def test_a_tool_that_fails_or_hangs_falls_back_to_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holychat.tui.clipboard.DEADLINE", 0.2)
    for tool in ("false", "sleep 30", "no-such-tool-here", "'unclosed"):
        sent: list[str] = []
        assert copy("x", sent.append, tool, {}).by == ""
        assert len(sent) == 1


def test_over_ssh_the_terminal_gets_it_too() -> None:
    sent: list[str] = []
    told = copy("x", sent.append, "cat", {"SSH_TTY": "/dev/pts/1"})
    assert told.by == "cat"
    assert len(sent) == 1


def test_tmux_and_screen_get_their_wrapping_and_large_texts_are_refused() -> None:
    assert osc52(b"x", {"TMUX": "1"}).endswith("\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\")
    assert osc52(b"x", {"TERM": "screen"}) == "\x1bP\x1b]52;c;eA==\x07\x1b\\"
    assert osc52(b"x" * (OSC52_LIMIT + 1), {}) == ""
    told = copy("x" * (OSC52_LIMIT + 1), lambda _: None, "", {})
    assert "Could not copy" in str(told)


def test_the_status_line_fits_in_sixty_columns_by_dropping_the_least_important() -> None:
    facts = Facts(
        "holysheep", "deepseek-v3.2", "key: HOLYSHEEP_API_KEY", "", 1234, 87.5, 12_345, 678, False, Cost(1234)
    )
    wide = fit(left_pieces(facts), right_pieces(facts), 200)
    assert [piece.text for piece in (*wide[0], *wide[1])] == [
        "deepseek-v3.2", "holysheep", "key: HOLYSHEEP_API_KEY",
        "first token 1.23 s", "88 tok/s", "12.3k in 678 out", "$0.001234",
    ]  # fmt: skip
    narrow = fit(left_pieces(facts), right_pieces(facts), 56)
    texts = [piece.text for piece in (*narrow[0], *narrow[1])]
    assert texts == ["deepseek-v3.2", "88 tok/s", "12.3k in 678 out", "$0.001234"]
    tiny = fit(left_pieces(facts), right_pieces(facts), 5)
    assert [piece.text for piece in tiny[0]] == ["deepseek-v3.2"]


def test_the_editor_is_visual_then_editor_and_its_arguments_are_kept() -> None:
    assert editor_command({"VISUAL": "code --wait", "EDITOR": "vi"}) == ["code", "--wait"]
    assert editor_command({"EDITOR": "vi"}) == ["vi"]
    with pytest.raises(UsageError):
        editor_command({"EDITOR": "'unclosed"})


def test_a_file_is_never_replaced_unasked(tmp_path: Path) -> None:
    file = tmp_path / "out.md"
    write_export(file, "one", overwrite=False)
    with pytest.raises(UsageError, match="is there already"):
        write_export(file, "two", overwrite=False)
    write_export(file, "two", overwrite=True)
    assert file.read_text() == "two"
    with pytest.raises(UsageError, match="is a folder"):
        write_export(tmp_path, "x", overwrite=True)
    with pytest.raises(UsageError, match="Cannot write"):
        write_export(tmp_path / "no" / "such" / "folder.md", "x", overwrite=False)


def test_importing_the_package_brings_no_textual() -> None:
    import subprocess

    code = "import holychat.tui, sys; sys.exit('textual' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_private_parts_of_textual_that_are_overridden_are_still_there() -> None:
    import inspect

    from textual import _ansi_sequences
    from textual._compositor import Compositor
    from textual.app import App
    from textual.command import CommandPalette
    from textual.drivers.linux_driver import LinuxDriver
    from textual.screen import Screen
    from textual.widgets import OptionList
    from textual.widgets._toast import ToastRack

    from holychat.tui.framework import teach_alt_enter

    teach_alt_enter()
    assert [key.value for key in _ansi_sequences.ANSI_SEQUENCES_KEYS["\x1b\r"]] == ["alt+enter"]
    for name in ("_handle_exception", "_fatal_error", "panic", "get_line_filters", "notify", "_on_notify", "on_event"):
        assert callable(getattr(App, name))
    assert "self._fatal_error()" in inspect.getsource(App._handle_exception)
    assert "self._move_page(-1)" in inspect.getsource(OptionList.action_page_up)
    assert "command_list('page_up')" in inspect.getsource(CommandPalette)
    assert "--textual-toast-" in inspect.getsource(ToastRack._toast_id)
    assert "WriterThread(self._file)" in inspect.getsource(LinuxDriver.start_application_mode)
    assert "self._get_renders(crop)" in inspect.getsource(Compositor._render_chops)
    assert "old_map = self._full_map" in inspect.getsource(Compositor.reflow)
    assert "self._compositor = Compositor()" in inspect.getsource(Screen.__init__)
    assert "_get_terminal_size" in inspect.getsource(LinuxDriver.start_application_mode)


def test_an_export_is_private_and_whole_and_follows_a_link(tmp_path: Path) -> None:
    file = tmp_path / "out.md"
    write_export(file, "one", overwrite=False)
    assert file.stat().st_mode & 0o777 == 0o600
    tmp_path.chmod(0o755)
    write_export(file, "two", overwrite=True)
    assert file.read_text() == "two"
    assert [left.name for left in tmp_path.iterdir()] == ["out.md"]
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    link = tmp_path / "link.md"
    link.symlink_to(file)
    write_export(link, "three", overwrite=True)
    assert link.is_symlink()
    assert file.read_text() == "three"


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "missing/out.md", "."])
def test_a_name_that_cannot_be_written_is_a_usage_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        write_export(tmp_path / name, "text", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(UsageError):
        write_export(pipe, "text", overwrite=True)
    assert pipe.is_fifo()


def test_a_home_that_nobody_has_is_taken_literally() -> None:
    assert path_from("~nobodyx/a") == Path("~nobodyx/a")
