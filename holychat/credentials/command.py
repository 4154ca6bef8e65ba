"""A key printed by a command of the person's own, for example `pass show holysheep`."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
from pathlib import PurePath
from typing import TYPE_CHECKING

from holychat.errors import CredentialError
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping

LIMIT = 30.0
"""Seconds a key command may take: time enough to type a passphrase into its window."""


def split_command(command: str | list[str]) -> list[str]:
    """The command as a list of words; a string is split as a shell would, but no shell ever runs.

    Raises:
        CredentialError: A quote in the string is not closed.
    """
    if not isinstance(command, str):
        return list(command)
    try:
        return shlex.split(command)
    except ValueError as error:
        raise CredentialError(f"key_command cannot be read: {error}", "Write it as a list of words.") from None


def describe_command(command: str | list[str]) -> str:
    """The command for a person: its program only, because its arguments may be private."""
    try:
        words = split_command(command)
    except CredentialError:
        words = []
    if not words:
        return "command"
    program = clean_line(PurePath(words[0]).name, 40)
    return f"command `{program} …`" if len(words) > 1 else f"command `{program}`"


def key_from_command(command: str | list[str], environ: Mapping[str, str], limit: float = LIMIT) -> str:
    """The first line that the command prints. What it writes to stderr is thrown away: it may quote the key.

    It runs without a shell, without the terminal and in a session of its own, so that it can neither write over the
    screen nor be left behind when its time is up.

    Raises:
        CredentialError: It cannot be started, fails, takes longer than `limit` seconds, or prints nothing readable.
    """
    words = split_command(command)
    name = describe_command(command)
    if not words:
        raise CredentialError("key_command is empty")
    process = _start(words, name, environ)
    with process:
        try:
            output, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            _end(process)
            raise CredentialError(f"The {name} took longer than {limit:g} s") from None
    if process.returncode:
        raise CredentialError(f"The {name} failed with status {process.returncode}", "Try it in a shell.")
    try:
        line = output.decode().lstrip().partition("\n")[0]
    except UnicodeDecodeError:
        raise CredentialError(f"The {name} printed something that is not text") from None
    if not line.strip():
        raise CredentialError(f"The {name} printed nothing")
    return line


def _start(words: list[str], name: str, environ: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=dict(environ),
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "unusable"
        raise CredentialError(f"The {name} cannot be started: {reason}") from None


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the command with everything it started, so that no child keeps the pipe open."""
    if os.name == "posix":
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate()
