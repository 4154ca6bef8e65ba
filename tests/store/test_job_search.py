"""Results of jobs in the full-text index, beside messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState, JobState
from holychat.domain.search import ResultHit, SearchHit
from holychat.store import chats, jobs, search
from tests.store.job_tools import add, new_job
from tests.store.tools import NOW, is_sound, talk

if TYPE_CHECKING:
    from holychat.domain.search import Hit
    from holychat.store.database import Connection, Database


def found(database: Database, query: str, limit: int = 20) -> list[Hit]:
    return database.read_now(lambda c: search.find(c, query, limit))


def test_results_and_messages_are_found_together_the_newest_first(database: Database) -> None:
    chat = talk(database, ("Which tea?", "Green tea."))
    job = new_job(database, JobState.FINISHED)
    item = database.write_now(
        lambda c: add(c, job.id, ItemState.DONE, result="All about tea, long and short.", name="tea.txt")
    )
    newest, *others = found(database, "tea")
    assert newest == ResultHit(
        job.id, "Tea", item, "tea.txt", (("All about ", False), ("tea", True), (", long and short.", False)), NOW
    )
    assert [hit.chat_id for hit in others if isinstance(hit, SearchHit)] == [chat.id, chat.id]
    assert database.read_now(lambda c: search.results(c, "tea", 20)) == [newest]
    assert found(database, "tea", limit=1) == [newest]


def test_a_result_is_found_by_the_name_of_its_document(database: Database) -> None:
    job = new_job(database, JobState.FINISHED)
    database.write_now(lambda c: add(c, job.id, ItemState.DONE, result="Nothing to see.", name="Wombat report.pdf"))
    (hit,) = found(database, "wombat")
    assert hit.pieces == (("Wombat", True), (" report.pdf", False))


def test_a_new_result_takes_the_place_of_the_old_one(database: Database) -> None:
    job = new_job(database, JobState.FINISHED)
    item = database.write_now(lambda c: add(c, job.id, ItemState.DONE, result="apples"))

    def again(connection: Connection) -> None:
        connection.execute("UPDATE item_texts SET result = 'pears' WHERE item_id = ?", (item,))
        search.index_result(connection, item, "fruit", "pears")

    database.write_now(again)
    assert found(database, "apples") == []
    assert len(found(database, "pears")) == 1


def test_results_of_a_deleted_job_are_not_found_any_more(database: Database) -> None:
    talk(database, ("sheep", "-"))
    job = new_job(database, JobState.FINISHED)
    database.write_now(lambda c: add(c, job.id, ItemState.DONE, result="sheep"))
    database.write_now(lambda c: jobs.hide(c, job.id, NOW))
    assert [type(hit) for hit in found(database, "sheep")] == [SearchHit]
    assert database.read_now(lambda c: search.results(c, "sheep", 20)) == []
    while database.write_now(lambda c: jobs.erase_some(c, 10)):
        pass
    assert database.read_now(lambda c: c.execute("SELECT count(*) FROM documents WHERE item_id").get) == 0
    assert is_sound(database)


def test_the_list_of_chats_passes_over_results(database: Database) -> None:
    chat = talk(database, ("one", "sheep"))
    job = new_job(database, JobState.FINISHED)
    database.write_now(lambda c: [add(c, job.id, ItemState.DONE, result="sheep") for _ in range(30)])
    entries = database.read_now(lambda c: chats.entries(c, "sheep", 20, 0))
    assert [entry.chat.id for entry in entries] == [chat.id]
