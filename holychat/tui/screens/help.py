"""Help: the bundled pages and the keys in force."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, ClassVar

from textual.containers import VerticalScroll
from textual.widgets import Markdown

from holychat.tui.keymap import KEYS, SCOPE_TITLES, key_label, keys_in_force
from holychat.tui.screens.dialog import Dialog
from holychat.tui.slash import COMMANDS
from holychat.tui.widgets.footer import KeyFooter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from markdown_it import MarkdownIt
    from textual.app import ComposeResult


class HelpScreen(Dialog[None]):
    """Keys first, because that is what F1 is pressed for; then the pages that `holychat` also answers from offline.

    Args:
        remapped: The person's keymap.
    """

    AUTO_FOCUS: ClassVar[str] = "#help"

    def __init__(self, remapped: Mapping[str, str]) -> None:
        super().__init__()
        self._remapped = remapped

    def compose(self) -> ComposeResult:
        """A scrolling page."""
        with VerticalScroll(classes="dialog tall", id="help"):
            yield Markdown(help_text(self._remapped), open_links=False, parser_factory=_parser)
        yield KeyFooter()


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("gfm-like", {"html": False})


def help_text(remapped: Mapping[str, str]) -> str:
    """Keys, commands and the bundled pages as Markdown."""
    rows = [f"| `{f'/{command.name} {command.argument}'.strip()}` | {command.help} |" for command in COMMANDS]
    commands = "\n".join(["# Slash commands", "", "| Command | |", "| --- | --- |", *rows])
    folder = files("holychat").joinpath("help")
    names = sorted(page.name for page in folder.iterdir() if page.name.endswith(".md")) if folder.is_dir() else []
    pages = [folder.joinpath(name).read_text(encoding="utf-8").strip() for name in names]
    return "\n\n".join(["# Keys", *_key_tables(keys_in_force(remapped)), commands, *pages])


def _key_tables(keys: Mapping[str, tuple[str, ...]]) -> list[str]:
    tables = []
    for scope, title in SCOPE_TITLES.items():
        rows = [
            f"| {', '.join(f'`{key_label(key)}`' for key in keys[row.id])} | {row.help} | `{row.id}` |"
            for row in KEYS
            if row.scope == scope
        ]
        tables.append("\n".join([f"## {title}", "", "| Key | | Name in `[keys]` |", "| --- | --- | --- |", *rows]))
    return tables
