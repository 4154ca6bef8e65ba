"""Background work of a widget or screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, cast

from textual.app import ScreenStackError
from textual.css.query import NoMatches
from textual.dom import NoScreen

from holychat.tui.framework import is_leaving

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.dom import DOMNode

P = ParamSpec("P")


def start_work(
    node: DOMNode, group: str, deed: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs
) -> None:
    """Do something while the screen goes on; work of the same named group that still runs is dropped.

    A coroutine function and its arguments, not a coroutine: one that is dropped before it began would never be awaited.

    Args:
        node: What it is for; the work ends with it, also where it finds what it wanted to change gone by then.
        group: Name of the work, or "" for work that is never dropped.
        deed: What to do.
        *args: For the deed.
        **kwargs: For the deed.
    """

    async def work() -> None:
        try:
            await deed(*args, **kwargs)
        except (NoMatches, NoScreen, ScreenStackError):
            # Textual takes the parts of a screen away before it ends the screen's work.
            if not is_leaving(node):
                raise

    # Textual's type of work is a union that mypy cannot solve for a method.
    node.run_worker(cast("Any", work), group=group or "default", exclusive=bool(group))
