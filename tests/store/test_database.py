"""The database as such: transactions, threads, permissions, full disks and damaged files."""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from holychat.errors import StoreDamaged, StoreError, StoreFull, UsageError
from holychat.store import chats, files, messages
from holychat.store import database as database_module
from holychat.store.database import Database
from tests.store.tools import NOW, answer, ask, contents, files_beside, is_sound, new_chat, talk

if TYPE_CHECKING:
    from holychat.store.database import Connection


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def titles(database: Database) -> list[str]:
    return [entry.chat.title for entry in database.read_now(lambda c: chats.entries(c, "", 100, 0))]


def read_everything(path: Path) -> None:
    database = Database.open(path)
    try:
        database.read_now(lambda c: [messages.page(c, 1, 0, 100), chats.entries(c, "question", 10, 0)])
    finally:
        database.close()


# Connections


def test_every_connection_is_durable_checked_and_patient(database: Database) -> None:
    def look(connection: Connection) -> tuple[object, ...]:
        return tuple(
            connection.pragma(name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        )

    assert database.write_now(look) == ("wal", 2, 1, 10_000)
    assert database.read_now(look) == ("wal", 2, 1, 10_000)


def test_a_reader_can_not_write(database: Database) -> None:
    with pytest.raises(StoreError):
        database.read_now(lambda c: c.execute("DELETE FROM chats").fetchall())


def test_sqlite_is_new_enough_for_two_writing_processes() -> None:
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)


def test_a_database_in_memory_reads_what_was_written() -> None:
    database = Database.open(None)
    talk(database, ("tea?", "yes"))
    assert titles(database) == ["tea?"]
    database.close()


def test_a_closed_database_says_so(path: Path) -> None:
    database = Database.open(path)
    database.close()
    database.close()
    with pytest.raises(StoreError, match="closed"):
        database.read_now(chats.last)


def test_a_network_file_system_gets_no_wal(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database_module, "on_network_file_system", lambda _path: True)
    database = Database.open(path)
    assert database.write_now(lambda c: c.pragma("journal_mode")) == "truncate"
    assert "instead of WAL" in caplog.text
    talk(database, ("tea?", "yes"))
    assert titles(database) == ["tea?"]
    database.close()


@pytest.mark.parametrize(
    ("target", "shared"),
    [("/home/me/.local", False), ("/home/far/.local", True), ("/home/far/near/x", False), ("/mnt/with space/x", True)],
)
def test_the_mount_table_tells_a_network_file_system(tmp_path: Path, target: str, shared: bool) -> None:
    table = tmp_path / "mounts"
    table.write_text(
        "/dev/sda / ext4 rw 0 0\nserver:/x /home/far nfs4 rw 0 0\ntmpfs /home/far/near tmpfs rw 0 0\n"
        "//nas/x /mnt/with\\040space cifs rw 0 0\n"
    )
    assert files.on_network_file_system(Path(target), table) is shared


# Transactions


def test_a_function_is_a_transaction(database: Database) -> None:
    def half(connection: Connection) -> None:
        new(connection)
        raise UsageError("no")

    def new(connection: Connection) -> None:
        connection.execute("INSERT INTO chats (title, provider, created_ms, updated_ms) VALUES ('half', 'x', 1, 1)")

    with pytest.raises(UsageError):
        database.write_now(half)
    assert titles(database) == []
    database.write_now(new)
    assert titles(database) == ["half"]


async def test_writes_are_done_in_the_order_in_which_they_were_handed_over(database: Database) -> None:
    chat = new_chat(database)
    await asyncio.gather(
        *(database.write(lambda c, n=n: chats.save_draft(c, chat.id, str(n), NOW)) for n in range(200))
    )
    assert database.read_now(lambda c: chats.get(c, chat.id)).draft == "199"


