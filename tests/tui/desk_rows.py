"""Jobs in a database of a window under test: rows as a worker would leave them, and what it would say of them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState, JobLimits, JobSpec, JobState, Kind, Priority, Recipe, Source, SourceKind
from tests.store.job_tools import add, new_job

if TYPE_CHECKING:
    from holychat.domain.jobs import Job
    from holychat.store.database import Connection, Database

ANSWER = "## Summary\n\n- The **first** point.\n- The second one.\n\n```python\nprint('kept')\n```\n"


def spec(name: str = "Summarise docs", kind: Kind = Kind.SUMMARIZE, **changes: object) -> JobSpec:
    """An order for the offline provider."""
    fields: dict[str, object] = {
        "recipe": Recipe(kind, length="medium" if kind is Kind.SUMMARIZE else ""),
        "sources": (Source(SourceKind.PATH, "/papers"),),
        "provider": "offline",
        "model": "extractive",
        "priority": Priority.MEDIUM,
        "limits": JobLimits(),
    }
    return JobSpec(name=name, **{**fields, **changes})  # type: ignore[arg-type]


def job_with(
    database: Database,
    state: JobState,
    order: JobSpec | None = None,
    *,
    done: int = 0,
    failed: int = 0,
    doubt: int = 0,
    pending: int = 0,
    sending: int = 0,
    **columns: object,
) -> Job:
    """A job in a state with so many documents in each of theirs; `columns` are put into its row."""
    job = new_job(database, state, order or spec())

    def fill(connection: Connection) -> None:
        place = 0
        for count, of in (
            (done, ItemState.DONE),
            (failed, ItemState.FAILED),
            (doubt, ItemState.IN_DOUBT),
            (sending, ItemState.SENDING),
            (pending, ItemState.PENDING),
        ):
            for _ in range(count):
                place += 1
                is_done, in_doubt = of is ItemState.DONE, of is ItemState.IN_DOUBT
                add(
                    connection,
                    job.id,
                    of,
                    name=f"papers/{place:05}.md",
                    content=f"The text of paper {place}.\n\nIt has two paragraphs.",
                    result=ANSWER if is_done else None,
                    partial="It begins well" if in_doubt else None,
                    cost=400 if is_done else None,
                    reserved=9_000 if in_doubt else 0,
                    worst=9_000 if in_doubt else None,
                    cause="TooLarge" if of is ItemState.FAILED else "Timeout" if in_doubt else "",
                )
        now = round(time.time() * 1000)
        values = {"listed": 1, "started_ms": now - 90_000, **columns}
        if job.ended_ms is not None:
            values = {"ended_ms": now - 1_000, **values}
        names = ", ".join(f"{name} = ?" for name in values)
        connection.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*values.values(), job.id))

    database.write_now(fill)
    return job


def set_columns(database: Database, job_id: int, **columns: object) -> None:
    """Change a job's row, as another process would."""
    names = ", ".join(f"{name} = ?" for name in columns)
    database.write_now(lambda c: c.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*columns.values(), job_id)))
