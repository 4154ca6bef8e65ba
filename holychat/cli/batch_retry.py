"""Sending documents again: which ones, what that costs at worst, and the question before it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.catalog.money import money_text
from holychat.cli.batch_checks import refuse_without_key
from holychat.cli.batch_jobs import find_job
from holychat.cli.batch_words import documents
from holychat.cli.questions import must_agree
from holychat.domain.jobs import ENDED_JOBS, ItemState
from holychat.domain.usage import Cost
from holychat.errors import UsageError
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.cli.session import Session
    from holychat.domain.jobs import Job
    from holychat.services import Services


@dataclass(frozen=True, slots=True)
class Choice:
    """Which documents of a job."""

    job: int | None
    """None: of the newest one."""
    states: tuple[ItemState, ...]
    cause: str | None
    """Words of the reason; None: any."""
    numbers: tuple[int, ...]
    """Of documents; empty: any."""


@dataclass(frozen=True, slots=True)
class _Found:
    job: Job
    causes: tuple[str | None, ...]
    item_ids: tuple[int, ...] | None
    count: int
    micros: int | None


def again(session: Session, choice: Choice, *, yes: bool) -> tuple[Job, int]:
    """Send the chosen documents again; those in doubt only after the person has seen what it may cost.

    Returns:
        The job, and how many documents there were.

    Raises:
        UsageError: There is no such job or cause, or nobody is there to say yes.
        KeyMissing: There is no key for its provider, and this would set it going.
        click.Abort: The person said no.
    """

    async def find(services: Services) -> _Found:
        found = await _find(services, choice)
        if found.count and found.job.state in ENDED_JOBS:
            await refuse_without_key(services, found.job.spec.provider)
        return found

    found = session.with_services(find)
    if not found.count:
        return found.job, 0
    if ItemState.IN_DOUBT in choice.states and not yes:
        _ask(session, found)

    async def send(services: Services) -> tuple[Job, int]:
        count = 0
        for cause in found.causes:
            count += await services.jobs.retry(found.job.id, choice.states, found.item_ids, cause)
        return await services.jobs.get(found.job.id), count

    return session.with_services(send)


def _ask(session: Session, found: _Found) -> None:
    worst = "an amount that is not known" if found.micros is None else f"up to {money_text(Cost(found.micros))}"
    session.out.notice(
        f"{documents(found.count)} in doubt: sent, and it is not known whether done and billed. Sending again costs "
        f"{worst}, perhaps for the second time."
    )
    must_agree(session, "Send them again?", "Nothing was sent again.")


async def _find(services: Services, choice: Choice) -> _Found:
    job = await find_job(services, choice.job)
    causes: tuple[str | None, ...] = (None,)
    if choice.cause is not None:
        wanted = choice.cause.casefold()
        causes = tuple(
            cause.cause
            for cause in await services.jobs.causes(job.id)
            if cause.state in choice.states and wanted in f"{cause.title} {cause.hint} {cause.cause}".casefold()
        )
        if not causes:
            raise UsageError(
                f"Nothing of job {job.id} failed because of {clean_line(choice.cause, 60)!r}",
                f"`holychat batch show {job.id}` lists the reasons.",
            )
    item_ids = None
    if choice.numbers:
        places = [await services.jobs.items(job.id, number - 1, 1) for number in choice.numbers]
        item_ids = tuple(item.id for page in places for item in page)
    count, micros = 0, 0
    known = True
    for cause in causes:
        some, worst = await services.jobs.worst_cost(job.id, choice.states, item_ids, cause)
        count += some
        micros += worst or 0
        known = known and worst is not None
    return _Found(job, causes, item_ids, count, micros if known else None)
