"""Waiting for a slot of a lane, in a real event loop."""

from __future__ import annotations

import asyncio
import time

import pytest

from holychat.errors import Outcome
from holychat.jobs.lane import Lane


async def one(lane: Lane, seconds: float = 0.01, *, background: bool = False) -> None:
    slot = await lane.acquire(background=background)
    slot.sent()
    await asyncio.sleep(seconds)
    slot.release()


async def test_no_more_are_under_way_than_a_person_wants() -> None:
    lane, most = Lane(concurrency=7), 0

    async def counted() -> None:
        nonlocal most
        slot = await lane.acquire()
        slot.sent()
        most = max(most, lane.state().in_flight)
        await asyncio.sleep(0.005)
        slot.release()

    await asyncio.gather(*(counted() for _ in range(50)))
    assert most == 7
    assert lane.state().in_flight == 0


async def test_a_fast_server_is_not_held_up() -> None:
    lane = Lane()
    begun = time.monotonic()
    await asyncio.gather(*(one(lane, 0.02) for _ in range(1000)))
    assert time.monotonic() - begun < 3
    assert lane.state().window > 100


async def test_slots_are_given_in_the_order_in_which_they_were_asked_for() -> None:
    lane, order = Lane(concurrency=1), []

    async def numbered(number: int) -> None:
        slot = await lane.acquire()
        order.append(number)
        slot.sent()
        slot.release()

    await asyncio.gather(*(numbered(number) for number in range(10)))
    assert order == list(range(10))


async def test_background_work_goes_behind_everything_else() -> None:
    lane, order = Lane(concurrency=1), []
    first = await lane.acquire()

    async def named(name: str, *, background: bool) -> None:
        slot = await lane.acquire(background=background)
        order.append(name)
        slot.sent()
        slot.release()

    later = asyncio.create_task(named("background", background=True))
    await asyncio.sleep(0)
    sooner = asyncio.create_task(named("ordinary", background=False))
    await asyncio.sleep(0)
    first.release()
    await asyncio.gather(later, sooner)
    assert order == ["ordinary", "background"]


async def test_a_slot_is_given_back_once() -> None:
    lane = Lane(concurrency=2)
    slot = await lane.acquire()
    slot.sent()
    slot.release()
    slot.release(Outcome.REFUSED, retry_after=60)
    assert lane.state().in_flight == 0
    assert lane.waiting_until is None


async def test_who_gives_up_waiting_leaves_no_slot_behind() -> None:
    lane = Lane(concurrency=1)
    held = await lane.acquire()
    waiting = [asyncio.create_task(lane.acquire()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    held.release()
    waiting[1].cancel()  # its slot was already given to it
    slot = await asyncio.wait_for(waiting[2], 5)
    for task in waiting[:2]:
        with pytest.raises(asyncio.CancelledError):
            await task
    slot.release()
    assert lane.state().in_flight == 0


async def test_waiting_ends_by_itself_when_the_time_has_come() -> None:
    lane = Lane()
    slot = await lane.acquire()
    slot.sent()
    slot.release(Outcome.REFUSED, retry_after=0.2)
    until = lane.waiting_until
    assert until is not None
    assert until - lane.now() == pytest.approx(0.2, abs=0.05)
    begun = time.monotonic()
    (await asyncio.wait_for(lane.acquire(), 5)).release()
    assert 0.15 < time.monotonic() - begun < 2
    assert lane.waiting_until is None


async def test_a_paced_lane_wakes_up_for_each_request() -> None:
    lane = Lane(requests_per_minute=3000)
    begun = time.monotonic()
    await asyncio.gather(*(one(lane, 0.001) for _ in range(30)))
    assert 0.4 < time.monotonic() - begun < 3


async def test_room_for_live_chat_makes_the_window_smaller() -> None:
    lane = Lane(concurrency=10)
    lane.make_room(3)
    assert lane.state().window == 7
    lane.make_room(50)
    assert lane.state().window == 1
    lane.make_room(0)
    assert lane.state().window == 10


async def test_a_slot_that_was_not_used_teaches_nothing() -> None:
    lane = Lane()
    (await lane.acquire()).release(Outcome.REFUSED, retry_after=60)
    assert lane.waiting_until is None
    assert lane.state().in_flight == 0


async def test_a_slot_that_has_not_left_when_others_are_turned_away_must_not_leave() -> None:
    lane = Lane()
    first, second = await lane.acquire(), await lane.acquire()
    assert first.sent()
    first.release(Outcome.REFUSED)
    assert not second.sent()
    second.release()
    assert lane.state().in_flight == 0
    third = await asyncio.wait_for(lane.acquire(), 5)
    assert third.sent()
    third.release()
