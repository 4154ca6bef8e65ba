"""Jobs as rows: made, listed, moved by guarded statements, paged through, deleted bit by bit."""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.domain.job_moves import states_before
from holychat.domain.jobs import (
    ItemState,
    JobLimits,
    JobSpec,
    JobState,
    Kind,
    PauseReason,
    Priority,
    Recipe,
    Source,
    SourceKind,
)
from holychat.errors import UsageError
from holychat.store import items, jobs, templates, workers
from holychat.store.database import Database
from tests.store.job_tools import SPEC, add, new_job
from tests.store.tools import NOW, is_sound, new_chat

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.domain.jobs import Job
    from holychat.store.database import Connection


def get(database: Database, job_id: int) -> Job:
    return database.read_now(lambda c: jobs.get(c, job_id))


def test_an_order_is_kept_as_it_was_given(database: Database) -> None:
    spec = JobSpec(
        name="Đường [/] \x1b",
        recipe=Recipe(Kind.CLASSIFY, labels=("bug", "feature"), schema='{"a": 1}', prompt="{text}", temperature=0.5),
        sources=(Source(SourceKind.PATH, "/a\udcff.txt"), Source(SourceKind.CSV, "/b.csv", "text")),
        provider="openai",
        model="gpt-4.1",
        priority=Priority.LOW,
        limits=JobLimits(budget_micros=1_000_000, concurrency=3, requests_per_minute=12.5, trial=4),
        out="/out.csv",
        out_format="csv",
        callback_url="https://example.org/",
        chat_id=new_chat(database).id,
    )
    job = new_job(database, spec=spec)
    assert get(database, job.id).spec == spec
    changed = replace(spec, name="other", limits=JobLimits())
    assert database.write_now(lambda c: jobs.revise(c, job.id, changed, NOW)).spec == changed


def test_only_a_draft_can_be_changed(database: Database) -> None:
    job = new_job(database, JobState.QUEUED)
    with pytest.raises(UsageError, match="is queued and cannot be changed"):
        database.write_now(lambda c: jobs.revise(c, job.id, SPEC, NOW))


def test_a_job_moves_only_where_it_may(database: Database) -> None:
    for old, new in itertools.product(JobState, JobState):
        job = new_job(database, old)
        pause = PauseReason.BUDGET if new is JobState.PAUSED else None
        moved = database.write_now(
            lambda c, job=job, new=new, pause=pause: jobs.move(c, job.id, new, NOW + 5, pause=pause, detail="x")
        )
        assert moved == (old in states_before(new))
        now = get(database, job.id)
        assert now.state is (new if moved else old)
        if moved:
            ended = new in (JobState.FINISHED, JobState.FINISHED_WITH_ERRORS, JobState.CANCELLED)
            assert (now.ended_ms, now.pause) == (NOW + 5 if ended else None, pause)


def test_only_the_time_at_work_counts(database: Database) -> None:
    job = new_job(database, JobState.QUEUED)
    minute = 60_000

    def moves(*steps: tuple[JobState, float]) -> int:
        for state, at in steps:
            pause = PauseReason.USER if state is JobState.PAUSED else None
            when = NOW + round(at * minute)
            assert database.write_now(lambda c, s=state, w=when, p=pause: jobs.move(c, job.id, s, w, pause=p))
        return get(database, job.id).worked_ms

    begun = (JobState.RUNNING, JobState.PAUSED, JobState.QUEUED)
    assert moves(*zip(begun, (1, 3, 60), strict=True)) == 2 * minute
    ended = (JobState.RUNNING, JobState.FINISHING, JobState.FINISHED_WITH_ERRORS)
    assert moves(*zip(ended, (61, 64, 65), strict=True)) == 6 * minute
    assert moves((JobState.QUEUED, 500), (JobState.RUNNING, 501)) == 6 * minute
    # Its worker lives until 503 and is followed by another one at 900, which leaves at 902; the next one comes at 1000.
    for owner, begins, beats in (("one", 501, 503), ("two", 900, 901)):
        database.write_now(lambda c, o=owner, at=NOW + begins * minute: workers.announce(c, o, 1, (), at))
        assert database.write_now(lambda c, o=owner, at=NOW + beats * minute: workers.beat(c, o, at))
    database.write_now(lambda c: workers.depart(c, "two", NOW + 902 * minute))
    database.write_now(lambda c: workers.announce(c, "three", 1, (), NOW + 1000 * minute))
    database.write_now(lambda c: workers.beat(c, "three", NOW + 1001 * minute))
    assert moves((JobState.FINISHING, 1001), (JobState.FINISHED, 1001)) == (6 + 2 + 2 + 1) * minute
    database.write_now(lambda c: workers.announce(c, "four", 1, (), NOW + 1002 * minute))
    assert get(database, job.id).worked_ms == 11 * minute, "it has ended"


