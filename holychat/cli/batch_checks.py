"""What is wrong with an order, before anything is counted, written down or sent."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holychat.cli.batch_order import STDOUT
from holychat.cli.output import is_terminal
from holychat.errors import KeyMissing, UsageError
from holychat.jobs.estimate import NO_DOCUMENT

if TYPE_CHECKING:
    from holychat.cli.batch_order import Order
    from holychat.jobs.estimate import Estimate
    from holychat.services import Services


def refuse_nothing(estimate: Estimate) -> None:
    """Make sure that there is something to send.

    Raises:
        UsageError: There is not; the hint says what there is instead.
    """
    if not estimate.documents:
        raise UsageError("There is nothing to send", " ".join(why for why in estimate.warnings if why != NO_DOCUMENT))


def refuse_what_cannot_be(order: Order) -> None:
    """Make sure that the options of an order go together.

    Raises:
        UsageError: They do not.
    """
    if order.dry_run and (order.wait or order.trial):
        raise UsageError("--dry-run sends nothing to wait for", "Leave --wait and --trial out.")
    if order.out == STDOUT and not order.wait:
        raise UsageError("Results can only go to stdout when they are waited for", "Add --wait, or name a file.")
    if order.out == STDOUT and order.as_json:
        raise UsageError("--json and --out - both want stdout", "Name a file, or leave --json out.")
    if order.form and not order.out:
        raise UsageError("--format is for --out", "Name a file or folder with --out, or - for stdout.")
    if order.hold and (order.dry_run or order.wait or order.trial):
        raise UsageError("--hold sends nothing to wait for", "Leave --dry-run, --wait and --trial out.")


def refuse_without_anybody(order: Order) -> None:
    """Make sure that somebody can be asked, where an order does not say yes itself.

    Raises:
        UsageError: Nobody is there.
    """
    if order.yes or order.dry_run or order.hold or (is_terminal(sys.stdin) and not order.as_json):
        return
    raise UsageError(
        "Nobody is there to say yes to what this will take",
        "Add --yes to send without being asked, or --dry-run to see it only.",
    )


async def refuse_without_key(services: Services, provider: str, *, way_out: str = "") -> None:
    """Make sure that a job can be sent, where its provider needs a key.

    Args:
        services: What knows the keys.
        provider: Who is asked.
        way_out: What else can be done, as a sentence.

    Raises:
        KeyMissing: There is none.
    """
    if (missing := await services.jobs.session_keys.missing(provider)) is not None:
        raise KeyMissing(missing.title, f"{missing.hint} {way_out}".strip())


def target_of(order: Order) -> dict[str, Any]:
    """Where the results go, as the worker can use it.

    Raises:
        UsageError: They cannot be written there, or not in that format.
    """
    from holychat.jobs.export import FILES, FORMATS, check_target, format_of

    if order.form and order.form not in FORMATS:
        raise UsageError(f"There is no format {order.form!r}", f"There are {', '.join(FORMATS)}.")
    if not order.out:
        return {}
    if order.out == STDOUT:
        if order.form == FILES:
            raise UsageError("One file per document needs a folder", "Give one with --out.")
        return {"form": order.form or "jsonl"}
    form = format_of(order.out, order.form)
    target = Path(os.path.abspath(order.out))
    if form != FILES and os.path.lexists(target) and not order.overwrite:
        raise UsageError(f"{order.out} is there already", "Choose another name, or add --overwrite.")
    check_target(target, form)
    return {"out": str(target), "form": form}
