"""Keeping a reply while it arrives: what is new goes to the store at least every half second."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from holychat.errors import StoreError

if TYPE_CHECKING:
    from holychat.chat.buffer import ReplyBuffer
    from holychat.chat.journal import Journal

_log = logging.getLogger(__name__)

_SECONDS = 0.4


class Checkpoints:
    """A timer that runs only while there is something new. Nothing waits for it."""

    def __init__(self, journal: Journal, buffer: ReplyBuffer) -> None:
        self._journal = journal
        self._buffer = buffer
        self._saving: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self.armed = False
        """Whether new text will be kept without a further call of `arm`."""

    def arm(self) -> None:
        """Something arrived; keep it within half a second."""
        if not self.armed and not self._closed:
            self.armed = True
            self._timer = asyncio.get_running_loop().call_later(_SECONDS, self._begin)

    def close(self) -> None:
        """No more checkpoints: the end of the reply is about to be stored whole."""
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()

    def _begin(self) -> None:
        if not self._closed:
            self._saving = asyncio.create_task(self._save())

    async def _save(self) -> None:
        chunks, mark = self._buffer.unsaved()
        try:
            await self._journal.append(chunks)
            self._buffer.mark_saved(mark)
        except StoreError as error:
            # The text is still here; it goes along with the next checkpoint or with the end.
            _log.warning("a checkpoint was not stored: %s", error.title)
        finally:
            self.armed = False
            if self._buffer.unsaved()[0]:
                self.arm()
