"""Sums of money: kept by the database itself, exact, and never smaller because something was deleted."""

from __future__ import annotations

import random
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import MessageState, TextPart
from holychat.domain.spending import Spent, Unsettled
from holychat.domain.usage import Cost, Usage
from holychat.store import calibrations, chats, jobs, messages, spending
from holychat.store.database import Database
from holychat.store.messages import NewReply
from holychat.store.migrate import MIGRATIONS
from tests.store.tools import NOW, ask, new_chat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holychat.domain.chat import Message
    from holychat.store.database import Connection

ALWAYS = (0, 10**10)
QUARTER = NOW // spending.QUARTER_MS


@pytest.fixture
def database() -> Iterator[Database]:
    database = Database.open(None)
    yield database
    database.close()


def finish(connection: Connection, reply: Message, usage: Usage, cost: Cost | None) -> Message:
    whole = replace(reply, state=MessageState.COMPLETE, parts=(TextPart("x"),), usage=usage, cost=cost)
    return messages.finish_reply(connection, whole, "me")


def answer_in(database: Database, chat_id: int, micros: int | None, now_ms: int = NOW, *, guessed: bool = False) -> int:
    def work(connection: Connection) -> int:
        reply = ask(connection, chat_id, "why?", now_ms)[1]
        return finish(connection, reply, Usage(10, 5), None if micros is None else Cost(micros, guessed)).id

    return database.write_now(work)


def new_job(connection: Connection, name: str = "night run") -> int:
    connection.execute(
        """
        INSERT INTO jobs (name, kind, state, provider, model, priority, recipe, sources, limits, created_ms, updated_ms)
        VALUES (?, 'prompt', 'running', 'test', 'model-2', 'medium', '{}', '[]', '{}', 0, 0)
        """,
        (name,),
    )
    return int(connection.last_insert_rowid())


def attempt(connection: Connection, job_id: int, key: str, sent_ms: int = NOW, worst: int | None = 900) -> int:
    connection.execute(
        "INSERT INTO items (job_id, ordinal, source_key, name, state, updated_ms) VALUES (?, 0, ?, 'x', 'sending', 0)",
        (job_id, key),
    )
    connection.execute(
        """
        INSERT INTO attempts (item_id, number, owner, request_sha256, worst_micros, sent_ms)
        VALUES (last_insert_rowid(), 1, 'w', '', ?, ?)
        """,
        (worst, sent_ms),
    )
    return int(connection.last_insert_rowid())


def receive(connection: Connection, attempt_id: int) -> None:
    connection.execute("UPDATE attempts SET raw = x'7b7d', outcome = 'answered' WHERE id = ?", (attempt_id,))


def settle(connection: Connection, attempt_id: int, micros: int | None) -> None:
    connection.execute(
        "UPDATE attempts SET input_tokens = 7, output_tokens = 3, cost_micros = ?, raw = NULL WHERE id = ?",
        (micros, attempt_id),
    )


def total(database: Database) -> Spent:
    return database.read_now(lambda c: spending.total(c, ALWAYS))


def test_an_answer_is_spent_when_it_ends_and_an_unknown_price_is_counted_as_such(database: Database) -> None:
    chat = new_chat(database)
    answer_in(database, chat.id, 250)
    answer_in(database, chat.id, None)
    answer_in(database, chat.id, 30, guessed=True)
    assert total(database) == Spent(3, 1, 1, 280, 30, 15)
    assert total(database).cost == Cost(280, estimated=True)
    assert database.read_now(lambda c: spending.of_chat(c, chat.id)) == total(database)


def test_answers_that_all_have_no_known_price_cost_an_unknown_sum_and_not_nothing(database: Database) -> None:
    answer_in(database, new_chat(database).id, None)
    assert total(database).cost is None
    assert Spent().cost == Cost(0)


