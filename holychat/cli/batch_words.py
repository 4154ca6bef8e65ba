"""Jobs in words: the tables, lines and JSON objects that `holychat batch` prints."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from holychat.catalog.money import money_text, short_money, usd
from holychat.domain.jobs import ENDED_JOBS, ItemState, JobState, PauseReason
from holychat.domain.usage import Cost
from holychat.text import clean_line
from holychat.tui.job_words import counts_words, duration, number, pace_words, state_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.job_views import Cause
    from holychat.domain.jobs import Item, Job, Money
    from holychat.jobs.estimate import Estimate

UNKNOWN = "unknown"


def when(unix_ms: int) -> str:
    """A moment for people, to the minute."""
    return datetime.fromtimestamp(unix_ms / 1000).astimezone().strftime("%Y-%m-%d %H:%M")


def iso(unix_ms: int | None) -> str | None:
    """A moment for programs."""
    return None if unix_ms is None else datetime.fromtimestamp(unix_ms / 1000).astimezone().isoformat("T", "seconds")


def documents(count: int) -> str:
    """So many documents."""
    return f"{number(count)} document{'' if count == 1 else 's'}"


def lines(rows: Sequence[tuple[str, str]]) -> str:
    """Names and values as lines, values below each other."""
    width = max((len(name) for name, _ in rows), default=0)
    return "".join(f"{name.ljust(width)}  {value}\n" for name, value in rows)


def spent_words(money: Money, *, exact: bool = True) -> str:
    """What was spent, as far as it is known; to the cent or so where it is not to be exact."""
    spent = (money_text if exact else short_money)(Cost(money.spent, money.estimated))
    if not money.unknown:
        return spent
    return f"{spent} + {number(money.unknown)} answers of unknown price" if money.spent else UNKNOWN


def cost_words(job: Job, *, exact: bool = False) -> str:
    """What a job has cost, what it may have cost besides, and what all of it will cost."""
    money = job.money
    words = spent_words(money, exact=exact)
    if job.state not in ENDED_JOBS and money.projected is not None and money.projected > money.spent:
        words += f" of {short_money(Cost(money.projected, estimated=True))}"
    if money.in_doubt:
        words += f", up to {short_money(Cost(money.in_doubt))} more for what is in doubt"
    return words


def progress_words(job: Job, now_ms: int) -> list[str]:
    """How far a job is, piece by piece: counts, rate, what is left or waited for, money."""
    pieces = [text for text, _ in counts_words(job)]
    if job.state in (JobState.PAUSED, JobState.CANCELLED, JobState.DRAFT):
        pieces.append(state_words(job)[0])
    elif job.state not in ENDED_JOBS:
        pieces += pace_words(job, now_ms).split(" · ")
    cost = cost_words(job)
    return [*(clean_line(piece) for piece in pieces), f"price {cost}" if cost.startswith(UNKNOWN) else cost]


def estimate_rows(estimate: Estimate) -> list[tuple[str, str]]:
    """What a job will take, before anything is sent. How long it takes stands with the roads."""
    unreadable = f", {number(estimate.unreadable)} more cannot be read and will fail" if estimate.unreadable else ""
    rows = [
        ("Documents", number(estimate.documents) + unreadable),
        ("Input", f"~{number(estimate.input_tokens)} tokens"),
        ("Output", f"~{number(estimate.output_tokens)} tokens"),
    ]
    if estimate.parts:
        rows.append(("Parts", f"~{number(estimate.parts)}, of documents that are too long for one request"))
    rows.append(("Price live", _about(estimate.live)))
    if estimate.batch is not None or estimate.live is None or estimate.live.micros:
        rows.append(("Price batch", _about(estimate.batch)))
    return rows


def _about(cost: Cost | None) -> str:
    return UNKNOWN if cost is None else short_money(Cost(cost.micros, estimated=bool(cost.micros)))


def estimate_fields(estimate: Estimate) -> dict[str, Any]:
    """The same for programs; null where it is not known."""
    return {
        "documents": estimate.documents,
        "unreadable": estimate.unreadable,
        "input_tokens": estimate.input_tokens,
        "output_tokens": estimate.output_tokens,
        "parts": estimate.parts,
        "cost_usd": usd(estimate.live),
        "batch_cost_usd": usd(estimate.batch),
        "seconds": None if estimate.seconds is None else list(estimate.seconds),
        "rate_known": estimate.rate_known,
        "warnings": list(estimate.warnings),
    }


def summary_rows(job: Job) -> list[tuple[str, str]]:
    """A job at its end."""
    counts = job.counts
    rows = [
        ("Total", number(counts.total)),
        ("Successful", number(counts.of(ItemState.DONE))),
        ("Failed", number(counts.of(ItemState.FAILED))),
        ("In doubt", number(counts.of(ItemState.IN_DOUBT))),
    ]
    for state in (ItemState.SKIPPED, ItemState.CANCELLED, ItemState.PENDING):
        if counts.of(state):
            name = "Not sent" if state is ItemState.PENDING else state.value.capitalize()
            rows.append((name, number(counts.of(state))))
    if (seconds := _seconds(job)) is not None:
        rows.append(("Time", duration(seconds)))
        rows.append(("Requests/min", f"{job.requests * 60 / seconds:,.1f}"))
    rows.append(("Tokens", f"{number(job.input_tokens)} in, {number(job.output_tokens)} out"))
    rows.append(("Cost", cost_words(job, exact=True)))
    return rows


def _seconds(job: Job) -> float | None:
    return None if job.ended_ms is None or not job.worked_ms else job.worked_ms / 1000


def cause_words(cause: Cause) -> str:
    """Documents that failed for one reason, on one line."""
    doubt = " (in doubt)" if cause.state is ItemState.IN_DOUBT else ""
    return clean_line(f"{number(cause.count)} × {cause.title}{doubt}. {cause.hint}".replace("..", "."), 300)


def job_fields(job: Job) -> dict[str, Any]:
    """A job for programs."""
    spec, money, progress = job.spec, job.money, job.progress
    return {
        "id": job.id,
        "name": spec.name,
        "kind": spec.recipe.kind.value,
        "state": job.state.value,
        "pause": None if job.pause is None else job.pause.value,
        "pause_detail": job.pause_detail,
        "provider": spec.provider,
        "model": spec.model,
        "priority": spec.priority.value,
        "sources": [source.value for source in spec.sources],
        "out": spec.out or None,
        "created": iso(job.created_ms),
        "started": iso(job.started_ms),
        "ended": iso(job.ended_ms),
        "worked_seconds": job.worked_ms / 1000,
        "listed": job.listed,
        "total": job.counts.total,
        "documents": {state.value: job.counts.of(state) for state in ItemState},
        "parts": {state.value: job.counts.parts.get(state, 0) for state in ItemState},
        "requests": job.requests,
        "input_tokens": job.input_tokens,
        "output_tokens": job.output_tokens,
        "cost_usd": usd(Cost(money.spent)) if money.spent or not money.unknown else None,
        "cost_estimated": money.estimated,
        "unpriced": money.unknown,
        "in_doubt_usd": usd(Cost(money.in_doubt)),
        "projected_usd": None if money.projected is None else usd(Cost(money.projected)),
        "budget_usd": None if spec.limits.budget_micros is None else usd(Cost(spec.limits.budget_micros)),
        "rate_per_minute": progress.rate_per_minute,
        "in_flight": progress.in_flight,
        "eta": None if progress.eta_ms is None else [iso(progress.eta_ms[0]), iso(progress.eta_ms[1])],
        "waiting_until": iso(progress.waiting_until_ms),
        "note": job.note,
    }


def item_fields(item: Item, text: str | None = None, partial: str | None = None) -> dict[str, Any]:
    """A document of a job for programs."""
    fields: dict[str, Any] = {
        "number": item.ordinal + 1,
        "source": item.document.key,
        "name": item.document.name,
        "state": item.state.value,
        "usage": {"input_tokens": item.usage.input_tokens, "output_tokens": item.usage.output_tokens},
        "cost_usd": usd(item.cost),
        "error": None if item.failure is None else item.failure.to_dict(),
        "note": item.note,
    }
    return fields | ({} if text is None else {"text": text}) | ({} if partial is None else {"partial": partial})


def cause_fields(cause: Cause) -> dict[str, Any]:
    """Documents that failed for one reason, for programs."""
    return {
        "cause": cause.cause,
        "title": cause.title,
        "hint": cause.hint,
        "state": cause.state.value,
        "count": cause.count,
    }


PAUSED_WHY = {
    PauseReason.USER: "somebody paused it",
    PauseReason.BUDGET: "its budget holds it",
    PauseReason.KEY: "no key that is accepted",
    PauseReason.QUOTA: "out of credit or quota",
    PauseReason.OFFLINE: "the provider cannot be reached",
    PauseReason.TRIAL: "its trial is done",
    PauseReason.STORE: "what it did could not be written down",
}
