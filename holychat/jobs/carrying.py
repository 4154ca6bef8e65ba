"""Carrying the requests of a job to another engine as a file, and its answers home.

What goes out has a custom_id that names job and item, with a mark by which they are known again: a file that comes home
to another history, or to an item that is not what it was, matches nothing there.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import time
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from holychat.catalog.prices import same_model
from holychat.domain.failures import Failure
from holychat.domain.jobs import ENDED_JOBS, ItemState, JobState, PauseReason
from holychat.domain.request import RawReply
from holychat.errors import HolychatError, Outcome
from holychat.jobs import documents
from holychat.jobs.answers import read_answer
from holychat.jobs.chat_texts import chat_texts
from holychat.jobs.documents import WalkOptions
from holychat.jobs.preparing import Joined, Preparer, Ready, TooLong, Unusable, load
from holychat.store import imports, jobs, ledger_entries, ledger_jobs, ledger_tree
from holychat.store.ledger import write_entries
from holychat.store.ledger_entries import Entries, Received

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holychat.domain.jobs import Job
    from holychat.jobs.preparing import Prepared
    from holychat.money.costs import Costs
    from holychat.providers.base import Provider
    from holychat.providers.batch_lines import AnswerLine
    from holychat.settings import Settings
    from holychat.store.database import Connection, Database
    from holychat.store.imports import Waiting

_AT_ONCE = 200
_OURS = re.compile(r"holychat-(\d{1,18})-(\d{1,18})-([0-9a-f]{8})")
PRICES = ("unknown", "free", "batch", "live")
"""What imported answers cost: nobody knows, nothing, or as the job's provider charges in batches or live."""
_MOST_NAMED = 20


class Imported:
    """What became of a file of answers."""

    def __init__(self) -> None:
        self.done = 0
        self.failed = 0
        self.already = 0
        """Of documents that had an answer, which is left as it is, or that are under way here."""
        self.unknown = 0
        self.examples: list[str] = []
        """Some of the custom_ids that belong to nothing."""
        self.unreadable = 0
        """Lines that are no answers."""
        self.jobs: set[int] = set()


class _Line(NamedTuple):
    line: AnswerLine
    job: Job
    item: Waiting
    model: str
    """Whose price it has; "": that of the job."""


def custom_id(job: Job, item_id: int, key: str) -> str:
    """What a request is called that leaves this history."""
    return f"holychat-{job.id}-{item_id}-{_mark(job, key)}"


def _mark(job: Job, key: str) -> str:
    return hashlib.sha256(f"{job.created_ms}\0{key}".encode("utf-8", "replace")).hexdigest()[:8]


# Out


def hold(connection: Connection, job_id: int, now_ms: int) -> Job:
    """Let a draft be a job of which nothing is sent before somebody resumes it."""
    job = jobs.get(connection, job_id)
    if not jobs.move(connection, job_id, JobState.QUEUED, now_ms, only=(JobState.DRAFT,)):
        raise jobs.impossible(job, "held", "Pause it instead.")
    jobs.move(
        connection, job_id, JobState.PAUSED, now_ms, pause=PauseReason.USER, detail="It is held until you resume it."
    )
    return jobs.get(connection, job_id)


def request_lines(database: Database, settings: Settings, costs: Costs, job_id: int) -> Iterator[bytes]:
    """The requests of a job that wait to be sent, as lines of a file for an engine. Blocking.

    Documents are listed and read as the worker does it: long ones are split, unusable ones fail.

    Raises:
        UsageError: There is no such job, or it is at work and would send the same requests itself.
    """
    from holychat.providers.batch_lines import request_line

    job = database.read_now(lambda c: jobs.get(c, job_id))
    if job.state is not JobState.PAUSED:
        hint = "Order it with --hold, or pause it first: else its requests would be done twice."
        if job.state in ENDED_JOBS:
            hint = "Nothing of it waits to be sent any more; a job that is ordered with --hold does."
        raise jobs.impossible(job, "exported as requests", hint)
    if not job.listed:
        _list(database, settings, job)
    yield from (
        request_line(custom_id(job, ready.item_id, key), ready.request)
        for ready, key in _waiting(database, job, Preparer(job, settings, costs))
    )