def test_a_failed_answer_that_was_never_taken_on_is_not_spent(database: Database) -> None:
    chat = new_chat(database)

    def fail(connection: Connection) -> None:
        reply = ask(connection, chat.id, "why?")[1]
        messages.finish_reply(connection, replace(reply, state=MessageState.STOPPED), "me")

    database.write_now(fail)
    assert total(database) == Spent()


def test_what_was_paid_stays_when_its_chat_is_deleted_or_its_answer_replaced(database: Database) -> None:
    chat = new_chat(database)
    answer_in(database, chat.id, 250)
    database.write_now(lambda c: messages.replace_from(c, chat.id, 0))
    assert total(database).micros == 250
    database.write_now(lambda c: chats.delete(c, chat.id))
    assert total(database).micros == 250
    [share] = database.read_now(lambda c: spending.by_thing(c, ALWAYS, "chat"))
    assert (share.id, share.name, share.spent.micros) == (chat.id, "", 250)


def test_the_rest_of_an_answer_adds_what_it_cost_more_on_the_day_it_was_asked_for(database: Database) -> None:
    chat = new_chat(database)
    first = answer_in(database, chat.id, 250)
    later = NOW + 86_400_000

    def go_on(connection: Connection) -> None:
        reply = messages.reopen_reply(
            connection, messages.get(connection, first), NewReply("me", "test", "model-1", later)
        )
        finish(connection, reply, Usage(30, 9), Cost(400))

    database.write_now(go_on)
    day_one, day_two = database.read_now(
        lambda c: spending.by_time(c, [(QUARTER, QUARTER + 1), (QUARTER + 96, QUARTER + 97)])
    )
    assert (day_one.micros, day_one.input_tokens, day_two.micros, day_two.input_tokens) == (250, 10, 150, 20)


def test_an_attempt_is_unsettled_until_its_reply_was_read_and_spent_from_then_on(database: Database) -> None:
    job_id = database.write_now(new_job)
    attempt_id = database.write_now(lambda c: attempt(c, job_id, "a"))
    open_one = Unsettled(1, 900, 0)
    assert database.read_now(lambda c: spending.unsettled(c, ALWAYS)) == open_one
    database.write_now(lambda c: receive(c, attempt_id))
    assert database.read_now(lambda c: spending.unsettled(c, ALWAYS)) == open_one
    assert total(database) == Spent()
    database.write_now(lambda c: settle(c, attempt_id, 120))
    assert database.read_now(lambda c: spending.unsettled(c, ALWAYS)) == Unsettled()
    assert total(database) == Spent(1, 0, 0, 120, 7, 3)
    assert database.read_now(lambda c: spending.of_job(c, job_id)) == total(database)
    database.write_now(lambda c: settle(c, attempt_id, 120))
    assert total(database) == Spent(1, 0, 0, 120, 7, 3)


def test_an_attempt_of_unknown_price_is_one_unknown_and_a_reply_that_could_not_be_read_is_settled(
    database: Database,
) -> None:
    job_id = database.write_now(new_job)

    def work(connection: Connection) -> None:
        unpriced = attempt(connection, job_id, "a", worst=None)
        receive(connection, unpriced)
        settle(connection, unpriced, None)
        broken = attempt(connection, job_id, "b")
        receive(connection, broken)
        connection.execute("UPDATE attempts SET cost_micros = NULL, failure = '{}' WHERE id = ?", (broken,))

    database.write_now(work)
    assert total(database) == Spent(2, 0, 2, 0, 7, 3)
    assert database.read_now(lambda c: spending.unsettled(c, ALWAYS)) == Unsettled()


