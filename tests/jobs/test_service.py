"""The one door to background jobs: what the screen and the shell order, see and take out."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from holychat.domain.jobs import (
    ItemState,
    JobLimits,
    JobSpec,
    JobState,
    Kind,
    PauseReason,
    Recipe,
    Source,
    SourceKind,
)
from holychat.errors import UsageError
from holychat.jobs import commands
from holychat.jobs.worker import WorkerLock
from holychat.paths import Paths
from holychat.services import open_services
from holychat.settings import PriceSettings, ProviderSettings, Settings
from holychat.store import jobs
from holychat.store.database import Database
from tests.store.job_tools import add, new_job, set_state, states_of
from tests.store.tools import NOW

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from holychat.services import Services
    from holychat.store.database import Connection

S = ItemState
DEADLINE = 10.0


@pytest.fixture
def no_worker(private_environment: Path) -> Iterator[None]:
    """Nobody works at the jobs: the place of the worker is taken."""
    lock = WorkerLock(Paths.resolve({"HOLYCHAT_HOME": str(private_environment)}))
    assert lock.take(1)
    yield
    lock.release()


@pytest.fixture
async def services(private_environment: Path, no_worker: None) -> AsyncIterator[Services]:
    settings = Settings(
        providers={"mine": ProviderSettings(base_url="http://127.0.0.1:9/v1", model="m", needs_key=False)},
        prices={"mine": {"m": PriceSettings(input=Decimal(1), output=Decimal(2))}},
    )
    services = open_services(Paths.resolve({"HOLYCHAT_HOME": str(private_environment)}), settings, {})
    yield services
    await services.close()


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    file = tmp_path / "paper.txt"
    file.write_text("The wombat digs. It rests at noon.")
    return file


def order(paper: Path, **changes: object) -> JobSpec:
    spec = JobSpec("", Recipe(Kind.SUMMARIZE), (Source(SourceKind.PATH, str(paper)),), "offline")
    return replace(spec, **changes)  # type: ignore[arg-type]


def with_item(services: Services, job_id: int, state: ItemState, **more: object) -> int:
    return services.database.write_now(lambda c: add(c, job_id, state, **more))  # type: ignore[arg-type]


# Orders


async def test_an_order_becomes_a_draft_with_a_name_and_a_model(services: Services, paper: Path) -> None:
    job = await services.jobs.create(order(paper))
    assert (job.state, job.spec.name, job.spec.model) == (JobState.DRAFT, "Summarise paper.txt", "extractive")
    assert await services.jobs.list() == [job]
    revised = await services.jobs.revise(job.id, order(paper, name="Tea [/]\nparty", model="other"))
    assert (revised.id, revised.spec.name, revised.spec.model) == (job.id, "Tea [/] party", "other")


@pytest.mark.parametrize(
    ("changes", "title"),
    [
        ({"provider": "nobody"}, "no provider called"),
        ({"sources": ()}, "There are no documents"),
        ({"sources": (Source(SourceKind.PATH, "/not/there"),)}, "There is no /not/there"),
        ({"sources": (Source(SourceKind.CHAT, "77"),)}, "There is no chat 77"),
        ({"sources": (Source(SourceKind.CHAT, "tea"),)}, "is not the number of a chat"),
        ({"recipe": Recipe(Kind.TRANSLATE, language="English")}, "The offline provider cannot translate"),
        ({"recipe": Recipe(Kind.PROMPT)}, "There is no prompt"),
        ({"recipe": Recipe(Kind.REQUESTS)}, "Ready-made requests make a job of their own"),
        ({"limits": JobLimits(budget_micros=-1)}, "The budget must be 0 or more"),
        ({"limits": JobLimits(concurrency=0)}, "Concurrency must be 1 or more"),
        ({"limits": JobLimits(trial=0)}, "Trial must be 1 or more"),
        ({"out": "results.xyz"}, "cannot be told from its ending"),
        ({"out_format": "doc"}, "cannot be written as 'doc'"),
    ],
)
async def test_an_order_that_cannot_be_carried_out_is_refused(
    services: Services, paper: Path, changes: dict[str, object], title: str
) -> None:
    with pytest.raises(UsageError, match=title):
        await services.jobs.create(order(paper, **changes))
    assert await services.jobs.list() == []


async def test_an_estimate_lists_every_document_and_sends_nothing(services: Services, tmp_path: Path) -> None:
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(120):
        (folder / f"{number}.txt").write_text("The wombat digs. " * 20)
    job = await services.jobs.create(order(folder))
    seen: list[int] = []
    estimate = await services.jobs.estimate(job.id, progress=seen.append)
    assert (estimate.documents, estimate.live.micros if estimate.live else None) == (120, 0)
    await asyncio.sleep(0)
    assert seen[-1] == 120
    assert (await services.jobs.get(job.id)).counts.total == 0


# Steering


async def test_a_job_is_confirmed_paused_resumed_and_cancelled(services: Services, paper: Path) -> None:
    job = await services.jobs.create(order(paper))
    job = await services.jobs.confirm(job.id, trial=3)
    assert (job.state, job.spec.limits.trial) == (JobState.QUEUED, 3)
    with pytest.raises(UsageError, match="is queued and cannot be confirmed"):
        await services.jobs.confirm(job.id)
    job = await services.jobs.pause(job.id)
    assert (job.state, job.pause) == (JobState.PAUSED, PauseReason.USER)
    job = await services.jobs.resume(job.id, budget_micros=5_000_000)
    assert (job.state, job.pause, job.spec.limits.budget_micros) == (JobState.QUEUED, None, 5_000_000)
    assert job.spec.limits.trial == 3  # it was not the trial that paused it
    item = with_item(services, job.id, S.PENDING)
    job = await services.jobs.cancel(job.id)
    assert job.state is JobState.CANCELLED
    assert states_of(services.database, job.id) == {item: "cancelled"}
    for command in (services.jobs.pause, services.jobs.resume, services.jobs.cancel, services.jobs.confirm):
        with pytest.raises(UsageError, match="is cancelled and cannot be"):
            await command(job.id)
    with pytest.raises(UsageError, match="There is no job 99"):
        await services.jobs.pause(99)


async def test_a_cancelled_job_needs_a_worker_while_a_part_of_it_is_under_way(services: Services) -> None:
    job = new_job(services.database, JobState.RUNNING)
    document = with_item(services, job.id, S.PENDING, waiting_for=1)
    part = with_item(services, job.id, S.SENDING, parent=document)
    await services.jobs.cancel(job.id)
    assert states_of(services.database, job.id) == {document: "cancelled", part: "sending"}
    assert services.database.read_now(lambda c: commands.has_work(c, [job.id]))
    services.database.write_now(lambda c: set_state(c, part, S.IN_DOUBT))
    assert not services.database.read_now(lambda c: commands.has_work(c, [job.id]))


async def test_going_on_after_a_trial_sends_the_rest(services: Services) -> None:
    spec = JobSpec("x", Recipe(Kind.SUMMARIZE), (), "offline", "m", limits=JobLimits(trial=2))
    job = new_job(services.database, JobState.RUNNING, spec)
    services.database.write_now(lambda c: jobs.move(c, job.id, JobState.PAUSED, NOW, pause=PauseReason.TRIAL))
    assert (await services.jobs.resume(job.id)).spec.limits.trial is None


async def test_a_pause_of_the_person_outlasts_one_that_ends_by_itself(services: Services) -> None:
    job = new_job(services.database, JobState.RUNNING)
    services.database.write_now(lambda c: jobs.move(c, job.id, JobState.PAUSED, NOW, pause=PauseReason.OFFLINE))
    assert (await services.jobs.pause(job.id)).pause is PauseReason.USER


async def test_only_what_has_ended_or_never_began_is_deleted(services: Services) -> None:
    running, draft, ended = (
        new_job(services.database, state) for state in (JobState.RUNNING, JobState.DRAFT, JobState.CANCELLED)
    )
    with_item(services, ended.id, S.DONE, result="tea")
    with pytest.raises(UsageError, match="is running and cannot be deleted"):
        await services.jobs.delete(running.id)
    await services.jobs.delete(draft.id)
    await services.jobs.delete(ended.id)
    assert [job.id for job in await services.jobs.list()] == [running.id]
    assert services.database.read_now(lambda c: c.execute("SELECT count(*) FROM jobs").get) == 1
    assert await services.chats.search("tea") == []


# Items


@pytest.mark.parametrize("ended", [JobState.FINISHED_WITH_ERRORS, JobState.CANCELLED])
async def test_an_ended_job_is_queued_again_by_a_retry(services: Services, ended: JobState) -> None:
    job = new_job(services.database, ended)
    with_item(services, job.id, S.FAILED)
    assert await services.jobs.retry(job.id, [S.DONE, S.SKIPPED]) == 0
    assert (await services.jobs.get(job.id)).state is ended
    assert await services.jobs.retry(job.id) == 1
    job = await services.jobs.get(job.id)
    assert (job.state, job.ended_ms) == (JobState.QUEUED, None)


async def test_a_paused_job_stays_paused_whatever_is_made_pending(services: Services) -> None:
    job = new_job(services.database, JobState.PAUSED)
    with_item(services, job.id, S.FAILED)
    assert await services.jobs.retry(job.id) == 1
    assert (await services.jobs.get(job.id)).state is JobState.PAUSED


async def test_a_job_is_finished_when_nothing_is_wrong_any_more(services: Services) -> None:
    job = new_job(services.database, JobState.FINISHED_WITH_ERRORS)
    with_item(services, job.id, S.FAILED)
    doubtful = with_item(services, job.id, S.IN_DOUBT, partial="half")
    assert await services.jobs.accept([doubtful]) == 1
    assert (await services.jobs.get(job.id)).state is JobState.FINISHED_WITH_ERRORS
    assert await services.jobs.skip(job.id) == 1
    assert (await services.jobs.get(job.id)).state is JobState.FINISHED


async def test_results_are_written_anew_when_they_change(services: Services, tmp_path: Path) -> None:
    spec = JobSpec("x", Recipe(Kind.SUMMARIZE), (), "offline", "m", out=str(tmp_path / "out.csv"))
    job = new_job(services.database, JobState.FINISHED_WITH_ERRORS, spec)
    with_item(services, job.id, S.FAILED)
    assert await services.jobs.skip(job.id) == 1
    assert (await services.jobs.get(job.id)).state is JobState.QUEUED


async def test_items_are_left_alone_while_results_are_written_and_before_anything_is_sent(services: Services) -> None:
    for state in (JobState.FINISHING, JobState.DRAFT):
        job = new_job(services.database, state)
        item = with_item(services, job.id, S.FAILED)
        with pytest.raises(UsageError, match="cannot be changed"):
            await services.jobs.retry(job.id)
        assert states_of(services.database, job.id) == {item: "failed"}


async def test_a_part_in_doubt_is_named_when_it_keeps_a_document_from_going_again(services: Services) -> None:
    job = new_job(services.database, JobState.FINISHED_WITH_ERRORS)
    document = with_item(services, job.id, S.FAILED)
    with_item(services, job.id, S.IN_DOUBT, parent=document)
    with pytest.raises(UsageError, match="A part of it is in doubt"):
        await services.jobs.retry(job.id, item_ids=[document])
    assert await services.jobs.worst_cost(job.id, item_ids=[document]) == (0, 0)
    assert await services.jobs.retry(job.id, [S.IN_DOUBT], item_ids=[document]) == 1


async def test_the_worst_cost_is_known_where_the_price_is(services: Services) -> None:
    spec = JobSpec("x", Recipe(Kind.SUMMARIZE, max_tokens=100), (), "mine", "m")
    job = new_job(services.database, JobState.RUNNING, spec)
    with_item(services, job.id, S.FAILED, worst=700)
    assert await services.jobs.worst_cost(job.id) == (1, 700)
    with_item(services, job.id, S.FAILED)
    count, micros = await services.jobs.worst_cost(job.id)
    assert count == 2
    assert micros is not None
    assert 700 + 100 + 2 * 100 <= micros < 10_000
    unknown = new_job(services.database, JobState.RUNNING, replace(spec, model="nobody-knows"))
    with_item(services, unknown.id, S.FAILED)
    assert await services.jobs.worst_cost(unknown.id) == (1, None)


# Reading


async def test_an_item_shows_its_file_as_it_is_now(services: Services, paper: Path) -> None:
    job = new_job(services.database, JobState.RUNNING)
    item = with_item(services, job.id, S.DONE, result="It digs.", worst=5)

    def place(c: Connection) -> None:
        c.execute("UPDATE items SET path = ?, span_start = 4, span_end = 10 WHERE id = ?", (str(paper), item))

    services.database.write_now(place)
    detail = await services.jobs.item(item)
    assert (detail.source, detail.source_note) == ("wombat", "It was changed since it was sent.")
    assert (detail.result, detail.partial, len(detail.attempts)) == ("It digs.", None, 1)
    paper.unlink()  # noqa: ASYNC240
    detail = await services.jobs.item(item)
    assert detail.source is None
    assert detail.source_failure is not None
    assert detail.source_failure.kind == "DocumentVanished"


async def test_a_part_shows_its_piece_of_a_kept_text_and_a_merge_what_it_merges(services: Services) -> None:
    job = new_job(services.database, JobState.RUNNING)
    document = with_item(services, job.id, S.PENDING, content="one two three", waiting_for=1)
    merge = with_item(services, job.id, S.PENDING, parent=document, waiting_for=2, cost=1)
    parts = [with_item(services, job.id, S.DONE, parent=merge, part=n, result=f"r{n}", cost=10) for n in range(2)]
    services.database.write_now(
        lambda c: c.execute("UPDATE items SET path = '', span_start = 4, span_end = 7 WHERE id = ?", (parts[1],))
    )
    assert (await services.jobs.item(parts[1])).source == "two"
    assert (await services.jobs.item(merge)).source == "r0\n\nr1"
    detail = await services.jobs.item(document)
    assert (detail.source, detail.parts) == ("one two three", 1)
    assert detail.item.cost is not None
    assert detail.item.cost.micros == 21
    (listed,) = await services.jobs.items(job.id, 0, 10)
    assert (listed.cost, listed.usage.input_tokens) == (detail.item.cost, 30)
    assert [item.id for item in await services.jobs.items(job.id, 0, 10, parent_id=merge)] == parts


async def test_changes_of_another_process_are_heard_by_every_watcher(services: Services) -> None:
    other = Database.open(services.paths.database)
    heard: list[str] = []

    async def watch(name: str, changes: AsyncIterator[None]) -> None:
        async for _ in changes:
            heard.append(name)
            return

    watching = [
        asyncio.create_task(watch("jobs", services.jobs.changes(0.01))),
        asyncio.create_task(watch("jobs again", services.jobs.changes(0.01))),
        asyncio.create_task(watch("chats", services.chats.changes(0.01))),
    ]
    await asyncio.sleep(0.1)
    new_job(services.database)
    await asyncio.sleep(0.1)
    assert heard == []
    new_job(other)
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*watching)
    assert sorted(heard) == ["chats", "jobs", "jobs again"]
    other.close()