async def test_cancelling_the_one_who_waits_neither_loses_nor_halves_a_write(database: Database) -> None:
    chat = new_chat(database)
    gate, begun = threading.Event(), threading.Event()

    def slow(connection: Connection) -> None:
        chats.rename(connection, chat.id, "first half")
        begun.set()
        gate.wait(20)
        chats.save_draft(connection, chat.id, "second half", NOW)

    waiting = asyncio.create_task(database.write(slow))
    queued = asyncio.create_task(database.write(lambda c: chats.rename(c, chat.id, "queued")))
    await asyncio.to_thread(begun.wait, 20)
    for task in (waiting, queued):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    gate.set()
    database.write_now(lambda _: None)
    stored = database.read_now(lambda c: chats.get(c, chat.id))
    assert (stored.title, stored.draft) == ("queued", "second half")


async def test_a_failed_write_that_nobody_waits_for_leaves_no_warning(database: Database) -> None:
    gate = threading.Event()

    def fail(_: Connection) -> None:
        gate.wait(20)
        raise UsageError("no")

    task = asyncio.create_task(database.write(fail))
    await asyncio.sleep(0.02)
    task.cancel()
    gate.set()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await database.write(lambda _: None)


def test_a_reader_sees_one_state_for_the_whole_of_its_work(database: Database) -> None:
    chat = talk(database, ("one", "1"))

    def look(connection: Connection) -> tuple[int, int]:
        before = messages.count(connection, chat.id)
        database.write_now(lambda c: ask(c, chat.id, "two"))
        return before, messages.count(connection, chat.id)

    assert database.read_now(look) == (2, 2)
    assert database.read_now(lambda c: messages.count(c, chat.id)) == 4


async def test_changes_of_others_are_noticed_and_own_ones_are_not(path: Path) -> None:
    one, two = Database.open(path), Database.open(path)
    first = await one.data_version()
    new_chat(one)
    assert await one.data_version() == first
    new_chat(two)
    assert await one.data_version() != first
    # Every watcher compares with what it saw itself: one that looked takes nothing from another.
    assert await one.data_version() == await one.data_version() != first
    one.close()
    two.close()


def test_a_fault_of_ours_becomes_a_store_error_and_is_logged(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreError, match="no such table"):
        database.write_now(lambda c: c.execute("INSERT INTO nowhere VALUES (1)"))
    assert "refused a statement" in caplog.text


# Files


@pytest.mark.skipif(os.name != "posix", reason="permissions of files are POSIX")
def test_the_folder_and_every_file_in_it_are_private(path: Path) -> None:
    before = os.umask(0o022)
    try:
        database = Database.open(path)
        talk(database, ("tea?", "yes"))
        assert {"holychat.db", "holychat.db-wal", "holychat.db-shm"} <= files_beside(path)
        assert mode(path.parent) == 0o700
        assert {file.name: mode(file) for file in path.parent.iterdir()} == dict.fromkeys(files_beside(path), 0o600)
        database.close()
    finally:
        os.umask(before)


@pytest.mark.skipif(os.name != "posix", reason="permissions of files are POSIX")
def test_an_open_folder_and_file_are_tightened(path: Path) -> None:
    Database.open(path).close()
    path.chmod(0o644)
    path.parent.chmod(0o755)
    Database.open(path).close()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_a_file_that_is_no_database_is_left_alone_and_told_how_to_move(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"my precious notes\n" * 500)
    with pytest.raises(StoreDamaged, match="not a database") as caught:
        Database.open(path)
    assert "holychat history move-aside" in caught.value.hint
    assert path.read_bytes().startswith(b"my precious")


def test_the_database_of_another_program_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    other = apsw.Connection(str(path))
    other.execute("CREATE TABLE songs (name)")
    other.close()
    before = path.read_bytes()
    with pytest.raises(StoreDamaged, match="another program"):
        Database.open(path)
    assert path.read_bytes() == before


