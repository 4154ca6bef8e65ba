"""The keys that work now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.widget import Widget

from holychat.tui.keymap import KEYS, key_label

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.screen import Screen
    from textual.visual import VisualType

_ORDER = {
    binding_id: place
    for place, binding_id in enumerate(
        dict.fromkeys(
            ["chat.stop", "dialog.close", "composer.send", "composer.complete", "job.read", "job.close", "job.help"]
            + [key.id for key in KEYS if key.scope not in ("app", "chat", "composer", "dialog")]
            + [
                "chat.help",
                "chat.panel",
                "chat.list",
                "chat.new",
                "app.quit",
                "chat.model",
                "chat.commands",
                "chat.costs",
            ]
        )
    )
}


class KeyFooter(Widget):
    """One painted line instead of a widget per key; a key that does nothing now is not shown."""

    COMPONENT_CLASSES = {"footer--key", "footer--label"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self._keys: tuple[tuple[str, str], ...] = ()

    def on_mount(self) -> None:
        """Follow the focus and everything else that changes what keys do."""
        self.screen.bindings_updated_signal.subscribe(self, self._changed)
        self.app.screen_change_signal.subscribe(self, self._covered)
        self.call_after_refresh(self._changed, self.screen)

    def _covered(self, top: Screen[object]) -> None:
        """Behind a dialog the keys of that one are shown, where it has no such line of its own."""
        if top is not self.screen:
            top.bindings_updated_signal.subscribe(self, self._changed)
        top.call_after_refresh(self._changed, top)

    def _changed(self, screen: Screen[object]) -> None:
        if not self.is_attached or screen is not self.app.screen:
            return
        keys = tuple(_shown_keys(screen))
        if keys != self._keys:
            self._keys = keys
            self.refresh()
            if screen is not self.screen:
                screen.refresh()  # what is behind it is part of its own background

    def render(self) -> VisualType:
        """As many keys as fit, the most useful first."""
        keys = self.get_component_rich_style("footer--key")
        labels = self.get_component_rich_style("footer--label")
        line = Text(no_wrap=True)
        for key, label in self._keys:
            item = Text.assemble((key, keys), (f" {label}", labels))
            gap = 2 if line else 0
            if line.cell_len + gap + item.cell_len > self.size.width:
                continue
            line.append(" " * gap)
            line.append_text(item)
        return line


def _shown_keys(screen: Screen[object]) -> list[tuple[str, str]]:
    found: dict[str, tuple[str, str]] = {}
    labels: Mapping[str, str] = getattr(screen, "key_labels", {})
    for _node, binding, enabled, _tooltip in screen.active_bindings.values():
        if binding.show and enabled and binding.id and binding.id not in found:
            label = labels.get(binding.id, binding.description)
            found[binding.id] = (key_label(binding.key, short=True), label)
    return [found[binding_id] for binding_id in sorted(found, key=lambda name: _ORDER.get(name, len(_ORDER)))]
