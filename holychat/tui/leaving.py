"""Leaving a screen that answers whoever opened it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.screen import Screen


def can_be_left(screen: Screen[Any]) -> bool:
    """Whether a screen is still there; what was opened over it is taken away, so that it is the one that is left.

    Textual takes away whatever is on top, and gives a second answer to somebody who has one.
    """
    if screen not in screen.app.screen_stack:
        return False
    while screen.app.screen is not screen:
        screen.app.pop_screen()
    return True
