"""What a worker does first: look after what a worker that died left under way.

Nothing is sent. A request that was written down and has no answer is in doubt; an answer that was kept and not read is
read now. That may be done again and again: who dies here leaves the rest to the next one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holychat.domain.request import RawReply
from holychat.errors import UsageError
from holychat.jobs.answers import read_answer
from holychat.store import jobs, ledger_jobs
from holychat.store.ledger import write_entries
from holychat.store.ledger_entries import Entries, Failed, Repair

if TYPE_CHECKING:
    from holychat.jobs.ledger_writer import LedgerWriter
    from holychat.money.costs import Costs
    from holychat.providers.registry import ProviderRegistry
    from holychat.store.database import Connection, Database
    from holychat.store.ledger_jobs import Unread

_AT_ONCE = 100


async def recover(database: Database, writer: LedgerWriter, registry: ProviderRegistry, costs: Costs) -> int:
    """Look after all orphans, of whatever job.

    Returns:
        How many there were.

    Raises:
        StoreDamaged: The database is broken.
    """
    count = 0
    while found := await writer.transaction(_doubt_some):
        count += found
    while answers := await database.read(lambda c: ledger_jobs.unread(c, _AT_ONCE)):
        await _read(answers, database, writer, registry, costs)
        count += len(answers)
    await writer.transaction(_nothing_in_flight)
    return count


def _doubt_some(connection: Connection) -> int:
    found = ledger_jobs.orphans(connection, _AT_ONCE)
    allowed: dict[int, tuple[int, int | None]] = {}
    for job_id in {job_id for _, _, job_id, _ in found}:
        limits = jobs.get(connection, job_id).spec.limits
        retried, doubted = ledger_jobs.doubts_allowed(connection, job_id)
        micros = None if limits.doubt_micros is None else limits.doubt_micros - doubted
        allowed[job_id] = (limits.doubt_retries - retried, micros)
    told = []
    for item_id, attempt_id, job_id, worst in found:
        left, micros = allowed[job_id]
        again = left > 0 and (micros is None or worst <= micros)
        if again:
            allowed[job_id] = (left - 1, None if micros is None else micros - worst)
        told.append((item_id, attempt_id, job_id, again))
    ledger_jobs.leave_in_doubt(connection, told, _now_ms())
    return len(found)


async def _read(
    answers: list[Unread], database: Database, writer: LedgerWriter, registry: ProviderRegistry, costs: Costs
) -> None:
    entries = Entries()
    known = await database.read(lambda c: ledger_jobs.by_number(c, {answer.job_id for answer in answers}))
    for answer in answers:
        if (job := known.get(answer.job_id)) is None:
            continue  # deleted in this moment
        try:
            provider = registry.get(job.spec.provider)
        except UsageError:
            # Its provider is not configured any more: answers of all of them are read alike.
            provider = registry.get("openai")
        read = read_answer(
            job,
            answer.item_id,
            answer.attempt_id,
            provider,
            RawReply(answer.status, answer.body, answer.request_id),
            costs,
            input_tokens=None,
            worst_micros=answer.worst_micros,
            note="",
            model=answer.model,
            may_repair=False,
        )
        assert not isinstance(read, Repair)
        if isinstance(read, Failed):
            entries.failed.append(read)
        else:
            entries.done.append(read)
    await writer.transaction(lambda c: write_entries(c, entries, "", _now_ms()))


def _nothing_in_flight(connection: Connection) -> None:
    connection.execute("UPDATE jobs SET in_flight = 0 WHERE in_flight > 0")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