@pytest.mark.parametrize("died", [False, True])
def test_a_job_paused_long_after_its_worker_was_at_work_until_then(database: Database, died: bool) -> None:
    job = new_job(database, JobState.QUEUED)
    database.write_now(lambda c: workers.announce(c, "one", 1, (), NOW))
    database.write_now(lambda c: jobs.move(c, job.id, JobState.RUNNING, NOW))
    database.write_now(lambda c: workers.beat(c, "one", NOW + 60_000))
    if not died:
        database.write_now(lambda c: workers.depart(c, "one", NOW + 60_000))
    later = NOW + 36_000_000
    database.write_now(lambda c: jobs.move(c, job.id, JobState.PAUSED, later, pause=PauseReason.USER))
    assert get(database, job.id).worked_ms == 60_000 + (5_000 if died else 0)


def test_the_time_at_work_is_told_while_it_passes_and_ends_with_the_worker(database: Database) -> None:
    first, second = (new_job(database, JobState.QUEUED).id for _ in range(2))
    database.write_now(lambda c: workers.announce(c, "one", 1, (), NOW))
    database.write_now(lambda c: jobs.move(c, first, JobState.RUNNING, NOW))
    database.write_now(lambda c: workers.beat(c, "one", NOW + 60_000))

    def worked(after_ms: int) -> dict[int, int]:
        return database.read_now(lambda c: jobs.worked(c, (first, second), NOW + after_ms))

    assert worked(61_000) == {first: 61_000, second: 0}
    assert worked(36_000_000) == {first: 65_000, second: 0}, "its worker died"
    database.write_now(lambda c: jobs.move(c, first, JobState.PAUSED, NOW + 62_000, pause=PauseReason.USER))
    assert worked(63_000) == {first: 62_000, second: 0}


def test_a_move_can_be_narrowed(database: Database) -> None:
    job = new_job(database, JobState.PAUSED)
    assert not database.write_now(lambda c: jobs.move(c, job.id, JobState.QUEUED, NOW, only=(JobState.DRAFT,)))
    assert database.write_now(lambda c: jobs.move(c, job.id, JobState.QUEUED, NOW, only=(JobState.PAUSED,)))


def test_jobs_that_have_not_ended_are_listed_first_and_the_newest_before_older_ones(database: Database) -> None:
    made = [
        new_job(database, state).id
        for state in (
            JobState.PAUSED, JobState.FINISHED, JobState.RUNNING, JobState.DRAFT, JobState.CANCELLED,
            JobState.FINISHED_WITH_ERRORS, JobState.QUEUED, JobState.FINISHING,
        )
    ]  # fmt: skip

    def listed(limit: int = 50, **flags: bool) -> list[int]:
        return [made.index(job.id) for job in database.read_now(lambda c: jobs.listed(c, limit, **flags))]

    assert listed() == [7, 6, 2, 0, 5, 4, 3, 1]
    assert listed(include_drafts=False) == [7, 6, 2, 0, 5, 4, 1]
    assert listed(only_active=True) == [7, 6, 2, 0]
    assert listed(2) == [7, 6]
    assert listed(6) == [7, 6, 2, 0, 5, 4]


def test_counts_and_money_come_with_the_job(database: Database) -> None:
    job = new_job(database, JobState.RUNNING)

    def fill(c: Connection) -> None:
        document = add(c, job.id, ItemState.PENDING, waiting_for=2)
        add(c, job.id, ItemState.SENDING, parent=document, reserved=5)
        add(c, job.id, ItemState.DONE, parent=document)
        add(c, job.id, ItemState.IN_DOUBT, reserved=7)
        add(c, job.id, ItemState.SENDING, reserved=11)
        c.execute("UPDATE jobs SET spent_micros = 100, spent_estimated = 1, unpriced = 2, in_flight = 2")

    database.write_now(fill)
    found = get(database, job.id)
    assert found.counts.documents == {ItemState.PENDING: 1, ItemState.SENDING: 1, ItemState.IN_DOUBT: 1}
    assert found.counts.parts == {ItemState.SENDING: 1, ItemState.DONE: 1}
    money = found.money
    assert (money.spent, money.estimated, money.unknown, money.reserved, money.in_doubt) == (100, True, 2, 16, 7)
    assert found.progress.in_flight == 2


