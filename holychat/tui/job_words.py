"""What the screen says of jobs and their items, in words: counts, rates, times, money, states. Pure functions."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from holychat.catalog.money import short_money
from holychat.domain.jobs import ACTIVE_JOBS, ENDED_JOBS, ItemState, JobState, Kind, PauseReason, Priority, SourceKind
from holychat.domain.usage import Cost
from holychat.jobs.names import KIND_NAMES, is_spooled
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holychat.domain.jobs import Job, Recipe, Source

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR

PRIORITY_NAMES: Mapping[Priority, str] = {Priority.HIGH: "now", Priority.MEDIUM: "minutes", Priority.LOW: "hours"}
ITEM_WORDS: Mapping[ItemState, tuple[str, str, str]] = {
    ItemState.PENDING: ("·", "to do", "muted"),
    ItemState.SENDING: ("»", "being sent", "live"),
    ItemState.RECEIVED: ("»", "being read", "live"),
    ItemState.DONE: ("✓", "done", "good"),
    ItemState.FAILED: ("✗", "failed", "bad"),
    ItemState.IN_DOUBT: ("?", "in doubt", "doubt"),
    ItemState.SKIPPED: ("-", "skipped", "muted"),
    ItemState.CANCELLED: ("-", "cancelled", "muted"),
}
"""Sign, words and style of every state of an item."""
_STATE_WORDS: Mapping[JobState, tuple[str, str]] = {
    JobState.DRAFT: ("draft", "name2"),
    JobState.QUEUED: ("queued", "muted"),
    JobState.RUNNING: ("running", "live"),
    JobState.PAUSED: ("paused", "doubt"),
    JobState.FINISHING: ("writing results", "live"),
    JobState.FINISHED: ("done", "good"),
    JobState.FINISHED_WITH_ERRORS: ("done", "doubt"),
    JobState.CANCELLED: ("cancelled", "muted"),
}
_PAUSES: Mapping[PauseReason, tuple[str, str]] = {
    PauseReason.USER: ("paused", "{p} resumes it."),
    PauseReason.BUDGET: ("held by budget", "{p} asks for a new budget and resumes it."),
    PauseReason.KEY: ("no key", "Add a key that is accepted, then {p} resumes it."),
    PauseReason.QUOTA: ("out of quota", "{p} resumes it once there is credit again."),
    PauseReason.OFFLINE: ("unreachable", "Goes on by itself once the provider answers."),
    PauseReason.TRIAL: ("trial done", "{enter} shows the results, {p} sends the rest."),
    PauseReason.STORE: ("disk full", "Nothing is sent until there is room; then {p} resumes it."),
}


def state_words(job: Job) -> tuple[str, str]:
    """State of a job in a word or two, and the style it is shown in."""
    if job.pause is not None:
        return _PAUSES[job.pause][0], "doubt"
    return _STATE_WORDS[job.state]


def pause_words(reason: PauseReason) -> str:
    """Why a job is paused, in a word or two."""
    return _PAUSES[reason][0]


def advice(job: Job, keys: Mapping[str, str]) -> str:
    """Why a job is paused and what to do about it; "" for one that is not.

    Args:
        job: The job.
        keys: Labels of the keys named "p" (pause and resume) and "enter" (open; left out where it is open).
    """
    if job.pause is None:
        return ""
    words = _PAUSES[job.pause][1]
    if job.pause is PauseReason.BUDGET and job.spec.limits.budget_micros is None:
        words = _PAUSES[PauseReason.USER][1]  # a limit of the settings holds it: no budget is asked for
    if job.pause is PauseReason.TRIAL and "enter" not in keys:
        words = "The first results are below, {p} sends the rest."
    hint = words.format_map(dict(keys))
    detail = clean_line(job.pause_detail, 300) if job.pause is not PauseReason.TRIAL else ""  # it says the same
    return f"{detail} {hint}" if detail else hint


def number(count: int) -> str:
    """A count with thousands set apart."""
    return f"{count:,}"


def compact(count: int) -> str:
    """A count in at most five cells: 980, 12.4k, 3.1M."""
    if count < 10_000:
        return f"{count:,}"
    for size, letter in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            share = count / size
            return f"{share:.1f}{letter}" if share < 100 else f"{share:.0f}{letter}"
    return str(count)


def dollars(micros: int, *, about: bool = False) -> str:
    """Money with the digits that matter: $12.30, $0.42, $0.0031; never zero for what is not zero."""
    return short_money(Cost(micros, about))


def counts_words(job: Job) -> list[tuple[str, str]]:
    """How many documents are done, failed and in doubt, as pieces with their styles."""
    counts = job.counts
    done, total = counts.of(ItemState.DONE), counts.total
    more = "" if job.listed or job.state in ENDED_JOBS or not total else "+"
    if not total:
        still = job.state in (JobState.DRAFT, JobState.PAUSED)
        return [("not sent yet" if still else "looking for documents", "muted")]
    troubled = any(counts.of(state) for state in (ItemState.FAILED, ItemState.IN_DOUBT))
    whole = f"{number(done)} of {number(total)}{more}{'' if troubled else ' done'}"
    if done == total and not more:
        whole = f"all {number(total)} done" if total > 1 else "done"
    pieces = [(whole, "text")]
    failed, doubt = counts.of(ItemState.FAILED), counts.of(ItemState.IN_DOUBT)
    left_out, cancelled = counts.of(ItemState.SKIPPED), counts.of(ItemState.CANCELLED)
    if failed:
        pieces.append((f"{number(failed)} failed", "bad"))
    if doubt:
        pieces.append((f"{number(doubt)} in doubt", "doubt"))
    if left_out:
        pieces.append((f"{number(left_out)} skipped", "muted"))
    if cancelled:
        pieces.append((f"{number(cancelled)} cancelled", "muted"))
    return pieces


def work_words(jobs: Sequence[Job]) -> str:
    """How far the jobs at work are, all together: "1 job 67 %"; "" where none is."""
    going = [job for job in jobs if job.state in ACTIVE_JOBS]
    total = sum(job.counts.total for job in going)
    if not going:
        return ""
    ended = sum(job.counts.ended for job in going)
    share = f" {100 * ended // total} %" if total else ""
    return f"{len(going)} job{'s' * (len(going) != 1)}{share}"


def pace_words(job: Job, now_ms: int) -> str:
    """How fast a job is and how long it takes, or what it waits for."""
    progress = job.progress
    if job.state is JobState.QUEUED:
        return progress.waiting_for or "starts in a moment"
    if job.state is JobState.FINISHING:
        return "writing the results"
    if job.state is not JobState.RUNNING:
        return took_words(job)
    if progress.waiting_until_ms is not None and progress.waiting_until_ms > now_ms:
        what = f", {clean_line(progress.waiting_for, 60)}" if progress.waiting_for else ""
        return f"waiting until {clock(progress.waiting_until_ms, now_ms)}{what}"
    pieces = []
    if progress.rate_per_minute is not None:
        pieces.append(rate_words(progress.rate_per_minute))
    elif progress.waiting_for:
        pieces.append(clean_line(progress.waiting_for, 60))
    if progress.eta_ms is not None:
        early, late = progress.eta_ms
        pieces.append(f"{range_words((early - now_ms) / 1000, (late - now_ms) / 1000)} left")
    if not pieces and job.listed and job.counts.total and job.counts.ended == job.counts.total:
        return "writing the results"  # the state says so in a moment
    if not pieces:
        return "finding out how fast it goes" if job.counts.ended else "waiting for the first answer"
    return " · ".join(pieces)


def rate_words(per_minute: float) -> str:
    """Answers per minute, or per second or hour where that reads better."""
    if per_minute >= 600:
        return f"{per_minute / 60:,.0f}/s"
    if per_minute >= 1 or per_minute <= 0:
        return f"{per_minute:,.0f}/min"
    return f"{per_minute * 60:,.0f}/h"


def took_words(job: Job) -> str:
    """How long a job that ended was at work; "" for others."""
    return "" if job.ended_ms is None or not job.worked_ms else duration(job.worked_ms / 1000)


def duration(seconds: float) -> str:
    """A time span in at most two units: 0.4 s, 42 s, 12 min, 3 h 20, 2 d 4 h."""
    seconds = max(seconds, 0.0)
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * _MINUTE:
        return f"{seconds / _MINUTE:.0f} min"
    if seconds < 2 * _DAY:
        hours, rest = divmod(round(seconds / _MINUTE), 60)
        return f"{hours} h {rest:02}" if rest else f"{hours} h"
    days, rest = divmod(round(seconds / _HOUR), 24)
    return f"{days} d {rest} h" if rest else f"{days} d"


def range_words(early: float, late: float) -> str:
    """A time span between two, in seconds, without more precision than it has: 6–9 min, under a minute."""
    early, late = max(min(early, late), 0.0), max(early, late, 0.0)
    if late < 20:
        return "a few seconds"
    if late < 90:
        low, high = round(early / 10) * 10, max(round(late / 10) * 10, 10)
        return _from_to(low, high, "s")
    if late < 90 * _MINUTE:
        low, high = round(early / _MINUTE), max(round(late / _MINUTE), 1)
        return _from_to(low, high, "min")
    if duration(early) == duration(late):
        return duration(late)
    if late < 2 * _DAY and early >= _HOUR:
        low, high = round(early / _HOUR), round(late / _HOUR)
        return duration(late) if low == high else f"{low}–{high} h"
    return f"{duration(early)} – {duration(late)}"


def _from_to(low: int, high: int, unit: str) -> str:
    if low == high:
        return f"{high} {unit}"
    return f"{low}–{high} {unit}" if low else f"under {high} {unit}"


def money_words(job: Job) -> list[str]:
    """What a job has cost, will have cost and may cost; empty where no price is known and nothing was spent."""
    money = job.money
    budget = job.spec.limits.budget_micros
    going = job.state not in ENDED_JOBS
    pieces = []
    if money.spent or (job.requests and not money.unknown) or (going and (budget is not None or money.projected)):
        pieces.append(dollars(money.spent, about=money.estimated))
    if going and money.projected is not None and money.projected > money.spent:
        pieces.append(f"{dollars(money.projected, about=True)} in all")
    if going and budget is not None:
        pieces.append(f"budget {dollars(budget)}")
    if money.unknown:
        pieces.append(f"{number(money.unknown)} of unknown price")
    if money.in_doubt:
        pieces.append(f"up to {dollars(money.in_doubt)} in doubt")
    return pieces


def clock(moment_ms: int, now_ms: int) -> str:
    """A time of day; with the day where it is not today."""
    then, now = datetime.fromtimestamp(moment_ms / 1000), datetime.fromtimestamp(now_ms / 1000)  # noqa: DTZ006
    if then.date() == now.date():
        return then.strftime("%H:%M")
    return then.strftime("%d %b %H:%M" if then.year == now.year else "%Y-%m-%d")


def recipe_words(recipe: Recipe) -> str:
    """What is done with each document, in one line."""
    pieces = [KIND_NAMES[recipe.kind]]
    if recipe.length:
        pieces.append(recipe.length)
    if recipe.language:
        pieces.append(recipe.language if recipe.kind is Kind.TRANSLATE else f"in {recipe.language}")
    if recipe.labels:
        pieces.append(" / ".join(recipe.labels))
    if recipe.kind is Kind.EXTRACT:
        pieces.append("by a JSON schema")
    if recipe.prompt:
        pieces.append(f"“{clean_line(recipe.prompt, 120)}”")
    return clean_line(", ".join(pieces), 300)


def source_words(source: Source, folder: str = "") -> str:
    """Where documents come from, in one line; what is inside of `folder` is named from there."""
    inside = folder and source.value.startswith(f"{folder.rstrip('/')}/")
    value = clean_line(source.value[len(folder.rstrip("/")) + 1 :] if inside else source.value, 400)
    if source.kind is SourceKind.CHAT:
        return f"chat {value}"
    if is_spooled(source):
        return "a list on standard input"
    return f"{value}, column {clean_line(source.column, 60)}" if source.column else value
