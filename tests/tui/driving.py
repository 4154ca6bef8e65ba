"""Driving the app in tests: a pilot that waits for conditions, and settings that point at a loopback server."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import msgspec
from textual import events
from textual.keys import _character_to_key

from holychat.paths import Paths
from holychat.settings import ChatSettings, ProviderSettings, Settings, UiSettings
from holychat.tui.app import HolychatApp, StartWith
from tests.support.script import Gate, Script, events_reply, reply_events

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from textual.pilot import Pilot

    from tests.support.loopback import Loopback

DEADLINE = 15.0


def settings_for(loopback: Loopback | None = None, **changes: Any) -> Settings:
    """Settings whose default provider `test` is the loopback server and needs no key."""
    base = loopback.base_url if loopback is not None else "http://127.0.0.1:9/v1"
    settings = Settings(
        chat=ChatSettings(provider="test", model="model-one"),
        providers={"test": ProviderSettings(kind="openai", base_url=base, model="model-one", needs_key=False)},
        ui=UiSettings(copy_command="cat"),
    )
    return msgspec.structs.replace(settings, **changes)


class Driver:
    """The app under a pilot."""

    def __init__(self, app: HolychatApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self.pilot = pilot

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Wait until a condition holds; fails at a deadline with what the screen shows."""
        end = time.monotonic() + DEADLINE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"waited in vain for {what or condition}\n{self.text()}")
            await self.pilot.pause(0.01)

    async def ready(self) -> None:
        """Wait until the services are open and the first chat is shown."""
        await self.until(lambda: self.app.is_ready, "services")
        await self.pilot.pause()

    async def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        """Type a text as keys, as fast as the app takes them."""
        driver = self.app._driver
        assert driver is not None
        names = {"\n": "ctrl+j", "\r": "enter"}
        for character in text:
            name = names.get(character) or (character if character.isalnum() else _character_to_key(character))
            key = events.Key(name, character)
            key.set_sender(self.app)
            driver.send_message(key)
        await self.pilot.pause()

    async def send(self, text: str) -> None:
        """Type and press Enter."""
        await self.type(text)
        await self.press("enter")

    async def asked(self, text: str) -> None:
        """Send a text and wait for the end of the reply."""
        await self.send(text)
        await self.until(lambda: self.app.main.conversation.last is not None and not self.busy, f"reply to {text!r}")

    @property
    def busy(self) -> bool:
        """Whether a reply is arriving in the chat shown."""
        return self.app.main.conversation.reply is not None

    @property
    def composer(self) -> str:
        """What stands in the composer."""
        return self.app.main.composer.text

    def text(self) -> str:
        """The screen as plain text."""
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The screen, line by line."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    async def shows(self, text: str) -> None:
        """Wait until a text is on the screen."""
        await self.until(lambda: text in self.text(), f"{text!r} on the screen")

    async def screen(self, name: str) -> None:
        """Wait until a screen of that class is on top."""
        await self.until(lambda: type(self.app.screen).__name__ == name, name)
        await self.pilot.pause()

    def notices(self) -> str:
        """Every notice so far."""
        return "\n".join(notice.message for notice in self.app._notifications)

    async def notified(self, text: str) -> None:
        """Wait for a notice."""
        await self.until(lambda: text in self.notices(), f"notice {text!r}; there are: {self.notices()}")


@asynccontextmanager
async def driving(
    settings: Settings, *, start: StartWith | None = None, size: tuple[int, int] = (100, 30), wait: bool = True
) -> AsyncIterator[Driver]:
    """The app, running headless; closed with everything stored."""
    app = HolychatApp(Paths.resolve(), settings, start or StartWith())
    async with app.run_test(size=size, notifications=True) as pilot:
        driver = Driver(app, pilot)
        if wait:
            await driver.ready()
        yield driver
    await app.close_services()


def gated(gate: Gate, before: Sequence[str], after: Sequence[str] = ()) -> Script:
    """A streamed reply that waits at a gate after some tokens."""
    head = reply_events(before, finish=None, usage=None, done=False)
    return events_reply([*head, gate, *reply_events(after)[1:]])
