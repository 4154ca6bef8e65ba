"""Migrations: once, all or nothing, with a copy of what was there, and never backwards."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import apsw
import pytest

from holychat.domain.chat import ChatOptions
from holychat.errors import StoreDamaged, StoreTooNew
from holychat.store import chats, search
from holychat.store.database import Database
from holychat.store.migrate import MIGRATIONS, known_version, migrate, refuse_unknown
from tests.store.tools import DEADLINE, expect, files_beside, is_sound, python, talk, wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.domain.chat import Chat
    from holychat.store.database import Connection

OPEN = """
import sys
from pathlib import Path
from holychat.store.database import Database
print("ready", flush=True)
sys.stdin.readline()
database = Database.open(Path(sys.argv[1]), migrations=Path(sys.argv[2]))
print("open", flush=True)
database.close()
"""

SLOW = """
CREATE TABLE half (done INTEGER);
INSERT INTO half VALUES (1);
INSERT INTO half
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000000) SELECT count(*) FROM n;
"""


@pytest.fixture
def next_version(tmp_path: Path) -> Path:
    """The migrations there are, and room for one more."""
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    return folder


def add_migration(folder: Path, sql: str) -> int:
    number = known_version(folder) + 1
    (folder / f"{number:04}_test.sql").write_text(sql)
    return number


def version_of(path: Path) -> int:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        return int(connection.pragma("user_version"))
    finally:
        connection.close()


def copies(path: Path) -> list[Path]:
    return sorted(path.parent.glob("*.copy"))


def test_a_new_database_has_the_newest_version_and_no_copy(path: Path) -> None:
    Database.open(path).close()
    assert version_of(path) == known_version()
    assert copies(path) == []


def test_a_migration_keeps_a_private_whole_copy_of_what_was_there(path: Path, next_version: Path) -> None:
    old = Database.open(path)
    talk(old, ("tea?", "yes"))
    # Still open, so the last writes are in the -wal and not in the file: the copy must have them all the same.
    add_migration(next_version, "ALTER TABLE chats ADD COLUMN colour TEXT;")
    Database.open(path, migrations=next_version).close()
    old.close()
    assert version_of(path) == known_version() + 1
    (copy,) = copies(path)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert f"version-{known_version()}" in copy.name
    restored = Database.open(copy)
    assert [entry.chat.title for entry in restored.read_now(lambda c: chats.entries(c, "", 9, 0))] == ["tea?"]
    assert is_sound(restored)
    restored.close()


def test_a_newer_database_is_refused_and_left_alone(path: Path, next_version: Path) -> None:
    newer = add_migration(next_version, "CREATE TABLE later (x);")
    Database.open(path, migrations=next_version).close()
    before = path.read_bytes()
    with pytest.raises(StoreTooNew, match=f"version {newer}") as caught:
        Database.open(path)
    assert f"version {newer}" in caught.value.hint
    assert path.read_bytes() == before


def test_a_migration_that_fails_leaves_the_old_version_and_its_data(path: Path, next_version: Path) -> None:
    database = Database.open(path)
    talk(database, ("tea?", "yes"))
    database.close()
    add_migration(next_version, "CREATE TABLE half (x); INSERT INTO half VALUES (1); INSERT INTO nowhere VALUES (1);")
    with pytest.raises(Exception, match="nowhere"):
        Database.open(path, migrations=next_version)
    database = Database.open(path)
    assert len(database.read_now(lambda c: chats.entries(c, "", 9, 0))) == 1
    assert not database.read_now(lambda c: c.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").get)
    database.close()


def test_a_migration_that_breaks_references_is_not_kept(path: Path, next_version: Path) -> None:
    database = Database.open(path)
    talk(database, ("tea?", "yes"))
    database.close()
    add_migration(next_version, "DELETE FROM chats;")
    with pytest.raises(StoreDamaged, match="refer to nothing"):
        Database.open(path, migrations=next_version)
    assert version_of(path) == known_version()


def test_a_process_killed_inside_a_migration_leaves_the_old_version(path: Path, next_version: Path) -> None:
    database = Database.open(path)
    talk(database, ("tea?", "yes"))
    database.close()
    add_migration(next_version, SLOW)
    process = python(OPEN, path, next_version)
    expect(process, "ready")
    process.stdin.write("\n")
    process.stdin.flush()
    # The copy is made inside the transaction, right before the script that never ends.
    wait_until(lambda: copies(path), "the copy")
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert version_of(path) == known_version()
    database = Database.open(path)
    assert [entry.chat.title for entry in database.read_now(lambda c: chats.entries(c, "", 9, 0))] == ["tea?"]
    assert not database.read_now(lambda c: c.execute("SELECT 1 FROM sqlite_schema WHERE name = 'half'").get)
    assert is_sound(database)
    database.close()


@pytest.mark.parametrize("new", [True, False], ids=["no database yet", "an older one"])
def test_processes_that_start_together_migrate_once(path: Path, next_version: Path, new: bool) -> None:
    if not new:
        database = Database.open(path)
        talk(database, ("tea?", "yes"))
        database.close()
    add_migration(next_version, "CREATE TABLE times (x); INSERT INTO times VALUES (1);")
    processes = [python(OPEN, path, next_version) for _ in range(4)]
    for process in processes:
        expect(process, "ready")
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    told = [process.communicate(timeout=60) for process in processes]
    assert [(out.strip(), process.returncode) for (out, _), process in zip(told, processes, strict=True)] == [
        ("open", 0)
    ] * 4, [err for _, err in told]
    database = Database.open(path, migrations=next_version)
    assert database.read_now(lambda c: c.execute("SELECT count(*) FROM times").get) == 1
    assert is_sound(database)
    database.close()
    assert len(copies(path)) == (0 if new else 1)
    assert not [name for name in files_beside(path) if name.endswith(".tmp")]


def test_a_new_database_that_another_process_has_just_made_is_waited_for(path: Path) -> None:
    path.parent.mkdir()
    first = apsw.Connection(str(path))
    first.execute("BEGIN IMMEDIATE; CREATE TABLE half (done)")
    with ThreadPoolExecutor(1) as other:
        opened = other.submit(Database.open, path)
        with pytest.raises(TimeoutError):
            opened.result(timeout=0.2)
        first.execute("ROLLBACK")
        first.close()
        opened.result(timeout=DEADLINE).close()


def test_what_a_database_is_is_read_at_one_moment(path: Path) -> None:
    # Seen between its first and its last statement, a database that is being made looks like somebody else's.
    path.parent.mkdir()
    reader, maker = apsw.Connection(str(path)), apsw.Connection(str(path))
    reader.pragma("journal_mode", "wal")
    statements = 0

    def make(*_: object) -> bool:
        nonlocal statements
        statements += 1
        if statements == 3:
            migrate(maker, path)
        return True

    reader.exec_trace = make
    assert [refuse_unknown(reader, path) for _ in range(3)] == [0, 0, known_version()]
    reader.close()
    maker.close()


def test_migrations_are_numbered_without_gaps(next_version: Path) -> None:
    (next_version / f"{known_version(next_version) + 2:04}_gap.sql").write_text("")
    with pytest.raises(ValueError, match="not numbered"):
        known_version(next_version)


def talk_at_first(database: Database, *texts: str) -> Chat:
    """A chat as the first version wrote it."""

    def write(connection: Connection) -> Chat:
        chat = chats.create(connection, ChatOptions("here"), 1)
        for place, text in enumerate(texts):
            connection.execute(
                "INSERT INTO messages (chat_id, seq, position, role, state, created_ms)"
                " VALUES (?, ?, ?, ?, 'complete', 1)",
                (chat.id, place + 1, place, "assistant" if place % 2 else "user"),
            )
            message_id = connection.last_insert_rowid()
            insert = "INSERT INTO parts (message_id, ordinal, kind, text) VALUES (?, 0, 'text', ?)"
            connection.execute(insert, (message_id, text))
            search.index_message(connection, message_id, text)
        return chat

    return database.write_now(write)


def test_messages_indexed_by_the_first_version_are_found_after_jobs_came(path: Path, tmp_path: Path) -> None:
    first = tmp_path / "first"
    first.mkdir()
    shutil.copy(MIGRATIONS / "0001_chats.sql", first)
    old = Database.open(path, migrations=first)
    kept = talk_at_first(old, "Which tea?", "Green wombat tea.")
    gone = talk_at_first(old, "Forget this wombat", "yes")
    old.write_now(lambda c: chats.delete(c, gone.id))
    old.close()
    database = Database.open(path)
    assert version_of(path) == known_version()
    hits = database.read_now(lambda c: search.find(c, "wombat", 9))
    assert [(hit.chat_id, hit.snippet) for hit in hits] == [(kept.id, "Green wombat tea.")]
    # What is indexed later takes its own number, and what is deleted leaves the index as before.
    later = talk(database, ("another wombat", "-"))
    assert [hit.chat_id for hit in database.read_now(lambda c: search.find(c, "wombat", 9))] == [later.id, kept.id]
    database.write_now(lambda c: chats.delete(c, kept.id))
    assert [hit.chat_id for hit in database.read_now(lambda c: search.find(c, "wombat", 9))] == [later.id]
    assert is_sound(database)
    database.close()