def _waiting(database: Database, job: Job, preparer: Preparer) -> Iterator[tuple[Ready, str]]:
    """Requests with the keys of their items, in the order of the input; what is no request is settled on the way."""
    after = (-1, -1)
    seen = set[int]()  # of the document that is read
    while loaded := database.read_now(lambda c, after=after: load(c, job.id, after, _AT_ONCE)):  # type: ignore[misc]
        rows = {one.row.id: one.row for one in loaded}
        for prepared in preparer.prepare([one for one in loaded if one.row.id not in seen]):
            row = rows[prepared.item_id]
            seen = {row.id} if row.ordinal > after[0] else seen | {row.id}
            after = (row.ordinal, row.id)
            if isinstance(prepared, Ready):
                yield prepared, row.key
                continue
            _settle_here(database, job, prepared)
            if isinstance(prepared, TooLong | Joined):
                # Its parts stand before what was loaded behind it, and what it is a part of before itself.
                after = (row.ordinal, -1)
                break
        else:
            after = (loaded[-1].row.ordinal, loaded[-1].row.id)


def _list(database: Database, settings: Settings, job: Job) -> None:
    options = WalkOptions(max_bytes=settings.jobs.max_document_bytes)
    found = iter(documents.listed(job.spec.sources, options, chat_texts=chat_texts(database)))
    note = ""
    while True:
        try:
            chunk = list(islice(found, _AT_ONCE))
        except HolychatError as error:
            note, chunk = error.title, []
        if not chunk:
            break
        database.write_now(lambda c, chunk=chunk: ledger_jobs.add_documents(c, job.id, chunk, _now_ms()))  # type: ignore[misc]
    database.write_now(lambda c: ledger_jobs.all_listed(c, job.id, note, _now_ms()))


def _settle_here(database: Database, job: Job, prepared: Prepared) -> None:
    """What is no request: split it, put it together, or say why it cannot be sent."""

    def work(connection: Connection) -> None:
        now_ms = _now_ms()
        if isinstance(prepared, TooLong):
            ledger_tree.split(connection, prepared.item_id, prepared.parts, prepared.sha256, now_ms)
        elif isinstance(prepared, Unusable):
            failed = ledger_entries.Failed(prepared.item_id, job.id, prepared.failure)
            write_entries(connection, Entries(failed=[failed]), "", now_ms)
        elif isinstance(prepared, Joined):
            joined = ledger_entries.Joined(prepared.item_id, prepared.text)
            write_entries(connection, Entries(joined=[joined]), "", now_ms)
        else:
            ledger_tree.count_again(connection, prepared.item_id, now_ms)

    database.write_now(work)


# Home


