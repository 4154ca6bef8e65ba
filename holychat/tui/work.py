"""Background work of a widget or screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ParamSpec, cast

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
        node: What it is for; the work ends with it.
        group: Name of the work, or "" for work that is never dropped.
        deed: What to do.
        *args: For the deed.
        **kwargs: For the deed.
    """

    async def work() -> None:
        await deed(*args, **kwargs)

    # Textual's type of work is a union that mypy cannot solve for a method.
    node.run_worker(cast("Any", work), group=group or "default", exclusive=bool(group))
