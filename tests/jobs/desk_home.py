"""A desk for the tests that break it: one home, one provider with an account, and everything that must always hold."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw
import psutil

from holychat.domain.jobs import (
    ENDED_JOBS,
    ItemState,
    JobLimits,
    JobSpec,
    JobState,
    Kind,
    Priority,
    Recipe,
    Source,
    SourceKind,
)
from holychat.errors import UsageError
from holychat.jobs import commands
from holychat.paths import Paths
from holychat.store import jobs
from holychat.store.database import Database
from holychat.store.item_moves import Chosen

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from holychat.domain.jobs import Job
    from holychat.store.database import Connection
    from tests.support.quota_server import Ledger, QuotaServer

_MARKER = re.compile(r"item-\d{6}")
CONFIG = """\
[providers.quota]
kind = "openai"
base_url = "{url}"
needs_key = false

[chat]
provider = "quota"
model = "quota-model"

[jobs]
idle_seconds = {idle}
assumed_context = {context}

[jobs.requests_per_minute]
quota = 600000

[prices.quota.quota-model]
input = 1.0
output = 2.0
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One document's item and all that was written down for it."""

    id: int
    item: str
    """Its marker."""
    state: str
    attempts: int
    """Attempt rows."""
    unknown: int
    """Attempt rows without an outcome."""
    answered: int
    result: str | None