def test_what_is_in_doubt_counts_at_its_worst_and_what_was_refused_does_not(database: Database) -> None:
    job_id = database.write_now(new_job)

    def work(connection: Connection) -> None:
        for key, outcome, worst in (("a", "ambiguous", 900), ("b", "refused", 900), ("c", "never_sent", 900),
                                    ("d", "ambiguous", None), ("e", None, 50)):  # fmt: skip
            made = attempt(connection, job_id, key, worst=worst)
            connection.execute("UPDATE attempts SET outcome = ? WHERE id = ?", (outcome, made))

    database.write_now(work)
    assert database.read_now(lambda c: spending.unsettled(c, ALWAYS)) == Unsettled(3, 950, 1)
    assert database.read_now(lambda c: spending.unsettled(c, (0, QUARTER))) == Unsettled()


def test_what_a_deleted_job_cost_stays(database: Database) -> None:
    job_id = database.write_now(new_job)
    database.write_now(lambda c: settle(c, attempt(c, job_id, "a"), 120))
    database.write_now(lambda c: c.execute("DELETE FROM jobs WHERE id = ?", (job_id,)))
    assert total(database).micros == 120


def doubtful(connection: Connection, job_id: int) -> None:
    """One attempt of every kind; worth 1000 at worst, and one of unknown price, is what may have been billed."""
    for key, outcome, worst in (("a", "ambiguous", 900), ("b", "refused", 70), ("c", None, 50),
                                ("d", "ambiguous", None), ("e", "never_sent", 70), ("f", "ambiguous", 0)):  # fmt: skip
        made = attempt(connection, job_id, key, worst=worst)
        connection.execute("UPDATE attempts SET outcome = ? WHERE id = ?", (outcome, made))
    receive(connection, attempt(connection, job_id, "g", worst=50))
    settle(connection, attempt(connection, job_id, "h"), 120)


def counted(connection: Connection) -> tuple[int, int]:
    """(micro-dollars that a limit counts, requests of unknown price)."""
    spent, open_ = spending.total(connection, (QUARTER, QUARTER + 1)), spending.unsettled(connection, ALWAYS)
    return spent.micros + open_.micros, spent.unknown + open_.unknown


def test_what_may_have_been_billed_stays_counted_at_its_worst_while_a_deleted_job_goes(database: Database) -> None:
    job_id = database.write_now(new_job)
    database.write_now(lambda c: doubtful(c, job_id))
    assert database.read_now(counted) == (1120, 1)
    database.write_now(lambda c: c.execute("UPDATE jobs SET state = 'cancelled' WHERE id = ?", (job_id,)))
    assert database.write_now(lambda c: jobs.hide(c, job_id, NOW))
    while database.write_now(lambda c: jobs.erase_some(c, 1)):
        assert database.read_now(counted) == (1120, 1)
    assert database.read_now(lambda c: spending.unsettled(c, ALWAYS)) == Unsettled()
    assert total(database) == Spent(6, 3, 1, 1120, 7, 3)
    assert total(database).cost == Cost(1120, estimated=True)
    assert database.read_now(lambda c: spending.of_job(c, job_id)) == total(database)


def test_it_stays_counted_however_the_rows_go_and_under_the_model_that_was_asked(database: Database) -> None:
    job_id = database.write_now(new_job)

    def work(connection: Connection) -> None:
        whole = connection.execute("SELECT item_id FROM attempts WHERE id = ?", (attempt(connection, job_id, "a"),)).get
        part = attempt(connection, job_id, "b", worst=30)
        connection.execute("UPDATE attempts SET model = 'model-3' WHERE id = ?", (part,))
        connection.execute(
            "UPDATE items SET parent_id = ? WHERE id = (SELECT item_id FROM attempts WHERE id = ?)", (whole, part)
        )

    database.write_now(work)
    database.write_now(lambda c: c.execute("DELETE FROM jobs WHERE id = ?", (job_id,)))
    models = database.read_now(lambda c: spending.by_model(c, ALWAYS))
    assert [(share.name, share.provider, share.spent) for share in models] == [
        ("model-2", "test", Spent(1, 1, 0, 900, 0, 0)), ("model-3", "test", Spent(1, 1, 0, 30, 0, 0))
    ]  # fmt: skip


