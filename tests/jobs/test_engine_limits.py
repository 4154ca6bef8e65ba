"""What a job may take: money, a trial, doubts that are paid for twice."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import ItemState, JobLimits, JobState, Kind, PauseReason, Recipe, Source, SourceKind
from holychat.domain.usage import Cost
from holychat.jobs import commands
from holychat.jobs.answers import legible
from holychat.store.item_moves import Chosen
from tests.jobs.desk import SUMMARIZE, Desk, answer, echo, now_ms
from tests.support.loopback import Loopback, Script, error_reply

if TYPE_CHECKING:
    from pathlib import Path

DONE, FAILED, IN_DOUBT, PENDING = ItemState.DONE, ItemState.FAILED, ItemState.IN_DOUBT, ItemState.PENDING
ENDED = (JobState.FINISHED, JobState.FINISHED_WITH_ERRORS)


async def test_a_ready_made_request_costs_what_its_own_model_costs(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(answer("short", 10, 50))
    async with Desk(tmp_path, loopback.base_url) as desk:
        body = {"model": "dear", "max_tokens": 50, "messages": [{"role": "user", "content": "hello"}]}
        lines = [
            {"custom_id": f"c{n}", "method": "POST", "url": "/v1/chat/completions", "body": body} for n in range(5)
        ]
        file = tmp_path / "requests.jsonl"
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        limits = JobLimits(budget_micros=50_000)
        sources = (Source(SourceKind.REQUESTS, str(file)),)
        job_id = await desk.order(file, Recipe(Kind.REQUESTS), limits, sources=sources)
        assert (await desk.services.jobs.estimate(job_id)).live == Cost(5 * (6 * 100 + 50 * 200), estimated=True)
        await desk.work()
        job = await desk.job(job_id)
        # 10 tokens at 100 and 50 at 200 dollars a million each: the fifth one does not fit any more.
        assert (job.pause, job.money.spent, len(loopback.requests)) == (PauseReason.BUDGET, 44_000, 4)
        assert desk.sql("SELECT model, micros FROM spending") == [("dear", 44_000)]


async def test_a_budget_is_never_overrun_and_more_money_goes_on(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(answer("short", 100, 10))
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        recipe = replace(SUMMARIZE, max_tokens=500)
        job_id = await desk.order(
            desk.documents(*("word " * 20 for _ in range(30))), recipe, JobLimits(budget_micros=4_000)
        )
        job = await desk.until_state(job_id, JobState.PAUSED)
        assert job.pause is PauseReason.BUDGET
        assert 0 < job.money.spent <= 4_000
        assert "could cost" in job.pause_detail
        sent = len(loopback.requests)
        assert 0 < sent < 30
        await desk.command(lambda c: commands.resume(c, job_id, 1_000_000, now_ms()))
        await desk.until_state(job_id, JobState.FINISHED)
        assert len(loopback.requests) == 30


async def test_reserved_and_spent_together_stay_within_the_budget_at_every_moment(
    tmp_path: Path, loopback: Loopback
) -> None:
    async with Desk(tmp_path, loopback.base_url) as desk:
        most: list[int] = []

        def look(request: object) -> Script:
            row = "SELECT j.spent_micros + (SELECT coalesce(sum(reserved_micros), 0) FROM items) FROM jobs AS j"
            most.append(desk.services.database.read_now(lambda c: c.execute(row).get))
            return answer("short", 100, 10)

        loopback.chat(look)
        job_id = await desk.order(
            desk.documents(*("word " * 20 for _ in range(40))),
            replace(SUMMARIZE, max_tokens=300),
            JobLimits(budget_micros=5_000),
        )
        async with desk.engine():
            await desk.until_state(job_id, JobState.PAUSED)
        assert max(most) <= 5_000


async def test_no_budget_can_be_kept_where_the_price_is_unknown(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents("one"), limits=JobLimits(budget_micros=1_000_000), model="unheard-of")
        job = await desk.until_state(job_id, JobState.PAUSED)
        assert job.pause is PauseReason.BUDGET
        assert "unheard-of is not known" in job.pause_detail
        assert loopback.requests == []


async def test_a_limit_per_day_holds_for_jobs(tmp_path: Path, loopback: Loopback) -> None:
    from decimal import Decimal

    from holychat.settings import LimitSettings

    loopback.chat(answer("short", 100, 10))
    async with Desk(tmp_path, loopback.base_url, limits=LimitSettings(day=Decimal("0.003"))) as desk, desk.engine():
        job_id = await desk.order(
            desk.documents(*("word " * 20 for _ in range(30))), replace(SUMMARIZE, max_tokens=300)
        )
        job = await desk.until_state(job_id, JobState.PAUSED)
        assert job.pause is PauseReason.BUDGET
        assert "for today or this month" in job.pause_detail
        assert 0 < job.money.spent <= 3_000


async def test_a_trial_pauses_after_its_documents_and_resume_sends_the_rest(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(echo)
    async with Desk(tmp_path, loopback.base_url) as desk, desk.engine():
        job_id = await desk.order(desk.documents(*"abcdefgh"), limits=JobLimits(trial=3))
        job = await desk.until_state(job_id, JobState.PAUSED)
        assert (job.pause, job.counts.of(DONE), len(loopback.requests)) == (PauseReason.TRIAL, 3, 3)
        assert await desk.states(job_id) == [DONE] * 3 + [PENDING] * 5
        await desk.command(lambda c: commands.resume(c, job_id, None, now_ms()))
        await desk.until_state(job_id, JobState.FINISHED)
        assert len(loopback.requests) == 8


async def test_a_trial_of_more_documents_than_there_are_just_ends(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents("a", "b"), limits=JobLimits(trial=2))
        await desk.work()
        assert (await desk.job(job_id)).state is JobState.FINISHED


async def test_what_is_in_doubt_is_sent_again_within_the_allowance_alone(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(error_reply(502), error_reply(502), error_reply(502), echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents("a", "b", "c"), limits=JobLimits(doubt_retries=2, concurrency=1))
        await desk.work()
        assert sorted(await desk.states(job_id)) == [DONE, DONE, IN_DOUBT]
        assert len(loopback.requests) == 5
        assert desk.sql("SELECT doubts_retried, doubted_micros > 0 FROM jobs") == [(2, 1)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"choices":[{"message":{"content":"Half \\"an\\u00', 'Half "an'),
        ('{"id":"m","content":[{"type":"text","text":"Half \\u00e4n', "Half än"),
        ('{"content" : [ {"citations":null,"text": "Half", "type":"text"},{"type":"text","text":" an\\', "Half an"),
        ('{"content":[{"type":"thinking","thinking":"\\"text\\":\\"no\\"","signature":"s"},{"text":"Half', "Half"),
        ('{"content":[{"type":"thinking","thinking":"Hm', None),
        ('{"content":[{"type":"text","text":"', None),
        ('{"text":"not within"', None),
    ],
)
def test_what_was_paid_for_of_a_broken_answer_is_legible(body: str, said: str | None) -> None:
    assert legible(body.encode()) == said


async def test_what_is_in_doubt_waits_for_a_person_without_an_allowance(tmp_path: Path, loopback: Loopback) -> None:
    half = b'{"choices":[{"message":{"content":"Half an'
    loopback.chat(Script(200, {"content-type": "application/json"}, [half], "close"), echo)
    async with Desk(tmp_path, loopback.base_url) as desk:
        job_id = await desk.order(desk.documents("a", "b"), limits=JobLimits(concurrency=1))
        await desk.work()
        assert await desk.states(job_id) == [IN_DOUBT, DONE]
        (first, _) = await desk.items(job_id)
        assert (await desk.services.jobs.item(first.id)).partial == "Half an"
        chosen = Chosen(job_id, (IN_DOUBT,))
        await desk.command(lambda c: commands.retry(c, chosen, now_ms()))
        await desk.work()
        assert await desk.states(job_id) == [DONE, DONE]