class DeskHome:
    """A home, with its database open as in another window.

    Args:
        folder: Where everything goes.
        server: The provider.
        base_url: How the provider is reached, where that is not directly.
        idle_seconds: How long a worker stays without work.
        context: Tokens that the model takes; longer documents are split.
        more: Further lines of config.toml.
    """

    def __init__(
        self,
        folder: Path,
        server: QuotaServer,
        *,
        base_url: str = "",
        idle_seconds: float = 60.0,
        context: int = 8192,
        more: str = "",
    ) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.server = server
        self.environ = {
            **{name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ},
            "HOME": str(folder), "HOLYCHAT_HOME": str(self.home), "NO_PROXY": "*",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
        }  # fmt: skip
        config = self.home / "config" / "config.toml"
        config.parent.mkdir(parents=True)
        url = base_url or server.base_url
        config.write_text(CONFIG.format(url=url, idle=idle_seconds, context=context) + more, encoding="utf-8")
        self.paths = Paths.resolve({"HOLYCHAT_HOME": str(self.home)})
        self.database = Database.open(self.paths.database)
        self.allowed: Counter[str] = Counter()
        """How often the person had each item sent again."""
        self._parts_allowed: Counter[int] = Counter()
        self._done: dict[str, str] = {}
        self._made = 0

    def __enter__(self) -> DeskHome:
        return self

    def __exit__(self, *exception: object) -> None:
        self.database.close()
        end_all_of(self.home)

    def documents(self, count: int, words: str = "") -> Path:
        """A new folder with so many documents, each with a marker of its own."""
        folder = self.folder / f"documents-{self._made}"
        folder.mkdir()
        for number in range(self._made, self._made + count):
            marker = f"item-{number:06d}"
            (folder / f"{marker}.txt").write_text(f"This is {marker}. {words}\n", encoding="utf-8")
        self._made += count
        return folder

    def order(
        self,
        documents: Path,
        limits: JobLimits = JobLimits(),  # noqa: B008
        priority: Priority = Priority.MEDIUM,
    ) -> int:
        """Have the documents in a folder summarised; the number of the job, which waits for a worker."""
        recipe = Recipe(Kind.SUMMARIZE, length="2 sentences")
        source = Source(SourceKind.PATH, str(documents))
        spec = JobSpec(documents.name, recipe, (source,), "quota", "quota-model", priority, limits)

        def order(connection: Connection) -> int:
            job = jobs.create(connection, spec, now_ms())
            return commands.confirm(connection, job.id, None, now_ms()).id

        return self.database.write_now(order)

    def job(self, job_id: int) -> Job:
        """The job as it stands."""
        return self.database.read_now(lambda c: jobs.get(c, job_id))

    def ended(self, job_id: int) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.job(job_id).state in ENDED_JOBS

    def wait_until_ended(self, job_id: int, seconds: float = 60) -> None:
        """Until nothing more happens to a job by itself."""
        self.wait_for(lambda: self.ended(job_id), seconds)

    def wait_for(self, condition: Callable[[], bool], seconds: float = 30) -> None:
        """Until something holds; looked at a hundred times a second."""
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, self.database.read_now(lambda c: jobs.listed(c, 3))
            time.sleep(0.01)

    def retry_doubts(self, job_id: int) -> int:
        """The person's word: send again what is in doubt, and know that it may be paid for twice."""
        doubtful = [row.item for row in self.rows(job_id) if row.state == ItemState.IN_DOUBT]
        parts = [item_id for _, item_id, _, _, state in self._tree(job_id) if state == ItemState.IN_DOUBT]
        try:
            sent_again = self.database.write_now(
                lambda c: commands.retry(c, Chosen(job_id, (ItemState.IN_DOUBT,)), now_ms())
            )
        except UsageError:
            # Its worker was killed while the results were being written: the next one ends it first.
            assert self.job(job_id).state is JobState.FINISHING
            return 0
        self.allowed.update(doubtful)
        self._parts_allowed.update(parts)
        return sent_again

    def pause(self, job_id: int) -> None:
        """As a person does it, where it is at work."""
        with contextlib.suppress(UsageError):
            self.database.write_now(lambda c: commands.pause(c, job_id, now_ms()))

    def resume(self, job_id: int) -> None:
        """As a person does it, where it is paused."""
        with contextlib.suppress(UsageError):
            self.database.write_now(lambda c: commands.resume(c, job_id, None, now_ms()))

    def cancel(self, job_id: int) -> None:
        """As a person does it."""
        self.database.write_now(lambda c: commands.cancel(c, job_id, now_ms()))

    def rows(self, job_id: int) -> list[Row]:
        """Every item of a job."""
        found = self.database.read_now(lambda c: c.execute(_ROWS, (job_id,)).fetchall())
        return [Row(number, _MARKER.findall(key)[-1], *rest) for number, key, *rest in found]

    def check(self, job_id: int, *, failures: bool = False) -> Ledger:
        """Everything that must hold at any moment at which no worker runs.

        Args:
            job_id: The job.
            failures: Whether documents may have failed.

        Returns:
            The provider's account, as it is now.
        """
        rows, ledger = self.rows(job_id), self.server.ledger()
        accepted = ledger.accepted
        assert len({row.item for row in rows}) == len(rows)
        for row in rows:
            taken, allowed = accepted.get(row.item, 0), self.allowed[row.item]
            where = f"{row}, accepted {taken} times: {ledger.items.get(row.item)}"
            assert taken <= 1 + allowed, f"paid for twice: {where}"
            assert taken <= row.attempts, f"sent without being written down first: {where}"
            if row.state == ItemState.PENDING:
                assert taken <= allowed, f"would be sent a second time: {where}"
            if row.state == ItemState.DONE:
                assert taken >= 1, where
                assert row.result is not None, where
                assert row.result.startswith(f"answer {row.item}."), f"the answer to another document: {where}"
                assert self._done.setdefault(row.item, row.result) == row.result, f"a result changed: {where}"
            assert row.state in _EXPECTED or (failures and row.state == ItemState.FAILED), where
        lost = [item for item in self._done if item in {r.item for r in rows if r.state != ItemState.DONE}]
        assert lost == [], "was done and is not any more"
        self._sound(job_id, rows)
        return ledger

    def check_trees(self, job_id: int) -> None:
        """What must hold of documents that are split: every part and merge was sent once, or as often as allowed."""
        accepted = self.server.ledger().accepted
        sums: dict[str, list[int]] = {}
        for key, item_id, attempts, answered, state in self._tree(job_id):
            open_now, where = state in ("sending", "in_doubt"), f"{key}, item {item_id}, {state}: {attempts} attempts"
            assert attempts <= 1 + self._parts_allowed[item_id], f"sent again without being asked to: {where}"
            assert attempts - answered <= self._parts_allowed[item_id] + open_now, where
            both = sums.setdefault(_MARKER.findall(key)[-1], [0, 0])
            both[0] += answered
            both[1] += attempts
        for item, (answered, attempts) in sums.items():
            assert answered <= accepted.get(item, 0) <= attempts, f"{item}: {answered} {accepted.get(item)} {attempts}"

    def _tree(self, job_id: int) -> list[tuple[str, int, int, int, str]]:
        return self.database.read_now(lambda c: c.execute(_TREE, (job_id,)).fetchall())

    def _sound(self, job_id: int, rows: list[Row]) -> None:
        """The file is whole, its counts are the items, and its index has each result once."""
        connection = apsw.Connection(str(self.paths.database), flags=apsw.SQLITE_OPEN_READWRITE)
        try:
            connection.setbusytimeout(10_000)
            assert list(connection.execute("PRAGMA integrity_check")) == [("ok",)]
            assert list(connection.execute("PRAGMA foreign_key_check")) == []
            counted = dict(
                connection.execute("SELECT state, count FROM job_counts WHERE job_id = ? AND count", (job_id,))
            )
            assert counted == Counter(row.state for row in rows)
            indexed = dict(connection.execute(_INDEXED, (job_id,)))
            assert indexed == {row.id: 1 for row in rows if row.state == ItemState.DONE}
            told = connection.execute(_SUMS, (job_id, job_id)).fetchall()[0]
            assert told[:3] == told[3:], "sums of the job differ from its attempts"
        finally:
            connection.close()


