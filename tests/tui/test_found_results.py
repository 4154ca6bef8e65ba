"""Results of jobs in the list of chats: found by the same filter, opened in their job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState, JobState
from tests.store.job_tools import add, new_job
from tests.support.script import stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from tests.support.loopback import Loopback


async def test_a_result_is_found_behind_the_chats_and_opened(loopback: Loopback) -> None:
    loopback.chat(stream_of("The wombat digs."))
    async with driving(settings_for(loopback)) as app:
        await app.asked("animals")
        database = app.app.main.conversation.services.database
        job = new_job(database, JobState.FINISHED)
        done = ItemState.DONE
        database.write_now(lambda c: add(c, job.id, done, content="long", result="A wombat [/] paper.", name="w.txt"))
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        await app.type("womba")
        await app.shows("w.txt · result of Tea")
        await app.shows("A wombat [/] paper.")
        await app.shows("2 found")
        await app.press("down", "down", "f2")
        await app.shows("This is a result of a job: Enter opens it.")
        await app.press("enter")
        await app.screen("JobScreen")
        await app.shows("A wombat [/] paper.")
        await app.press("o")
        await app.until(lambda: app.app.main.conversation.chat and app.app.main.conversation.chat.title == "w.txt")
        await app.shows("A wombat [/] paper.")
