"""A job that is set going in a window where its key is missing: that is told, and it goes on once there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from holychat.domain.jobs import JobState
from holychat.settings import ProviderSettings
from tests.tui.desk_rows import spec
from tests.tui.driving import driving
from tests.tui.test_job_panel import QUIET, open_panel, put
from tests.tui.test_job_screen import open_job

if TYPE_CHECKING:
    from tests.tui.driving import Driver

TOLD = "No key for test: job 1 waits for one. “Add a key” in the command palette takes it."
ORDER = spec(provider="test", model="model-one")


SERVER = ProviderSettings(kind="openai", base_url="http://127.0.0.1:9/v1", model="model-one", needs_key=True)
KEYLESS = msgspec.structs.replace(QUIET, providers={"test": SERVER})


async def send_again(app: Driver) -> None:
    await app.press("r")
    await app.screen("ChooseScreen")
    await app.press("enter")
    await app.notified("1 document will be sent again.")


async def test_going_on_tells_of_a_key_that_is_missing() -> None:
    async with driving(KEYLESS) as app:
        put(app, JobState.PAUSED, ORDER, done=1, pending=1, pause="user")
        await open_panel(app)
        await app.shows("1 of 2 done")
        await app.press("p")
        await app.notified(TOLD)


async def test_sending_again_tells_of_a_key_that_is_missing() -> None:
    async with driving(KEYLESS, size=(120, 36)) as app:
        await open_job(app, put(app, JobState.FINISHED_WITH_ERRORS, ORDER, done=1, failed=1))
        await send_again(app)
        await app.notified(TOLD)


async def test_what_is_sent_again_of_a_paused_job_needs_its_key_when_it_goes_on() -> None:
    async with driving(KEYLESS, size=(120, 36)) as app:
        await open_job(app, put(app, JobState.PAUSED, ORDER, done=1, failed=1, pause="user"))
        await send_again(app)
        await app.press("p")
        await app.notified(TOLD)
        assert app.notices().count(TOLD) == 1
