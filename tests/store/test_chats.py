"""Chats and messages in the tables: paging, replacing, drafts, deleting, and what the schema forbids."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import AttachmentPart, ChatOptions, MessageState, ReasoningPart, TextPart
from holychat.domain.failures import Failure
from holychat.domain.usage import Cost, Timing, Usage
from holychat.errors import StoreError, UsageError
from holychat.store import chats, messages
from holychat.store.messages import FileText, NewReply
from tests.store.tools import NOW, answer, ask, is_sound, new_chat, talk

if TYPE_CHECKING:
    from holychat.store.database import Connection, Database

FILE = FileText(AttachmentPart("a.txt", "/tmp/a.txt", "0" * 64, 5), "hello")


def texts(database: Database, chat_id: int, first: int = 0, count: int = 100) -> list[str]:
    return [message.text for message in database.read_now(lambda c: messages.page(c, chat_id, first, count))]


def listed(database: Database, text: str = "", limit: int = 50, offset: int = 0) -> list[int]:
    return [entry.chat.id for entry in database.read_now(lambda c: chats.entries(c, text, limit, offset))]


def test_a_message_comes_back_as_it_was_stored(database: Database) -> None:
    chat = new_chat(database)
    reply = database.write_now(lambda c: ask(c, chat.id, "why?"))[1]
    whole = replace(
        reply,
        state=MessageState.INTERRUPTED,
        parts=(ReasoningPart("hm"), TextPart("Because… 因为 🐑")),
        model="model-1",
        finish_reason="length",
        usage=Usage(10, 20, 3, 4, estimated=True),
        cost=Cost(1234, estimated=True),
        timing=Timing(48, 2340, 2),
        request_id="req-7",
        failure=Failure("ReplyBroken", "It broke off", "Ask again", 502, "req-7", "ambiguous"),
    )
    stored = database.write_now(lambda c: messages.finish_reply(c, whole, "me"))
    assert stored == whole
    assert database.read_now(lambda c: messages.get(c, reply.id)) == whole


def test_a_question_carries_its_files_first_and_keeps_each_text_once(database: Database) -> None:
    one, two = new_chat(database), new_chat(database)
    for chat in (one, two):
        stored = database.write_now(lambda c, chat=chat: messages.add_question(c, chat.id, "read", [FILE], NOW))
        assert stored.parts == (FILE.part, TextPart("read"))
    assert database.read_now(lambda c: c.execute("SELECT count(*) FROM attachments").get) == 1
    assert database.read_now(lambda c: messages.attachment_texts(c, [stored])) == {"0" * 64: "hello"}
    database.write_now(lambda c: chats.delete(c, one.id))
    assert database.read_now(lambda c: messages.attachment_texts(c, [stored])) == {"0" * 64: "hello"}
    database.write_now(lambda c: chats.delete(c, two.id))
    assert database.read_now(lambda c: c.execute("SELECT count(*) FROM attachments").get) == 0


def test_text_that_sqlite_can_not_carry_is_replaced_and_nothing_else(database: Database) -> None:
    chat = new_chat(database)
    raw = "a\0b \ud83d\ude00 \ud800 \x1b[31m \u202e e\u0301"
    stored = database.write_now(lambda c: messages.add_question(c, chat.id, raw, [], NOW))
    assert stored.text == "a\ufffdb 😀 \ufffd \x1b[31m \u202e e\u0301"


def test_checkpoints_are_read_after_what_was_there_and_merged_at_the_end(database: Database) -> None:
    chat = new_chat(database)
    reply = database.write_now(lambda c: ask(c, chat.id, "why?"))[1]
    for kind, text in [("reasoning", "h"), ("reasoning", "m"), ("text", "Be"), ("text", "cause")]:
        database.write_now(lambda c, kind=kind, text=text: messages.append_chunks(c, reply.id, "me", [(kind, text)]))
    now = database.read_now(lambda c: messages.get(c, reply.id))
    assert (now.state, now.parts) == (MessageState.STREAMING, (ReasoningPart("hm"), TextPart("Because")))
    ended = database.write_now(lambda c: messages.finish_reply(c, replace(now, state=MessageState.STOPPED), "me"))
    assert ended.parts == now.parts
    assert database.read_now(lambda c: c.execute("SELECT count(*) FROM chunks").get) == 0


def test_a_reply_that_another_process_owns_takes_no_text_from_here(database: Database) -> None:
    chat = new_chat(database)
    reply = database.write_now(lambda c: ask(c, chat.id, "why?", owner="other"))[1]
    database.write_now(lambda c: messages.append_chunks(c, reply.id, "me", [("text", "x")]))
    database.write_now(lambda c: answer(c, reply, "mine"))
    now = database.read_now(lambda c: messages.get(c, reply.id))
    assert (now.state, now.text) == (MessageState.STREAMING, "")


def test_a_writer_that_was_taken_for_dead_still_stores_its_text(database: Database) -> None:
    chat = new_chat(database)
    reply = database.write_now(lambda c: ask(c, chat.id, "why?"))[1]
    assert database.write_now(lambda c: messages.interrupt_replies_of(c, lambda _name: True)) == 1
    database.write_now(lambda c: answer(c, reply, "all of it"))
    now = database.read_now(lambda c: messages.get(c, reply.id))
    assert (now.state, now.text) == (MessageState.COMPLETE, "all of it")


def test_a_reply_of_a_chat_that_was_deleted_meanwhile_is_dropped(database: Database) -> None:
    chat = new_chat(database)
    reply = database.write_now(lambda c: ask(c, chat.id, "why?"))[1]
    database.write_now(lambda c: chats.delete(c, chat.id))
    database.write_now(lambda c: messages.append_chunks(c, reply.id, "me", [("text", "x")]))
    assert database.write_now(lambda c: answer(c, reply, "late")).text == "late"
    assert is_sound(database)


def test_pages_go_by_position_and_leave_replaced_messages_out(database: Database) -> None:
    chat = talk(database, ("q0", "a1"), ("q2", "a3"), ("q4", "a5"))
    assert chat.message_count == 6
    assert texts(database, chat.id, 1, 3) == ["a1", "q2", "a3"]
    assert texts(database, chat.id, 5, 10) == ["a5"]
    assert texts(database, chat.id, 6, 10) == []
    old = database.read_now(lambda c: messages.page(c, chat.id, 3, 1))[0]
    database.write_now(lambda c: messages.replace_from(c, chat.id, 3))
    database.write_now(lambda c: answer(c, messages.start_reply(c, chat.id, NewReply("me", "t", "m", NOW)), "new a3"))
    assert texts(database, chat.id) == ["q0", "a1", "q2", "new a3"]
    assert database.read_now(lambda c: messages.position_of(c, old.id)) is None
    everything = database.read_now(lambda c: messages.everything(c, chat.id))
    assert [(m.seq, m.text, m.replaced) for m in everything] == [
        (1, "q0", False), (2, "a1", False), (3, "q2", False), (4, "a3", True), (5, "q4", True), (6, "a5", True),
        (7, "new a3", False),
    ]  # fmt: skip


def test_opening_a_chat_looks_at_its_last_messages_only(database: Database) -> None:
    talk(database, ("q", "a"))

    def plans(connection: Connection) -> list[str]:
        seen: list[str] = []
        connection.exec_trace = lambda _cursor, sql, _values: seen.append(sql) or True
        messages.page(connection, 1, 0, 2)
        messages.count(connection, 1)
        messages.position_of(connection, 2)
        chats.get(connection, 1)
        chats.last(connection)
        connection.exec_trace = None
        return [
            row[3]
            for sql in seen
            for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", (1,) * (sql.count("?"))).fetchall()
        ]

    details = database.read_now(plans)
    scans = [line for line in details if re.match(r"SCAN (?!CONSTANT)", line)]
    assert scans == ["SCAN c USING INDEX chats_by_activity"], details
    assert not [line for line in details if "TEMP B-TREE" in line]


def test_sending_in_a_long_chat_costs_what_it_costs_in_a_short_one(database: Database) -> None:
    long = talk(database, *((f"q{n}", "a") for n in range(1500)))
    short = talk(database, ("q", "a"))

    def steps(chat_id: int) -> int:
        """Instructions of SQLite's machine for one exchange, in hundreds."""
        taken = 0

        def work(connection: Connection) -> None:
            def count() -> bool:
                nonlocal taken
                taken += 1
                return False

            connection.set_progress_handler(count, 100)
            try:
                reply = ask(connection, chat_id, "one more")[1]
                messages.append_chunks(connection, reply.id, "me", [("text", "x")])
                answer(connection, reply, "x")
                messages.page(connection, chat_id, messages.count(connection, chat_id) - 20, 20)
            finally:
                connection.set_progress_handler(None)

        database.write_now(work)
        return taken

    steps(short.id)
    assert steps(long.id) <= 2 * steps(short.id) + 20


