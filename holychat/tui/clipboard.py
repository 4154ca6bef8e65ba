"""Copying: a native tool where there is one, the terminal (OSC 52) in any case, and honest words about both.

OSC 52 gives no answer, is passed on by tmux and screen only when asked to, and cut or refused beyond some size, so the
person is told "sent to the terminal", not "copied", when nothing better worked.
"""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEADLINE = 2.0
"""Seconds a native tool may take."""
OSC52_LIMIT = 74_994
"""Bytes of text in one OSC 52 sequence: xterm takes 100,000 characters of base64 in all."""


@dataclass(frozen=True, slots=True)
class Copied:
    """How a copy went."""

    by: str
    """The tool that took it; empty when none did."""
    to_terminal: bool
    """Whether it was sent to the terminal too."""
    characters: int

    def __str__(self) -> str:
        amount = f"{self.characters:,} characters"
        if self.by:
            return f"Copied {amount} with {self.by}."
        if self.to_terminal:
            return f"Sent {amount} to the terminal; whether it took them cannot be known. `s` saves to a file."
        return f"Could not copy {amount}: no clipboard tool, and too much for the terminal. `s` saves to a file."


def copy(text: str, write: Callable[[str], None], command: str = "", environ: Mapping[str, str] = os.environ) -> Copied:
    """Copy cleaned text; blocking, at most `DEADLINE` seconds per tool.

    Args:
        text: What to copy.
        write: Sends a sequence to the terminal.
        command: The person's own tool (`[ui] copy_command`), used instead of the known ones.
        environ: Tells which display there is.
    """
    text = clean(text)
    data = text.encode()
    by = next((tool[0] for tool in _tools(command, environ) if _feed(tool, data)), "")
    sequence = osc52(data, environ)
    if sequence and not (by and _is_local(environ)):
        write(sequence)
    return Copied(by, bool(sequence), len(text))


def osc52(data: bytes, environ: Mapping[str, str] = os.environ) -> str:
    """The sequence that hands `data` to the terminal's clipboard, wrapped for tmux and screen; "" when too large."""
    if len(data) > OSC52_LIMIT:
        return ""
    payload = base64.b64encode(data).decode()
    sequence = f"\x1b]52;c;{payload}\x07"
    if environ.get("TMUX"):
        # tmux takes the plain sequence when set-clipboard is on, and passes the wrapped one on when allowed to.
        return sequence + "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    if environ.get("TERM", "").startswith("screen"):
        pieces = [sequence[at : at + 240] for at in range(0, len(sequence), 240)]
        return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
    return sequence


def _is_local(environ: Mapping[str, str]) -> bool:
    return not (environ.get("SSH_CONNECTION") or environ.get("SSH_TTY"))


def _tools(command: str, environ: Mapping[str, str]) -> list[list[str]]:
    if command:
        try:
            return [shlex.split(command)]
        except ValueError:
            return []
    tools: list[list[str]] = []
    if sys.platform == "darwin":
        tools.append(["pbcopy"])
    if environ.get("WAYLAND_DISPLAY"):
        tools.append(["wl-copy"])
    if environ.get("DISPLAY"):
        tools += [["xclip", "-selection", "clipboard", "-in"], ["xsel", "--clipboard", "--input"]]
    if environ.get("WSL_DISTRO_NAME"):
        tools.append(["clip.exe"])
    return [tool for tool in tools if shutil.which(tool[0])]


def _feed(tool: list[str], data: bytes) -> bool:
    if not tool:
        return False
    # clip.exe reads UTF-16; the others UTF-8. xclip stays in the background to serve the text, so its output must not
    # be a pipe that we would wait on.
    data = data.decode().encode("utf-16") if tool[0] == "clip.exe" else data
    try:
        done = subprocess.run(
            tool, input=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=DEADLINE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
