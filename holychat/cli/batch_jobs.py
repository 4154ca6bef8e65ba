"""`holychat batch list|show|watch|export`: looking at jobs and fetching what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holychat.cli.arguments import JOB, OUT_NAMES, TEXT, OutOption
from holychat.cli.batch_words import (
    cause_fields,
    cause_words,
    cost_words,
    documents,
    item_fields,
    job_fields,
    lines,
    progress_words,
    summary_rows,
    when,
)
from holychat.cli.output import table
from holychat.domain.jobs import ENDED_JOBS, ItemState
from holychat.errors import UsageError
from holychat.text import clean_line
from holychat.tui.job_words import ITEM_WORDS, counts_words, recipe_words, source_words, state_words

if TYPE_CHECKING:
    from holychat.cli.session import Session
    from holychat.domain.batches import Submission
    from holychat.domain.job_views import Cause, ItemDetail
    from holychat.domain.jobs import Item, Job
    from holychat.domain.webhooks import Webhook
    from holychat.services import Services

_PAGE = 500
_STATES = [state.value.replace("_", "-") for state in ItemState]


@click.command("list", short_help="List jobs, those at work first.")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, metavar="N", help="At most so many; 20.")
@click.option("--active", is_flag=True, help="Only jobs that have not ended.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_jobs(session: Session, limit: int, active: bool, as_json: bool) -> None:
    """List jobs, those at work first: number, when, state, how far, cost, name."""

    async def read(services: Services) -> list[Job]:
        await services.jobs.look_after()
        return await services.jobs.until_now(await services.jobs.list(limit=limit, only_active=active))

    jobs = session.with_services(read)
    if as_json:
        session.out.json([job_fields(job) for job in jobs])
        return
    if not jobs:
        session.out.notice("No job has anything to do." if active else "No jobs yet: `holychat batch --help`.")
    rows = [
        (
            str(job.id),
            when(job.created_ms),
            state_words(job)[0],
            ", ".join(text for text, _ in counts_words(job)),
            cost_words(job),
            clean_line(job.spec.name, 60),
        )
        for job in jobs
    ]
    session.out.write(table(rows))


@click.command(short_help="Show a job, its documents, or one result.")
@click.argument("job", type=JOB)
@click.option("--items", is_flag=True, help="List the documents of the job.")
@click.option("--state", type=click.Choice(_STATES), help="Only documents in that state.")
@click.option("-n", "--limit", type=click.IntRange(1), metavar="N", help="At most so many documents; default: all.")
@click.option("--item", "number", type=click.IntRange(1), metavar="NUMBER", help="Print the result of one document.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(
    session: Session,
    job: int | None,
    items: bool,
    state: str | None,
    limit: int | None,
    number: int | None,
    as_json: bool,
) -> None:
    """Show a job: what it does, how far it is, what went wrong; with --items its documents, with --item a result.

    JOB is a number, or `last`.
    """
    if number is not None:
        _show_item(session, job, number, as_json=as_json)
    elif items or state is not None:
        chosen = None if state is None else ItemState(state.replace("-", "_"))
        session.with_services(lambda services: _show_items(session, services, job, chosen, limit, as_json))
    else:
        _show_job(session, job, as_json=as_json)


@click.command(short_help="Watch a job until it ends.")
@click.argument("job", type=JOB, default="last")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.pass_obj
def watch(session: Session, job: int | None, as_json: bool) -> int:
    """Watch a job until it ends or waits for you; JOB is a number, or `last` (default). Ctrl+C does not stop the job.

    Exit status: 0 all done, 7 some failed, 8 some in doubt, 130 interrupted.
    """
    from holychat.cli.batch_watch import follow, tell_end

    async def work(services: Services) -> int:
        found = await find_job(services, job)
        last, interrupted = await follow(session, services, found.id, quiet=as_json)
        return await tell_end(session, services, last, interrupted, as_json=as_json)

    return session.with_services(work)


@click.command(short_help="Write the results of a job.")
@click.argument("job", type=JOB)
@click.option(
    *OUT_NAMES, cls=OutOption, type=TEXT, default="-", metavar="PATH",
    help="A file, or a folder for one file per document; - (default) is stdout.",
)  # fmt: skip
@click.option("--format", "form", metavar="FORMAT", default="", help="jsonl, csv, markdown, files or openai.")
@click.option("--overwrite", is_flag=True, help="Replace what is there.")
@click.pass_obj
def export(session: Session, job: int | None, out: str, form: str, overwrite: bool) -> None:
    """Write the results of a job in the order of the input; JOB is a number, or `last`.

    As JSON lines (custom_id, source, state, text, usage, cost, error), CSV, Markdown, or one file per document; the
    ending of PATH says which. With --format openai: no results, but the requests of a paused job that wait to be sent,
    as a file for OpenAI Batch, `vllm run-batch` and other engines; `batch import` brings their answers home.
    """
    from pathlib import Path

    from holychat.cli.batch_carry import OPENAI, export_requests
    from holychat.cli.batch_send import print_results
    from holychat.jobs.export import FILES, FORMATS, AlreadyThere, format_of

    if form == OPENAI:
        export_requests(
            session, session.with_services(lambda services: find_job(services, job)), out, overwrite=overwrite
        )
        return
    if form and form not in FORMATS:
        raise UsageError(f"There is no format {form!r}", f"There are {', '.join((*FORMATS, OPENAI))}.")
    found = session.with_services(lambda services: find_job(services, job))
    if out == "-":
        if form == FILES:
            raise UsageError("One file per document needs a folder", "Give one with -o.")
        print_results(session, found.id, form or "jsonl")
        return
    chosen = format_of(out, form)
    try:
        written = session.with_services(
            lambda services: services.jobs.export(found.id, chosen, Path(out), overwrite=overwrite)
        )
    except AlreadyThere as error:
        raise UsageError(error.title, "Choose another name, or add --overwrite.") from None
    left = found.counts.total - written
    session.out.line(out)
    session.out.notice(
        f"{documents(written)} written" + (f", {documents(left)} without an answer." if left > 0 else ".")
    )


async def find_job(services: Services, job_id: int | None) -> Job:
    """The job of that number, or the newest one for None.

    Raises:
        UsageError: There is no such job, or none at all.
    """
    if job_id is not None:
        return await services.jobs.get(job_id)
    jobs = await services.jobs.list(limit=10_000, include_drafts=False)
    if not jobs:
        raise UsageError("There is no job yet", "Begin one: `holychat batch summarize FOLDER`.")
    return max(jobs, key=lambda job: job.id)


def _show_job(session: Session, job_id: int | None, *, as_json: bool) -> None:
    from holychat.cli.batch_remote import submission_fields, submission_rows
    from holychat.cli.batch_watch import now_ms
    from holychat.cli.batch_webhook import webhook_words

    async def read(services: Services) -> tuple[Job, list[Cause], list[Webhook], list[Submission]]:
        jobs = services.jobs
        await jobs.look_after()
        (job,) = await jobs.until_now([await find_job(services, job_id)])
        return job, await jobs.causes(job.id), await jobs.webhooks(job.id), await jobs.submissions(job.id)

    job, causes, messages, batches = session.with_services(read)
    if as_json:
        more = {"causes": [cause_fields(cause) for cause in causes], "batches": [submission_fields(b) for b in batches]}
        session.out.json(job_fields(job) | more)
        return
    spec = job.spec
    rows = [
        ("Job", f"{job.id}, {clean_line(spec.name)}"),
        ("Does", recipe_words(spec.recipe)),
        ("With", clean_line(f"{spec.provider}{f', model {spec.model}' if spec.model else ''}")),
        ("From", clean_line(", ".join(source_words(source) for source in spec.sources), 1000)),
        ("State", state_words(job)[0]),
    ]
    if job.pause_detail:
        rows.append(("Because", clean_line(job.pause_detail, 300)))
    if job.state in ENDED_JOBS:
        rows += summary_rows(job)
    else:
        rows.append(("Progress", ", ".join(progress_words(job, now_ms()))))
    rows += submission_rows(batches)
    rows += [("Told", clean_line(f"{last.url}: {webhook_words(last)}", 300)) for last in messages[-1:]]
    if parts := sum(job.counts.parts.values()):
        done = job.counts.parts.get(ItemState.DONE, 0)
        rows.append(("Parts", f"{done:,} of {parts:,} parts of long documents done"))
    rows += [(name, clean_line(told, 1000)) for name, told in (("Results", spec.out), ("Note", job.note)) if told]
    session.out.write(lines(rows))
    for cause in causes:
        session.out.line(f"  {cause_words(cause)}")


async def _show_items(
    session: Session, services: Services, job_id: int | None, state: ItemState | None, limit: int | None, as_json: bool
) -> None:
    """The documents of a job, page by page: as JSON one object per line, for there may be very many."""
    job = await find_job(services, job_id)
    states = None if state is None else (state,)
    first = 0
    while limit is None or first < limit:
        count = _PAGE if limit is None else min(_PAGE, limit - first)
        page = await services.jobs.items(job.id, first, count, states=states)
        if as_json:
            session.out.write("".join(_json_line(item) for item in page))
        elif page:
            session.out.write(table([_item_row(item) for item in page]))
        first += len(page)
        if len(page) < count:
            return


def _json_line(item: Item) -> str:
    import json

    return json.dumps(item_fields(item)) + "\n"


def _item_row(item: Item) -> tuple[str, ...]:
    why = clean_line(item.note if item.failure is None else item.failure.title, 100)
    tokens = "" if item.usage.output_tokens is None else f"{item.usage.output_tokens:,}"
    name = clean_line(item.document.name, 80)
    return (f"{item.ordinal + 1:,}", ITEM_WORDS[item.state][1], tokens, f"{name}: {why}" if why else name)


def _show_item(session: Session, job_id: int | None, number: int, *, as_json: bool) -> None:
    async def read(services: Services) -> ItemDetail:
        job = await find_job(services, job_id)
        for item in await services.jobs.items(job.id, number - 1, 1):
            return await services.jobs.item(item.id)
        raise UsageError(
            f"Job {job.id} has no document {number}", f"`holychat batch show {job.id} --items` lists what it has."
        )

    detail = session.with_services(read)
    item = detail.item
    if as_json:
        fields: dict[str, Any] = item_fields(item, detail.result, detail.partial)
        session.out.json(fields | {"parts": detail.parts, "attempts": len(detail.attempts)})
        return
    if detail.result is not None:
        session.out.write(detail.result.rstrip("\n") + "\n")
        if item.note:
            session.warn(f"{clean_line(item.document.name)}: {clean_line(item.note, 500)}")
        return
    if detail.partial:
        session.out.write(detail.partial.rstrip("\n") + "\n")
    why = "" if item.failure is None else f": {clean_line(item.failure.sentences, 500)}"
    session.warn(f"{clean_line(item.document.name)} is {ITEM_WORDS[item.state][1]}{why}")
