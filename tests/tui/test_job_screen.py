"""The screen of a job: its documents, what became of each, and what can be done about it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ItemState, JobState
from holychat.store.database import Database
from holychat.tui.widgets.job_head import FilterBar
from holychat.tui.widgets.job_items import ItemList
from holychat.tui.widgets.job_list import JobList
from holychat.tui.widgets.job_texts import TextPane
from tests.store.job_tools import add, new_job
from tests.tui.desk_rows import job_with, set_columns, spec
from tests.tui.driving import driving
from tests.tui.test_job_panel import QUIET, database

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.domain.jobs import Job
    from holychat.store.database import Connection
    from tests.tui.driving import Driver


def mixed(app: Driver, state: JobState = JobState.PAUSED) -> Job:
    """A job with documents in every state. Paused, so that no worker takes it up."""
    return job_with(database(app), state, done=6, failed=3, doubt=1, pending=4)


async def open_job(app: Driver, job: Job) -> ItemList:
    app.app.main.open_job(job.id)
    await app.screen("JobScreen")
    items = app.app.screen.query_one(ItemList)
    await app.until(lambda: items.item is not None or (items.total == 0 and app.app.screen.job is not None))
    return items


def pane(app: Driver, name: str) -> str:
    transcript = app.app.screen.query_one(f"#{name}", TextPane).transcript
    return "\n".join(
        entry.message.text for place in range(len(transcript.document)) if (entry := transcript.document.entry(place))
    )


async def states(app: Driver, job: Job) -> dict[ItemState, int]:
    assert app.app.services is not None
    return dict((await app.app.services.jobs.get(job.id)).counts.documents)


async def test_enter_on_a_job_opens_it_with_the_result_as_markdown_beside_its_source() -> None:
    async with driving(QUIET, size=(130, 36)) as app:
        mixed(app)
        app.app.poke_desk()
        await app.press("f4")
        await app.shows("6 of 14")
        await app.press("enter")
        await app.screen("JobScreen")
        await app.shows("papers/00001.md")
        await app.shows("The text of paper 1.")
        await app.shows("• The first point.")
        await app.press("escape")
        await app.screen("ChatScreen")


async def test_help_begins_with_the_keys_of_the_place_it_is_asked_for_in() -> None:
    async with driving(QUIET, size=(80, 24)) as app:
        await open_job(app, mixed(app))
        await app.shows("Esc back  F1 help")
        await app.press("f1")
        await app.screen("HelpScreen")
        await app.shows("In a job")
        await app.press("escape", "escape")
        await app.screen("ChatScreen")
        await app.press("f4")
        await app.until(lambda: isinstance(app.app.focused, JobList))
        await app.press("f1")
        await app.shows("In the list of jobs")
        await app.press("escape")
        await app.screen("ChatScreen")
        await app.press("escape", "f1")
        await app.shows("In a chat")


async def test_filters_show_the_documents_of_a_state() -> None:
    async with driving(QUIET) as app:
        items = await open_job(app, mixed(app))
        assert items.total == 14
        for key, count, name in (
            ("2", 6, "00001"),
            ("3", 3, "00007"),
            ("4", 1, "00010"),
            ("5", 4, "00011"),
            ("1", 14, "00001"),
        ):
            await app.press(key)
            await app.until(
                lambda count=count, name=name: items.total == count and items.item and name in items.item.document.name
            )
        await app.press("f")
        assert app.app.screen.query_one(FilterBar).chosen == "done"


async def test_failures_are_grouped_by_cause_and_enter_lists_them() -> None:
    async with driving(QUIET) as app:
        items = await open_job(app, mixed(app))
        await app.press("6")
        await app.shows("3 failed")
        await app.shows("It is TooLarge")
        assert "1 in doubt" in app.text()
        await app.until(lambda: "It is TooLarge" in pane(app, "result"))
        await app.press("enter")
        await app.until(lambda: items.total == 3 and items.has_focus)


async def test_a_hundred_thousand_documents_scroll_and_only_what_is_seen_is_read() -> None:
    async with driving(QUIET) as app:
        job = new_job(database(app), JobState.PAUSED, spec("big"))

        def fill(connection: Connection) -> None:
            connection.execute(
                """
                WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 99999)
                INSERT INTO items (job_id, ordinal, source_key, name, path, state, updated_ms)
                SELECT ?, i, 'k' || i, 'paper ' || i || '.md', '/nowhere', 'done', 1 FROM n
                """,
                (job.id,),
            )

        database(app).write_now(fill)
        items = await open_job(app, job)
        assert items.total == 100_000
        for _ in range(5):
            await app.press("pagedown")
        await app.until(lambda: items.item is not None and items.item.ordinal == items.cursor)
        begin = time.monotonic()
        await app.press("end")
        await app.shows("paper 99999.md")
        assert time.monotonic() - begin < 3
        assert len(items._pages) <= 30
        assert sum(map(len, items._pages.values())) < 1_000
        for place in range(0, 100_000, 2_000):
            items.cursor = place
            await app.until(lambda place=place: items.at(place) is not None)
        assert len(items._pages) <= 30


async def test_a_retry_says_what_it_costs_at_worst_and_sends_what_was_chosen() -> None:
    async with driving(QUIET, size=(120, 36)) as app:
        job = mixed(app)
        await open_job(app, job)
        await app.press("4")
        await app.until(
            lambda: app.app.screen.detail is not None and app.app.screen.detail.item.state is ItemState.IN_DOUBT
        )
        await app.press("r")
        await app.screen("ChooseScreen")
        await app.shows("May be paid for twice: $0.009 at worst")
        await app.shows("All 3 failed")
        await app.press("escape")
        await app.screen("JobScreen")
        assert (await states(app, job))[ItemState.IN_DOUBT] == 1
        await app.press("r")
        await app.screen("ChooseScreen")
        await app.press("enter")
        await app.notified("1 document will be sent again.")
        assert ItemState.IN_DOUBT not in await states(app, job)
        assert (await states(app, job))[ItemState.FAILED] == 3


async def test_skipping_leaves_the_failed_out() -> None:
    async with driving(QUIET) as app:
        job = mixed(app)
        await open_job(app, job)
        await app.press("6")
        await app.shows("3 failed")
        await app.until(lambda: app.app.screen._cause() is not None)
        await app.press("s")
        await app.screen("ChooseScreen")
        await app.shows("These 3: It is TooLarge")
        await app.press("enter")
        await app.notified("3 documents left out.")
        assert (await states(app, job))[ItemState.SKIPPED] == 3


async def test_after_a_trial_it_does_not_say_how_to_come_where_the_person_is() -> None:
    async with driving(QUIET) as app:
        job = job_with(database(app), JobState.PAUSED, done=3, pending=3, pause="trial")
        app.app.poke_desk()
        await app.press("f4")
        await app.shows("Enter shows the results")
        await open_job(app, job)
        await app.shows("The first results are below, p sends the rest.")
        assert "shows the results" not in app.text()


async def test_what_arrived_of_an_answer_in_doubt_becomes_the_result() -> None:
    async with driving(QUIET) as app:
        job = mixed(app)
        await open_job(app, job)
        await app.press("4")
        await app.until(lambda: "It begins well" in pane(app, "result"))
        await app.press("a")
        await app.notified("is the result now")
        assert (await states(app, job))[ItemState.DONE] == 7


async def test_a_result_goes_on_as_a_chat() -> None:
    async with driving(QUIET) as app:
        await open_job(app, mixed(app))
        await app.until(lambda: "first" in pane(app, "result"))
        await app.press("o")
        await app.screen("ChatScreen")
        await app.until(lambda: app.app.main.conversation.chat is not None)
        await app.shows("The first point.")


async def test_results_are_exported_and_a_file_that_is_there_is_replaced_after_a_second_enter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Summarise-docs.jsonl").write_text("mine")
    async with driving(QUIET) as app:
        await open_job(app, mixed(app))
        await app.press("e")
        await app.screen("JobExportScreen")
        await app.press("enter")
        await app.shows("there already")
        assert (tmp_path / "Summarise-docs.jsonl").read_text() == "mine"
        await app.press("enter")
        await app.screen("JobScreen")
        rows = [json.loads(line) for line in (tmp_path / "Summarise-docs.jsonl").read_text().splitlines()]
        assert len(rows) == 14
        await app.press("e")
        await app.screen("JobExportScreen")
        await app.press("up")
        await app.until(lambda: "Summarise-docs\n" in app.app.focused.value + "\n")
        await app.press("enter")
        await app.screen("JobScreen")
        assert (tmp_path / "Summarise-docs").is_dir()


async def test_the_parts_of_a_long_document_are_listed_and_left_again() -> None:
    async with driving(QUIET) as app:
        job = new_job(database(app), JobState.PAUSED, spec("long"))

        def fill(connection: Connection) -> None:
            whole = add(connection, job.id, ItemState.DONE, name="book.md", content="all", result="the whole")
            for part in range(7):
                add(
                    connection,
                    job.id,
                    ItemState.DONE,
                    parent=whole,
                    part=part,
                    content="a part",
                    result=f"about {part}",
                )

        database(app).write_now(fill)
        items = await open_job(app, job)
        assert items.total == 1
        await app.until(lambda: "the whole" in pane(app, "result"))
        await app.press("right")
        await app.shows("part 7")
        await app.shows("parts of book.md")
        await app.press("down")
        await app.until(lambda: "about 1" in pane(app, "result"))
        await app.press("escape")
        await app.until(lambda: "the whole" in pane(app, "result"))
        assert items.total == 1


async def test_reading_gives_the_texts_the_whole_width_and_back() -> None:
    async with driving(QUIET) as app:
        items = await open_job(app, mixed(app))
        await app.until(lambda: "first" in pane(app, "result"))
        await app.press("enter")
        await app.until(lambda: app.app.screen.query_one("#source").size.width >= 45)
        source, result = app.app.screen.query_one("#source"), app.app.screen.query_one("#result")
        assert source.region.y == result.region.y
        await app.press("escape")
        await app.until(lambda: items.has_focus)
        await app.screen("JobScreen")


async def test_another_window_changes_the_job_and_this_one_shows_it_within_a_second() -> None:
    async with driving(QUIET) as app:
        job = job_with(database(app), JobState.RUNNING, done=1, pending=5)
        items = await open_job(app, job)
        other = Database.open(app.app.paths.database)
        try:
            begin = time.monotonic()
            ids = other.read_now(
                lambda c: [row[0] for row in c.execute("SELECT id FROM items WHERE state = 'pending'")]
            )
            other.write_now(lambda c: c.execute("UPDATE items SET state = 'skipped' WHERE id = ?", (ids[0],)))
            set_columns(other, job.id, name="other name")
            await app.shows("other name")
            await app.until(lambda: items.at(1) is not None and items.at(1).state is ItemState.SKIPPED)  # type: ignore[union-attr]
            assert time.monotonic() - begin < 1.2
            other.write_now(lambda c: c.execute("UPDATE jobs SET deleted = 1 WHERE id = ?", (job.id,)))
        finally:
            other.close()
        await app.screen("ChatScreen")
        assert "There is no job" in app.notices()


async def test_names_results_and_errors_from_outside_are_shown_as_they_are() -> None:
    async with driving(QUIET, size=(130, 36)) as app:
        job = new_job(database(app), JobState.PAUSED, spec("[b]job"))
        evil = "[@click=app.quit]x[/] \x1b]52;c;AAAA\x07 \u202e"

        def fill(connection: Connection) -> None:
            add(connection, job.id, ItemState.DONE, name=f"{evil}.md", content=evil, result=evil)
            add(connection, job.id, ItemState.FAILED, name="b.md", content=evil, cause=evil)

        database(app).write_now(fill)
        await open_job(app, job)
        await app.shows("[@click=app.quit]x")
        for key in ("3", "6", "r", "escape", "1", "enter", "escape", "e"):
            await app.press(key)
            await app.pilot.pause()
            assert not {"\x1b", "\u202e", "\x07"} & set(app.text())
        assert app.app.is_running


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (30, 8), (200, 50)])
async def test_it_can_be_shown_at_every_size(size: tuple[int, int]) -> None:
    async with driving(QUIET, size=size) as app:
        job = job_with(
            database(app), JobState.PAUSED, spec("日本語" * 30), done=3, failed=2, pause="key", pause_detail="x " * 200
        )
        items = await open_job(app, job)
        for key in ("enter", "tab", "escape", "3", "6", "1", "end", "home"):
            await app.press(key)
        await app.pilot.resize_terminal(100, 30)
        await app.until(lambda: items.size.width == 40)
        await app.shows("Source")


async def test_steering_and_leaving_from_the_screen() -> None:
    async with driving(QUIET) as app:
        job = job_with(database(app), JobState.RUNNING, done=1, pending=5)
        await open_job(app, job)
        await app.press("p")
        await app.shows("p resumes it.")
        await app.press("x")
        await app.screen("ConfirmScreen")
        await app.press("y")
        await app.shows("cancelled")
        await app.press("f1")
        await app.screen("HelpScreen")
        await app.press("escape", "escape")
        await app.screen("ChatScreen")


async def test_a_text_that_comes_before_its_pane_is_there_waits_for_it() -> None:
    async with driving(QUIET) as app:
        pane = TextPane("Source", id="early")
        pane.show(("key",), "told before", ())  # neither composed nor attached: nothing happens, and nothing breaks
        mounted = app.app.main.mount(pane)
        pane.show(("key",), "told early", ())
        await mounted
        await app.until(lambda: "told early" in str(pane.query_one(".pane-title").render()))