def test_a_time_of_arrival_is_not_shown_for_a_job_that_stands_still(database: Database) -> None:
    job = new_job(database, JobState.RUNNING)
    database.write_now(lambda c: c.execute("UPDATE jobs SET eta_early_ms = 1, eta_late_ms = 2, rate_per_minute = 3.5"))
    assert get(database, job.id).progress.eta_ms == (1, 2)
    database.write_now(lambda c: jobs.move(c, job.id, JobState.PAUSED, NOW, pause=PauseReason.USER))
    assert get(database, job.id).progress.eta_ms is None


def test_every_page_of_every_filter_is_what_sorting_all_of_it_gives(database: Database) -> None:
    job, other = new_job(database, JobState.RUNNING), new_job(database, JobState.RUNNING)
    rng = random.Random(5)
    states = rng.choices(list(ItemState), k=240)

    def fill(c: Connection) -> None:
        for state in states:
            add(c, job.id, state)
            add(c, other.id, rng.choice(list(ItemState)))

    database.write_now(fill)
    for wanted in (
        None,
        [],
        [ItemState.DONE],
        [ItemState.FAILED, ItemState.IN_DOUBT],
        list(ItemState),
        [*ItemState][1:],
    ):
        expected = [n for n, state in enumerate(states) if wanted is None or state in wanted]
        for first in (0, 1, 17, len(expected) // 2, len(expected) - 5, len(expected), 1_000):
            for count in (0, 1, 20, 500):
                page = database.read_now(
                    lambda c, first=first, count=count, wanted=wanted: items.page(c, job.id, first, count, wanted)
                )
                assert [item.ordinal for item in page] == expected[max(0, first) : max(0, first) + count]


def test_parts_are_paged_within_their_document_and_not_among_documents(database: Database) -> None:
    job = new_job(database, JobState.RUNNING)

    def fill(c: Connection) -> int:
        document = add(c, job.id, ItemState.PENDING, waiting_for=30)
        for part in reversed(range(30)):
            add(c, job.id, ItemState.PENDING, parent=document, part=part)
        return document

    document = database.write_now(fill)
    assert [item.id for item in database.read_now(lambda c: items.page(c, job.id, 0, 50))] == [document]
    page = database.read_now(lambda c: items.parts_page(c, document, 10, 5))
    assert [item.part for item in page] == [10, 11, 12, 13, 14]


def test_failures_are_grouped_by_cause_the_most_frequent_first(database: Database) -> None:
    job = new_job(database, JobState.RUNNING)

    def fill(c: Connection) -> None:
        for cause, count in (("slow", 2), ("gone", 5)):
            for _ in range(count):
                add(c, job.id, ItemState.FAILED, cause=cause)
        add(c, job.id, ItemState.IN_DOUBT, cause="gone")
        add(c, job.id, ItemState.DONE)

    database.write_now(fill)
    causes = database.read_now(lambda c: items.causes(c, job.id))
    assert [(cause.cause, cause.state, cause.count) for cause in causes] == [
        ("gone", ItemState.FAILED, 5), ("slow", ItemState.FAILED, 2), ("gone", ItemState.IN_DOUBT, 1)
    ]  # fmt: skip
    assert (causes[0].title, causes[0].hint, causes[0].example_item_id) == ("It is gone", "Mend it.", 3)


def test_a_group_of_failures_does_not_pass_the_reason_of_one_off_as_that_of_all(database: Database) -> None:
    job = new_job(database, JobState.RUNNING)

    def fill(c: Connection) -> None:
        for title in ("n must be 1", "model is no text"):
            item_id = add(c, job.id, ItemState.FAILED, cause="UsageError")
            c.execute("UPDATE items SET failure = json_set(failure, '$.title', ?) WHERE id = ?", (title, item_id))

    database.write_now(fill)
    (cause,) = database.read_now(lambda c: items.causes(c, job.id))
    assert (cause.count, cause.title) == (2, "n must be 1, and other reasons of this kind")


def test_a_job_is_gone_at_once_and_its_rows_go_bit_by_bit(path: Path) -> None:
    database = Database.open(path)
    job, kept = new_job(database, JobState.CANCELLED), new_job(database, JobState.RUNNING)

    def fill(c: Connection) -> None:
        for _ in range(40):
            document = add(c, job.id, ItemState.DONE, result="tea", worst=3)
            add(c, job.id, ItemState.DONE, parent=document, worst=3)
            add(c, kept.id, ItemState.DONE, result="tea")

    database.write_now(fill)
    assert not database.write_now(lambda c: jobs.hide(c, kept.id, NOW))
    assert database.write_now(lambda c: jobs.hide(c, job.id, NOW))
    with pytest.raises(UsageError, match="There is no job"):
        get(database, job.id)
    assert [found.id for found in database.read_now(lambda c: jobs.listed(c, 9))] == [kept.id]
    assert not database.write_now(lambda c: jobs.move(c, job.id, JobState.QUEUED, NOW))
    database.write_now(lambda c: jobs.erase_some(c, 7))
    database.close()
    # Whoever comes next finishes what was begun.
    database = Database.open(path)
    steps = 0
    while database.write_now(lambda c: jobs.erase_some(c, 7)):
        steps += 1
    assert steps > 10
    left = database.read_now(
        lambda c: [c.execute(f"SELECT count(*) FROM {t}").get for t in ("jobs", "items", "item_texts", "attempts")]
    )
    assert left == [1, 40, 40, 0]
    assert get(database, kept.id).counts.of(ItemState.DONE) == 40
    assert is_sound(database)
    database.close()


def test_readers_never_wait_for_a_job_that_is_being_deleted(path: Path) -> None:
    database = Database.open(path)
    job, kept = new_job(database, JobState.CANCELLED), new_job(database, JobState.RUNNING)
    database.write_now(lambda c: [add(c, job.id, ItemState.DONE, result="tea") for _ in range(3_000)])
    database.write_now(lambda c: jobs.hide(c, job.id, NOW))
    erasing = threading.Event()

    def erase(c: Connection) -> None:
        erasing.set()
        while jobs.erase_some(c, 100):
            pass
        time.sleep(0.2)  # the transaction is still open

    thread = threading.Thread(target=lambda: database.write_now(erase))
    thread.start()
    erasing.wait(10)
    seen = 0
    while thread.is_alive():
        assert get(database, kept.id).id == kept.id
        seen += 1
    thread.join()
    assert seen > 10
    database.close()


def test_templates_are_kept_by_name(database: Database) -> None:
    from holychat.domain.jobs import Template

    first = Template("Tea", Recipe(Kind.PROMPT, prompt="{text}?"), "openai", "gpt-4.1")
    second = replace(first, recipe=Recipe(Kind.CLASSIFY, labels=("a", "b")))
    other = Template("apples", Recipe(Kind.SUMMARIZE))
    for template in (first, other, second):
        database.write_now(lambda c, template=template: templates.save(c, template, NOW))
    assert database.read_now(templates.everything) == [other, second]
    database.write_now(lambda c: templates.delete(c, "Tea"))
    assert database.read_now(templates.everything) == [other]
    with pytest.raises(UsageError, match="no template called 'Tea'"):
        database.write_now(lambda c: templates.delete(c, "Tea"))


def test_pages_sums_and_moves_are_found_by_indexes_whatever_the_size_of_a_job(database: Database) -> None:
    job = new_job(database, JobState.RUNNING)
    database.write_now(lambda c: [add(c, job.id, state) for state in ItemState for _ in range(5)])
    some = [ItemState.FAILED, ItemState.DONE]

    def plans(c: Connection) -> dict[str, str]:
        seen: list[tuple[str, object]] = []
        c.exec_trace = lambda _, sql, bindings: seen.append((sql, bindings)) or True
        try:
            for states in (None, [ItemState.DONE], some):
                items.page(c, job.id, 30, 9, states)
                items.page(c, job.id, 3, 9, states)
            jobs.get(c, job.id)
            items.causes(c, job.id)
            jobs.listed(c, 9)
        finally:
            c.exec_trace = None
        return {
            sql: "\n".join(row[3] for row in c.execute(f"EXPLAIN QUERY PLAN {sql}", bindings)) for sql, bindings in seen
        }

    found = database.read_now(plans)
    assert len(found) > 5
    for sql, plan in found.items():
        assert not re.search(r"SCAN (items|i)\b", plan), (sql, plan)
        if "LIMIT ? OFFSET ?" in sql:
            assert "TEMP B-TREE" not in plan, (sql, plan)
