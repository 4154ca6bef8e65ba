"""`holychat batch import`, and the request files of `batch export --format openai`: work for another engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from holychat.cli.arguments import JOB, TEXT
from holychat.cli.batch_words import documents
from holychat.errors import ExitCode, UsageError
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from holychat.cli.session import Session
    from holychat.domain.jobs import Job
    from holychat.jobs.carrying import Imported
    from holychat.services import Services

OPENAI = "openai"
"""The format that is no result but what is still to be done."""
_PRICES = ("unknown", "free", "batch", "live")


@click.command("import", short_help="Take in answers that another engine gave to a job's requests.")
@click.argument("results", type=TEXT, metavar="RESULTS.jsonl")
@click.option("--job", type=JOB, help="Whose answers they are, where the lines do not say it: a number, or last.")
@click.option(
    "--price", type=click.Choice(_PRICES), default="unknown",
    help="What they cost: unknown (default), free, or as the job's provider charges in batches or live.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def import_results(session: Session, results: str, job: int | None, price: str, as_json: bool) -> int:
    """Take in answers that another engine gave to the requests of `batch export --format openai`.

    Each line is matched to its document; one that has an answer already keeps it, so a file can be taken in twice.
    Prices are those of the model that the request named; where only the answer names another one, they are that one's.
    With --job lines are also matched by the custom_id of a ready-made request, or by the number of the document. Exit
    status: 7 where some lines are failures or belong to nothing.
    """
    ctx = click.get_current_context()
    named = ctx.get_parameter_source("job") is not click.core.ParameterSource.DEFAULT

    async def work(services: Services) -> Imported:
        from holychat.cli.batch_jobs import find_job

        found = (await find_job(services, job)).id if named else None
        imported = await services.jobs.import_answers(Path(results), found, price)
        if imported.jobs:
            await services.jobs.ensure_worker()
        return imported

    try:
        imported = session.with_services(work)
    except OSError as error:
        raise UsageError(f"{clean_line(results, 200)} cannot be read: {error.strerror or error}") from None
    if as_json:
        session.out.json(
            {
                "done": imported.done, "failed": imported.failed, "already": imported.already,
                "unknown": imported.unknown, "unreadable": imported.unreadable, "jobs": sorted(imported.jobs),
            }
        )  # fmt: skip
    else:
        _tell(session, imported)
    wrong = imported.failed or imported.unknown or imported.unreadable
    return ExitCode.SOME_FAILED if wrong else ExitCode.DONE


def export_requests(session: Session, job: Job, out: str, *, overwrite: bool) -> None:
    """Write the requests of a paused job that wait to be sent, as a file for an engine.

    Raises:
        UsageError: The job would send them itself, or something is there already.
    """
    import asyncio

    from holychat.paths import private_file

    async def work(services: Services) -> int:
        return await asyncio.to_thread(write, services)

    def write(services: Services) -> int:
        lines = services.jobs.request_lines(job.id)
        if out == "-":
            return _put(lines, session.out.write)
        with private_file(Path(out), overwrite=overwrite) as file:
            if count := _put(lines, file.write):
                return count
            raise UsageError(f"Nothing of job {job.id} waits to be sent", "What failed waits after a retry.")

    try:
        count = session.with_services(work)
    except FileExistsError as error:
        raise UsageError(f"{error.filename} is there already", "Choose another name, or add --overwrite.") from None
    if out != "-":
        session.out.line(out)
    session.out.notice(
        f"{count:,} {'request' if count == 1 else 'requests'} written. `holychat batch import RESULTS.jsonl` brings"
        " the answers home."
    )


def _put(lines: Iterator[bytes], write: Callable[[str], object]) -> int:
    count = 0
    for line in lines:
        write(line.decode())
        count += 1
    return count


def _tell(session: Session, imported: Imported) -> None:
    pieces = [f"{documents(imported.done)} done"]
    for count, what in (
        (imported.failed, "failed"),
        (imported.already, "had an answer already, or are under way here"),
        (imported.unknown, "belong to no job here"),
        (imported.unreadable, "cannot be read"),
    ):
        if count:
            pieces.append(f"{count:,} {what}")
    session.out.line(", ".join(pieces) + ".")
    if imported.examples:
        session.warn(f"Unknown custom_ids: {', '.join(clean_line(name, 60) for name in imported.examples)}")
