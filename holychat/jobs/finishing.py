"""The end of a job: its results are written where it was asked for, then it has ended."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from holychat.errors import HolychatError
from holychat.store import ledger_jobs

if TYPE_CHECKING:
    from holychat.domain.jobs import Job
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.store.database import Connection, Database

_log = logging.getLogger(__name__)

_NOT_WRITTEN = "The results could not be written to "


async def finish(job: Job, database: Database, writer: LedgerWriter) -> None:
    """End a job that is FINISHING. An output that cannot be written is noted with the job, whose results are safe."""
    note = ""
    if job.spec.out:
        note = await asyncio.to_thread(_write_out, job, database)

    def end(connection: Connection) -> None:
        ledger_jobs.take_back_notes(connection, job.id, _NOT_WRITTEN)  # of an earlier end
        ledger_jobs.finished(connection, job.id, note, time.time_ns() // 1_000_000)

    await writer.transaction(end)


def lacks_its_output(job: Job) -> bool:
    """Whether the file that was asked for with the job could not be written at its end."""
    return any(line.startswith(_NOT_WRITTEN) for line in job.note.splitlines())


def _write_out(job: Job, database: Database) -> str:
    from holychat.jobs.export import export, format_of

    out = job.spec.out
    try:
        # Its own output of an earlier end is replaced; the person named this file when ordering.
        export(database, job.id, format_of(out, job.spec.out_format), Path(out), overwrite=True)
    except HolychatError as error:
        return f"{_NOT_WRITTEN}{out}: {error.title}. They are kept; export them."
    except OSError as error:
        return f"{_NOT_WRITTEN}{out}: {error.strerror or error}. They are kept; export them."
    return ""
