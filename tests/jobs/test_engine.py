"""The engine over real sockets and a real database: what it sends, what it keeps, when it stops."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ItemState, JobLimits, JobState, Kind, PauseReason, Priority, Recipe
from holychat.domain.usage import Cost
from holychat.jobs import commands, lanes, sender
from holychat.store import jobs
from holychat.store.item_moves import Chosen
from tests.jobs.desk import Desk, answer, echo, gated, now_ms, prompt_of
from tests.support.loopback import FOREVER, Gate, Loopback, Request, Script, error_reply, json_reply

if TYPE_CHECKING:
    from pathlib import Path

DONE, FAILED, IN_DOUBT, PENDING = ItemState.DONE, ItemState.FAILED, ItemState.IN_DOUBT, ItemState.PENDING
ENDED = (JobState.FINISHED, JobState.FINISHED_WITH_ERRORS)


async def test_every_document_is_answered_in_the_order_of_the_input(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents(*(f"letter {n}" for n in range(40))))
        await desk.work()
        job = await desk.job(job_id)
        assert (job.state, job.requests, len(loopback.requests)) == (JobState.FINISHED, 40, 40)
        assert await desk.results(job_id) == [f"about letter {n}" for n in range(40)]
        sums = desk.sql("SELECT sum(input_tokens), sum(output_tokens), sum(cost_micros) FROM attempts")[0]
        assert sums == (job.input_tokens, job.output_tokens, job.money.spent)
        assert job.money.spent == 40 * (12 + 2 * 34)


async def test_an_attempt_is_written_down_before_a_byte_of_it_leaves(tmp_path: Path, loopback: Loopback) -> None:
    async with Desk(tmp_path, loopback.base_url) as desk:
        seen: list[object] = []

        def look(request: object) -> Script:
            seen.extend(
                desk.services.database.read_now(
                    lambda c: c.execute(
                        "SELECT i.state, count(a.id) FROM items AS i LEFT JOIN attempts AS a ON a.item_id = i.id"
                    ).fetchall()
                )
            )
            return answer("fine")

        loopback.chat(look)
        await desk.order(desk.documents("one"))
        await desk.work()
        assert seen == [("sending", 1)]


async def test_an_answer_that_cannot_be_read_is_kept_and_counted_as_paid_for(
    tmp_path: Path, loopback: Loopback
) -> None:
    loopback.chat(json_reply({"object": "chat.completion", "choices": "what?"}))
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents("one"))
        await desk.work()
        assert await desk.states(job_id) == [FAILED]
        assert b"what?" in desk.sql("SELECT raw FROM attempts")[0][0]
        job = await desk.job(job_id)
        assert job.money.spent > 0
        assert job.money.estimated
        assert len(loopback.requests) == 1


@pytest.mark.parametrize("odd", ["-5", "2.5", '"7"', "9" * 30, "1e999", "NaN", "null"])
async def test_a_readable_answer_with_odd_token_counts_is_done_and_its_usage_is_ours(
    odd: str, tmp_path: Path, loopback: Loopback
) -> None:
    script = answer("a fine answer")
    body = b"".join(piece for piece in script.pieces if isinstance(piece, bytes))
    for count in (b'"prompt_tokens": 10', b'"completion_tokens": 5'):
        assert count in body
        body = body.replace(count, count.split(b": ")[0] + b": " + odd.encode())
    loopback.chat(replace(script, pieces=[body]))
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents("one"))
        await desk.work()
        job = await desk.job(job_id)
        assert (job.state, await desk.results(job_id)) == (JobState.FINISHED, ["a fine answer"])
        (item,) = await desk.items(job_id)
        assert item.usage.estimated
        assert 0 < item.usage.output_tokens < 10
        assert item.cost == Cost(job.money.spent, estimated=True)
        assert 0 < job.money.spent < 10_000


@pytest.mark.parametrize(("finish", "why"), [("content_filter", "filter"), ("stop", "says nothing")])
async def test_an_empty_answer_is_a_failure_with_its_reason(
    finish: str, why: str, tmp_path: Path, loopback: Loopback
) -> None:
    loopback.chat(answer("", finish=finish))
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents("one"))
        await desk.work()
        (item,) = await desk.items(job_id)
        assert item.failure is not None
        assert why in item.failure.title
        assert item.cost is not None


async def test_pause_finishes_what_is_under_way_and_resume_sends_the_rest_once(
    tmp_path: Path, loopback: Loopback
) -> None:
    gate = Gate()
    loopback.chat(gated(gate), gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents(*"abcdef"), limits=JobLimits(concurrency=2))
        await asyncio.to_thread(loopback.wait_for, 2)
        await desk.command(lambda c: commands.pause(c, job_id, now_ms()))
        gate.open()
        job = await desk.until(job_id, lambda job: job.counts.of(DONE) == 2)
        assert job.pause is PauseReason.USER
        await asyncio.sleep(0.3)
        assert len(loopback.requests) == 2
        await desk.command(lambda c: commands.resume(c, job_id, None, now_ms()))
        await desk.until_state(job_id, JobState.FINISHED)
        assert len(loopback.requests) == 6


async def test_cancel_gives_up_what_is_under_way_and_it_is_in_doubt(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(Script(200, {}, [FOREVER]))
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents(*"abcdef"), limits=JobLimits(concurrency=2))
        await asyncio.to_thread(loopback.wait_for, 2)
        await desk.command(lambda c: commands.cancel(c, job_id, now_ms()))
        job = await desk.until(job_id, lambda job: job.counts.of(IN_DOUBT) == 2)
        assert job.state is JobState.CANCELLED
        assert job.counts.of(ItemState.CANCELLED) == 4
        assert job.money.in_doubt > 0
        await asyncio.to_thread(loopback.requests[0].gone.wait, 5)
        assert len(loopback.requests) == 2


async def test_a_job_deleted_while_its_requests_are_under_way_stops_nothing_else(
    tmp_path: Path, loopback: Loopback
) -> None:
    gate = Gate()
    loopback.chat(gated(gate), gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents(*"abc"), limits=JobLimits(concurrency=2))
        await asyncio.to_thread(loopback.wait_for, 2)
        desk.sql("DELETE FROM jobs WHERE id = ?", job_id)
        gate.open()
        other = await desk.order(desk.documents(*"xyz"))
        await desk.until_state(other, JobState.FINISHED)
        assert desk.sql("SELECT count(*) FROM items WHERE job_id <> ?", other) == [(0,)]


async def test_a_batch_begins_when_the_one_before_has_ended(tmp_path: Path, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(echo, echo, gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents(*"abcdefg"), limits=JobLimits(batch_size=3))
        await desk.until(job_id, lambda job: job.counts.of(DONE) == 2)
        await asyncio.sleep(0.2)
        assert len(loopback.requests) == 3
        gate.open()
        await desk.until_state(job_id, JobState.FINISHED)
        assert len(loopback.requests) == 7


async def test_urgent_jobs_go_first(tmp_path: Path, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url, jobs={"max_concurrency": 1}) as desk, desk.engine():
        slow = await desk.order(desk.documents(*(f"slow {n}" for n in range(5))))
        await asyncio.to_thread(loopback.wait_for, 1)
        high = await desk.order(desk.documents("high 1", "high 2"), priority=Priority.HIGH)
        await desk.until_state(high, *ENDED)
        gate.open()
        await desk.until_state(slow, JobState.FINISHED)
        said = [prompt_of(request) for request in loopback.requests]
        assert ["high" in text for text in said] == [False, True, True, False, False, False, False]


async def test_an_answer_that_misses_its_schema_is_asked_for_once_more(tmp_path: Path, loopback: Loopback) -> None:
    def reply(request: Request) -> Script:
        text = request.body.decode()
        if "I am Ann." in text:
            return answer('{"name": "Ann"}' if "The name is Ann." in text else "The name is Ann.")
        return answer("Nobody knows.")

    loopback.chat(reply)
    schema = '{"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}'
    async with Desk(tmp_path, loopback.base_url) as desk:
        recipe = Recipe(Kind.EXTRACT, schema=schema)
        job_id = await desk.order(desk.documents("I am Ann.", "Who?"), recipe, JobLimits(concurrency=1))
        await desk.work()
        job = await desk.job(job_id)
        states = await desk.states(job_id)
        assert job.requests == len(loopback.requests) == 4
        assert sorted(states) == [DONE, FAILED]
        assert [text for text in await desk.results(job_id) if text] == ['{"name": "Ann"}']
        repairs = [request for request in loopback.requests if "The name is Ann." in request.body.decode()]
        assert len(repairs) == 1
        assert "The answer cannot be used" not in repairs[0].body.decode()
        (cause,) = await desk.services.jobs.causes(job_id)
        assert cause.title == "The answer cannot be used: there is no complete JSON in it"
        failed = next(item for item in await desk.items(job_id) if item.state is FAILED)
        assert (await desk.services.jobs.item(failed.id)).partial == "Nobody knows."


async def test_documents_that_cannot_be_read_fail_with_a_reason_and_stop_nothing(
    tmp_path: Path, loopback: Loopback
) -> None:
    gate = Gate()
    loopback.chat(gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        folder = desk.documents("a", "b", "c", "d")
        (folder / "0001.txt").write_bytes(b"\x00\x01\x02" * 100)
        job_id = await desk.order(folder)
        gate.open()
        await desk.work()
        states = await desk.states(job_id)
        assert states == [DONE, FAILED, DONE, DONE]
        causes = await desk.services.jobs.causes(job_id)
        assert [cause.count for cause in causes] == [1]


async def test_what_another_window_skips_is_not_sent(tmp_path: Path, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents(*"abcd"), limits=JobLimits(concurrency=1))
        await asyncio.to_thread(loopback.wait_for, 1)
        items = await desk.items(job_id)
        chosen = Chosen(job_id, (PENDING,), [items[2].id])
        await desk.command(lambda c: commands.skip(c, chosen, now_ms()))
        gate.open()
        await desk.until_state(job_id, JobState.FINISHED)
        assert await desk.states(job_id) == [DONE, DONE, ItemState.SKIPPED, DONE]
        assert len(loopback.requests) == 3


async def test_a_retry_while_the_job_runs_is_sent_with_the_rest(tmp_path: Path, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(error_reply(400), gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents("a", "b"), limits=JobLimits(concurrency=1))
        await asyncio.to_thread(loopback.wait_for, 2)
        await desk.until(job_id, lambda job: job.counts.of(FAILED) == 1)
        chosen = Chosen(job_id, (FAILED,))
        assert await desk.command(lambda c: commands.retry(c, chosen, now_ms())) == 1
        gate.open()
        await desk.until_state(job_id, JobState.FINISHED)
        assert await desk.states(job_id) == [DONE, DONE]


async def test_a_provider_that_is_not_there_pauses_the_job_and_it_goes_on_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "PATIENCE", 0.2)
    monkeypatch.setattr(lanes, "_FIRST_PROBE", 0.2)
    with contextlib.ExitStack() as stack:
        gone = Loopback()
        with gone:
            port = gone.port
        async with Desk(tmp_path, f"http://127.0.0.1:{port}/v1") as desk, desk.engine():
            job_id = await desk.order(desk.documents("a", "b"))
            job = await desk.until_state(job_id, JobState.PAUSED)
            assert job.pause is PauseReason.OFFLINE
            assert "Cannot reach here" in job.pause_detail
            assert await desk.states(job_id) == [PENDING, PENDING]
            server = stack.enter_context(Loopback(port=port))
            server.models("m")
            server.chat(echo)
            await desk.until_state(job_id, JobState.FINISHED)


async def test_results_are_written_where_it_was_asked_for(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        out = tmp_path / "results.jsonl"
        await desk.order(desk.documents("a", "b"), out=str(out))
        lost = await desk.order(desk.documents("c"), out=str(tmp_path / "no-such-folder" / "results.jsonl"))
        await desk.work()
        assert len(out.read_text(encoding="utf-8").splitlines()) == 2
        job = await desk.job(lost)
        assert job.state is JobState.FINISHED
        assert "could not be written" in job.note


async def test_a_crash_leaves_doubts_for_what_was_under_way_and_reads_what_was_kept(
    tmp_path: Path, loopback: Loopback
) -> None:
    loopback.chat(echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents("a", "b", "c"))
        await desk.work()
        raw = desk.sql("SELECT 1")  # the answers are read; put two items back to where a crash would leave them
        assert raw == [(1,)]
        body = answer("kept").pieces[0]
        desk.sql("UPDATE items SET state = 'sending', reserved_micros = 7 WHERE ordinal = 0")
        desk.sql("UPDATE items SET state = 'received' WHERE ordinal = 1")
        desk.sql("UPDATE attempts SET raw = ?, status = 200", body)
        desk.sql("UPDATE jobs SET state = 'running', in_flight = 2")
        await desk.work()
        assert await desk.states(job_id) == [IN_DOUBT, DONE, DONE]
        assert (await desk.results(job_id))[1] == "kept"
        assert len(loopback.requests) == 3
        job = await desk.job(job_id)
        assert (job.state, job.progress.in_flight, job.money.in_doubt) == (JobState.FINISHED_WITH_ERRORS, 0, 7)


async def test_a_job_is_told_apart_from_its_numbers_alone_by_what_is_in_the_ledger(
    tmp_path: Path, loopback: Loopback
) -> None:
    """Listing goes on after a crash: what is listed already is not listed twice."""
    loopback.chat(echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        folder = desk.documents("a", "b")
        job_id = await desk.order(folder)
        await desk.work()
        (folder / "0002.txt").write_text("c", encoding="utf-8")
        desk.sql("UPDATE jobs SET state = 'running', listed = 0")
        await desk.work()
        assert await desk.results(job_id) == ["about a", "about b", "about c"]
        assert len(loopback.requests) == 3


async def test_many_documents_take_no_more_memory_in_hand_than_few(tmp_path: Path, loopback: Loopback) -> None:
    from holychat.jobs.run import READY_ITEMS

    gate = Gate()
    loopback.chat(gated(gate), echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine() as engine:
        job_id = await desk.order(desk.documents(*map(str, range(800))), limits=JobLimits(concurrency=1))
        await asyncio.to_thread(loopback.wait_for, 1)
        await desk.until(job_id, lambda job: job.listed)
        await asyncio.sleep(0.3)
        (run,) = engine._desk._runs.values()
        assert READY_ITEMS // 2 <= run.ready < READY_ITEMS + 100
        await desk.command(lambda c: jobs.move(c, job_id, JobState.CANCELLED, now_ms()))
        gate.open()
