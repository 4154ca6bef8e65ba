"""Items that people send again, skip, accept and cancel: documents, their parts, and what is counted of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ItemState, JobState
from holychat.store import item_moves, items, jobs, search
from tests.store.job_tools import add, counted, new_job, retry, states_of
from tests.store.tools import NOW, is_sound

if TYPE_CHECKING:
    from holychat.store.database import Connection, Database

S = ItemState


def moves(database: Database, work: str, job_id: int, *states: ItemState, item_ids: list[int] | None = None) -> int:
    chosen = item_moves.Chosen(job_id, states, item_ids)
    return database.write_now(lambda c: getattr(item_moves, work)(c, chosen, NOW + 1))


@pytest.fixture
def job_id(database: Database) -> int:
    return new_job(database, JobState.RUNNING).id


def split_document(
    database: Database, job_id: int, state: ItemState, *parts: ItemState, cause: str = "", waiting_for: int = 0
) -> list[int]:
    """[document, part, part …]"""

    def work(c: Connection) -> list[int]:
        document = add(c, job_id, state, waiting_for=waiting_for, cost=1)
        return [document] + [
            add(
                c, job_id, part, parent=document, part=n, cause=cause if part is S.FAILED else "", cost=10,
                worst=100, reserved=100 if part is S.IN_DOUBT else 0, result="r" if part is S.DONE else None,
            )
            for n, part in enumerate(parts)
        ]  # fmt: skip

    return database.write_now(work)


def row(database: Database, item_id: int, columns: str) -> tuple[object, ...]:
    return database.read_now(lambda c: c.execute(f"SELECT {columns} FROM items WHERE id = ?", (item_id,)).fetchone())


def test_retry_takes_what_was_asked_for_and_nothing_else(database: Database, job_id: int) -> None:
    every = {state: database.write_now(lambda c, state=state: add(c, job_id, state)) for state in S}
    assert retry(database, job_id, S.FAILED) == 1
    assert states_of(database, job_id)[every[S.FAILED]] == "pending"
    assert retry(database, job_id, *S) == 3
    left = {state: states_of(database, job_id)[item_id] for state, item_id in every.items()}
    assert left == {state: state.value for state in (S.SENDING, S.RECEIVED, S.DONE)} | dict.fromkeys(
        (S.PENDING, S.FAILED, S.IN_DOUBT, S.SKIPPED, S.CANCELLED), "pending"
    )


def test_a_file_is_taken_as_it_is_now_and_a_kept_text_stays_known(database: Database, job_id: int) -> None:
    file = database.write_now(lambda c: add(c, job_id, S.FAILED))
    record = database.write_now(lambda c: add(c, job_id, S.FAILED, content="text"))
    assert retry(database, job_id) == 2
    assert row(database, file, "size, mtime_ns, sha256, failure, cause") == (None, None, "", None, "")
    assert row(database, record, "size, mtime_ns, sha256") == (100, 7, "abc")


def test_retry_by_cause_and_by_number(database: Database, job_id: int) -> None:
    slow = database.write_now(lambda c: [add(c, job_id, S.FAILED, cause="slow") for _ in range(3)])
    other = database.write_now(lambda c: add(c, job_id, S.FAILED, cause="other"))
    assert retry(database, job_id, item_ids=[slow[1], other], cause="slow") == 1
    assert retry(database, job_id, cause="slow") == 2
    assert states_of(database, job_id)[other] == "failed"
    assert retry(database, job_id, item_ids=[slow[0]]) == 0


def test_items_of_another_job_are_left_alone(database: Database, job_id: int) -> None:
    other = new_job(database, JobState.RUNNING).id
    item = database.write_now(lambda c: add(c, other, S.FAILED))
    assert retry(database, job_id, item_ids=[item]) == 0
    assert moves(database, "skip", job_id, S.FAILED) == 0
    assert states_of(database, other)[item] == "failed"


def test_failed_parts_go_again_with_their_document_and_done_ones_stay(database: Database, job_id: int) -> None:
    document, done, failed, cancelled = split_document(database, job_id, S.FAILED, S.DONE, S.FAILED, S.CANCELLED)
    assert retry(database, job_id) == 1
    assert states_of(database, job_id) == {document: "pending", done: "done", failed: "pending", cancelled: "pending"}
    assert row(database, document, "waiting_for") == (2,)
    kept, now = counted(database, job_id)
    assert kept == now


def test_a_part_stands_for_its_document(database: Database, job_id: int) -> None:
    document, _, failed = split_document(database, job_id, S.FAILED, S.DONE, S.FAILED)
    assert retry(database, job_id, item_ids=[failed]) == 1
    assert states_of(database, job_id)[document] == "pending"


def test_merges_within_a_document_wait_for_their_own_parts(database: Database, job_id: int) -> None:
    document, merge, leaf = split_document(database, job_id, S.FAILED, S.FAILED, S.DONE)
    inner = database.write_now(
        lambda c: [add(c, job_id, state, parent=merge, part=n) for n, state in enumerate((S.DONE, S.FAILED, S.DONE))]
    )
    assert retry(database, job_id) == 1
    assert [row(database, item, "state, waiting_for") for item in (document, merge, leaf)] == [
        ("pending", 1), ("pending", 1), ("done", 0)
    ]  # fmt: skip
    assert row(database, inner[1], "state, waiting_for") == ("pending", 0)


def test_a_part_in_doubt_is_never_sent_again_without_being_asked_for(database: Database, job_id: int) -> None:
    document, doubtful, failed = split_document(database, job_id, S.FAILED, S.IN_DOUBT, S.FAILED)
    assert retry(database, job_id, S.FAILED) == 0
    assert states_of(database, job_id) == {document: "failed", doubtful: "in_doubt", failed: "failed"}
    assert database.read_now(lambda c: item_moves.held_by_doubt(c, item_moves.Chosen(job_id, (), [document])))
    assert retry(database, job_id, S.IN_DOUBT) == 1
    assert set(states_of(database, job_id).values()) == {"pending"}


def test_what_may_have_been_billed_is_not_forgotten_when_it_is_sent_again(database: Database, job_id: int) -> None:
    doubtful = database.write_now(lambda c: [add(c, job_id, S.IN_DOUBT, reserved=70, partial="p") for _ in range(3)])
    assert database.read_now(lambda c: jobs.get(c, job_id)).money.in_doubt == 210
    assert retry(database, job_id, S.IN_DOUBT, item_ids=doubtful[:1]) == 1
    assert moves(database, "skip", job_id, S.IN_DOUBT, item_ids=doubtful[1:2]) == 1
    assert database.write_now(lambda c: item_moves.accept(c, doubtful[2], NOW))
    assert database.read_now(lambda c: jobs.get(c, job_id)).money.in_doubt == 210


def test_a_document_that_changed_is_split_anew_and_keeps_what_it_took(database: Database, job_id: int) -> None:
    document, done, changed = split_document(
        database, job_id, S.FAILED, S.DONE, S.FAILED, cause=item_moves.CHANGED, waiting_for=1
    )
    assert retry(database, job_id) == 1
    assert states_of(database, job_id) == {document: "pending"}
    assert row(database, document, "waiting_for, cost_micros, size, sha256") == (0, 21, None, "")
    attempts = database.read_now(lambda c: items.attempts(c, document))
    assert [(attempt.number, attempt.worst_micros) for attempt in attempts] == [(1, 100), (2, 100)]
    assert {done, changed}.isdisjoint(states_of(database, job_id))
    kept, now = counted(database, job_id)
    assert kept == now


def test_skipping_a_document_skips_its_parts_but_not_what_is_under_way(database: Database, job_id: int) -> None:
    document, *parts = split_document(
        database, job_id, S.PENDING, S.DONE, S.PENDING, S.SENDING, S.RECEIVED, S.FAILED, S.IN_DOUBT, waiting_for=5
    )
    assert moves(database, "skip", job_id, S.FAILED) == 0
    assert moves(database, "skip", job_id, S.PENDING, item_ids=[document]) == 1
    states = states_of(database, job_id)
    assert states[document] == "skipped"
    assert [states[part] for part in parts] == ["done", "skipped", "sending", "received", "skipped", "skipped"]


def test_what_arrived_is_accepted_as_the_answer_and_found(database: Database, job_id: int) -> None:
    whole = database.write_now(lambda c: add(c, job_id, S.IN_DOUBT, partial="half a wombat", reserved=9))
    empty = database.write_now(lambda c: add(c, job_id, S.IN_DOUBT))
    failed = database.write_now(lambda c: add(c, job_id, S.FAILED, partial="half a sheep"))
    accepted = [database.write_now(lambda c, i=i: item_moves.accept(c, i, NOW)) for i in (whole, empty, failed, 999)]
    assert accepted == [True, False, False, False]
    assert database.read_now(lambda c: items.texts(c, whole))[2:] == ("half a wombat", None)
    assert row(database, whole, "state, reserved_micros, failure") == ("done", 0, None)
    assert [hit.item_id for hit in database.read_now(lambda c: search.results(c, "wombat", 9))] == [whole]


def test_a_document_goes_on_when_its_last_part_in_doubt_is_accepted(database: Database, job_id: int) -> None:
    document, done, one, other, cancelled = split_document(
        database, job_id, S.IN_DOUBT, S.DONE, S.IN_DOUBT, S.IN_DOUBT, S.CANCELLED
    )

    def arrived(c: Connection, item: int) -> None:
        c.execute("INSERT INTO item_texts (item_id, partial) VALUES (?, 'half')", (item,))

    database.write_now(lambda c: arrived(c, one))
    assert database.write_now(lambda c: item_moves.accept(c, document, NOW))
    assert states_of(database, job_id)[document] == "in_doubt"
    database.write_now(lambda c: arrived(c, other))
    assert database.write_now(lambda c: item_moves.accept(c, other, NOW))
    states = states_of(database, job_id)
    assert [states[item] for item in (document, done, one, other, cancelled)] == [
        "pending", "done", "done", "done", "pending"
    ]  # fmt: skip
    assert row(database, document, "waiting_for") == (1,)


def test_the_worst_case_of_a_retry_counts_parts_and_what_was_never_sent(database: Database, job_id: int) -> None:
    def worst(*states: ItemState) -> item_moves.Worst:
        return database.read_now(lambda c: item_moves.worst_of(c, item_moves.Chosen(job_id, states)))

    database.write_now(lambda c: [add(c, job_id, S.FAILED, worst=50) for _ in range(2)])
    database.write_now(lambda c: add(c, job_id, S.FAILED))
    assert worst(S.FAILED) == item_moves.Worst(3, 3, 2, 100, 100, 0)
    split_document(database, job_id, S.FAILED, S.DONE, S.FAILED, S.CANCELLED)
    # The document's own merge was never sent; its parts have attempts.
    assert worst(S.FAILED) == item_moves.Worst(4, 6, 4, 300, 200, 0)
    assert worst(S.DONE, S.PENDING) == item_moves.Worst(0, 0, 0, 0, 0, 0)


def test_everything_that_was_not_sent_is_cancelled_in_one_statement(database: Database, job_id: int) -> None:
    split_document(database, job_id, S.PENDING, S.PENDING, S.SENDING, waiting_for=2)
    database.write_now(lambda c: [add(c, job_id, S.PENDING) for _ in range(500)])
    assert database.write_now(lambda c: item_moves.cancel_pending(c, job_id, NOW)) == 502
    assert database.read_now(lambda c: jobs.get(c, job_id)).counts.documents == {S.CANCELLED: 501}
    assert is_sound(database)
