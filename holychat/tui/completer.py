"""Steers the popup over the composer: when it opens, what it offers, what a key does in it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holychat.tui.completion import command_choices, path_choices, path_typed
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.dom import DOMNode

    from holychat.tui.completion import Choice
    from holychat.tui.widgets.completion_list import CompletionList
    from holychat.tui.widgets.composer import Composer

_LONGEST = 4096
"""Characters of a text that may still be a command or a path."""


class Completer:
    """Belongs to a composer and its popup.

    Args:
        node: What the looking for files ends with.
        composer: Where it is typed.
        popup: Where the choices are shown.
        submit: Sends a whole text.
    """

    def __init__(self, node: DOMNode, composer: Composer, popup: CompletionList, submit: Callable[[str], None]) -> None:
        self._node = node
        self._composer = composer
        self._popup = popup
        self._submit = submit
        self._text = ""
        """What the choices are for."""

    def edited(self) -> None:
        """Offer what the text may become now."""
        text = self._composer.text
        if not text.startswith("/") or len(text) > _LONGEST:
            self.close()
        elif path_typed(text) is None:
            self._offer(text, command_choices(text))
        else:
            start_work(self._node, "paths", self._look, text)

    async def _look(self, text: str) -> None:
        choices = await asyncio.to_thread(path_choices, text)
        if self._composer.text == text:
            self._offer(text, choices)

    def _offer(self, text: str, choices: tuple[Choice, ...]) -> None:
        self._text = text
        self._popup.choices = choices
        self._composer.completing = bool(choices)

    def close(self) -> None:
        """Offer nothing more for this text."""
        self._offer("", ())

    def steer(self, what: str) -> None:
        """Do what a key says: "up" and "down" mark, "take" completes, "send" completes and submits what is whole."""
        choice = self._popup.choice
        if what in ("up", "down"):
            self._popup.move(-1 if what == "up" else 1)
        elif self._text != self._composer.text:
            # The choices are those of a text that was typed over since.
            if what == "send":
                self._submit(self._composer.text)
        elif choice is not None and what == "send" and choice.whole:
            self._submit(choice.text.rstrip())
        elif choice is not None:
            self._composer.set_text(choice.text)
