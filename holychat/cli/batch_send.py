"""From an order to a job: written down, estimated, shown, and sent only when somebody says yes."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from holychat.cli.batch_checks import (
    refuse_nothing,
    refuse_what_cannot_be,
    refuse_without_anybody,
    refuse_without_key,
    target_of,
)
from holychat.cli.batch_order import STDOUT, Order
from holychat.cli.batch_sources import sources_of
from holychat.cli.batch_templates import find_template
from holychat.cli.batch_watch import follow, raw_notice, tell_end
from holychat.cli.batch_words import documents, estimate_fields, estimate_rows, item_fields, job_fields, lines
from holychat.cli.output import is_terminal
from holychat.cli.questions import says_yes
from holychat.cli.road_table import road_fields, road_table
from holychat.domain.jobs import ENDED_JOBS, ItemState, PauseReason
from holychat.errors import ExitCode
from holychat.jobs import lists
from holychat.text import clean_line
from holychat.tui.road_words import end_words, taken_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holychat.cli.session import Session
    from holychat.domain.jobs import Job, JobSpec, Source
    from holychat.domain.roads import Choice
    from holychat.jobs.estimate import Estimate
    from holychat.services import Services

_SHOWN_CHARACTERS = 2_000
"""Of each result of a trial."""
_WITHOUT_KEY = "With --hold the job waits until it is resumed."


def carry_out(session: Session, order: Order) -> int:
    """Do what a command line orders; the exit status.

    Raises:
        UsageError: It cannot be done, or nobody is there to say yes.
        KeyMissing: There is no key for the provider, and it would be sent now.
    """
    refuse_what_cannot_be(order)
    order = replace(order, **target_of(order))
    sources = sources_of(order, session.paths)
    sent = False
    try:
        if order.dry_run:
            _show(session, *session.with_services(lambda services: _preview(session, services, order, sources)), order)
            return ExitCode.DONE
        job, estimate, roads = session.with_services(lambda services: _draft(session, services, order, sources))
        try:
            sent = _held(session, job, estimate, order) or _agreed(session, job, estimate, roads, order)
        finally:
            if not sent:
                session.with_services(lambda services: services.jobs.delete(job.id))
    finally:
        if not sent:
            lists.forget(session.paths, sources)
    if order.hold:
        return ExitCode.DONE
    return _send(session, job, order, estimate) if sent else ExitCode.INTERRUPTED


def _held(session: Session, job: Job, estimate: Estimate, order: Order) -> bool:
    """Where it is wanted, make a draft a job of which nothing is sent."""
    if not order.hold:
        return False
    held = session.with_services(lambda services: services.jobs.hold(job.id))
    if order.as_json:
        session.out.json({"job": job_fields(held), "estimate": estimate_fields(estimate)})
        return True
    session.out.line(f"Job {job.id}: {documents(estimate.documents)}")
    session.out.notice(
        f"Nothing is sent. `holychat batch export {job.id} --format openai -o requests.jsonl` writes its requests for"
        f" another engine, `holychat batch resume {job.id}` sends them from here."
    )
    return True


def send_draft(session: Session, job: Job, *, yes: bool, wait: bool, as_json: bool) -> int:
    """Do the same with a draft that is there already, and stays where the answer is no; the exit status.

    Raises:
        UsageError: There is nothing to send, or nobody is there to say yes.
        KeyMissing: There is no key for its provider.
    """
    order = Order(job.spec.recipe.kind, (), {}, yes=yes, wait=wait, as_json=as_json)
    refuse_what_cannot_be(order)
    refuse_without_anybody(order)

    async def reckon(services: Services) -> tuple[Estimate, Choice]:
        await refuse_without_key(services, job.spec.provider)
        with counting() as tell:
            found = await services.jobs.estimate(job.id, progress=tell)
        return found, await services.jobs.roads(job.id, found)

    estimate, roads = session.with_services(reckon)
    agreed = _agreed(session, job, estimate, roads, order)
    return _send(session, job, order, estimate) if agreed else ExitCode.INTERRUPTED


def _agreed(session: Session, job: Job, estimate: Estimate, roads: Choice, order: Order) -> bool:
    """Show what a draft will take and ask whether it shall be sent.

    Raises:
        UsageError: There is nothing to send.
    """
    refuse_nothing(estimate)
    if not order.as_json:
        _show_before_sending(session, job, estimate, roads)
    if order.yes or says_yes(_question(job, estimate, order)):
        return True
    session.out.notice("Nothing was sent.")
    return False


def _question(job: Job, estimate: Estimate, order: Order) -> str:
    first = order.trial is not None and order.trial < estimate.documents
    what = f"the first {order.trial:,} of " if first else ""
    return f"Send {what}{documents(estimate.documents)} to {clean_line(job.spec.provider)}?"


def _send(session: Session, job: Job, order: Order, estimate: Estimate) -> int:
    """Let a draft be worked at, then wait for it where that is wanted; the exit status."""

    async def begin(services: Services) -> tuple[Job, bool]:
        started = await services.jobs.confirm(job.id, trial=order.trial)
        if order.trial or order.wait:
            return await follow(session, services, job.id, quiet=order.as_json)
        return started, False

    job, interrupted = session.with_services(begin)
    if order.trial and not interrupted:
        return _after_trial(session, job, order)
    if not order.wait:
        _tell_it_is_sent(session, job, order, estimate)
        return ExitCode.DONE
    return _end(session, job, order, interrupted=interrupted)


# Before


async def _spec(session: Session, services: Services, order: Order, sources: tuple[Source, ...]) -> JobSpec:
    template = await find_template(services, order.template) if order.template else None
    spec = order.spec(sources, template, session.settings.chat)
    for warning in services.registry.get(spec.provider).warnings():
        session.warn(warning)
    return spec


async def _preview(
    session: Session, services: Services, order: Order, sources: tuple[Source, ...]
) -> tuple[str, str, Estimate, Choice]:
    """Whom an order would ask and what it would take; nothing is written down."""
    spec = await _spec(session, services, order, sources)
    with counting() as tell:
        estimate = await services.jobs.preview(spec, progress=tell)
    model = spec.model or services.registry.info(spec.provider).model
    return spec.provider, model, estimate, await services.jobs.roads(spec, estimate)


async def _draft(
    session: Session, services: Services, order: Order, sources: tuple[Source, ...]
) -> tuple[Job, Estimate, Choice]:
    """The order as a draft, what it will take, and on which road."""
    job = await services.jobs.create(await _spec(session, services, order, sources))
    try:
        refuse_without_anybody(order)
        if not order.hold:
            await refuse_without_key(services, job.spec.provider, way_out=_WITHOUT_KEY)
        with counting() as tell:
            estimate = await services.jobs.estimate(job.id, progress=tell)
        return job, estimate, await services.jobs.roads(job.id, estimate)
    except BaseException:
        await services.jobs.delete(job.id)
        raise


@contextlib.contextmanager
def counting() -> Iterator[Callable[[int], None]]:
    """Shows how many documents were looked at, on a terminal."""
    shown = False

    def tell(count: int) -> None:
        nonlocal shown
        if is_terminal(sys.stderr):
            raw_notice(f"\r\x1b[KLooking at documents: {count:,}")
            shown = True

    try:
        yield tell
    finally:
        if shown:
            raw_notice("\r\x1b[K")


def _show(session: Session, provider: str, model: str, estimate: Estimate, roads: Choice, order: Order) -> None:
    if order.as_json:
        whom = {"provider": provider, "model": model or None}
        session.out.json({"job": None, **whom, "estimate": estimate_fields(estimate), "roads": road_fields(roads)})
        return
    whom_words = clean_line(f"{model} · {provider}" if model else provider, 200)
    rows = [("Model", whom_words), *estimate_rows(estimate), ("Road", taken_words(roads))]
    session.out.write(f"{lines(rows)}\n{road_table(roads)}")
    _warn(session, estimate)


def _show_before_sending(session: Session, job: Job, estimate: Estimate, roads: Choice) -> None:
    """What a job will take, beside the question and not among what is asked for."""
    model = f", model {job.spec.model}" if job.spec.model else ""
    session.out.notice(clean_line(f"{job.spec.name}, with {job.spec.provider}{model}", 200))
    taken = next(offer for offer in roads.offers if offer.road is roads.road)
    rows = [*estimate_rows(estimate), ("Time", end_words(taken)), ("Road", taken_words(roads))]
    session.out.notice(lines(rows).rstrip("\n"))
    _warn(session, estimate)


def _warn(session: Session, estimate: Estimate) -> None:
    for warning in estimate.warnings:
        session.warn(clean_line(warning, 300))


# After


def _tell_it_is_sent(session: Session, job: Job, order: Order, estimate: Estimate) -> None:
    if order.as_json:
        session.out.json({"job": job_fields(job), "estimate": estimate_fields(estimate)})
        return
    session.out.line(f"Job {job.id}: {documents(estimate.documents)}")
    session.out.notice(f"It goes on in the background. `holychat batch watch {job.id}` shows it.")


def _end(session: Session, job: Job, order: Order, *, interrupted: bool) -> int:
    """The results where they were wanted, the summary, the exit status."""
    if order.out == STDOUT and not interrupted and job.state in ENDED_JOBS:
        print_results(session, job.id, order.form)
        return session.with_services(lambda services: _quiet_end(session, services, job))
    return session.with_services(lambda services: tell_end(session, services, job, interrupted, as_json=order.as_json))


async def _quiet_end(session: Session, services: Services, job: Job) -> int:
    from holychat.cli.batch_watch import status_of
    from holychat.cli.batch_words import cause_words, summary_rows

    session.out.notice(lines(summary_rows(job)).rstrip("\n"))
    for cause in await services.jobs.causes(job.id):
        session.out.notice(f"  {cause_words(cause)}")
    return status_of(job)


def print_results(session: Session, job_id: int, form: str) -> None:
    """The results of a job on stdout, as they are read."""
    from holychat.jobs.export import pieces

    async def write(services: Services) -> None:
        def work() -> None:
            for piece in pieces(services.database, job_id, form):
                session.out.write(piece)

        await asyncio.to_thread(work)

    session.with_services(write)


# A trial


def _after_trial(session: Session, job: Job, order: Order) -> int:
    """Show what came of the first documents, and ask whether the rest shall be sent."""
    results = session.with_services(lambda services: _results(services, job.id, order.trial or 1))
    if job.pause is not PauseReason.TRIAL:  # it was all of it, or something else is in the way
        if not order.as_json:
            _print_trial(session, results)
        return _end(session, job, order, interrupted=False)
    if order.as_json:
        session.out.json({"job": job_fields(job), "trial": [item_fields(*result) for result in results]})
        return ExitCode.DONE
    _print_trial(session, results)
    session.out.notice(_projected(job))
    go_on = f"`holychat batch resume {job.id}` sends the rest, `holychat batch cancel {job.id}` ends it."
    if not is_terminal(sys.stdin):
        session.out.notice(f"Job {job.id} waits. {go_on}")
        return ExitCode.DONE
    if not says_yes("Send the rest?"):
        session.out.notice(f"Job {job.id} waits. {go_on}")
        return ExitCode.DONE

    async def rest(services: Services) -> tuple[Job, bool]:
        resumed = await services.jobs.resume(job.id)
        return await follow(session, services, job.id) if order.wait else (resumed, False)

    job, interrupted = session.with_services(rest)
    if order.wait:
        return _end(session, job, order, interrupted=interrupted)
    session.out.notice(f"It goes on in the background. `holychat batch watch {job.id}` shows it.")
    return ExitCode.DONE


async def _results(services: Services, job_id: int, count: int) -> list[tuple[Any, str | None, str | None]]:
    ended = (ItemState.DONE, ItemState.FAILED, ItemState.IN_DOUBT)
    found = []
    for item in await services.jobs.items(job_id, 0, count, states=ended):
        detail = await services.jobs.item(item.id)
        found.append((item, detail.result, detail.partial))
    return found


def _print_trial(session: Session, results: Sequence[tuple[Any, str | None, str | None]]) -> None:
    for item, text, _ in results:
        session.out.line(f"--- {clean_line(item.document.name)} ({item.state.value.replace('_', ' ')})")
        if item.failure is not None:
            session.out.line(clean_line(item.failure.sentences, 500))
        if text is not None:
            cut = f"\n[…] {len(text) - _SHOWN_CHARACTERS:,} characters more" if len(text) > _SHOWN_CHARACTERS else ""
            session.out.line(text[:_SHOWN_CHARACTERS].rstrip() + cut)
        session.out.line()


def _projected(job: Job) -> str:
    """What the trial took, and what the rest will take by the look of it."""
    from holychat.catalog.money import money_text
    from holychat.cli.batch_words import spent_words
    from holychat.domain.usage import Cost
    from holychat.tui.job_words import number

    ended, total = job.counts.ended, job.counts.total
    rest = total - ended
    took = f"{documents(ended)} took {number(job.input_tokens + job.output_tokens)} tokens, {spent_words(job.money)}"
    if not ended:
        return took
    tokens, micros = ((whole * rest) // ended for whole in (job.input_tokens + job.output_tokens, job.money.spent))
    cost = "" if job.money.unknown else f", {money_text(Cost(micros, estimated=bool(micros)))}"
    at_least = "" if job.listed else "at least "
    return f"{took}; the other {at_least}{number(rest)}: ~{number(tokens)} tokens{cost}."