def test_a_page_of_rubbish_is_damage(path: Path) -> None:
    database = Database.open(path)
    talk(database, *((f"question {n} " * 50, "answer " * 200) for n in range(30)))
    database.close()
    with path.open("r+b") as file:
        for page in range(4, path.stat().st_size // 4096):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    with pytest.raises(StoreDamaged):
        read_everything(path)
    assert path.exists()


def test_a_cut_file_is_damage(path: Path) -> None:
    database = Database.open(path)
    talk(database, *((f"question {n} " * 50, "answer " * 200) for n in range(30)))
    database.close()
    os.truncate(path, 8192)
    with pytest.raises(StoreDamaged):
        read_everything(path)


def test_an_emptied_file_is_damage_and_not_a_new_history(path: Path) -> None:
    database = Database.open(path)
    talk(database, ("tea?", "yes"))
    database.close()
    os.truncate(path, 0)
    with pytest.raises(StoreDamaged, match="it once held history"):
        Database.open(path)
    assert path.stat().st_size == 0


def test_a_folder_in_place_of_the_file_is_damage(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreDamaged, match="not a file"):
        Database.open(path)


def test_after_moving_a_damaged_file_aside_a_new_history_begins(path: Path) -> None:
    database = Database.open(path)
    talk(database, ("tea?", "yes"))
    database.close()
    os.truncate(path, 0)
    aside = files.move_aside(path)
    assert aside.exists()
    assert aside.name.startswith("holychat.db.")
    database = Database.open(path)
    assert titles(database) == []
    database.close()
    # A crash right after making the next file must not look like lost data.
    files.move_aside(path)
    files.prepare(path)
    Database.open(path).close()


def test_a_file_in_place_of_the_folder_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(StoreError, match="Cannot open"):
        Database.open(tmp_path / "data" / "holychat.db")


def test_a_writer_that_hangs_elsewhere_is_told_as_busy(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_module, "_BUSY_MS", 50)
    database = Database.open(path)
    other = apsw.Connection(str(path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="busy"):
        new_chat(database)
    other.execute("ROLLBACK")
    new_chat(database)
    other.close()
    database.close()


# Full disks and failures at every step


def exchange(connection: Connection, chat_id: int) -> None:
    """All writes of a turn, each with something to write."""
    reply = ask(connection, chat_id, "question " * 400)[1]
    messages.append_chunks(connection, reply.id, "me", [("text", "chunk " * 900)])
    answer(connection, reply, "answer " * 2000, "thoughts " * 500)


def test_on_a_full_disk_nothing_is_half_done_and_reading_goes_on(database: Database) -> None:
    chat = talk(database, ("tea?", "yes"))
    before = contents(database)
    pages = database.read_now(lambda c: c.pragma("page_count"))
    failures = 0
    for more in range(200):
        database.write_now(lambda c, room=pages + more: c.pragma("max_page_count", room))
        try:
            database.write_now(lambda c: exchange(c, chat.id))
            break
        except StoreFull:
            failures += 1
            assert contents(database) == before
            assert titles(database) == ["tea?"]
    assert failures >= 5
    assert database.read_now(lambda c: messages.count(c, chat.id)) == 4
    assert is_sound(database)


def test_whichever_statement_fails_nothing_is_half_done(database: Database) -> None:
    chat = talk(database, ("tea?", "yes"))
    before = contents(database)

    def failing_at(connection: Connection, number: int) -> None:
        left = number

        def trace(_cursor: object, _sql: str, _values: object) -> bool:
            nonlocal left
            left -= 1
            return left != 0

        connection.exec_trace = trace if number else None

    failed = 0
    for number in range(1, 200):
        # The tracer counts the COMMIT of its own installation as the first statement.
        database.write_now(lambda c, n=number + 1: failing_at(c, n))
        try:
            database.write_now(lambda c: exchange(c, chat.id))
            break
        except StoreError:
            failed += 1
        finally:
            database._writer.exec_trace = None
        assert contents(database) == before, number
    assert failed >= 20
    assert database.read_now(lambda c: messages.count(c, chat.id)) == 4
    assert is_sound(database)
