"""Help: the bundled pages and the keys in force."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from holychat.domain.chat import Message, MessageState, Role, TextPart
from holychat.tui.keymap import KEYS, SCOPE_TITLES, key_label, keys_in_force
from holychat.tui.screens.reading import ReadingScreen
from holychat.tui.slash import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from textual.screen import Screen

    from holychat.tui.keymap import Scope

_ALWAYS = ("app", "chat", "composer")
_FIRST: tuple[Scope, ...] = ("chat", "composer")
"""What is looked for most."""
_IDS = {scope: {key.id for key in KEYS if key.scope == scope} for scope in SCOPE_TITLES}


class HelpScreen(ReadingScreen):
    """Keys first, because that is what F1 is pressed for; then the pages that `holychat` also answers from offline.

    Args:
        remapped: The person's keymap.
        here: Keys of these scopes come first: where F1 was pressed.
    """

    def __init__(self, remapped: Mapping[str, str], here: Iterable[Scope] = ()) -> None:
        super().__init__()
        self._remapped = remapped
        self._here = tuple(here)

    def on_mount(self) -> None:
        """The page is laid out like any other Markdown of the app."""
        page = TextPart(help_text(self._remapped, self._here))
        self.show(Message(0, 0, 1, Role.ASSISTANT, MessageState.COMPLETE, (page,), 0))


def scopes_here(screen: Screen[Any]) -> list[Scope]:
    """What the keys that work now belong to, apart from what is there all the time."""
    working = {active.binding.id for active in screen.active_bindings.values()}
    return [scope for scope in SCOPE_TITLES if scope not in _ALWAYS and working & _IDS[scope]]


def help_text(remapped: Mapping[str, str], here: Iterable[Scope] = ()) -> str:
    """Keys, those of the scopes `here` first, commands and the bundled pages as Markdown."""
    rows = [f"| `{f'/{command.name} {command.argument}'.strip()}` | {command.help} |" for command in COMMANDS]
    commands = "\n".join(["# Slash commands", "", "| Command | Does |", "| --- | --- |", *rows])
    folder = files("holychat").joinpath("help")
    names = sorted(page.name for page in folder.iterdir() if page.name.endswith(".md")) if folder.is_dir() else []
    pages = [folder.joinpath(name).read_text(encoding="utf-8").strip() for name in names]
    tables = _key_tables(keys_in_force(remapped), here)
    return "\n\n".join(["↑ ↓ PgUp PgDn scroll.", "# Keys", *tables, commands, *pages])


def _key_tables(keys: Mapping[str, tuple[str, ...]], here: Iterable[Scope]) -> list[str]:
    tables = []
    for scope in dict.fromkeys((*here, *_FIRST, *SCOPE_TITLES)):
        rows = [
            f"| {', '.join(f'`{key_label(key)}`' for key in keys[row.id])} | {row.help} | `{row.id}` |"
            for row in KEYS
            if row.scope == scope
        ]
        head = ["| Key | Does | Name in `[keys]` |", "| --- | --- | --- |"]
        tables.append("\n".join([f"## {SCOPE_TITLES[scope]}", "", *head, *rows]))
    return tables
