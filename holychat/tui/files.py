"""Writing what the person asked to have in a file."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from holychat.errors import UsageError
from holychat.paths import write_private_file


def path_from(text: str) -> Path:
    """The path that a person typed; `~` is their home, and itself where nobody has the name behind it."""
    return Path(os.path.expanduser(text.strip()))  # that of Path raises for an unknown name


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
    try:
        return path.absolute()
    except OSError:  # the folder we are in is gone
        return path


def current_folder() -> str:
    """The folder that relative names belong to; "" when it is gone."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def write_export(path: Path, text: str, *, overwrite: bool) -> None:
    """Write a whole text file, mode 0600, that the person named; blocking. A full disk leaves an old one as it was.

    Args:
        path: Where to; a link is followed.
        text: The text, as it is stored.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        UsageError: The file is there already, is none, or cannot be written.
    """
    try:
        write_private_file(Path(os.path.realpath(path)), text, overwrite=overwrite)
    except FileExistsError:
        raise UsageError(f"{path} is there already", "Press Enter again to replace it, or change the name.") from None
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder", "Give the name of a file.") from None
    except ValueError:
        raise UsageError("This name cannot be that of a file", "Choose another name.") from None
    except OSError as error:
        raise UsageError(f"Cannot write {_short(path)}: {error.strerror}", "Choose another place.") from None


def _short(path: Path) -> str:
    text = str(path)
    return text if len(text) <= 120 else f"{text[:119]}…"
