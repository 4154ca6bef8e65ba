"""Several processes over one database: who is alive, who writes, who finds what the dead left."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import MessageState
from holychat.errors import StoreError
from holychat.store import chats, messages
from holychat.store.owners import Owners
from tests.store.tools import ask, expect, is_sound, new_chat, python, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.store.database import Database

WRITER = """
import sys
from pathlib import Path
from holychat.store.database import Database
from tests.store.tools import answer, ask
database = Database.open(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for n in range(int(sys.argv[3])):
    database.write_now(lambda c: answer(c, ask(c, int(sys.argv[2]), f"{sys.argv[2]} asks {n}")[1], "x" * 2000))
print("done", flush=True)
database.close()
"""

OWNER = """
import sys
from pathlib import Path
from holychat.store.database import Database
from holychat.store import messages
from holychat.store.owners import Owners
from tests.store.tools import ask
database, owners = Database.open(Path(sys.argv[1])), Owners(Path(sys.argv[2]))
name = owners.own()
reply = database.write_now(lambda c: ask(c, int(sys.argv[3]), "why?", owner=name)[1])
database.write_now(lambda c: messages.append_chunks(c, reply.id, name, [("text", "Because the sk")]))
print(name, flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def locks(tmp_path: Path) -> Path:
    """Where the processes of the test keep their locked files."""
    return tmp_path / "state" / "locks"


def test_two_processes_write_at_the_same_time_and_nothing_is_lost(database: Database, path: Path) -> None:
    ids = [new_chat(database).id for _ in range(3)]
    processes = [python(WRITER, path, chat_id, 100) for chat_id in ids]
    for process in processes:
        expect(process, "ready")
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        out, err = process.communicate(timeout=100)
        assert (out.strip(), process.returncode) == ("done", 0), err
    assert [database.read_now(lambda c, i=i: messages.count(c, i)) for i in ids] == [200, 200, 200]
    assert is_sound(database)


def test_replies_of_a_living_process_are_left_alone_and_those_of_a_dead_one_are_interrupted(
    database: Database, path: Path, locks: Path
) -> None:
    chat = new_chat(database)
    process = python(OWNER, path, locks, chat.id)
    name = process.stdout.readline().strip()
    owners = Owners(locks)
    assert not owners.is_dead(name)
    assert database.write_now(lambda c: messages.interrupt_replies_of(c, owners.is_dead)) == 0
    streaming = database.read_now(lambda c: messages.page(c, chat.id, 1, 1))[0]
    assert (streaming.state, streaming.text) == (MessageState.STREAMING, "Because the sk")

    process.kill()
    process.communicate()
    assert database.write_now(lambda c: messages.interrupt_replies_of(c, owners.is_dead)) == 1
    left = database.read_now(lambda c: messages.page(c, chat.id, 1, 1))[0]
    assert (left.state, left.text) == (MessageState.INTERRUPTED, "Because the sk")
    assert database.read_now(chats.unfinished).id == chat.id
    assert not (locks / f"{name}.lock").exists()
    assert database.write_now(lambda c: messages.interrupt_replies_of(c, owners.is_dead)) == 0


def test_an_owner_whose_file_is_gone_is_dead_and_this_process_never_is(locks: Path) -> None:
    owners = Owners(locks)
    name = owners.own()
    assert owners.own() == name
    assert not owners.is_dead(name)
    assert not Owners(locks).is_dead(name)
    assert owners.is_dead("4711-0123456789abcdef")
    assert owners.is_dead("../../etc/passwd")
    assert (locks / f"{name}.lock").stat().st_mode & 0o777 == 0o600
    assert locks.stat().st_mode & 0o777 == 0o700
    owners.release()
    assert Owners(locks).is_dead(name)
    assert list(locks.iterdir()) == []


def test_files_that_killed_processes_left_are_swept_and_those_of_living_ones_are_not(locks: Path) -> None:
    living, killed, fresh = Owners(locks), locks / "1-killed.lock", locks / "2-fresh.lock"
    mine = locks / f"{living.own()}.lock"
    for file in (killed, fresh):
        file.write_text("")
    for file in (killed, mine):
        os.utime(file, (0, 0))
    Owners(locks).sweep()
    assert set(locks.iterdir()) == {mine, fresh}
    living.release()


def test_a_folder_that_can_not_hold_locks_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot lock"):
        Owners(tmp_path / "state" / "locks").own()


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_writer_that_is_killed_leaves_whole_exchanges_only(database: Database, path: Path, after: int) -> None:
    chat_id = new_chat(database).id
    process = python(WRITER, path, chat_id, 100_000)
    expect(process, "ready")
    process.stdin.write("\n")
    process.stdin.flush()
    wait_until(lambda: database.read_now(lambda c: messages.count(c, chat_id)) >= 2 * after, "writing")
    process.kill()
    process.communicate()
    found = database.read_now(lambda c: messages.page(c, chat_id, 0, 10_000))
    assert len(found) % 2 == 0
    assert [message.seq for message in found] == list(range(1, len(found) + 1))
    assert {message.state for message in found} == {MessageState.COMPLETE}
    assert is_sound(database)


def test_nobody_else_sees_a_database_in_memory(tmp_path: Path) -> None:
    owners = Owners(None)
    assert not owners.is_dead(owners.own())
    owners.release()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_costs_what_is_new_and_not_what_is_there(database: Database) -> None:
    chat = new_chat(database)
    reply = database.write_now(lambda c: ask(c, chat.id, "why?"))[1]

    def pages_written(text: str) -> int:
        before = database.read_now(lambda c: c.pragma("page_count"))
        for _ in range(20):
            database.write_now(lambda c: messages.append_chunks(c, reply.id, "me", [("text", text)]))
        return database.read_now(lambda c: c.pragma("page_count")) - before

    first = pages_written("x" * 2000)
    for _ in range(300):
        database.write_now(lambda c: messages.append_chunks(c, reply.id, "me", [("text", "y" * 2000)]))
    assert pages_written("x" * 2000) <= first + 2
