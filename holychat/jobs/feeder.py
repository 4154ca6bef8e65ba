"""Keeps a job supplied: lists its documents, and has the next items read and ready before they are wanted.

Both are blocking work that is done in threads, a chunk at a time, and both go on from what the database says: after a
crash nothing has to be remembered.
"""

from __future__ import annotations

import asyncio
import time
from itertools import islice
from typing import TYPE_CHECKING

from holychat.errors import HolychatError
from holychat.jobs import documents
from holychat.jobs.documents import ChatText, WalkOptions
from holychat.jobs.preparing import Incomplete, Preparer, load
from holychat.jobs.threads import WorkThread
from holychat.store import ledger_jobs, ledger_tree, messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holychat.domain.jobs import Document
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.jobs.preparing import Prepared
    from holychat.jobs.run import JobRun
    from holychat.money.costs import Costs
    from holychat.settings import Settings
    from holychat.store.database import Connection, Database

_CHUNK = 64
_LIST_CHUNK = 250
_LIST_SIZE = 1024 * 1024
"""Characters of records that are listed in one transaction, unless one alone is longer."""
_START = (-1, -1)


class Feeder:
    """The supply of one job. Belongs to one event loop."""

    def __init__(self, run: JobRun, database: Database, writer: LedgerWriter, settings: Settings, costs: Costs) -> None:
        self._run = run
        self._database = database
        self._writer = writer
        self._settings = settings
        self._preparer = Preparer(run.job, settings, costs)
        self._after = _START
        self._wake = asyncio.Event()
        self._again = False
        self._found = False
        """Whether something that was not in hand was found since the reading last began at the start."""
        self._chunks = 0
        """How often documents were added to the list."""
        self.listed = run.job.listed
        self.is_empty = False
        """Whether the database had nothing to send that is not in hand, when it was last read through."""

    @property
    def is_dry(self) -> bool:
        """Whether everything is listed and nothing that is not in hand can be sent."""
        return self.listed and self.is_empty and not self._again

    def wake(self, *, from_start: bool = False) -> None:
        """There may be more to send, or room for more; `from_start`: also before what was read already."""
        if from_start:
            self._again = True
            self.is_empty = False
        self._wake.set()

    async def run(self) -> None:
        """Supply the job until cancelled."""
        reading, listing = WorkThread("documents"), WorkThread("listing")
        try:
            async with asyncio.TaskGroup() as tasks:
                if not self.listed:
                    tasks.create_task(self._list(listing))
                while True:
                    await self._wake_up()
                    await self._fill(reading)
        finally:
            reading.end()
            listing.end()

    async def _wake_up(self) -> None:
        while not self._run.wants() or (self.is_empty and not self._again):
            self._wake.clear()
            if self._run.wants() and self._again:
                return
            await self._wake.wait()

    async def _fill(self, reading: WorkThread) -> None:
        if self._again:
            self._again, self._found = False, False
            self._after = _START
        after, job_id, listed = self._after, self._run.id, self._chunks
        loaded = await self._database.read(lambda connection: load(connection, job_id, after, _CHUNK))
        if not loaded:
            # Parts, merges and what is sent again stand before the end: look from the start, until that finds nothing.
            if self._found:
                self._again = True
            else:
                self.is_empty = not self._again and listed == self._chunks
            self._run.changed()
            return
        last = loaded[-1].row
        self._after = (last.ordinal, last.id)
        fresh = [one for one in loaded if not self._run.in_hand(one.row.id)]
        if not fresh:
            return
        self._found = True
        prepared = await reading.run(lambda: list(self._preparer.prepare(fresh)))
        for item in prepared:
            await self._add(item)

    async def _add(self, item: Prepared) -> None:
        if isinstance(item, Incomplete):
            now_ms = time.time_ns() // 1_000_000
            await self._writer.transaction(lambda c: ledger_tree.count_again(c, item.item_id, now_ms))
        elif self._run.active and not self._run.in_hand(item.item_id):
            self._run.add(item)

    # Listing

    async def _list(self, listing: WorkThread) -> None:
        spec = self._run.job.spec
        options = WalkOptions(max_bytes=self._settings.jobs.max_document_bytes)
        found = iter(documents.listed(spec.sources, options, chat_texts=self._chat_texts))
        note = ""
        while True:
            try:
                chunk = await listing.run(lambda: _some(found))
            except HolychatError as error:
                note, chunk = error.title, []
            if not chunk:
                break
            await self._writer.transaction(
                lambda c, chunk=chunk: ledger_jobs.add_documents(c, self._run.id, chunk, time.time_ns() // 1_000_000)  # type: ignore[misc]
            )
            self._chunks += 1
            self.is_empty = False
            self._wake.set()
        await self._writer.transaction(
            lambda c: ledger_jobs.all_listed(c, self._run.id, note, time.time_ns() // 1_000_000)
        )
        self.listed = True
        self.wake(from_start=True)

    def _chat_texts(self, chat_id: int) -> Iterable[ChatText]:
        def read(connection: Connection) -> list[ChatText]:
            return [
                ChatText(str(message.id), f"{message.role.value} {message.seq}", message.text)
                for message in messages.everything(connection, chat_id)
                if message.text
            ]

        return self._database.read_now(read)


def _some(found: Iterator[Document]) -> list[Document]:
    """The next documents, as many as go into one transaction."""
    chunk: list[Document] = []
    size = 0
    for document in islice(found, _LIST_CHUNK):
        chunk.append(document)
        size += len(document.content or "") + len(document.body)
        if size > _LIST_SIZE:
            break
    return chunk
