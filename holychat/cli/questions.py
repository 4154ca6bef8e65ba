"""Questions of a shell: each is asked on the terminal alone, and a no is answered with what it left as it was."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from holychat.cli.output import is_terminal
from holychat.errors import UsageError

if TYPE_CHECKING:
    from holychat.cli.session import Session


def says_yes(question: str) -> bool:
    """Ask on the terminal; Ctrl+C is a no that leaves nothing half done.

    Raises:
        UsageError: Nobody is there to answer.
    """
    if not is_terminal(sys.stdin):
        raise UsageError("Nobody is there to say yes", "Add --yes to go on without being asked.")
    try:
        return click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        return False


def must_agree(session: Session, question: str, otherwise: str) -> None:
    """Ask on the terminal, and end the command where the answer is no.

    Args:
        session: For the output.
        question: What is asked.
        otherwise: Said after a no: "Nothing was deleted."

    Raises:
        UsageError: Nobody is there to answer.
        click.Abort: The person said no.
    """
    if not says_yes(question):
        session.out.notice(otherwise)
        raise click.Abort
