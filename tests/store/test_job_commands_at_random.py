"""Commands of people and moves of a worker in any order: counts stay true, and nothing moves where it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import apsw
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from holychat.domain.job_moves import _ITEM_MOVES, _JOB_MOVES, states_before
from holychat.domain.jobs import ItemState, JobState, PauseReason
from holychat.errors import UsageError
from holychat.jobs import commands
from holychat.store import jobs
from holychat.store.database import Database
from holychat.store.item_moves import Chosen
from tests.store.job_tools import add, counted, new_job
from tests.store.tools import NOW, is_sound

if TYPE_CHECKING:
    from holychat.store.database import Connection

S = ItemState
_WATCH = """
CREATE TEMP TABLE moves (what TEXT, id INTEGER, old TEXT, new TEXT);
CREATE TEMP TRIGGER watch_items AFTER UPDATE OF state ON items WHEN old.state <> new.state BEGIN
    INSERT INTO moves VALUES ('item', old.id, old.state, new.state);
END;
CREATE TEMP TRIGGER watch_jobs AFTER UPDATE OF state ON jobs WHEN old.state <> new.state BEGIN
    INSERT INTO moves VALUES ('job', old.id, old.state, new.state);
END;
"""
"""Every move is written down where it happens, whichever statement makes it."""

_states = st.sets(st.sampled_from(list(S)), min_size=1, max_size=4)
_ids = st.none() | st.lists(st.integers(1, 18), max_size=4)
_step = st.one_of(
    st.tuples(st.just("retry"), _states, _ids),
    st.tuples(st.just("skip"), _states, _ids),
    st.tuples(st.just("accept"), st.lists(st.integers(1, 18), min_size=1, max_size=3)),
    st.tuples(st.sampled_from(["confirm", "pause", "resume", "cancel"])),
    st.tuples(st.just("worker"), st.integers(1, 18), st.sampled_from(list(S))),
    st.tuples(st.just("job"), st.sampled_from([JobState.RUNNING, JobState.FINISHING, JobState.FINISHED_WITH_ERRORS])),
)


def fill(c: Connection, job_id: int) -> None:
    """A document in each state, and two that were split, one of them twice."""
    for state in S:
        add(c, job_id, state, partial="half")
    document = add(c, job_id, waiting_for=3)
    for part in range(3):
        add(c, job_id, parent=document, part=part, partial="half")
    document = add(c, job_id, waiting_for=2)
    add(c, job_id, parent=document)
    merge = add(c, job_id, parent=document, part=1, waiting_for=2)
    for part in range(2):
        add(c, job_id, parent=merge, part=part)


def carry_out(c: Connection, job_id: int, step: tuple[Any, ...]) -> None:
    match step:
        case ("retry", states, item_ids):
            commands.retry(c, Chosen(job_id, states, item_ids), NOW)
        case ("skip", states, item_ids):
            commands.skip(c, Chosen(job_id, states, item_ids), NOW)
        case ("accept", item_ids):
            commands.accept(c, item_ids, NOW)
        case ("confirm",):
            commands.confirm(c, job_id, None, NOW)
        case ("pause",):
            commands.pause(c, job_id, NOW)
        case ("resume",):
            commands.resume(c, job_id, None, NOW)
        case ("cancel",):
            commands.cancel(c, job_id, NOW)
        case ("job", state):
            jobs.move(c, job_id, state, NOW)
        case ("worker", item_id, state):
            work(c, item_id, state)


def work(c: Connection, item_id: int, state: ItemState) -> None:
    """A move as a worker makes it: guarded, a merge only when its parts are done."""
    marks = ",".join("?" * len(states_before(state)))
    reserved = 5 if state in (S.SENDING, S.IN_DOUBT) else 0
    c.execute(
        f"""
        UPDATE items SET state = ?, reserved_micros = ?, failure = iif(? = 'failed', '{{"kind": "Bad"}}', failure)
        WHERE id = ? AND state IN ({marks}) AND waiting_for = 0
        """,
        (state.value, reserved, state.value, item_id, *(old.value for old in states_before(state))),
    )


def forbidden(database: Database) -> list[tuple[str, str, str]]:
    def read(c: Connection) -> list[tuple[str, str, str]]:
        found = []
        for what, _, old, new in c.execute("SELECT * FROM moves"):
            allowed = _JOB_MOVES[JobState(old)] if what == "job" else _ITEM_MOVES[S(old)]
            if new not in allowed:
                found.append((what, old, new))
        return found

    return database.read_now(read)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
@given(st.lists(_step, min_size=5, max_size=40))
def test_no_order_of_commands_makes_a_forbidden_move_or_a_false_count(steps: list[tuple[Any, ...]]) -> None:
    database = Database.open(None)
    try:
        job = new_job(database)
        database.write_now(lambda c: c.execute(_WATCH))
        database.write_now(lambda c: fill(c, job.id))
        # Most orders should reach the busy part of a job's life.
        for step in [("confirm",), ("job", JobState.RUNNING), *steps]:
            try:
                database.write_now(lambda c, step=step: carry_out(c, job.id, step))
            except UsageError:
                continue
            kept, now = counted(database, job.id)
            assert kept == now
        assert forbidden(database) == []
        assert waits_for_itself(database) == []
        found = database.read_now(lambda c: jobs.get(c, job.id))
        assert (found.state is JobState.PAUSED) == (found.pause is not None)
        assert is_sound(database)
    finally:
        database.close()


def waits_for_itself(database: Database) -> list[tuple[int, int]]:
    """Pending merges that could be sent although a part is missing."""
    return database.read_now(
        lambda c: c.execute(
            """
            SELECT i.id, i.waiting_for FROM items AS i WHERE i.state = 'pending' AND i.waiting_for = 0 AND EXISTS (
                SELECT 1 FROM items AS p WHERE p.parent_id = i.id AND p.state <> 'done'
            )
            """
        ).fetchall()
    )


def test_the_watch_sees_a_forbidden_move() -> None:
    database = Database.open(None)
    job = new_job(database, JobState.RUNNING)
    item = database.write_now(lambda c: add(c, job.id, S.DONE))
    database.write_now(lambda c: c.execute(_WATCH))
    database.write_now(lambda c: c.execute("UPDATE items SET state = 'pending' WHERE id = ?", (item,)))
    assert forbidden(database) == [("item", "done", "pending")]
    database.close()


def test_a_pause_without_a_reason_is_refused_by_the_table(database: Database) -> None:
    job = new_job(database, JobState.RUNNING)

    def pause(c: Connection) -> None:
        try:
            c.execute("UPDATE jobs SET state = 'paused' WHERE id = ?", (job.id,))
        except apsw.ConstraintError:
            return
        raise AssertionError("no reason was asked for")

    database.write_now(pause)
    assert database.write_now(lambda c: jobs.move(c, job.id, JobState.PAUSED, NOW, pause=PauseReason.KEY))
