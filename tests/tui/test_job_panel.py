"""The side panel: the list of jobs, the form of a new one, its review; and hearing of what happens to jobs."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from holychat.domain.jobs import JobLimits, JobState, PauseReason
from holychat.settings import ChatSettings, JobSettings, Settings
from holychat.store.database import Database
from holychat.tui.widgets.job_list import JobList
from tests.support.script import stream_of
from tests.tui.desk_rows import job_with, set_columns, spec
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    from holychat.domain.jobs import Job, JobSpec
    from tests.support.loopback import Loopback
    from tests.tui.driving import Driver

OFFLINE = Settings(chat=ChatSettings(provider="offline"))
QUIET = msgspec.structs.replace(OFFLINE, jobs=JobSettings(notify_bell=False, notify_osc9=False, notify_toast=False))


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with five documents, in the current folder."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.md").write_text(
            f"# Paper {number}\n\nWombats dig. Owls see at night. It is number {number}.\n"
        )
    return folder


def database(app: Driver) -> Database:
    assert app.app.services is not None
    return app.app.services.database


def put(app: Driver, state: JobState, order: JobSpec | None = None, **fields: object) -> Job:
    """A job in the database of the window, which knows of it."""
    job = job_with(database(app), state, order, **fields)  # type: ignore[arg-type]
    app.app.poke_desk()
    return job


def change(app: Driver, job_id: int, **columns: object) -> None:
    """Change the row of a job, of which the window knows."""
    set_columns(database(app), job_id, **columns)
    app.app.poke_desk()


def jobs_in(app: Driver) -> list[JobState]:
    return [job.state for job in app.app.jobs_shown]


async def open_panel(app: Driver) -> JobList:
    await app.press("f4")
    await app.until(lambda: app.app.main.panel is not None and app.app.focused is not None)
    await app.until(lambda: isinstance(app.app.focused, JobList), "the list of jobs has the focus")
    return app.app.main.query_one(JobList)


async def open_form(app: Driver) -> None:
    await open_panel(app)
    await app.press("n")
    await app.until(lambda: getattr(app.app.focused, "id", "") == "where", "the form")


# The panel itself


async def test_the_key_opens_the_panel_then_hides_it_and_escape_goes_back_to_writing() -> None:
    async with driving(OFFLINE, size=(120, 30)) as app:
        await open_panel(app)
        await app.shows("No jobs yet.")
        assert app.app.main.pane.size.width == 78
        await app.press("escape")
        await app.until(lambda: app.app.main.composer.has_focus)
        assert "No jobs yet." in app.text()
        await app.type("a question")
        assert app.composer == "a question"
        await open_panel(app)
        await app.press("f4")
        await app.until(lambda: "No jobs yet." not in app.text())
        await app.until(lambda: app.app.main.composer.has_focus)


async def test_it_lies_over_a_narrow_screen_and_escape_takes_it_away() -> None:
    async with driving(OFFLINE, size=(120, 30)) as app:
        await open_panel(app)
        await app.pilot.resize_terminal(60, 20)
        await app.until(lambda: app.app.main.pane.size.width == 60)
        await app.shows("No jobs yet.")
        await app.press("escape")
        await app.until(lambda: "No jobs yet." not in app.text())


async def test_nothing_lies_over_the_composer_while_somebody_writes() -> None:
    async with driving(QUIET, size=(80, 24)) as app:
        await open_panel(app)
        await app.press("ctrl+n")  # from the panel to a new chat
        await app.until(lambda: app.app.main.composer.has_focus)
        await app.until(lambda: "No jobs yet." not in app.text())
        await open_panel(app)
        await app.shows("No jobs yet.")


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (40, 10), (20, 6), (200, 60)])
async def test_list_form_and_review_can_be_shown_at_every_size(papers: Path, size: tuple[int, int]) -> None:
    async with driving(QUIET, size=size) as app:
        put(app, JobState.RUNNING, spec("日本語の" * 20), done=3, failed=1, doubt=1, pending=4)
        put(app, JobState.PAUSED, spec("long " * 40), done=1, pause="key", pause_detail="No key. " * 30)
        await open_form(app)
        await app.type("papers")
        await app.press("enter")
        await app.until(lambda: app.app.main.panel is not None and app.app.main.panel.mode == "review")
        await app.until(lambda: getattr(app.app.focused, "id", "") == "review-send")
        await app.press("escape", "escape", "down", "up")
        await app.pilot.resize_terminal(100, 30)
        await app.shows("Jobs")


async def test_a_long_chat_is_wrapped_anew_when_the_panel_opens(loopback: Loopback) -> None:
    loopback.chat(*[stream_of("words that fill a line and more than that, " * 8)] * 4)
    async with driving(settings_for(loopback), size=(120, 20)) as app:
        for question in ("one", "two", "three", "four"):
            await app.asked(question)
        await open_panel(app)
        transcript = app.app.main.transcript
        await app.until(lambda: transcript.size.width == 78 and transcript.document.width == 74)


# The list


async def test_a_job_shows_counts_pace_and_money() -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        now = round(time.time() * 1000)
        put(
            app,
            JobState.RUNNING,
            spec("letters", limits=JobLimits(budget_micros=2_000_000)),
            done=40,
            failed=2,
            doubt=1,
            pending=57,
            rate_per_minute=31.0,
            eta_early_ms=now + 6 * 60_000,
            eta_late_ms=now + 9 * 60_000 + 500,
            spent_micros=410_000,
            projected_micros=980_000,
        )
        await open_panel(app)
        await app.shows("40 of 100 · 2 failed · 1 in doubt")
        for told in ("31/min · 6–9 min left", "$0.41 · ~$0.98 in all · budget $2.00", "up to $0.009 in doubt"):
            assert told in app.text()


async def test_a_waiting_and_a_paused_job_say_why_and_what_to_do() -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        until = round(time.time() * 1000) + 300_000
        put(app, JobState.RUNNING, spec("waits"), done=1, pending=5, waiting_until_ms=until)
        detail = "The next document could cost more than is left."
        order = spec("stopped", limits=JobLimits(budget_micros=1_000_000))
        put(app, JobState.PAUSED, order, pending=5, pause="budget", pause_detail=detail)
        await open_panel(app)
        await app.shows(f"waiting until {time.strftime('%H:%M', time.localtime(until / 1000))}")
        assert "held by budget" in app.text()
        assert "p asks for a new budget" in " ".join(app.text().split())


async def test_what_another_process_does_to_a_job_is_shown_within_a_second() -> None:
    async with driving(QUIET) as app:
        job = put(app, JobState.RUNNING, done=1, pending=5)
        await open_panel(app)
        await app.shows("1 of 6 done")
        other = Database.open(app.app.paths.database)
        try:
            begin = time.monotonic()
            set_columns(other, job.id, name="renamed elsewhere")
            await app.shows("renamed elsewhere")
            assert time.monotonic() - begin < 1.0
        finally:
            other.close()


async def test_a_panel_of_jobs_that_rest_costs_nothing() -> None:
    async with driving(QUIET) as app:
        put(app, JobState.RUNNING, done=1, pending=5)
        panel = await open_panel(app)
        await app.shows("1 of 6 done")
        await app.press("escape")
        painted: list[int] = []
        paint = panel.render_line
        panel.render_line = lambda y: painted.append(y) or paint(y)  # type: ignore[method-assign,func-returns-value]
        await asyncio.sleep(1.0)
        assert painted == []


async def test_a_change_repaints_the_rows_that_differ_alone() -> None:
    async with driving(QUIET) as app:
        put(app, JobState.RUNNING, spec("first"), done=1, pending=5)
        job = put(app, JobState.RUNNING, spec("second"), done=1, pending=5, rate_per_minute=10.0)
        panel = await open_panel(app)
        await app.shows("10/min")
        await app.pilot.pause(0.3)
        painted: list[int] = []
        paint = panel.render_line
        panel.render_line = lambda y: painted.append(y) or paint(y)  # type: ignore[method-assign,func-returns-value]
        change(app, job.id, rate_per_minute=20.0)
        await app.shows("20/min")
        assert len(set(painted)) == 1


async def test_pausing_cancelling_and_deleting_a_job_from_the_list() -> None:
    async with driving(QUIET) as app:
        put(app, JobState.PAUSED, done=2, pending=5)
        await open_panel(app)
        await app.shows("2 of 7 done")
        await app.press("x")
        await app.screen("ConfirmScreen")
        assert "2 done, 5 not finished" in app.text()
        await app.press("enter")  # "no" has the focus
        await app.screen("ChatScreen")
        assert jobs_in(app) == [JobState.PAUSED]
        await app.press("x", "y")
        await app.until(lambda: jobs_in(app) == [JobState.CANCELLED])
        await app.press("d", "y")
        await app.shows("No jobs yet.")


async def test_p_pauses_a_job_at_work() -> None:
    async with driving(QUIET) as app:
        put(app, JobState.RUNNING, done=2, pending=5)
        await open_panel(app)
        await app.shows("2 of 7 done")
        await app.shows("p pause")
        await app.press("p")
        await app.until(lambda: jobs_in(app) == [JobState.PAUSED])
        assert app.app.jobs_shown[0].pause is PauseReason.USER
        await app.shows("p resumes it.")
        await app.shows("p resume")


async def test_going_on_after_the_budget_asks_for_another_one() -> None:
    async with driving(QUIET) as app:
        order = spec("costly", limits=JobLimits(budget_micros=1_000_000))
        put(app, JobState.PAUSED, order, done=2, pause="budget", projected_micros=3_000_000)
        await open_panel(app)
        await app.shows("held by budget")
        await app.press("p")
        await app.screen("AskLineScreen")
        assert "~$3.00 expected" in app.text()
        await app.press(*["backspace"] * 4)
        await app.type("5.5")
        await app.press("enter")
        await app.until(lambda: app.app.jobs_shown[0].spec.limits.budget_micros == 5_500_000)
        assert app.app.jobs_shown[0].state is not JobState.PAUSED


async def test_names_from_outside_are_shown_as_they_are_and_never_read_as_markup() -> None:
    async with driving(QUIET) as app:
        name = "[@click=app.quit]evil[/] \x1b]0;pwned\x07 [/INST]"
        put(app, JobState.PAUSED, spec(name), done=1, pause="key", pause_detail="[bold]x[/] \x1b[2J")
        await open_panel(app)
        await app.shows("[@click=app.quit]e")
        assert "\x1b" not in app.text()
        await app.press("x")
        await app.screen("ConfirmScreen")
        await app.shows("evil[/]")


async def test_fifty_jobs_scroll_with_the_mark() -> None:
    async with driving(QUIET) as app:
        for number in range(50):
            put(app, JobState.FINISHED, spec(f"job number {number}"))
        panel = await open_panel(app)
        await app.shows("job number 49")
        await app.press("end")
        await app.shows("job number 0")
        assert panel.cursor == 49
        await app.press("home")
        await app.shows("job number 49")


# Telling


async def end_a_job(app: Driver, **columns: object) -> None:
    name = "done \x1b]9;x\x07 [b]x"
    job = put(app, JobState.RUNNING, spec(name), done=3, pending=0)
    await app.until(lambda: jobs_in(app) == [JobState.RUNNING])
    now = round(time.time() * 1000)
    change(app, job.id, **{"state": "finished", "ended_ms": now, **columns})
    await app.until(lambda: jobs_in(app) != [JobState.RUNNING])


async def test_the_end_of_a_job_is_told_by_bell_notification_and_notice() -> None:
    async with driving(OFFLINE) as app:
        written: list[str] = []
        driver = app.app._driver
        assert driver is not None
        driver.write = written.append  # type: ignore[method-assign]
        await end_a_job(app)
        await app.notified("has ended: 3 done")
        told = "".join(written)
        assert "\a" in written
        assert told.count("\x1b]9;") == 1  # that of the name is text
        assert "has ended" in told


async def test_the_ends_of_many_jobs_are_one_notice_that_leaves_the_window_to_be_seen() -> None:
    async with driving(OFFLINE) as app:
        jobs = [put(app, JobState.RUNNING, spec(f"job {number}"), done=3, pending=0) for number in range(10)]
        await app.until(lambda: jobs_in(app) == [JobState.RUNNING] * 10)
        for job in jobs[:5]:
            change(app, job.id, state="finished", ended_ms=round(time.time() * 1000))
        await app.notified("And 2 more;")
        for job in jobs[5:]:
            change(app, job.id, state="finished", ended_ms=round(time.time() * 1000))
        await app.notified("And 7 more;")
        await app.shows("And 7 more;")
        await app.until(lambda: app.text().count("has ended: 3 done") == 3)
        assert len(app.app.screen.query("ToastHolder")) == 1


async def test_each_way_of_telling_can_be_switched_off() -> None:
    async with driving(QUIET) as app:
        written: list[str] = []
        driver = app.app._driver
        assert driver is not None
        driver.write = written.append  # type: ignore[method-assign]
        await end_a_job(app)
        assert "\a" not in "".join(written)
        assert "\x1b]9;" not in "".join(written)
        assert "has ended" not in app.notices()


async def test_jobs_that_had_ended_before_the_window_opened_are_not_told() -> None:
    async with driving(OFFLINE) as app:
        put(app, JobState.FINISHED, done=3)
    async with driving(OFFLINE) as app:
        await app.until(lambda: jobs_in(app) == [JobState.FINISHED])
        assert "has ended" not in app.notices()


async def test_a_pause_that_somebody_should_know_of_is_told() -> None:
    async with driving(OFFLINE) as app:
        await end_a_job(app, state="paused", pause="trial", ended_ms=None)
        await app.notified("is paused: trial done")
