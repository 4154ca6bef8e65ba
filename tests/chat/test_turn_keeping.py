"""What a turn keeps while it runs: checkpoints, full disks, floods."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import MessageState
from holychat.domain.events import (
    TextDelta,
    TurnEnded,
    TurnFinished,
    UsageReported,
)
from holychat.domain.usage import Usage
from holychat.errors import StoreFull
from holychat.store import messages
from tests.chat.tools import START, ask, ended, has_text, run, until, use
from tests.support.loopback import Gate, Loopback, events_reply, sse
from tests.support.script import chunk, usage_chunk

if TYPE_CHECKING:
    from holychat.services import Services


def kinds(events: list[object]) -> list[str]:
    return [type(event).__name__ for event in events]


async def stored(services: Services, message_id: int) -> object:
    return await services.database.read(lambda c: messages.get(c, message_id))


async def test_text_is_kept_within_half_a_second_while_it_streams_and_only_once(
    services: Services, loopback: Loopback
) -> None:
    gates = (Gate(), Gate())
    first, second = sse(chunk(reasoning="hm"), chunk("Hel")), sse(chunk("lo"))
    rest = sse(chunk(finish="stop"), usage_chunk(1, 2), "[DONE]")
    loopback.chat(events_reply([*first, gates[0], *second, gates[1], *rest]))
    _, turn = await ask(services)
    events = turn.events()
    for piece, text, gate in (("Hel", "Hel", gates[0]), ("lo", "Hello", gates[1])):
        await until(events, has_text(piece))
        began = time.monotonic()
        while len((message := await stored(services, turn.answer.id)).text) < len(text):
            assert time.monotonic() - began < 5
            await asyncio.sleep(0.01)
        assert time.monotonic() - began < 1.0
        assert (message.text, message.reasoning, message.state) == (text, "hm", MessageState.STREAMING)
        gate.open()
    await until(events, lambda event: isinstance(event, TurnEnded))
    assert await services.database.read(lambda c: c.execute("SELECT count(*) FROM chunks").get) == 0


async def test_a_full_disk_costs_no_text_and_the_end_is_stored_when_there_is_room(services: Services) -> None:
    gate = asyncio.Event()
    use(services, START, TextDelta("word " * 20_000), gate.wait, TextDelta("end"), TurnFinished("stop"))
    chat_id, turn = await ask(services)
    events = turn.events()
    await until(events, lambda event: isinstance(event, TextDelta))

    def fill(connection: object) -> None:
        connection.pragma("max_page_count", int(connection.pragma("page_count")))

    await services.database.write(fill)
    await asyncio.sleep(0.6)
    gate.set()
    last = await until(events, lambda event: isinstance(event, TurnEnded))
    assert last.message.failure.kind == "StoreFull"
    assert last.message.text.endswith("word end")
    assert not turn.stored
    assert (await services.chats.tail(chat_id, 1))[1][0].text.endswith("word end")
    with pytest.raises(StoreFull):
        await services.chats.send(chat_id, "more " * 2000)

    await services.database.write(lambda c: c.pragma("max_page_count", 1 << 30))
    use(services, START, TextDelta("fine"), TurnFinished("stop"))
    await ended(await services.chats.send(chat_id, "and now?"))
    message = await stored(services, last.message.id)
    assert (message.state, message.text, message.failure) == (MessageState.COMPLETE, last.message.text, None)


async def test_ten_thousand_deltas_arrive_and_are_kept_whole(services: Services) -> None:
    flood = [START, *(TextDelta("token ") for _ in range(10_000)), UsageReported(Usage(1, 2)), TurnFinished("stop")]
    use(services, *flood)
    _, turn = await ask(services)
    events = await run(turn)
    assert len(events) == 10_004
    assert events[-1].message.text == "token " * 10_000


async def test_a_flood_that_never_pauses_does_not_starve_the_loop(services: Services) -> None:
    async def parse() -> None:
        end = time.perf_counter() + 0.0005
        while time.perf_counter() < end:
            pass

    flood = [step for _ in range(600) for step in (TextDelta("x"), parse)]
    use(services, START, *flood, TurnFinished("stop"))
    _, turn = await ask(services)
    rounds = seen = 0

    async def count_rounds() -> None:
        nonlocal rounds
        while True:
            await asyncio.sleep(0)
            rounds += 0 < seen < 600

    counting = asyncio.create_task(count_rounds())
    async for event in turn.events():
        seen += isinstance(event, TextDelta)
    counting.cancel()
    assert rounds >= 15
