"""`holychat batch webhook`: what became of the messages that tell of a job's end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holychat.cli.arguments import JOB
from holychat.cli.batch_jobs import find_job
from holychat.cli.batch_words import iso, when
from holychat.domain.webhooks import WebhookState
from holychat.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from holychat.cli.session import Session
    from holychat.domain.jobs import Job
    from holychat.domain.webhooks import Webhook
    from holychat.services import Services


@click.command(short_help="Show, or send again, the message about a job's end.")
@click.argument("job", type=JOB)
@click.option("--resend", is_flag=True, help="Send the last message again, under the same id.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def webhook(session: Session, job: int | None, resend: bool, as_json: bool) -> int:
    """Show what became of the messages that tell an address of a job's end. JOB is a number, or `last`.

    The address is given with --callback when the job is ordered; messages are signed with the secret that
    `holychat keys set webhook --new` makes. The exit status is 1 where the last message was given up.
    """

    async def work(services: Services) -> tuple[Job, list[Webhook]]:
        found = await find_job(services, job)
        if resend and not await services.jobs.tell_again(found.id):
            raise UsageError(f"There is no message about job {found.id}", "It has no --callback, or it has not ended.")
        return found, await services.jobs.webhooks(found.id)

    found, messages = session.with_services(work)
    if as_json:
        session.out.json([_fields(message) for message in messages])
    elif not messages:
        waiting = "It is told when the job ends." if found.spec.callback_url else "It has no --callback."
        session.out.line(f"There is no message about job {found.id}. {waiting}")
    else:
        for message in messages:
            session.out.line(f"{message.url}: {webhook_words(message)}")
    given_up = bool(messages) and messages[-1].state is WebhookState.GIVEN_UP
    return ExitCode.FAILED if given_up else ExitCode.DONE


def webhook_words(message: Webhook) -> str:
    """Where a message stands, in a line."""
    tries = f"{message.attempts} {'attempt' if message.attempts == 1 else 'attempts'}"
    if message.state is WebhookState.DELIVERED and message.delivered_ms is not None:
        return f"delivered {when(message.delivered_ms)}"
    if message.state is WebhookState.GIVEN_UP:
        return f"given up after {tries}: {message.last_error}"
    if not message.attempts and not message.last_error:
        return "waiting to be sent"
    again = "" if message.next_ms is None else f", again {when(message.next_ms)}"
    return f"{tries}{again}: {message.last_error}"


def _fields(message: Webhook) -> dict[str, Any]:
    return {
        "id": message.message_id,
        "url": message.url,
        "state": message.state.value,
        "attempts": message.attempts,
        "next": iso(message.next_ms),
        "delivered": iso(message.delivered_ms),
        "status": message.last_status,
        "error": message.last_error,
    }
