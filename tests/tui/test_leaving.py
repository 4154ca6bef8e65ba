"""Screens that are opened and left faster than they come and go."""

from __future__ import annotations

from textual.events import Key

from holychat.domain.jobs import ItemState, JobState
from holychat.tui.screens.chat_base import ChatBase
from holychat.tui.screens.chats import ChatsScreen
from holychat.tui.screens.confirm import ConfirmScreen
from holychat.tui.screens.costs import CostScreen
from holychat.tui.screens.help import HelpScreen
from holychat.tui.screens.job import JobScreen
from holychat.tui.widgets.filter_input import FilterInput
from tests.store.job_tools import add, new_job
from tests.tui.driving import driving, settings_for


async def test_a_result_that_is_opened_twice_at_once_becomes_one_chat() -> None:
    async with driving(settings_for()) as app:
        services = app.app.services
        assert services is not None
        job = new_job(services.database, JobState.FINISHED)
        services.database.write_now(lambda c: add(c, job.id, ItemState.DONE, content="long", result="A paper."))
        app.app.main.open_job(job.id)
        await app.screen("JobScreen")
        await app.shows("A paper.")
        for _ in range(3):
            app.app.post_message(Key("o", "o"))
        await app.screen("ChatScreen")
        await app.shows("A paper.")
        assert not app.app.crashed
        assert len(await services.chats.list()) == 1


async def test_a_screen_is_left_once_and_takes_what_was_opened_over_it_along() -> None:
    async with driving(settings_for()) as app:
        answers: list[bool | None] = []
        asked = ConfirmScreen("Delete?", "All of it.", "Delete")
        await app.app.push_screen(asked, answers.append)
        await app.app.push_screen(HelpScreen({}))
        await app.screen("HelpScreen")
        asked.dismiss(True)
        asked.dismiss(None)
        await app.screen("ChatScreen")
        asked.dismiss(None)
        await app.pilot.pause()
        await app.screen("ChatScreen")
        assert answers == [True]
        assert not app.app.crashed


async def test_keys_for_a_screen_that_is_just_being_opened_wait_for_it() -> None:
    async with driving(settings_for()) as app:
        said: list[str] = []
        chats = app.app.main.conversation.chats
        screen = ChatsScreen(chats, None, say=said.append, deleted=print, renamed=print, export=print)
        app.app.push_screen(screen)
        held = [app.app._held_back(Key(key, key if len(key) == 1 else None)) for key in ("f2", "w", "o", "m")]
        assert held == [True] * 4
        await app.until(lambda: app.app.crashed or (screen.is_mounted and screen.query_one(FilterInput).value == "wom"))
        assert not app.app.crashed


async def test_what_changes_elsewhere_is_no_error_for_a_screen_that_is_just_being_opened_or_left() -> None:
    async with driving(settings_for()) as app:
        services = app.app.services
        assert services is not None
        job = new_job(services.database, JobState.RUNNING)
        say: list[str] = []
        chats = ChatsScreen(services.chats, None, say=say.append, deleted=print, renamed=print, export=print)
        costs = CostScreen(services.costs)
        jobs = JobScreen(services, job.id, {})
        for screen in (chats, costs, jobs):
            opened = app.app.push_screen(screen)
            assert not screen.is_mounted
            await ChatBase.history_changed(app.app.main)  # without what others add to it, which takes time
            app.app._jobs_changed([job])
            await opened
            await app.app.main.history_changed()
            app.app._jobs_changed([job])
            await app.app.pop_screen()
            await app.pilot.pause()
        assert not app.app.crashed


async def test_a_palette_that_is_left_twice_takes_nothing_else_away() -> None:
    async with driving(settings_for()) as app:
        app.app.action_command_palette()
        await app.screen("PatientPalette")
        palette = app.app.screen
        palette.dismiss()
        palette.dismiss()
        await app.screen("ChatScreen")
        assert not app.app.crashed