def test_sums_are_exact_however_they_are_cut(database: Database) -> None:
    dice = random.Random(4)
    chat, job_id = new_chat(database), database.write_now(new_job)
    costs = [dice.randrange(10**9) for _ in range(60)]
    for number, micros in enumerate(costs):
        when = NOW + dice.randrange(40 * 86_400_000)
        if number % 2:
            answer_in(database, chat.id, micros, when)
        else:
            database.write_now(lambda c, n=number, m=micros, w=when: settle(c, attempt(c, job_id, str(n), w), m))  # type: ignore[misc]
    assert total(database).micros == sum(costs)
    times = [(QUARTER + 7 * place, QUARTER + 7 * place + 7) for place in range(1000)]
    by_time = database.read_now(lambda c: spending.by_time(c, times))
    assert sum(spent.micros for spent in by_time) == sum(costs)
    models = database.read_now(lambda c: spending.by_model(c, ALWAYS))
    assert {share.name: share.spent.micros for share in models} == {
        "model-1": sum(costs[1::2]), "model-2": sum(costs[::2])
    }  # fmt: skip
    [provider] = database.read_now(lambda c: spending.by_provider(c, ALWAYS))
    assert (provider.name, provider.spent) == ("test", total(database))


def test_the_dearest_comes_first_and_deleted_things_have_no_name(database: Database) -> None:
    job_id = database.write_now(new_job)
    other = database.write_now(lambda c: new_job(c, "small one"))
    database.write_now(lambda c: settle(c, attempt(c, other, "a"), 1))
    database.write_now(lambda c: settle(c, attempt(c, job_id, "a"), 120))
    shares = database.read_now(lambda c: spending.by_thing(c, ALWAYS, "job"))
    assert [(share.name, share.spent.micros) for share in shares] == [("night run", 120), ("small one", 1)]
    assert database.read_now(spending.first_quarter) == QUARTER


def test_the_table_grows_with_time_and_not_with_requests(database: Database) -> None:
    job_id = database.write_now(new_job)

    def work(connection: Connection) -> None:
        for number in range(300):
            settle(connection, attempt(connection, job_id, str(number)), 5)

    database.write_now(work)
    assert database.read_now(lambda c: c.execute("SELECT count(*) FROM spending").get) == 1
    assert total(database).micros == 1500


def test_what_was_spent_before_the_sums_were_kept_is_in_them(tmp_path: Path) -> None:
    older = tmp_path / "older"
    older.mkdir()
    for script in sorted(MIGRATIONS.glob("*.sql"))[:3]:
        shutil.copy(script, older)
    database = Database.open(tmp_path / "holychat.db", migrations=older)

    def answered(c: Connection) -> None:
        # As rows: what writes replies today knows tables that were not there then.
        c.execute("INSERT INTO chats (provider, created_ms, updated_ms) VALUES ('test', 0, 0)")
        for seq, micros in ((1, 250), (2, None)):
            c.execute(
                """
                INSERT INTO messages (chat_id, seq, position, role, state, created_ms, provider, model, input_tokens,
                    output_tokens, cost_micros)
                VALUES (1, ?, ?, 'assistant', 'complete', ?, 'test', 'model-1', 10, 5, ?)
                """,
                (seq, seq, NOW, micros),
            )

    database.write_now(answered)
    database.close()
    database = Database.open(tmp_path / "holychat.db")
    assert total(database) == Spent(2, 0, 1, 250, 20, 10)
    database.close()


def test_calibrations_are_kept_by_model(database: Database) -> None:
    from holychat.domain.calibration import Calibration, Sample

    sample = Sample.of("model-1", 100, 150)
    assert sample is not None
    assert database.write_now(lambda c: calibrations.learn(c, sample, NOW)) == ("model-1", Calibration(1.5, 1 / 3, 1))
    key, second = database.write_now(lambda c: calibrations.learn(c, sample, NOW))
    assert second.samples == 2
    assert database.read_now(calibrations.known) == {key: second}