def test_a_title_comes_from_the_first_question_and_a_given_one_stays(database: Database) -> None:
    chat = talk(database, ("# How do I   boil\ta pot?\nmore", "…"))
    assert chat.title == "How do I boil a pot?"
    database.write_now(lambda c: chats.rename(c, chat.id, " Tea \ud800"))
    database.write_now(lambda c: ask(c, chat.id, "next"))
    assert database.read_now(lambda c: chats.get(c, chat.id)).title == "Tea \ufffd"


def test_a_draft_makes_its_chat_the_last_one_and_is_cleared_by_sending(database: Database) -> None:
    older, newer = talk(database, ("one", "1"), now_ms=NOW), talk(database, ("two", "2"), now_ms=NOW + 5)
    assert database.read_now(chats.last).id == newer.id
    assert database.read_now(chats.unfinished) is None
    database.write_now(lambda c: chats.save_draft(c, older.id, "half a thou", NOW + 10))
    unfinished = database.read_now(chats.unfinished)
    assert (unfinished.id, unfinished.draft) == (older.id, "half a thou")
    database.write_now(lambda c: ask(c, older.id, "half a thought", NOW + 11))
    assert database.read_now(lambda c: chats.get(c, older.id)).draft == ""
    assert database.read_now(chats.unfinished) is None


