"""Reading answers that are safe in the ledger: what they say, what they took, whether they are what was asked for."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING

from holychat.domain.failures import Failure
from holychat.domain.usage import Usage
from holychat.errors import HolychatError, Outcome
from holychat.jobs import recipes
from holychat.jobs.preparing import unexpected
from holychat.store.ledger_entries import Bill, Done, Failed, Repair

if TYPE_CHECKING:
    from holychat.domain.jobs import Job
    from holychat.domain.request import RawReply, Reply
    from holychat.money.costs import Costs
    from holychat.providers.base import Provider

_log = logging.getLogger(__name__)

MISFIT = "AnswerMisfit"
_LONGEST_ESCAPE = 12
"""Characters: two halves of a letter beyond the first plane."""
_STRING = r'"((?:[^"\\]|\\.)*)'
_CONTENT = re.compile(rf'"content"\s*:\s*(?:(\[)|{_STRING})')
"""A text, or a list of blocks, as Anthropic has it."""
_BLOCK_TEXT = re.compile(rf'"text"\s*:\s*{_STRING}')
"""Within a string the quotes around a name are escaped."""


def read_answer(
    job: Job, item_id: int, attempt_id: int, provider: Provider, raw: RawReply, costs: Costs, *,
    input_tokens: int | None, worst_micros: int | None, note: str, may_repair: bool,
    model: str = "", batch: bool = False,
) -> Done | Repair | Failed:  # fmt: skip
    """What an answer means for its item; whatever is wrong with it, it is counted.

    Args:
        job: The item's job.
        item_id: The item.
        attempt_id: Its attempt.
        provider: Whom it came from.
        raw: The answer.
        costs: Prices and token estimates.
        input_tokens: Our estimate of what was asked; None: not known any more.
        worst_micros: What it cost at most.
        note: What a person should know about the document.
        may_repair: Whether an answer that does not fit may be asked for once more.
        model: Which one was asked; empty: that of the job.
        batch: Whether it came through the provider's batch service, at the prices of that.
    """
    guessed = Bill(input_tokens or len(raw.body) // 4, len(raw.body) // 4, True, worst_micros, True)
    try:
        reply = provider.read(raw)
        bill = _bill(job, model or job.spec.model, reply, costs, guessed, batch=batch)
        return _understood(job, item_id, attempt_id, reply, bill, note, may_repair=may_repair)
    except HolychatError as error:
        return Failed(item_id, job.id, Failure.of(error), attempt_id, bill=guessed, partial=legible(raw.body))
    except Exception as error:  # noqa: BLE001  # the item's boundary: one odd answer must not stop the others
        _log.exception("the answer to item %d cannot be read", item_id)
        return Failed(item_id, job.id, unexpected(error), attempt_id, bill=guessed)


def _understood(
    job: Job, item_id: int, attempt_id: int, reply: Reply, bill: Bill, note: str, *, may_repair: bool
) -> Done | Repair | Failed:
    if not reply.text.strip():
        return Failed(item_id, job.id, _empty(reply), attempt_id, bill=bill)
    checked = recipes.validate(job.spec.recipe, reply.text)
    if checked.problem is not None:
        return _misfit(job, item_id, attempt_id, reply, bill, checked.problem, may_repair=may_repair)
    told = f"{note} The answer was cut at its longest length.".strip() if reply.finish_reason == "length" else note
    model = reply.model or job.spec.model
    return Done(item_id, attempt_id, job.id, checked.text, bill, model, reply.finish_reason, told)


def legible(partial: bytes) -> str | None:
    """What can be read of the body of an answer that broke off, or is no answer; None where that is nothing."""
    body = partial.decode("utf-8", "ignore")
    found = _CONTENT.search(body)
    if found is None:
        return None
    pieces = [found[2]] if found[1] is None else _BLOCK_TEXT.findall(body, found.end())
    return "".join(map(_unescaped, pieces)) or None


def _unescaped(text: str) -> str:
    for cut in range(_LONGEST_ESCAPE):  # the last escape may have been cut
        try:
            return str(json.loads(f'"{text[: len(text) - cut]}"', strict=False))
        except ValueError:
            continue
    return ""


def _bill(job: Job, model: str, reply: Reply, costs: Costs, guessed: Bill, *, batch: bool) -> Bill:
    usage = reply.usage
    estimated = usage.estimated
    given, made = usage.input_tokens, usage.output_tokens
    if given is None or made is None:
        estimated = True
        given = guessed.input_tokens if given is None else given
        made = costs.tokens.text(reply.text + reply.reasoning, model) if made is None else made
    whole = Usage(given, made, usage.cached_input_tokens, usage.reasoning_tokens, estimated)
    price = costs.accounting.batch_price if batch else costs.accounting.price
    cost = price(job.spec.provider, model, whole)
    if cost is None:
        return Bill(given, made, estimated, None, False)
    return Bill(given, made, estimated, cost.micros, cost.estimated)


def _empty(reply: Reply) -> Failure:
    why = "the provider's filter stopped it" if reply.finish_reason == "content_filter" else "it says nothing"
    if reply.finish_reason == "length":
        why = "the model used up its longest length before it said anything"
    return Failure(
        "EmptyAnswer",
        f"The answer is empty: {why}",
        "Retry it, with another prompt or a longer answer.",
        request_id=reply.request_id,
        outcome=Outcome.FATAL.value,
    )


def _misfit(
    job: Job, item_id: int, attempt_id: int, reply: Reply, bill: Bill, problem: str, *, may_repair: bool
) -> Repair | Failed:
    failure = Failure(
        MISFIT,
        f"{recipes.CANNOT_BE_USED}{problem}",
        "Retry it, or change what is asked for.",
        None,
        reply.request_id,
        Outcome.FATAL.value,
    )
    if may_repair:
        return Repair(item_id, attempt_id, job.id, reply.text, bill, failure)
    return Failed(item_id, job.id, failure, attempt_id, bill=bill, partial=reply.text)
