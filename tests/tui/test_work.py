"""Work of a widget or screen, and the end of what it is for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual.css.query import NoMatches
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from holychat.tui.framework import FrameworkApp
from holychat.tui.work import start_work
from tests.tui.driving import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import ComposeResult


class LeavesLast(Widget):
    """Goes when the work of its screen has seen that another widget is gone."""

    async def on_unmount(self) -> None:
        assert isinstance(self.screen, Page)
        async with asyncio.timeout(DEADLINE):
            await self.screen.worked.wait()


class Page(Screen[None]):
    """Its work goes on until a part of it is gone, and then wants that part."""

    def __init__(self) -> None:
        super().__init__()
        self.worked = asyncio.Event()
        self.begun = asyncio.Event()

    def compose(self) -> ComposeResult:
        yield Static("", id="part")
        yield LeavesLast()

    def on_mount(self) -> None:
        start_work(self, "", self._work)

    async def _work(self) -> None:
        living = self.query_one("#part")._task
        assert living is not None
        self.begun.set()
        try:
            await asyncio.wait({living}, timeout=DEADLINE)
            self.query_one("#part")
        finally:
            self.worked.set()


async def test_work_that_finds_its_screen_half_gone_ends_quietly(tmp_path: Path) -> None:
    app = FrameworkApp(tmp_path / "log")
    async with app.run_test() as pilot:
        page = Page()
        await app.push_screen(page)
        await page.begun.wait()
        await app.pop_screen()
        await pilot.pause()
        assert page.worked.is_set()
        assert not app.crashed
    assert app.return_code in (None, 0)


async def test_work_that_misses_something_while_its_screen_is_there_is_an_error(tmp_path: Path) -> None:
    app = FrameworkApp(tmp_path / "log")

    async def deed() -> None:
        app.screen.query_one("#nowhere")

    async def run() -> None:
        async with app.run_test() as pilot:
            start_work(app.screen, "", deed)
            await pilot.pause()

    with pytest.raises(NoMatches):
        await run()
    assert app.crashed