def test_clearing_or_repeating_a_draft_does_not_reorder_the_chats(database: Database) -> None:
    older, newer = talk(database, ("one", "1"), now_ms=NOW), talk(database, ("two", "2"), now_ms=NOW + 5)
    database.write_now(lambda c: chats.save_draft(c, older.id, "", NOW + 10))
    assert listed(database) == [newer.id, older.id]


def test_an_answer_that_broke_off_is_unfinished_until_it_was_looked_at(database: Database) -> None:
    chat = new_chat(database)
    database.write_now(lambda c: ask(c, chat.id, "why?"))
    database.write_now(lambda c: messages.interrupt_replies_of(c, lambda _name: True))
    assert database.read_now(chats.unfinished).id == chat.id
    database.write_now(lambda c: chats.mark_unseen(c, chat.id, unseen=False))
    assert database.read_now(chats.unfinished) is None


def test_chats_without_a_word_are_not_listed_and_go_after_a_month(database: Database) -> None:
    empty, drafted = new_chat(database), new_chat(database)
    database.write_now(lambda c: chats.save_draft(c, drafted.id, "x", NOW))
    assert listed(database) == [drafted.id]
    assert database.read_now(chats.last).id == drafted.id
    database.write_now(lambda c: chats.delete_abandoned(c, NOW + 29 * 86_400_000))
    assert database.read_now(lambda c: chats.get(c, empty.id)) == empty
    database.write_now(lambda c: chats.delete_abandoned(c, NOW + 31 * 86_400_000))
    with pytest.raises(UsageError, match=f"no chat {empty.id}"):
        database.read_now(lambda c: chats.get(c, empty.id))
    assert listed(database) == [drafted.id]


def test_options_change_for_the_messages_to_come(database: Database) -> None:
    chat = talk(database, ("q", "a"))
    options = ChatOptions("other", "model-2", "Be brief.", 0.5, 100)
    assert database.write_now(lambda c: chats.set_options(c, chat.id, options)).options == options
    assert database.read_now(lambda c: messages.page(c, chat.id, 1, 1))[0].model == "model-1"


