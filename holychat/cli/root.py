"""`holychat` itself: without a command it opens the app."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from holychat import __version__
from holychat.cli.arguments import LAST, PROVIDER, TEXT, chat_number
from holychat.cli.lazy import LazyGroup
from holychat.errors import UsageError

if TYPE_CHECKING:
    from holychat.cli.session import Session

COMMANDS = {
    "ask": "holychat.cli.ask:ask",
    "models": "holychat.cli.models:models",
    "providers": "holychat.cli.models:providers",
    "keys": "holychat.cli.keys:keys",
    "history": "holychat.cli.history:history",
    "batch": "holychat.cli.batch:batch",
    "advise": "holychat.cli.advise:advise",
    "cost": "holychat.cli.cost:cost",
    "bench": "holychat.cli.bench:bench",
    "worker": "holychat.cli.worker:worker",
    "config": "holychat.cli.config:config",
    "doctor": "holychat.cli.doctor:doctor",
}
"""Name of each command and where it is; imported when it is used or listed."""


class _Root(LazyGroup):
    """`holychat` itself."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that `args` begin with; a question typed without `ask` is answered with how to ask it."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            known = ", ".join(COMMANDS)
            raise UsageError(
                f"There is no command {args[0]!r}; there are {known}", 'To ask something: `holychat ask "…"`.'
            )
        return super().resolve_command(ctx, args)


@click.command(
    cls=_Root,
    places=COMMANDS,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog='Shell completion: eval "$(_HOLYCHAT_COMPLETE=bash_source holychat)", or zsh_source, fish_source.',
)
@click.option("-c", "--continue", "resume", is_flag=True, help="Open the app with the last chat.")
@click.option("--chat", metavar="ID", help="Open the app with this chat.")
@click.option("-m", "--model", type=TEXT, help="Open the app with this model: any name that the provider knows.")
@click.option("-p", "--provider", type=PROVIDER, metavar="NAME", help="Open the app with this provider.")
@click.version_option(__version__, prog_name="holychat", message="%(prog)s %(version)s")
@click.pass_context
def root(context: click.Context, resume: bool, chat: str | None, model: str | None, provider: str | None) -> int:
    """A keyboard-driven terminal chat that streams replies live and keeps every word of them.

    Without a command the app opens.
    """
    if context.invoked_subcommand is not None:
        if resume or any(value is not None for value in (chat, model, provider)):
            raise UsageError(
                "--continue, --chat, --model and --provider are for the app when they stand before a command",
                f"Put them behind it, where it has them: see `holychat {context.invoked_subcommand} --help`.",
            )
        return 0
    if resume and chat is not None:
        raise UsageError("--continue and --chat exclude each other", "Give one of them.")
    number = None if chat is None or chat == LAST else chat_number(chat)
    if number is None and chat not in (None, LAST):
        raise UsageError("--chat takes the number of a chat", "`holychat history list` prints the numbers.")
    session: Session = context.obj
    _refuse_without_terminal(session)
    if provider is not None:
        session.registry.info(provider)
    session.start_log()
    from holychat.tui import run

    return run(
        session.paths, session.settings, chat=number, resume=resume or chat == LAST, provider=provider, model=model,
        masker=session.masker,
    )  # fmt: skip


def _refuse_without_terminal(session: Session) -> None:
    from holychat.cli.output import is_terminal

    hint = 'Use `holychat ask "your question"` here, or `holychat --help`.'
    if not (is_terminal(sys.stdin) and is_terminal(sys.stdout)):
        raise UsageError("The app needs a terminal for its input and its output", hint)
    if sys.platform != "win32" and session.environ.get("TERM", "") in ("", "dumb"):
        raise UsageError("The app needs a terminal that can place text (TERM is dumb or not set)", hint)