class Importer:
    """Brings answers home. Blocking.

    An answer is priced, and counted, by the model that its request named. All other requests were written for the job's
    model, but where the file went afterwards nobody here can know, and a person may have written another model into it.
    So where only the answer names a model, that one counts, at its price with the job's provider; if there is none the
    cost is unknown, and never that of a model which did not answer. Snapshots and other names of the job's model are
    that model.

    Args:
        database: Where the jobs are.
        costs: Prices.
        provider: Reads replies; that of the job.
        answers: Reads lines.
        job_id: Whose answers these are, where the custom_ids do not say it; None: they have to.
        price: One of `PRICES`.
    """

    def __init__(
        self,
        database: Database,
        costs: Costs,
        provider: Provider,
        answers: Callable[[Iterable[bytes]], Iterator[AnswerLine]],
        job_id: int | None,
        price: str,
    ) -> None:
        self._database = database
        self._costs = costs
        self._provider = provider
        self._answers = answers
        self._job_id = job_id
        self._price = price
        self._jobs: dict[int, Job | None] = {}
        self.imported = Imported()

    def take(self, lines: Iterable[bytes]) -> Imported:
        """Take in a whole file; what is known already is left, so it can be taken in again after a crash."""
        found = iter(lines)
        while chunk := list(islice(found, _AT_ONCE)):
            filled = [line for line in chunk if line.strip()]
            answers = list(self._answers(filled))
            self.imported.unreadable += len(filled) - len(answers)
            self._keep(list(self._matched(answers)))
        for job_id in self.imported.jobs:
            self._database.write_now(lambda c, job_id=job_id: _go_on(c, job_id, _now_ms()))  # type: ignore[misc]
        return self.imported

    def _matched(self, answers: list[AnswerLine]) -> Iterator[_Line]:
        for line in answers:
            found = _OURS.fullmatch(line.custom_id)
            match = None if found is None else self._ours(int(found[1]), int(found[2]), found[3])
            if match is None and self._job_id is not None:
                match = self._named(self._job_id, line.custom_id)
            if match is None:
                self.imported.unknown += 1
                if len(self.imported.examples) < _MOST_NAMED:
                    self.imported.examples.append(line.custom_id)
            else:
                job, item = match
                yield _Line(line, job, item, self._model(job, item, line))

    def _ours(self, job_id: int, item_id: int, mark: str) -> tuple[Job, Waiting] | None:
        job = self._job(job_id)
        if job is None or self._job_id not in (None, job_id):
            return None
        item = self._database.read_now(lambda c: imports.by_number(c, job_id, [item_id])).get(item_id)
        return None if item is None or _mark(job, item.key) != mark else (job, item)

    def _named(self, job_id: int, name: str) -> tuple[Job, Waiting] | None:
        item = self._database.read_now(lambda c: imports.by_custom_id(c, job_id, [name])).get(name)
        job = self._job(job_id)
        return None if item is None or job is None else (job, item)

    def _model(self, job: Job, item: Waiting, line: AnswerLine) -> str:
        named = item.own_model
        if not named and line.error is None:
            # An answer that cannot be read is told of when it is taken in.
            with contextlib.suppress(HolychatError):
                named = self._provider.read(_raw(line)).model
        return "" if not named or same_model(named, job.spec.model) else named

    def _job(self, job_id: int) -> Job | None:
        if job_id not in self._jobs:
            self._jobs[job_id] = self._database.read_now(lambda c: ledger_jobs.by_number(c, [job_id])).get(job_id)
        return self._jobs[job_id]

    def _keep(self, lines: list[_Line]) -> None:
        """All of these in one transaction."""

        def work(connection: Connection) -> Entries:
            entries, now_ms = Entries(), _now_ms()
            for line in lines:
                answered = line.line.error is None
                attempt_id = imports.take(connection, line.item.id, line.model, now_ms, answered=answered)
                if attempt_id is not None:
                    self._add(entries, line, attempt_id)
            write_entries(connection, entries, "", now_ms)
            return entries

        entries = self._database.write_now(work)
        self.imported.jobs |= {line.job.id for line in lines}
        self.imported.done += len(entries.done)
        self.imported.failed += len(entries.failed)
        self.imported.already += len(lines) - len(entries.done) - len(entries.failed)

    def _add(self, entries: Entries, found: _Line, attempt_id: int) -> None:
        line, item_id, job = found.line, found.item.id, found.job
        if line.error is not None:
            failure = Failure.of(line.error)
            entries.failed.append(ledger_entries.Failed(item_id, job.id, failure, attempt_id, Outcome.FATAL.value))
            return
        raw = _raw(line)
        answer = read_answer(
            job, item_id, attempt_id, self._provider, raw, self._costs, input_tokens=None, worst_micros=None, note="",
            may_repair=False, model=found.model, batch=self._price == "batch",
        )  # fmt: skip
        if answer.bill is not None and self._price in ("unknown", "free"):
            cost = 0 if self._price == "free" else None
            answer = answer._replace(bill=answer.bill._replace(cost_micros=cost, cost_estimated=False))
        entries.received.append(Received(item_id, attempt_id, raw.body, raw.status, raw.request_id, 0))
        if isinstance(answer, ledger_entries.Done):
            entries.done.append(answer)
        else:
            assert isinstance(answer, ledger_entries.Failed)
            entries.failed.append(answer)


def _raw(line: AnswerLine) -> RawReply:
    return RawReply(line.status, line.body, line.request_id)


def _go_on(connection: Connection, job_id: int, now_ms: int) -> None:
    """Where nothing is left to be sent the worker ends the job; what is left is sent by nobody without a word."""
    job = jobs.get(connection, job_id)
    counts = job.counts
    left = counts.of(ItemState.PENDING) + counts.parts.get(ItemState.PENDING, 0)
    if left:
        return
    if job.state is JobState.PAUSED and job.listed:
        jobs.move(connection, job_id, JobState.QUEUED, now_ms)
    elif job.state in ENDED_JOBS and not counts.of(ItemState.FAILED) and not counts.of(ItemState.IN_DOUBT):
        jobs.move(connection, job_id, JobState.FINISHED, now_ms, only=(JobState.FINISHED_WITH_ERRORS,))


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
