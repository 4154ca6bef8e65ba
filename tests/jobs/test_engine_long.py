"""Documents that are longer than the model's context: their parts, and what becomes of the whole."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState, JobLimits, JobState, Kind, Recipe, Source, SourceKind
from holychat.jobs import commands
from holychat.store.item_moves import Chosen
from tests.jobs.desk import Desk, answer, gated, now_ms, prompt_of
from tests.support.loopback import Gate, Loopback, Request, Script, error_reply

if TYPE_CHECKING:
    from pathlib import Path

DONE, FAILED, IN_DOUBT, CANCELLED = ItemState.DONE, ItemState.FAILED, ItemState.IN_DOUBT, ItemState.CANCELLED
SMALL = {"assumed_context": 1_024}
LONG = "\n\n".join(f"Paragraph {n} says that the {n}th thing is as it is, and goes on about it." for n in range(120))
TRANSLATE = Recipe(Kind.TRANSLATE, language="French")
SUMMARIZE = Recipe(Kind.SUMMARIZE, length="2 sentences", max_tokens=100)


def is_merge(request: Request) -> bool:
    return "result 1 of" in prompt_of(request)


def first_paragraph(request: Request) -> str:
    return next(iter(re.findall(r"Paragraph \d+", prompt_of(request))), "nothing")


def summary(request: Request) -> Script:
    return answer("all of it" if is_merge(request) else f"from {first_paragraph(request)}")


async def test_a_long_document_goes_in_parts_and_comes_back_as_one(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(summary)
    async with Desk(tmp_path, loopback.base_url, jobs=SMALL) as desk:
        job_id = await desk.order(desk.documents("short", LONG, "short too"), SUMMARIZE, JobLimits(concurrency=1))
        await desk.work()
        job = await desk.job(job_id)
        assert (job.state, job.counts.total, job.counts.of(DONE)) == (JobState.FINISHED, 3, 3)
        assert job.counts.parts[DONE] >= 4
        assert job.requests == len(loopback.requests)
        items = await desk.items(job_id)
        assert [item.document.name for item in items] == ["0000.txt", "0001.txt", "0002.txt"]
        assert (await desk.services.jobs.item(items[1].id)).result == "all of it"
        # Every part was asked for once, and each merge only when all of its parts were there.
        asked = [first_paragraph(r) for r in loopback.requests if not is_merge(r) and "Paragraph" in prompt_of(r)]
        assert len(asked) == len(set(asked))
        assert asked[0] == "Paragraph 0"


async def test_summaries_are_merged_by_many_and_those_that_are_far_too_long_are_cut_to_fit(
    tmp_path: Path, loopback: Loopback
) -> None:
    """Reckoned with the longest answers, two went into each merge and a document took twice as many requests."""
    talkative = "It says a great deal about very little. " * 200

    def summary_of(request: Request) -> Script:
        return answer("all of it" if is_merge(request) else talkative)

    loopback.chat(summary_of)
    async with Desk(tmp_path, loopback.base_url, jobs={"assumed_context": 4096}) as desk:
        job_id = await desk.order(desk.documents("\n\n".join([LONG] * 8)), Recipe(Kind.SUMMARIZE, length="short"))
        await desk.work()
        (item,) = await desk.items(job_id)
        assert (await desk.services.jobs.item(item.id)).result == "all of it"
        parts = [request for request in loopback.requests if not is_merge(request)]
        merges = [request for request in loopback.requests if is_merge(request)]
        assert len(parts) >= 8
        assert len(merges) <= len(parts) / 2
        tokens = desk.services.costs.tokens
        for request in merges:
            assert tokens.text(prompt_of(request), request.json["model"]) + request.json["max_tokens"] <= 4096
        merged = await desk.services.jobs.items(job_id, 0, 10, parent_id=item.id)
        assert all("shortened" in one.note for one in (item, *merged)), "the document says what became of its parts"
        assert len(merged) == 2


async def test_a_long_record_of_a_file_goes_in_parts_of_its_own_text(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(summary)
    async with Desk(tmp_path, loopback.base_url, jobs=SMALL) as desk:
        rows = desk.documents(f'id,text\nfirst,"{LONG}"\nsecond,short\n') / "0000.txt"
        table = rows.rename(tmp_path / "rows.csv")
        job_id = await desk.order(table, SUMMARIZE, sources=(Source(SourceKind.CSV, str(table)),))
        await desk.work()
        assert await desk.results(job_id) == ["all of it", "from nothing"]
        asked = [first_paragraph(r) for r in loopback.requests if not is_merge(r) and "Paragraph" in prompt_of(r)]
        assert len(asked) == len(set(asked)) > 3
        assert not any("id,text" in prompt_of(request) for request in loopback.requests)
        first, *_ = await desk.services.jobs.items(job_id, 0, 10, parent_id=(await desk.items(job_id))[0].id)
        assert ((await desk.services.jobs.item(first.id)).source or "").startswith("Paragraph 0")


async def test_the_parts_of_a_translation_are_put_together_without_asking(tmp_path: Path, loopback: Loopback) -> None:
    loopback.chat(summary)
    async with Desk(tmp_path, loopback.base_url, jobs=SMALL) as desk:
        job_id = await desk.order(desk.documents(LONG), TRANSLATE)
        await desk.work()
        (result,) = await desk.results(job_id)
        assert result is not None
        numbers = [int(number) for number in re.findall(r"from Paragraph (\d+)", result)]
        assert numbers == sorted(numbers)
        assert len(numbers) == len(loopback.requests) > 3


async def test_a_part_that_fails_fails_the_document_and_spares_the_rest_of_it(
    tmp_path: Path, loopback: Loopback
) -> None:
    async with Desk(tmp_path, loopback.base_url, jobs=SMALL) as desk:

        def refuse(request: Request) -> Script:
            return error_reply(400, "No.") if first_paragraph(request) == "Paragraph 0" else summary(request)

        loopback.chat(refuse)
        job_id = await desk.order(desk.documents(LONG), SUMMARIZE, JobLimits(concurrency=1))
        await desk.work()
        (item,) = await desk.items(job_id)
        assert item.state is FAILED
        assert item.failure is not None
        assert re.match(r"Part 1 of \d+: ", item.failure.title)
        job = await desk.job(job_id)
        assert job.state is JobState.FINISHED_WITH_ERRORS
        assert job.counts.parts[CANCELLED] > 2
        assert len(loopback.requests) < 4
        loopback.chat(summary)
        await desk.command(lambda c: commands.retry(c, Chosen(job_id, (FAILED,)), now_ms()))
        await desk.work()
        assert await desk.results(job_id) == ["all of it"]


async def test_a_document_with_a_part_in_doubt_is_in_doubt_and_never_sent_again_unasked(
    tmp_path: Path, loopback: Loopback
) -> None:
    async with Desk(tmp_path, loopback.base_url, jobs=SMALL) as desk:
        loopback.chat(lambda r: error_reply(502) if first_paragraph(r) == "Paragraph 0" else summary(r))
        job_id = await desk.order(desk.documents(LONG), SUMMARIZE, JobLimits(concurrency=1))
        await desk.work()
        assert await desk.states(job_id) == [IN_DOUBT]
        job = await desk.job(job_id)
        assert job.state is JobState.FINISHED_WITH_ERRORS
        assert job.money.in_doubt > 0
        loopback.chat(summary)
        await desk.command(lambda c: commands.retry(c, Chosen(job_id, (FAILED,)), now_ms()))
        await desk.work()
        assert await desk.states(job_id) == [IN_DOUBT]
        await desk.command(lambda c: commands.retry(c, Chosen(job_id, (IN_DOUBT,)), now_ms()))
        await desk.work()
        assert await desk.results(job_id) == ["all of it"]


async def test_a_trial_of_one_long_document_sends_its_parts_and_nothing_of_the_next(
    tmp_path: Path, loopback: Loopback
) -> None:
    loopback.chat(summary)
    async with Desk(tmp_path, loopback.base_url, jobs=SMALL) as desk, desk.engine():
        job_id = await desk.order(desk.documents(LONG, "short"), SUMMARIZE, JobLimits(trial=1))
        await desk.until_state(job_id, JobState.PAUSED)
        assert await desk.states(job_id) == [DONE, ItemState.PENDING]
        assert all("short" not in prompt_of(request) for request in loopback.requests)


async def test_a_job_cancelled_in_the_middle_of_a_long_document_leaves_nothing_open(
    tmp_path: Path, loopback: Loopback
) -> None:
    gate = Gate()
    loopback.chat(gated(gate), summary)
    async with Desk(tmp_path, loopback.base_url, jobs=SMALL) as desk, desk.engine():
        job_id = await desk.order(desk.documents(LONG), SUMMARIZE, JobLimits(concurrency=1))
        await asyncio.to_thread(loopback.wait_for, 1)
        await desk.command(lambda c: commands.cancel(c, job_id, now_ms()))
        job = await desk.until(job_id, lambda job: not job.counts.parts.get(ItemState.SENDING))
        gate.open()
        assert set(job.counts.parts) == {IN_DOUBT, CANCELLED}
        assert len(loopback.requests) == 1
