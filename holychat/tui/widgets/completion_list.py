"""What a composer's text may be completed to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.visual import VisualType

    from holychat.tui.completion import Choice

_VISIBLE = 6


class CompletionList(Widget):
    """A short list over the composer; it never takes the focus, the composer steers it."""

    COMPONENT_CLASSES = {"command--name", "command--argument", "command--help", "command--marked"}  # noqa: RUF012

    marked: reactive[int] = reactive(0)
    choices: reactive[tuple[Choice, ...]] = reactive((), layout=True)

    def watch_choices(self, choices: tuple[Choice, ...]) -> None:
        """Show what is left, mark the first."""
        self.marked = 0
        self.display = bool(choices)
        self.styles.height = min(len(choices), _VISIBLE)

    @property
    def choice(self) -> Choice | None:
        """The marked one."""
        return self.choices[self.marked] if self.choices else None

    def move(self, delta: int) -> None:
        """Mark another one, round and round."""
        if self.choices:
            self.marked = (self.marked + delta) % len(self.choices)

    def render(self) -> VisualType:
        """One line per choice, the marked one in view."""
        first = max(0, min(self.marked - _VISIBLE + 1, len(self.choices) - _VISIBLE))
        names, arguments, helps = (
            self.get_component_rich_style(f"command--{part}") for part in ("name", "argument", "help")
        )
        lines = Text(no_wrap=True, overflow="ellipsis")
        for index, choice in enumerate(self.choices[first : first + _VISIBLE], first):
            line = Text.assemble(
                (f" {choice.label:<9}", names), (f"{choice.argument:<10}", arguments), (choice.help, helps)
            )
            line.truncate(max(1, self.size.width), overflow="ellipsis", pad=True)
            more = len(self.choices) - first - _VISIBLE
            if more > 0 and index == first + _VISIBLE - 1:
                hint = Text(f" ↓ {more} more ", helps)
                line.truncate(max(1, self.size.width - hint.cell_len), overflow="ellipsis", pad=True)
                line.append_text(hint)
            if index == self.marked:
                line.stylize(self.get_component_rich_style("command--marked"))
            lines.append_text(line)
            lines.append("\n")
        lines.right_crop(1)
        return lines
