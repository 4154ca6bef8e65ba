"""`holychat batch remote list|clean|probe`: what is at a provider's batch service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holychat.cli.arguments import TEXT
from holychat.cli.batch_words import iso, when
from holychat.cli.output import table
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.cli.session import Session
    from holychat.domain.batches import RemoteFile, Submission
    from holychat.jobs.away import KnownBatch
    from holychat.services import Services

_PROVIDER = click.option("-p", "--provider", type=TEXT, metavar="NAME", help="Default: that of new chats.")


@click.group(short_help="Look at, and clean up, a provider's batch service.")
def remote() -> None:
    """Look at, and clean up, the batch service of a provider, which jobs of low priority go through."""


@remote.command("list", short_help="List the batches at a provider.")
@_PROVIDER
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, metavar="N", help="At most so many; 20.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_batches(session: Session, provider: str | None, limit: int, as_json: bool) -> None:
    """List the newest batches of the account: state, how far, created, end of the window, and whose job it is."""
    name = provider or session.settings.chat.provider
    found = session.with_services(lambda services: services.jobs.remote_batches(name, limit))
    if as_json:
        session.out.json([_fields(known) for known in found])
        return
    session.out.write(table([_row(known) for known in found]))
    if not found:
        session.out.notice(f"There is no batch at {clean_line(name, 40)}.")


@remote.command(short_help="Delete files of holychat that are left at a provider.")
@_PROVIDER
@click.option("--all", "everybodys", is_flag=True, help="Also those of other machines and of jobs that were deleted.")
@click.option("--dry-run", is_flag=True, help="Show what would be deleted.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def clean(session: Session, provider: str | None, everybodys: bool, dry_run: bool, yes: bool) -> None:
    """Delete files of holychat that are left at a provider: requests and answers of batches that are over.

    Files are deleted by themselves when the answers of a batch are here; some stay where a machine went away. What a
    batch still needs is never deleted, nor what holychat did not put there.
    """
    from holychat.cli.questions import must_agree

    name = provider or session.settings.chat.provider
    files = session.with_services(lambda services: services.jobs.leftovers(name, everybodys=everybodys))
    session.out.write(table([_file_row(file) for file in files]))
    if not files:
        session.out.notice("There is nothing to delete.")
        return
    if dry_run:
        session.out.notice("Nothing was deleted.")
        return
    if not yes:
        must_agree(session, f"Delete {_files(files)} at {clean_line(name, 40)}?", "Nothing was deleted.")
    deleted = session.with_services(lambda services: services.jobs.delete_remote(name, files))
    session.out.notice(f"{deleted:,} deleted.")


@remote.command(short_help="Ask a provider whether it has a batch service.")
@_PROVIDER
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def probe(session: Session, provider: str | None, as_json: bool) -> None:
    """Ask a provider whether it has a batch service; it costs nothing, and the answer is remembered for a week."""
    name = provider or session.settings.chat.provider

    async def ask(services: Services) -> bool:
        return await services.jobs.probe_batches(name)

    offered = session.with_services(ask)
    if as_json:
        session.out.json({"provider": name, "batch_service": offered})
    elif offered:
        session.out.line(f"{clean_line(name, 40)} has a batch service: jobs of low priority go through it.")
    else:
        session.out.line(f"{clean_line(name, 40)} has no batch service: jobs of low priority go at background rate.")


def submission_rows(rows: Sequence[Submission]) -> list[tuple[str, str]]:
    """The batches of a job at its provider: how far each is, when it is asked about next, when its window ends."""
    from holychat.jobs.provider_batch.words import state_words

    found = []
    for row in rows:
        pieces = [f"{row.lines:,} requests", state_words(row)]
        if row.poll_ms is not None:
            pieces.append(f"asked again {when(row.poll_ms)}")
            if row.expires_ms is not None:
                pieces.append(f"its window ends {when(row.expires_ms)}")
        if row.failure is not None:
            pieces.append(clean_line(row.failure.title, 200))
        found.append(("Batch", ", ".join(pieces)))
    return found


def submission_fields(row: Submission) -> dict[str, Any]:
    """A batch of a job for programs."""
    return {
        "state": row.state.value,
        "batch_id": row.batch_id or None,
        "status": row.remote_status or None,
        "requests": row.lines,
        "done": row.remote_done,
        "failed": row.remote_failed,
        "next_poll": iso(row.poll_ms),
        "window_ends": iso(row.expires_ms),
        "error": None if row.failure is None else row.failure.title,
    }


def _row(known: KnownBatch) -> tuple[str, ...]:
    batch = known.batch
    job = "not of this history" if known.job_id is None else f"job {known.job_id}"
    return (
        clean_line(batch.id, 80),
        clean_line(batch.status, 40),
        f"{batch.completed + batch.failed:,} of {batch.total:,}",
        when(batch.created_s * 1000) if batch.created_s else "",
        job if batch.token or known.job_id is not None else "not of holychat",
    )


def _fields(known: KnownBatch) -> dict[str, Any]:
    batch = known.batch
    return {
        "id": batch.id,
        "status": batch.status,
        "total": batch.total,
        "completed": batch.completed,
        "failed": batch.failed,
        "created": iso(batch.created_s * 1000) if batch.created_s else None,
        "window_ends": None if batch.expires_s is None else iso(batch.expires_s * 1000),
        "job": known.job_id,
        "holychat": bool(batch.token) or known.job_id is not None,
    }


def _file_row(file: RemoteFile) -> tuple[str, ...]:
    made = when(file.created_s * 1000) if file.created_s else ""
    return clean_line(file.id, 80), f"{file.size:,} bytes", made, clean_line(file.name, 80)


def _files(files: Sequence[RemoteFile]) -> str:
    return f"{len(files):,} {'file' if len(files) == 1 else 'files'}"
