"""Lists of which nothing can be seen: in a window of a few lines, or before they were laid out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from textual.widgets import OptionList

from tests.support.script import stream_of
from tests.tui.driving import driving, settings_for

if TYPE_CHECKING:
    from tests.support.loopback import Loopback


@pytest.mark.parametrize(
    ("keys", "screen"),
    [
        (("ctrl+s", "down"), "ChatsScreen"),
        (("ctrl+l",), "ModelsScreen"),
        (("ctrl+p", "h"), "PatientPalette"),
    ],
)
async def test_pages_of_a_list_that_has_no_room_are_no_error(
    loopback: Loopback, keys: tuple[str, ...], screen: str
) -> None:
    loopback.chat(stream_of("ok"))
    loopback.models("model-one", "model-two")
    async with driving(settings_for(loopback)) as app:
        await app.asked("Hello")
        await app.press(*keys)
        await app.screen(screen)
        rows = app.app.screen.query_one(OptionList)
        await app.until(lambda: rows.option_count > 0 and rows.highlighted is not None)
        await app.pilot.resize_terminal(40, 3)
        rows.styles.height = 0
        await app.until(lambda: not rows.scrollable_content_region)
        rows.clear_options()
        rows.add_options(["one", "two"])
        rows.highlighted = 0
        await app.press("pagedown", "pageup")
        assert not app.app.crashed
        await app.press("escape")
        await app.screen("ChatScreen")
