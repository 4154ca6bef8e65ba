"""An input that filters a list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from textual.message import Message
from textual.widgets import Input

if TYPE_CHECKING:
    from textual import events


class FilterInput(Input, inherit_bindings=False):
    """Leaves Enter to its screen, and the keys that move in a list as messages."""

    BINDINGS: ClassVar = [binding for binding in Input.BINDINGS if "enter" not in str(getattr(binding, "key", ""))]

    @dataclass
    class ListKey(Message):
        """Up, down, pageup or pagedown was pressed."""

        key: str

    async def _on_key(self, event: events.Key) -> None:
        if event.key in ("up", "down", "pageup", "pagedown"):
            event.stop()
            event.prevent_default()
            self.post_message(self.ListKey(event.key))
            return
        await super()._on_key(event)
