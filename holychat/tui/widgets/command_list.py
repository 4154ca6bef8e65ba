"""The slash commands that a composer's text may become."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.visual import VisualType

    from holychat.tui.slash import SlashCommand

_VISIBLE = 6


class SlashCommandList(Widget):
    """A short list over the composer; it never takes the focus, the composer steers it."""

    COMPONENT_CLASSES = {"command--name", "command--argument", "command--help", "command--marked"}  # noqa: RUF012

    marked: reactive[int] = reactive(0)
    commands: reactive[tuple[SlashCommand, ...]] = reactive((), layout=True)

    def watch_commands(self, commands: tuple[SlashCommand, ...]) -> None:
        """Show what is left, mark the first."""
        self.marked = 0
        self.display = bool(commands)
        self.styles.height = min(len(commands), _VISIBLE)

    @property
    def choice(self) -> SlashCommand | None:
        """The marked command."""
        return self.commands[self.marked] if self.commands else None

    def move(self, delta: int) -> None:
        """Mark another one, round and round."""
        if self.commands:
            self.marked = (self.marked + delta) % len(self.commands)

    def render(self) -> VisualType:
        """One line per command, the marked one in view."""
        first = max(0, min(self.marked - _VISIBLE + 1, len(self.commands) - _VISIBLE))
        names = self.get_component_rich_style("command--name")
        arguments = self.get_component_rich_style("command--argument")
        helps = self.get_component_rich_style("command--help")
        lines = Text(no_wrap=True, overflow="ellipsis")
        for index, command in enumerate(self.commands[first : first + _VISIBLE], first):
            line = Text.assemble(
                (f" /{command.name:<8}", names), (f"{command.argument:<10}", arguments), (command.help, helps)
            )
            line.truncate(max(1, self.size.width), overflow="ellipsis", pad=True)
            if index == self.marked:
                line.stylize(self.get_component_rich_style("command--marked"))
            lines.append_text(line)
            lines.append("\n")
        lines.right_crop(1)
        return lines
