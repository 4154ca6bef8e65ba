"""Writing what the person asked to have in a file."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from holychat.errors import UsageError


def path_from(text: str) -> Path:
    """The path that a person typed; `~` is their home."""
    return Path(text.strip()).expanduser()


def existing_path(text: str) -> Path:
    """The path that a person typed or dragged into the terminal, which may quote it; blocking."""
    path = path_from(text)
    if not os.path.lexists(path):
        try:
            words = shlex.split(text)
        except ValueError:
            words = []
        if len(words) == 1:
            return path_from(words[0])
    return path


def absolute(path: Path) -> Path:
    """The whole path, to say where something went."""
    return path.absolute()


def write_export(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a text file that the person named; blocking.

    Args:
        path: Where to.
        text: The text, as it is stored.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        UsageError: The file is there already, or cannot be written.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder", "Give the name of a file.")
    try:
        with path.open("w" if overwrite else "x", encoding="utf-8", errors="replace") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        raise UsageError(f"{path} is there already", "Press Enter again to replace it, or change the name.") from None
    except OSError as error:
        raise UsageError(f"Cannot write {path}: {error.strerror}", "Choose another place.") from None
