"""What a composer's text may be completed to: slash commands, and the files that /attach is given."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.text import clean
from holychat.tui import slash

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST = 200
"""Files offered at most."""
_SEEN = 20_000
"""Entries of a folder that are looked at; no folder may hold up a popup."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One line of the popup."""

    label: str
    argument: str
    help: str
    text: str
    """What the composer holds once it is taken."""
    whole: bool
    """Whether Enter may submit it at once."""


def command_choices(text: str) -> tuple[Choice, ...]:
    """The commands that the text may become."""
    return tuple(
        Choice(
            f"/{command.name}",
            command.argument,
            command.help,
            f"/{command.name} " if command.argument else f"/{command.name}",
            not command.argument or text == f"/{command.name}",
        )
        for command in slash.completions(text)
    )


def path_typed(text: str) -> str | None:
    """The path that is being typed after /attach, or None where it is not one."""
    word, space, path = text.partition(" ")
    wanted = word == "/attach" or (word[:1] == "/" and slash.ALIASES.get(word[1:]) == "attach")
    return path.lstrip() if space and wanted and "\n" not in path and path.strip() != "-" else None


def path_choices(text: str) -> tuple[Choice, ...]:
    """Files and folders that begin with the path typed in `text`; blocking.

    Upper and lower case are the same, hidden ones come once a dot is typed, and a folder goes on with a slash. Names
    with characters that cannot be shown as they are stay out: what is chosen must be what is seen.
    """
    typed = path_typed(text)
    return () if typed is None else file_choices(typed, text[: len(text) - len(typed)])


def file_choices(typed: str, head: str = "") -> tuple[Choice, ...]:
    """Files and folders that begin with a path; blocking.

    Args:
        typed: The beginning of the path, as a person types it.
        head: What stands before it in the text that a choice becomes.
    """
    folder, _slash, start = typed.rpartition("/")
    folder += _slash
    if typed == "~":
        folder, start = "~/", ""
    found = sorted(_entries(folder, start), key=lambda entry: (entry[0].casefold(), entry[0]))
    if [name for name, is_folder in found if not is_folder] == [start] and len(found) == 1:
        return ()
    return tuple(
        Choice(name + "/" * is_folder, "", "", f"{head}{folder}{name}{'/' * is_folder}", not is_folder)
        for name, is_folder in found[:_MOST]
    )


def _entries(folder: str, start: str) -> Iterator[tuple[str, bool]]:
    wanted = start.casefold()
    try:
        with os.scandir(os.path.expanduser(folder) or ".") as entries:
            for seen, entry in enumerate(entries):
                if seen >= _SEEN:
                    return
                name = entry.name
                if (
                    name.casefold().startswith(wanted)
                    and (start.startswith(".") or not name.startswith("."))
                    and clean(name) == name
                    and not set(name) & {"\n", "\t"}
                ):
                    yield name, _is_folder(entry)
    except (OSError, ValueError):
        return


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
