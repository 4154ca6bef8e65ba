"""`holychat batch`: background jobs from the shell."""

from __future__ import annotations

import click

from holychat.cli.lazy import LazyGroup

COMMANDS = {
    "summarize": "holychat.cli.batch_order:summarize",
    "translate": "holychat.cli.batch_order:translate",
    "classify": "holychat.cli.batch_order:classify",
    "extract": "holychat.cli.batch_order:extract",
    "prompt": "holychat.cli.batch_order:prompt",
    "submit": "holychat.cli.batch_order:submit",
    "list": "holychat.cli.batch_jobs:list_jobs",
    "show": "holychat.cli.batch_jobs:show",
    "watch": "holychat.cli.batch_jobs:watch",
    "pause": "holychat.cli.batch_steer:pause",
    "resume": "holychat.cli.batch_steer:resume",
    "cancel": "holychat.cli.batch_steer:cancel",
    "retry": "holychat.cli.batch_steer:retry",
    "skip": "holychat.cli.batch_steer:skip",
    "accept": "holychat.cli.batch_steer:accept",
    "export": "holychat.cli.batch_jobs:export",
    "import": "holychat.cli.batch_carry:import_results",
    "remote": "holychat.cli.batch_remote:remote",
    "delete": "holychat.cli.batch_steer:delete",
    "webhook": "holychat.cli.batch_webhook:webhook",
    "templates": "holychat.cli.batch_templates:templates",
}
"""Name of each command and where it is; imported when it is used or listed."""

SPELLINGS = {"summarise": "summarize"}
"""As the rest of holychat writes it."""

STATUSES = """Exit status with --wait: 0 all done, 7 some failed, 8 some in doubt, 130 interrupted (the job goes on);
2 usage, 3 key missing or rejected, 4 out of credit."""


@click.command(cls=LazyGroup, places=COMMANDS, spellings=SPELLINGS, no_args_is_help=True, epilog=STATUSES)
def batch() -> None:
    """Background jobs: send many documents through a model, and find every result.

    A job goes on when this command has ended and the window is closed. Nothing is sent before you have seen what it
    will take and have said yes.
    """
