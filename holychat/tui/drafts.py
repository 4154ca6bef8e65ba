"""Keeps what stands in the composer, a moment after the last key."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

DELAY = 0.3
"""Seconds after the last key."""


class DraftKeeper:
    """Saves the newest text; never two savings at once, never an older text after a newer one.

    Args:
        save: Stores a text durably.
    """

    def __init__(self, save: Callable[[str], Awaitable[None]]) -> None:
        self._save = save
        self._pending: str | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()

    def changed(self, text: str) -> None:
        """Take note of the text; it is saved when no other key follows soon."""
        self._pending = text
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(DELAY, self._start)

    async def save_now(self, text: str) -> None:
        """Save this text, whatever was pending."""
        self._pending = text
        await self.flush()

    def forget(self) -> None:
        """Drop what was not saved yet: it was sent."""
        self._pending = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def flush(self) -> None:
        """Save now what was not saved yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        async with self._lock:
            text, self._pending = self._pending, None
            if text is not None:
                await self._save(text)

    def _start(self) -> None:
        self._timer = None
        self._task = asyncio.create_task(self.flush())
