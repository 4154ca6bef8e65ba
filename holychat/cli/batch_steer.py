"""`holychat batch pause|resume|cancel|retry|skip|accept|delete`: steering jobs from any shell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holychat.cli.arguments import DOLLARS, JOB, TEXT
from holychat.cli.batch_jobs import find_job
from holychat.cli.batch_words import documents, job_fields
from holychat.domain.jobs import ItemState, JobState
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holychat.cli.session import Session
    from holychat.domain.jobs import Item, Job
    from holychat.services import Services

_AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print the job as JSON.")
_YES = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_WAIT = click.option("-w", "--wait", is_flag=True, help="Wait for the end, show progress and a summary.")
_AGAIN = {
    ItemState.FAILED: "failed: --failed",
    ItemState.IN_DOUBT: "in doubt: --in-doubt",
    ItemState.CANCELLED: "cancelled: --cancelled",
    ItemState.SKIPPED: "skipped: --skipped",
}
_LOOKED_THROUGH = 100_000


@click.command(short_help="Send nothing more for now.")
@click.argument("job", type=JOB)
@_AS_JSON
@click.pass_obj
def pause(session: Session, job: int | None, as_json: bool) -> None:
    """Send nothing more of a job for now; what is under way is finished. JOB is a number, or `last`."""
    changed = _steer(session, job, lambda services, found: services.jobs.pause(found.id))
    _tell(session, changed, f"Job {changed.id} is paused. `holychat batch resume {changed.id}` goes on.", as_json)


@click.command(short_help="Go on with a paused job.")
@click.argument("job", type=JOB)
@click.option("--budget", type=DOLLARS, metavar="USD", help="A new budget for the whole job.")
@click.option("-y", "--yes", is_flag=True, help="Send a draft without being asked.")
@_WAIT
@_AS_JSON
@click.pass_obj
def resume(session: Session, job: int | None, budget: int | None, yes: bool, wait: bool, as_json: bool) -> int:
    """Go on with a paused job; after a trial this sends the rest. JOB is a number, or `last`.

    A draft, of which nothing was sent yet, shows what it will take and asks first.
    """
    found = session.with_services(lambda services: find_job(services, job))
    if found.state is JobState.DRAFT:
        from holychat.cli.batch_send import send_draft

        return send_draft(session, found, yes=yes, wait=wait, as_json=as_json)

    async def go_on(services: Services) -> Job:
        if found.state is JobState.PAUSED:
            from holychat.cli.batch_checks import refuse_without_key

            await refuse_without_key(services, found.spec.provider)
        return await services.jobs.resume(found.id, budget_micros=budget)

    changed = session.with_services(go_on)
    return _then(session, changed, f"Job {changed.id} goes on.", wait=wait, as_json=as_json)


@click.command(short_help="End a job; what was not sent never is.")
@click.argument("job", type=JOB)
@_AS_JSON
@click.pass_obj
def cancel(session: Session, job: int | None, as_json: bool) -> None:
    """End a job: what was not sent never is, what is under way may be billed. Results so far are kept.

    JOB is a number, or `last`.
    """
    changed = _steer(session, job, lambda services, found: services.jobs.cancel(found.id))
    words = f"Job {changed.id} is cancelled; {documents(changed.counts.of(ItemState.CANCELLED))} will not be sent."
    if under_way := changed.counts.of(ItemState.SENDING):
        words += f" {documents(under_way)} under way may be billed, and will be in doubt."
    _tell(session, changed, words, as_json)


@click.command(short_help="Send failed documents again.")
@click.argument("job", type=JOB)
@click.option("--failed", is_flag=True, help="Those that failed; this is the default.")
@click.option("--in-doubt", "doubt", is_flag=True, help="Those in doubt; shows what it may cost, and asks.")
@click.option("--cancelled", is_flag=True, help="Those that were not sent because the job was cancelled.")
@click.option("--skipped", is_flag=True, help="Those that were skipped.")
@click.option("--cause", type=TEXT, metavar="WORDS", help="Only those whose reason has these words in it.")
@click.option("--item", "numbers", type=click.IntRange(1), multiple=True, metavar="NUMBER", help="Only this document.")
@_YES
@_WAIT
@_AS_JSON
@click.pass_obj
def retry(
    session: Session, job: int | None, failed: bool, doubt: bool, cancelled: bool, skipped: bool, cause: str | None,
    numbers: tuple[int, ...], yes: bool, wait: bool, as_json: bool,
) -> int:  # fmt: skip
    """Send documents of a job again: those that failed, or those you name. JOB is a number, or `last`."""
    from holychat.cli.batch_retry import Choice, again

    given = {
        ItemState.IN_DOUBT: doubt, ItemState.CANCELLED: cancelled, ItemState.SKIPPED: skipped, ItemState.FAILED: failed,
    }  # fmt: skip
    states = tuple(state for state, wanted in given.items() if wanted) or (ItemState.FAILED,)
    found, count = again(session, Choice(job, states, cause, numbers), yes=yes)
    if not count:
        _tell(session, found, f"There is nothing of job {found.id} to send again.{_others(found, states)}", as_json)
        return 0
    return _then(
        session, found, f"{documents(count)} of job {found.id} will be sent again.", wait=wait, as_json=as_json
    )


@click.command(short_help="Leave failed or doubtful documents out for good.")
@click.argument("job", type=JOB)
@click.option("--failed", is_flag=True, help="Those that failed.")
@click.option("--in-doubt", "doubt", is_flag=True, help="Those in doubt.")
@_AS_JSON
@click.pass_obj
def skip(session: Session, job: int | None, failed: bool, doubt: bool, as_json: bool) -> None:
    """Leave documents out for good: those that failed, those in doubt, or both where you name none.

    JOB is a number, or `last`.
    """
    given = {ItemState.FAILED: failed, ItemState.IN_DOUBT: doubt}
    states = tuple(state for state, wanted in given.items() if wanted) or tuple(given)
    found, count = _count(session, job, lambda services, found: services.jobs.skip(found.id, states))
    _tell(session, found, f"{documents(count)} of job {found.id} skipped.", as_json)


@click.command(short_help="Take what arrived of answers in doubt.")
@click.argument("job", type=JOB)
@click.option("--item", "numbers", type=click.IntRange(1), multiple=True, metavar="NUMBER", help="Only this document.")
@_AS_JSON
@click.pass_obj
def accept(session: Session, job: int | None, numbers: tuple[int, ...], as_json: bool) -> None:
    """Take what arrived of answers in doubt as the answers; those of which nothing arrived stay in doubt.

    JOB is a number, or `last`.
    """

    async def take(services: Services, found: Job) -> int:
        items = await services.jobs.items(found.id, 0, _LOOKED_THROUGH, states=(ItemState.IN_DOUBT,))
        return await services.jobs.accept([item.id for item in _chosen(items, numbers)])

    found, count = _count(session, job, take)
    _tell(session, found, f"{documents(count)} of job {found.id} accepted.", as_json)


@click.command(short_help="Delete jobs with their results, for good.")
@click.argument("jobs", type=JOB, nargs=-1, required=True, metavar="JOB...")
@_YES
@click.pass_obj
def delete(session: Session, jobs: tuple[int | None, ...], yes: bool) -> None:
    """Delete jobs that have ended with all their results, for good. JOB is a number, or `last`."""
    from holychat.cli.questions import must_agree

    async def find(services: Services) -> dict[int, Job]:
        return {found.id: found for found in [await find_job(services, job) for job in jobs]}

    found = session.with_services(find)
    for job in () if yes else found.values():
        results = documents(job.counts.of(ItemState.DONE))
        question = f"Delete job {job.id}, {clean_line(job.spec.name)} ({results} done)?"
        must_agree(session, question, "Nothing was deleted.")

    async def delete_all(services: Services) -> None:
        for job_id in found:
            await services.jobs.delete(job_id)

    session.with_services(delete_all)
    session.out.line(f"Deleted {', '.join(f'job {job_id}' for job_id in found)}.")


def _others(job: Job, states: tuple[ItemState, ...]) -> str:
    """What could be asked for in place of states that no document is in."""
    found = [state for state in _AGAIN if state not in states and job.counts.of(state)]
    return "".join(f" {documents(job.counts.of(state))} {_AGAIN[state]}." for state in found)


def _chosen(items: Sequence[Item], numbers: tuple[int, ...]) -> list[Item]:
    """The documents with these numbers; all of them where none is given."""
    return [item for item in items if not numbers or item.ordinal + 1 in numbers]


def _steer(session: Session, job: int | None, act: Callable[[Services, Job], Awaitable[Job]]) -> Job:
    async def work(services: Services) -> Job:
        return await act(services, await find_job(services, job))

    return session.with_services(work)


def _count(session: Session, job: int | None, act: Callable[[Services, Job], Awaitable[int]]) -> tuple[Job, int]:
    async def work(services: Services) -> tuple[Job, int]:
        found = await find_job(services, job)
        count = await act(services, found)
        return await services.jobs.get(found.id), count

    return session.with_services(work)


def _tell(session: Session, job: Job, words: str, as_json: bool) -> None:
    if as_json:
        (job,) = session.with_services(lambda services: services.jobs.until_now([job]))
        session.out.json(job_fields(job))
    else:
        session.out.line(words)


def _then(session: Session, job: Job, words: str, *, wait: bool, as_json: bool) -> int:
    """Say what was done, and wait for the end where that is wanted."""
    if not wait:
        _tell(session, job, words, as_json)
        return 0
    from holychat.cli.batch_watch import follow, tell_end

    async def work(services: Services) -> int:
        last, interrupted = await follow(session, services, job.id, quiet=as_json)
        return await tell_end(session, services, last, interrupted, as_json=as_json)

    return session.with_services(work)
