"""Handing requests over: they are written down as sent, all of them, before their file gets its name."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING

from holychat.domain.batches import Submission, SubmissionState
from holychat.errors import StoreError
from holychat.store import submissions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.provider_batch.files import BatchFiles
    from holychat.jobs.provider_batch.gathering import Gathered, Gathering
    from holychat.jobs.run import JobRun
    from holychat.store.database import Connection
    from holychat.store.ledger_entries import Written

_log = logging.getLogger(__name__)

_AT_ONCE = 500
"""Requests that are written down in one transaction, so that others need not wait long."""


class Handing:
    """One batch on its way from the gathering to a row and a file of its own. Belongs to one event loop."""

    def __init__(self, run: JobRun, gathering: Gathering, files: BatchFiles, writer: LedgerWriter) -> None:
        self._run = run
        self._gathering = gathering
        self._files = files
        self._writer = writer
        self._row: int | None = None
        self.sent: set[int] = set()
        """Items that go with it."""
        self.over_limit = False
        """Some could cost more than may be spent on everything."""
        self.trouble: OSError | None = None
        """Why there is no file: the disk takes no more. Who looks after the batch gives its items back."""

    async def submission(self) -> Submission | None:
        """Write everything down and give the file its name; None where no item could go.

        Raises:
            OSError: The file cannot be written; nothing else is, either.
        """
        rows = self._gathering.rows
        await self._gathering.close()
        for start in range(0, len(rows), _AT_ONCE):
            try:
                await self._write(rows[start : start + _AT_ONCE])
            except StoreError as error:
                _log.warning("not all of a batch could be written down: %s", error.title)
                break
        if self._row is None:
            return None
        kept = [row.entry.item_id in self.sent for row in rows]
        if not self.sent:
            return await self._resized(0, 0)
        try:
            size = await asyncio.to_thread(self._files.place, self._gathering.token, kept)
        except OSError as error:
            self.trouble = error
            size = self._gathering.size
        return await self._resized(size, sum(row.tokens for row in rows if row.entry.item_id in self.sent))

    async def _write(self, rows: Sequence[Gathered]) -> None:
        notes = {row.entry.item_id: row.note for row in rows}

        def then(connection: Connection, written: Written) -> None:
            if self._row is None and written.attempts:
                self._row = submissions.add(connection, self._new())
            if self._row is not None:
                submissions.take_items(connection, self._row, [(item, notes[item]) for item in written.attempts])

        before = self._row
        try:
            written = await self._writer.sending_together([row.entry for row in rows], then)
        except StoreError:
            self._row = before
            raise
        self.sent |= written.attempts.keys()
        self.over_limit |= bool(written.over)

    def _new(self) -> Submission:
        gathering, spec = self._gathering, self._run.job.spec
        return Submission(
            0, self._run.id, gathering.token, SubmissionState.FILE_INTENT, spec.provider, gathering.model,
            len(gathering.rows), max(1, gathering.size), gathering.tokens, created_ms=time.time_ns() // 1_000_000,
        )  # fmt: skip

    async def _resized(self, size: int, tokens: int) -> Submission | None:
        row, lines = self._row, len(self.sent)
        assert row is not None

        def work(connection: Connection) -> Submission | None:
            if lines:
                submissions.resize(connection, row, lines, size, tokens)
            return submissions.get(connection, row)

        return await self._writer.transaction(work)
