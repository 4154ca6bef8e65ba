"""What has to be in sight at the sizes that terminals have: the way to jobs, buttons, what a field needs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from textual.widgets import Button, Input

from holychat.domain.jobs import JobState
from holychat.tui.conversation import Conversation
from holychat.tui.widgets.job_form import JobForm
from holychat.tui.widgets.job_list import JobList
from holychat.tui.widgets.job_texts import TextPane
from tests.support.script import stream_of
from tests.tui.desk_rows import job_with
from tests.tui.driving import driving, settings_for
from tests.tui.test_job_panel import QUIET, database, jobs_in, open_form, open_panel, papers, put

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.loopback import Loopback
    from tests.tui.driving import Driver

__all__ = ["papers"]

SIZES = [(80, 24), (100, 30), (120, 40), (160, 50)]


def focused(app: Driver) -> str:
    return getattr(app.app.focused, "id", "") or ""


def hint(app: Driver) -> str:
    return " ".join(str(app.app.screen.query_one("#form-hint").render()).split())


@pytest.mark.parametrize("size", SIZES)
async def test_the_way_to_jobs_is_in_the_welcome_and_among_the_keys(size: tuple[int, int]) -> None:
    async with driving(settings_for(), size=size) as app:
        await app.shows("F4  jobs over many documents")
        assert "F4 jobs" in app.lines()[-1]
        assert "F1 help" in app.lines()[-1]


async def test_an_empty_panel_says_what_a_job_is() -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_panel(app)
        await app.shows("A job sends every document")


@pytest.mark.parametrize("size", SIZES)
async def test_the_buttons_of_a_review_are_seen_however_long_it_is(papers: Path, size: tuple[int, int]) -> None:
    async with driving(settings_for(), size=size) as app:
        await open_form(app)
        await app.type("papers")
        await app.press("tab", "tab", "p", "down")
        await app.type("say what is wrong and what is risky in this " * 4)
        await app.press("enter")
        await app.until(lambda: focused(app) == "review-send")
        await app.pilot.pause()
        for button in app.app.screen.query("#review-buttons Button").results(Button):
            assert app.app.screen.find_widget(button).visible_region.size == button.outer_size
            assert str(button.label) in app.text()
        assert "Nothing is sent yet." in app.text()
        await app.press("pagedown", "pagedown")  # the rest of the text
        await app.shows("8,192 tokens are assumed")
        assert focused(app) == "review-send"


async def test_a_review_says_price_and_time_of_the_road_once(papers: Path) -> None:
    async with driving(settings_for(), size=(110, 40)) as app:
        await open_form(app)
        await app.type("papers")
        await app.press("enter")
        await app.shows("▸ Desk")
        assert "Time" not in app.text()  # it stands with each road, and another estimate beside it is one too many


async def test_an_empty_folder_says_so_and_compares_no_roads(papers: Path) -> None:
    (papers / "none").mkdir()
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.type("papers/none")
        await app.press("enter")
        await app.shows("Esc goes back to the form.")
        assert "Desk" not in app.text()
        assert focused(app) == "review-back"
        await app.press("escape")
        await app.until(lambda: focused(app) == "where")


@pytest.mark.parametrize("size", [(80, 24), (99, 30)])
async def test_a_panel_without_room_beside_the_chat_takes_the_place_of_all_of_it(size: tuple[int, int]) -> None:
    async with driving(QUIET, size=size) as app:
        await app.shows("Ask anything, or /")
        await open_panel(app)
        await app.shows("No jobs yet.")
        assert app.app.main.panel is not None
        assert app.app.main.panel.region.size == (size[0], size[1] - 1)
        assert "Ask anything" not in app.text()  # rather than half of it
        await app.press("escape")
        await app.shows("Ask anything, or /")


async def test_a_window_made_narrow_shows_what_somebody_writes() -> None:
    async with driving(QUIET, size=(120, 30)) as app:
        await open_panel(app)
        await app.press("escape", "h", "i")
        await app.shows("No jobs yet.")
        await app.pilot.resize_terminal(80, 24)
        await app.until(lambda: "No jobs yet." not in app.text())
        assert "hi" in app.text()
        await open_panel(app)
        await app.pilot.resize_terminal(70, 24)
        await app.shows("No jobs yet.")


async def test_a_problem_leads_to_its_field_and_goes_once_it_is_mended(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.type("papers")
        await app.press("tab", "tab", "t")
        await app.shows("such as English")
        assert "as in the document" not in app.text()
        await app.press("enter")
        await app.until(lambda: focused(app) == "language")
        await app.until(lambda: hint(app).startswith("Into which language?"))
        await app.press("F")
        await app.until(lambda: hint(app) == "Language to translate into.")
        await app.press("backspace", "enter")
        await app.until(lambda: hint(app).startswith("Into which language?"))
        await app.press("up")
        await app.until(lambda: "choose what is done" in hint(app))
        await app.press("s")
        await app.shows("as in the document")


async def test_what_the_offline_provider_cannot_do_leads_to_the_model(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.type("papers")
        await app.press("tab", "tab", "t", "down")
        await app.type("French")
        await app.press("enter")
        await app.until(lambda: focused(app) == "model")
        await app.until(lambda: hint(app).startswith("The offline provider cannot translate"))
        assert "-p" not in hint(app)  # that is for a shell
        await app.press("space")
        await app.screen("ModelsScreen")


async def test_a_problem_with_the_files_leads_back_to_them(papers: Path) -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.type("nowhere")
        await app.press("down", "down", "enter")
        await app.until(lambda: focused(app) == "where")
        await app.until(lambda: hint(app).startswith("There is no file or folder nowhere"))
        await app.press("backspace")
        await app.until(lambda: hint(app).startswith("File, folder"))
        assert jobs_in(app) == []


async def test_the_prompt_of_a_job_grows_with_its_text() -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        await open_form(app)
        await app.press("down", "p", "down")
        await app.type("one two three four five six seven eight nine ten eleven twelve thirteen")
        field = app.app.screen.query_one("#job-form", JobForm).query_one("#prompt")
        await app.until(lambda: field.size.height == 3)


async def test_a_job_that_ended_says_how_in_one_line() -> None:
    async with driving(QUIET, size=(110, 40)) as app:
        put(app, JobState.FINISHED, done=30, started_ms=1_000, ended_ms=9_600, worked_ms=3_600, spent_micros=36_600)
        await open_panel(app)
        await app.shows("all 30 done · 3.6 s · $0.0366")


async def test_a_result_stays_at_its_beginning_when_the_window_changes() -> None:
    async with driving(QUIET, size=(130, 50)) as app:
        job = job_with(database(app), JobState.PAUSED, done=1, pending=1)
        app.app.main.open_job(job.id)
        await app.screen("JobScreen")
        transcript = app.app.screen.query_one("#result", TextPane).transcript
        await app.until(lambda: len(transcript.document) > 0)
        for size in ((100, 50), (100, 14)):
            await app.pilot.resize_terminal(*size)
            await app.until(lambda size=size: app.app.screen.size == size)
            await app.pilot.pause(0.1)
        assert transcript.document.height > transcript.rows
        assert transcript.scroll_y == 0


async def test_the_panel_opened_while_the_app_starts_keeps_the_keys(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.type("a draft")
        await app.until(lambda: app.app.main.drafts.shown.draft == "a draft")
    go, opened = asyncio.Event(), Conversation.open

    async def opened_late(self: Conversation, *args: Any, **kwargs: Any) -> None:
        await go.wait()
        await opened(self, *args, **kwargs)

    monkeypatch.setattr(Conversation, "open", opened_late)
    async with driving(settings_for(loopback), size=(80, 24), wait=False) as app:
        await open_panel(app)
        go.set()
        await app.notified("Your unsent draft is back.")
        await app.pilot.pause(0.1)
        assert isinstance(app.app.focused, JobList)
        await app.shows("No jobs yet.")


async def test_a_name_that_is_asked_for_is_replaced_by_typing_another(papers: Path, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.send("/batch")
        await app.screen("AskLineScreen")
        assert app.app.screen.query_one(Input).value
        await app.type("short")
        assert app.app.screen.query_one(Input).value == "short"


async def test_help_begins_with_the_keys_of_a_chat_and_how_to_read_on() -> None:
    async with driving(settings_for(), size=(80, 24)) as app:
        await app.press("f1")
        await app.shows("PgUp PgDn scroll")
        assert "In a chat" in app.text()
        assert "Stop the reply" in app.text()


async def test_the_way_out_of_cancelling_a_job_is_not_called_cancel() -> None:
    async with driving(QUIET) as app:
        put(app, JobState.PAUSED, done=1, pending=5)
        await open_panel(app)
        await app.shows("1 of 6 done")
        await app.press("x")
        await app.screen("ConfirmScreen")
        assert str(app.app.screen.query_one("#no", Button).label) == "Keep it"
        assert focused(app) == "no"
        await app.press("enter")
        await app.screen("ChatScreen")
        assert jobs_in(app) == [JobState.PAUSED]


async def test_a_file_that_goes_along_is_named_before_what_can_be_done_about_it(papers: Path) -> None:
    async with driving(settings_for(), size=(50, 20)) as app:
        (papers / "quarterly-report.md").write_text("Owls.")
        await app.send("/attach papers/quarterly-report.md")
        await app.shows("With: quarterly-report.md")
        await app.shows("goes with the next")


async def test_behind_a_dialog_no_key_is_named_that_does_nothing_there() -> None:
    async with driving(settings_for(), size=(100, 30)) as app:
        await app.until(lambda: "^N new" in app.lines()[-1])
        await app.send("/title")
        await app.screen("AskLineScreen")
        await app.until(lambda: app.lines()[-1].split() == ["Esc", "close"])
        await app.press("escape")
        await app.until(lambda: "^N new" in app.lines()[-1])
