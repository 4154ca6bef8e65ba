"""Requests of one job and one model, gathered for one batch."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from holychat.store.ledger_entries import Sending

if TYPE_CHECKING:
    from holychat.jobs.preparing import Ready
    from holychat.jobs.provider_batch.files import BatchFiles
    from holychat.settings import BatchServiceSettings

_BUFFER = 1024 * 1024


class Gathered(NamedTuple):
    """What is kept in memory of a request that is in the file."""

    entry: Sending
    tokens: int
    """Estimate of its input."""
    note: str


class Gathering:
    """A file that grows. Belongs to one event loop.

    Args:
        files: Where it is.
        model: Of all its requests: a batch has one.
        bounds: How large it may become.
    """

    def __init__(self, files: BatchFiles, model: str, bounds: BatchServiceSettings) -> None:
        self.token = secrets.token_hex(12)
        self.model = model
        self.rows: list[Gathered] = []
        self.tokens = 0
        self.size = 0
        self._files = files
        self._bounds = bounds
        self._lines: list[bytes] = []
        self._waiting = 0
        self._file: BinaryIO | None = None

    def custom_id(self, item_id: int) -> str:
        """What a line is called: the batch and the item."""
        return f"{self.token}-{item_id}"

    def fits(self, line: bytes) -> bool:
        """Whether one more line may be added; one alone always may."""
        bounds = self._bounds
        return not self.rows or (len(self.rows) < bounds.max_lines and self.size + len(line) <= bounds.max_bytes)

    def add(self, line: bytes, item: Ready, worst_micros: int | None, model: str = "") -> None:
        """One more request, and its model where that is not the job's; `flush` writes it."""
        entry = Sending(item.item_id, worst_micros, item.request_sha256, item.sha256, model)
        self.rows.append(Gathered(entry, item.input_tokens, item.note))
        self.tokens += item.input_tokens
        self.size += len(line)
        self._lines.append(line)
        self._waiting += len(line)

    async def flush(self, *, least: int = _BUFFER) -> None:
        """Write what was added, where it is so many bytes.

        Raises:
            OSError: The disk takes no more.
        """
        if self._waiting < least:
            return
        lines, self._lines, self._waiting = self._lines, [], 0
        await asyncio.to_thread(self._write, lines)

    async def close(self) -> None:
        """Write the rest.

        Raises:
            OSError: The disk takes no more.
        """
        await self.flush(least=1)
        if self._file is not None:
            await asyncio.to_thread(self._file.close)

    def drop(self) -> None:
        """Take the file away: nothing of it is handed over."""
        if self._file is not None:
            self._file.close()
        self._files.forget(self.token)

    def _write(self, lines: list[bytes]) -> None:
        if self._file is None:
            self._file = self._files.begin(self.token)
        self._file.writelines(lines)
