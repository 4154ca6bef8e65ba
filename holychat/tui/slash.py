"""Slash commands: what there is, and what a line in the composer means."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from holychat.errors import UsageError


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """One command; `argument` is empty where it takes none."""

    name: str
    argument: str
    help: str
    alias: str = ""
    """Another name that people try."""


COMMANDS: tuple[SlashCommand, ...] = (
    SlashCommand("new", "", "Start a new chat"),
    SlashCommand("model", "[NAME]", "Choose a model, or use NAME"),
    SlashCommand("system", "[TEXT]", "Show, set or (with -) clear the system prompt"),
    SlashCommand("temp", "[0-2]", "Show, set or (with -) clear the temperature"),
    SlashCommand("max", "[TOKENS]", "Show, set or (with -) clear the longest reply"),
    SlashCommand("attach", "FILE", "Send a file with the next message; - takes all back", "file"),
    SlashCommand("title", "[TEXT]", "Rename this chat"),
    SlashCommand("retry", "", "Ask for another answer"),
    SlashCommand("later", "[low|medium] QUESTION", "Ask in the background; the answer lands here when it is there"),
    SlashCommand("export", "[FILE]", "Write this chat to a .md or .json file"),
    SlashCommand("batch", "[NAME]", "Make a template of this chat and use it over a folder of documents"),
    SlashCommand("cost", "", "What was spent, by model and by day"),
    SlashCommand("help", "", "Keys, commands and what holychat can do"),
    SlashCommand("quit", "", "Quit"),
)

ALIASES = {command.alias: command.name for command in COMMANDS if command.alias}


@dataclass(frozen=True, slots=True)
class Invocation:
    """A command as it was typed."""

    name: str
    argument: str


def parse(text: str) -> Invocation | str:
    """What a submitted text is: an `Invocation`, or the message to send.

    A leading `//` sends the rest with one slash. A path such as `/etc/hosts is…` is a message: only a slash followed by
    letters alone is taken for a command.

    Raises:
        UsageError: It looks like a command and is none.
    """
    if text.startswith("//"):
        return text[1:]
    word, _space, rest = text.partition(" ")
    if "\n" in word:
        word, _newline, rest = text.partition("\n")
    if not (word.startswith("/") and word[1:].isalpha()):
        return text
    name = ALIASES.get(word[1:], word[1:])
    if any(command.name == name for command in COMMANDS):
        return Invocation(name, rest.strip())
    close = get_close_matches(word[1:], [command.name for command in COMMANDS], 1)
    hint = f"Did you mean /{close[0]}? " if close else ""
    raise UsageError(f"There is no command {word}", f"{hint}Type // to send a message that begins with a slash.")


def completions(text: str) -> tuple[SlashCommand, ...]:
    """The commands that a composer's text may become: only while its one word is being typed."""
    if not text.startswith("/") or text.startswith("//") or any(character.isspace() for character in text):
        return ()
    start = text[1:].lower()
    return tuple(
        command for command in COMMANDS if command.name.startswith(start) or (start and command.alias.startswith(start))
    )