def end_all_of(home: Path) -> None:
    """Kill what was started for this home and is still there, such as a worker that a shell started."""
    for process in psutil.process_iter(["pid"]):
        try:
            mine = process.environ().get("HOLYCHAT_HOME") == str(home) and process.pid != os.getpid()
        except psutil.Error:
            continue
        if mine:
            process.kill()
            process.wait(10)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


_EXPECTED = {"pending", "sending", "received", "done", "in_doubt"}
_ROWS = """
SELECT i.id, i.source_key, i.state,
       (SELECT count(*) FROM attempts AS a WHERE a.item_id = i.id),
       (SELECT count(*) FROM attempts AS a WHERE a.item_id = i.id AND a.outcome IS NULL),
       (SELECT count(*) FROM attempts AS a WHERE a.item_id = i.id AND a.outcome = 'answered'),
       (SELECT t.result FROM item_texts AS t WHERE t.item_id = i.id)
FROM items AS i WHERE i.job_id = ? AND i.parent_id IS NULL ORDER BY i.ordinal
"""
_TREE = """
SELECT i.source_key, i.id, (SELECT count(*) FROM attempts AS a WHERE a.item_id = i.id),
       (SELECT count(*) FROM attempts AS a WHERE a.item_id = i.id AND a.outcome = 'answered'), i.state
FROM items AS i WHERE i.job_id = ?
"""
_INDEXED = """
SELECT d.item_id, count(*) FROM documents AS d JOIN items AS i ON i.id = d.item_id WHERE i.job_id = ? GROUP BY d.item_id
"""
_SUMS = """
SELECT j.requests, j.input_tokens, j.spent_micros, s.requests, s.tokens, s.spent FROM jobs AS j, (
    SELECT count(*) AS requests, coalesce(sum(a.input_tokens), 0) AS tokens, coalesce(sum(a.cost_micros), 0) AS spent
    FROM attempts AS a JOIN items AS i ON i.id = a.item_id
    WHERE i.job_id = ? AND a.outcome = 'answered' AND i.state <> 'received'
) AS s WHERE j.id = ?
"""
