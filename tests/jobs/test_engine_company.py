"""The engine beside others: people who chat, documents that vanish, entries that no database takes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import apsw

from holychat.domain.chat import ChatOptions
from holychat.domain.jobs import ItemState, JobLimits, JobState, PauseReason, Source, SourceKind
from holychat.errors import KeyMissing, Outcome, StoreRefused
from holychat.jobs import commands
from holychat.jobs.lane import Slot
from holychat.jobs.ledger_writer import LedgerWriter
from holychat.providers.openai import OpenAIProvider
from holychat.store import chats, messages
from holychat.store.ledger_entries import Back, Bill, Done, Received, Sending, Written
from holychat.store.owners import Owners
from tests.jobs.desk import Desk, echo, gated, now_ms
from tests.support.loopback import Gate, Loopback

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from holychat.store.database import Connection

DONE, FAILED = ItemState.DONE, ItemState.FAILED


async def test_room_is_kept_for_a_person_who_waits_for_an_answer_of_the_same_provider(
    tmp_path: Path, loopback: Loopback
) -> None:
    gate = Gate()
    loopback.chat(gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine() as engine:
        await desk.order(desk.documents("a"), limits=JobLimits(concurrency=1))
        await asyncio.to_thread(loopback.wait_for, 1)
        ((sender, _),) = engine._desk._lanes._senders.values()
        alone = sender.lane.state().window
        person = Owners(desk.services.paths.locks)

        def chat(connection: Connection) -> None:
            made = chats.create(connection, ChatOptions("here", "m"), now_ms())
            messages.add_question(connection, made.id, "Hi?", (), now_ms())
            messages.start_reply(connection, made.id, messages.NewReply(person.own(), "here", "m", now_ms()))

        await desk.command(chat)
        async with asyncio.timeout(10):
            while sender.lane.state().window != alone - 1:  # noqa: ASYNC110  # the lane tells nobody
                await asyncio.sleep(0.01)
        # Who died over an answer waits for nothing any more.
        person.release()
        await desk.command(lambda c: c.execute("UPDATE chats SET unseen = 1"))
        async with asyncio.timeout(20):
            while sender.lane.state().window != alone:
                await desk.command(lambda c: c.execute("UPDATE chats SET unseen = 1 - unseen"))
                await asyncio.sleep(0.1)
        gate.open()


async def test_a_document_that_vanishes_after_it_was_listed_fails_alone(tmp_path: Path, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        folder = desk.documents(*(f"letter {n}" for n in range(400)))
        job_id = await desk.order(folder, limits=JobLimits(concurrency=1))
        await asyncio.to_thread(loopback.wait_for, 1)
        await desk.until(job_id, lambda job: job.listed)
        (folder / "0399.txt").unlink()
        gate.open()
        await desk.until_state(job_id, JobState.FINISHED_WITH_ERRORS)
        states = await desk.states(job_id)
        assert (states[:399], states[399]) == ([DONE] * 399, FAILED)
        (cause,) = await desk.services.jobs.causes(job_id)
        assert cause.cause == "DocumentVanished"


async def test_an_entry_that_breaks_a_rule_is_left_out_and_holds_up_no_other(
    tmp_path: Path, loopback: Loopback
) -> None:
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents("a", "b"), limits=JobLimits(concurrency=1))
        loopback.chat(echo)
        await desk.work()
        first, second = await desk.items(job_id)
        desk.sql("UPDATE items SET state = 'pending'")
        desk.sql("UPDATE jobs SET state = 'running'")
        writer = LedgerWriter(desk.services.database, "test", lambda _: None, lambda _: None)
        writing = asyncio.create_task(writer.run())
        told: dict[int, bool] = {}
        bill = Bill(1, 1, False, 1, False)
        for item, said in ((first, bill), (second, bill._replace(cost_micros=-5))):
            attempt = await writer.sending(Sending(item.id, 1, "x", "y"))
            assert attempt is not None
            writer.keep(Received(item.id, attempt, b"{}", 200, "", 1))
            await writer.settled()
            entry = Done(item.id, attempt, job_id, "new", said, "m", "stop", "")
            writer.keep(entry, lambda moved, number=item.id: told.update({number: moved}))  # type: ignore[misc]
        await writer.settled()
        writing.cancel()
        assert told == {first.id: True, second.id: False}
        assert await desk.states(job_id) == [DONE, ItemState.RECEIVED]


async def test_a_disk_that_was_full_while_documents_were_listed_holds_up_nothing_afterwards(
    tmp_path: Path, loopback: Loopback
) -> None:
    loopback.chat(echo)
    records = tmp_path / "records.jsonl"
    records.write_text("".join(f'{{"text": "{"long " * 1_000}{n}"}}\n' for n in range(100)))
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():

        def leave_pages(connection: Connection, free: int) -> None:
            connection.pragma("max_page_count", int(connection.pragma("page_count")) + free)

        await desk.services.database.write(lambda c: leave_pages(c, 4))
        job_id = await desk.order(tmp_path, sources=(Source(SourceKind.JSONL, str(records)),))
        paused = await desk.until_state(job_id, JobState.PAUSED)
        assert paused.pause is PauseReason.STORE
        await desk.services.database.write(lambda c: leave_pages(c, 1_000_000))
        await desk.command(lambda c: commands.resume(c, job_id, None, now_ms()))
        ended = await desk.until_state(job_id, JobState.FINISHED)
        assert ended.counts.of(DONE) == 100


async def test_a_database_that_another_process_holds_for_too_long_ends_nothing_that_is_under_way(
    tmp_path: Path, loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Without WAL, as on a network's disk, somebody who writes keeps all others from reading.
    monkeypatch.setattr("holychat.store.database.on_network_file_system", lambda _: True)
    monkeypatch.setattr("holychat.store.database._BUSY_MS", 100)
    gate = Gate()
    loopback.chat(gated(gate, "paid for"))
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents("a"))
        await asyncio.to_thread(gate.wait_reached)
        other = apsw.Connection(str(desk.window.path))
        other.execute("BEGIN EXCLUSIVE")
        await asyncio.sleep(1.0)
        gate.open()
        await asyncio.sleep(0.5)
        other.execute("ROLLBACK")
        other.close()
        await desk.until(job_id, lambda job: job.counts.of(DONE) == 1)
        assert await desk.results(job_id) == ["paid for"]


async def test_an_answer_that_came_while_others_were_refused_does_not_hold_up_the_next_one() -> None:
    class Refusing:
        """Refuses a transaction of two, and of those alone the first; an answer comes meanwhile."""

        def __init__(self) -> None:
            self.asked = 0

        async def write(self, _work: object) -> Written:
            self.asked += 1
            if self.asked == 1:
                writer.keep(Received(2, 2, b"{}", 200, "", 1))
            if self.asked <= 2:
                raise StoreRefused("A rule is broken")
            await asyncio.sleep(0.05)  # so long that the moment for which an answer waits is over
            return Written()

    writer = LedgerWriter(Refusing(), "test", lambda _: None, lambda _: None)  # type: ignore[arg-type]
    writing = asyncio.create_task(writer.run())
    try:
        async with asyncio.timeout(5):
            writer.keep(Back(1, 1, 1, Outcome.NEVER_SENT))
            await writer.settled()
            writer.keep(Received(3, 3, b"{}", 200, "", 1))
            await writer.settled()
    finally:
        writing.cancel()


async def test_a_key_that_could_not_be_had_is_no_reply_to_the_lane(
    tmp_path: Path, loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[Outcome | None] = []
    release = Slot.release

    def listening(slot: Slot, outcome: Outcome | None = None, **more: Any) -> None:
        if slot._sent:
            heard.append(outcome)
        release(slot, outcome, **more)

    async def send(*_: object) -> None:
        raise KeyMissing("No key")

    monkeypatch.setattr(Slot, "release", listening)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        monkeypatch.setattr(OpenAIProvider, "send", send)
        job_id = await desk.order(desk.documents("a"))
        await desk.until(job_id, lambda job: job.pause is PauseReason.KEY)
    assert heard == [Outcome.NEVER_SENT]


async def test_equal_documents_stay_separate_items(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        same = await desk.order(desk.documents(*["the same"] * 20))
        await desk.work()
        assert await desk.results(same) == ["about the same"] * 20
        assert len(loopback.requests) == 20