def test_deleting_a_chat_takes_all_of_it_and_its_number_is_never_used_again(database: Database) -> None:
    chat = talk(database, ("zebra", "stripes"))
    database.write_now(lambda c: chats.delete(c, chat.id))
    left = "SELECT (SELECT count(*) FROM messages) + (SELECT count(*) FROM parts) + (SELECT count(*) FROM documents)"
    assert database.read_now(lambda c: c.execute(left).get) == 0
    assert listed(database, "zebra") == []
    assert new_chat(database).id > chat.id
    assert is_sound(database)
    with pytest.raises(UsageError, match="no chat"):
        database.write_now(lambda c: chats.delete(c, chat.id))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE messages SET state = 'streaming' WHERE role = 'assistant'",
        "UPDATE messages SET owner = 'me' WHERE role = 'assistant'",
        "UPDATE messages SET state = 'streaming', owner = 'me', position = NULL WHERE role = 'assistant'",
        "UPDATE messages SET state = 'stopped' WHERE role = 'user'",
        "UPDATE messages SET state = 'failed' WHERE role = 'assistant'",
        "UPDATE messages SET state = 'done'",
        "UPDATE messages SET position = 0",
        "UPDATE messages SET seq = 1",
        "UPDATE messages SET failure = 'not json'",
        "UPDATE messages SET cost_micros = -1",
        "UPDATE messages SET cost_micros = 0.5",
        "UPDATE messages SET role = 'robot'",
        "UPDATE parts SET kind = 'attachment'",
        "UPDATE parts SET text = NULL",
        "UPDATE parts SET message_id = 77",
        "INSERT INTO chunks (message_id, kind, text) VALUES (77, 'text', '')",
    ],
)
def test_the_schema_forbids(database: Database, sql: str) -> None:
    talk(database, ("q", "a"))
    with pytest.raises(StoreError):
        database.write_now(lambda c: c.execute(sql).fetchall())


def test_a_chat_has_at_most_one_arriving_answer(database: Database) -> None:
    chat = new_chat(database)
    database.write_now(lambda c: ask(c, chat.id, "why?"))
    with pytest.raises(UsageError, match="still arriving"):
        database.write_now(lambda c: messages.start_reply(c, chat.id, NewReply("other", "t", "m", NOW)))
    with pytest.raises(UsageError, match="still arriving"):
        database.write_now(lambda c: messages.replace_from(c, chat.id, 0))
    row = (
        "INSERT INTO messages (chat_id, seq, position, role, state, owner, created_ms) "
        "VALUES (?, 9, 9, 'assistant', 'streaming', 'x', 1)"
    )
    with pytest.raises(StoreError, match="UNIQUE"):
        database.write_now(lambda c: c.execute(row, (chat.id,)).fetchall())


def test_costs_per_day_and_model_need_no_scan_of_the_texts(database: Database) -> None:
    plan = database.read_now(
        lambda c: c.execute(
            "EXPLAIN QUERY PLAN SELECT sum(cost_micros) FROM messages WHERE created_ms >= 1 AND cost_micros IS NOT NULL"
        ).fetchall()
    )
    assert "COVERING INDEX messages_by_day" in plan[0][3]


def test_an_empty_draft_takes_the_place_of_the_one_it_was_and_not_of_a_draft_of_another_window(
    database: Database,
) -> None:
    chat = database.write_now(lambda c: chats.create(c, ChatOptions("offline"), NOW))
    assert database.write_now(lambda c: chats.save_draft(c, chat.id, "theirs", NOW))
    assert database.write_now(lambda c: chats.save_draft(c, chat.id, "", NOW, was="mine"))
    assert database.read_now(lambda c: chats.get(c, chat.id)).draft == "theirs"
    assert database.write_now(lambda c: chats.save_draft(c, chat.id, "", NOW, was="theirs"))
    assert database.read_now(lambda c: chats.get(c, chat.id)).draft == ""
    assert not database.write_now(lambda c: chats.save_draft(c, 99, "lost", NOW))
