"""Real processes that die in the middle of an answer, and what the next one finds."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import MessageState
from tests.chat.tools import ended, open_home
from tests.store.tools import expect, is_sound, python
from tests.support.loopback import FOREVER, events_reply, sse, stream_of
from tests.support.script import chunk

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.loopback import Loopback

APP = """
import asyncio, signal, sys
from pathlib import Path
from tests.chat.tools import open_home, has_text, until

async def main():
    services = open_home(Path(sys.argv[1]), sys.argv[2])
    chats = services.chats
    chat = await chats.create()
    turn = await chats.send(chat.id, "Tell me a long story")
    await chats.save_draft(chat.id, "and then")
    events = turn.events()
    gone = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, gone.set)
    await until(events, has_text("time"))
    if sys.argv[3] == "kept":
        while (await services.database.read(lambda c: c.execute("SELECT count(*) FROM chunks").get)) == 0:
            await asyncio.sleep(0.01)
    print("streaming", flush=True)
    await gone.wait()
    await chats.interrupt_all()
    print("stored", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("how", ["SIGKILL after a checkpoint", "SIGTERM before any", "SIGKILL before any"])
async def test_a_process_that_dies_in_mid_stream_loses_nothing_that_was_kept(
    loopback: Loopback, private_environment: Path, how: str
) -> None:
    loopback.chat(events_reply([*sse(chunk("Once upon a "), chunk("time")), FOREVER]))
    process = python(APP, private_environment, loopback.base_url, "kept" if "after" in how else "at once")
    expect(process, "streaming")
    if "SIGTERM" in how:
        process.send_signal(signal.SIGTERM)
        expect(process, "stored")
    process.kill()
    process.communicate()
    sent = len(loopback.requests)

    services = open_home(private_environment, loopback.base_url)
    chat = await services.chats.unfinished()
    assert chat is not None
    assert chat.draft == "and then"
    question, answer = (await services.chats.tail(chat.id, 9))[1]
    assert question.text == "Tell me a long story"
    assert answer.state is MessageState.INTERRUPTED
    assert answer.text == ("" if how == "SIGKILL before any" else "Once upon a time")
    # What was told is paid for, whoever died, and nobody said how much it was: an estimate at a price nobody knows.
    today = services.costs.today()
    spent = await services.costs.total(today, today)
    told = how != "SIGKILL before any"
    assert (spent.requests, spent.unknown, spent.output_tokens > 0, answer.usage.estimated) == (told, told, told, told)
    assert len(loopback.requests) == sent
    assert is_sound(services.database)

    loopback.chat(stream_of(", the end"))
    message = await ended(await services.chats.continue_reply(chat.id, answer.id))
    assert message.text == f"{answer.text}, the end"
    await services.close()


async def test_a_window_notices_that_another_one_died_while_both_were_open(
    loopback: Loopback, private_environment: Path
) -> None:
    loopback.chat(events_reply([*sse(chunk("Once upon a "), chunk("time")), FOREVER]))
    process = python(APP, private_environment, loopback.base_url, "kept")
    expect(process, "streaming")
    services = open_home(private_environment, loopback.base_url)
    chat = await services.chats.last()
    assert (await services.chats.tail(chat.id, 1))[1][0].state is MessageState.STREAMING
    process.kill()
    process.communicate()
    answer = (await services.chats.tail(chat.id, 1))[1][0]
    assert (answer.state, answer.text) == (MessageState.INTERRUPTED, "Once upon a time")
    await services.close()
