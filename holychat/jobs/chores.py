"""Small things that are done beside the sending, each for itself."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from holychat.jobs.preparing import Joined, TooLong, Unusable
from holychat.store import ledger_entries, ledger_tree

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.preparing import Prepared
    from holychat.jobs.run import JobRun

_log = logging.getLogger(__name__)


class Chores:
    """Belongs to one event loop.

    Args:
        writer: Writes the ledger.
    """

    def __init__(self, writer: LedgerWriter) -> None:
        self._writer = writer
        self.tasks: set[asyncio.Task[None]] = set()
        """What is being done."""

    def __bool__(self) -> bool:
        return bool(self.tasks)

    def do(self, work: Coroutine[None, None, None]) -> None:
        """Do it; what goes wrong is in the log."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def take(self, run: JobRun, prepared: Prepared) -> None:
        """Take what came up in its turn and is no request."""
        run.unsettled += 1
        if isinstance(prepared, TooLong):
            self.do(self._split(run, prepared))
        elif isinstance(prepared, Unusable | Joined):
            entry = (
                ledger_entries.Joined(prepared.item_id, prepared.text)
                if isinstance(prepared, Joined)
                else ledger_entries.Failed(prepared.item_id, run.id, prepared.failure)
            )
            self._writer.keep(entry, lambda _: run.settled(prepared.item_id, ended=True))

    async def _split(self, run: JobRun, document: TooLong) -> None:
        now_ms = time.time_ns() // 1_000_000
        await self._writer.transaction(
            lambda c: ledger_tree.split(c, document.item_id, document.parts, document.sha256, now_ms)
        )
        run.settled(document.item_id, ended=False)
        run.again()

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("unexpected error at the desk", exc_info=error)
