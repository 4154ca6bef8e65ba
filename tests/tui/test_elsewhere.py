"""Another process writes into the same history: the screen follows."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TYPE_CHECKING

from holychat.errors import StoreError
from holychat.tui.elsewhere import watch_history
from holychat.tui.screens.chats import ChatList, ChatsScreen
from tests.chat.tools import eventually, open_home
from tests.support.script import Gate, stream_of
from tests.tui.driving import driving, gated, settings_for

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.support.loopback import Loopback

TEXT = "Wombats dig long burrows. They sleep in them by day. Nobody has counted all of the burrows."


async def shell(*arguments: str) -> str:
    """What a `holychat` of its own prints."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "holychat", *arguments, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "HOLYCHAT_OFFLINE_PACE": "0"},
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_what_the_shell_asks_in_the_open_chat_is_shown(loopback: Loopback) -> None:
    loopback.chat(stream_of("first answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question one")
        await app.type("my draft")
        await shell("ask", "--continue", "1", "-p", "offline", f"Summarise: {TEXT}")
        await app.shows("Summarise: Wombats")
        await app.until(lambda: app.app.main.transcript.message_count == 4)
        await app.shows("first answer")
        assert app.composer == "my draft"


async def test_a_reply_that_arrives_here_is_left_alone_by_what_others_write(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(gated(gate, ["begun "], ["and ended"]))
    async with driving(settings_for(loopback)) as app:
        await app.send("question one")
        await app.shows("begun")
        await shell("ask", "-p", "offline", f"Summarise: {TEXT}")
        await app.pilot.pause(1.2)
        gate.open()
        await app.shows("begun and ended")
        assert app.app.main.transcript.message_count == 2


async def test_a_chat_deleted_elsewhere_leaves_the_screen_and_what_is_typed_stays(loopback: Loopback) -> None:
    loopback.chat(stream_of("first answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question one")
        await app.type("still typing")
        await shell("history", "delete", "1", "--yes")
        await app.notified("deleted in another window")
        assert app.composer == "still typing"
        assert app.app.main.conversation.chat is None or app.app.main.conversation.chat.id != 1


async def test_the_open_list_of_chats_follows_and_keeps_its_mark(loopback: Loopback) -> None:
    loopback.chat(stream_of("first answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question one")
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        screen = app.app.screen
        assert isinstance(screen, ChatsScreen)
        await app.until(lambda: len(screen._entries) == 1)
        await shell("ask", "-p", "offline", f"Summarise: {TEXT}")
        await app.until(lambda: len(screen._entries) == 2)
        await app.until(lambda: screen.query_one(ChatList).highlighted == 1)
        assert screen._entries[1].chat.title == "question one"


async def test_a_change_that_could_not_be_read_is_shown_later_and_so_are_all_that_follow(
    loopback: Loopback, private_environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holychat.tui.elsewhere._AGAIN_SECONDS", 0.01)
    services = open_home(private_environment, loopback.base_url)
    other = open_home(private_environment, loopback.base_url)
    chat = await services.chats.create()
    shown: list[str] = []
    busy = [True, True, False, True, False]

    async def refresh() -> None:
        title = (await services.chats.get(chat.id)).title
        if busy and busy.pop(0):
            raise StoreError("The history database is busy")
        shown.append(title)

    watching = asyncio.create_task(watch_history(services.chats, refresh))
    await asyncio.sleep(0.1)
    await other.chats.rename(chat.id, "Tea")
    await eventually(lambda: busy == [False, True, False])
    await other.chats.rename(chat.id, "Sea")
    await eventually(lambda: shown == ["Sea"])
    await other.chats.rename(chat.id, "Stars")
    await eventually(lambda: shown == ["Sea", "Stars"])
    watching.cancel()
    await other.close()
    await services.close()
