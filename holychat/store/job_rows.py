"""Rows of jobs and items as values of the domain, and back."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from holychat.domain.failures import Failure
from holychat.domain.job_views import Attempt
from holychat.domain.jobs import (
    AT_WORK,
    Document,
    Item,
    ItemState,
    Job,
    JobLimits,
    JobSpec,
    JobState,
    Money,
    PauseReason,
    Priority,
    Progress,
    Recipe,
    Source,
    Span,
)
from holychat.domain.usage import Cost, Usage
from holychat.typed import convert, decode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.jobs import Counts

_T = TypeVar("_T")

JOB_COLUMNS = """
    j.id, j.name, j.state, j.pause, j.pause_detail, j.provider, j.model, j.priority, j.recipe, j.sources, j.limits,
    j.budget_micros, j.out, j.out_format, j.callback_url, j.chat_id, j.listed, j.note, j.created_ms, j.started_ms,
    j.ended_ms, j.spent_micros, j.spent_estimated, j.unpriced, j.input_tokens, j.output_tokens, j.requests,
    j.projected_micros, j.in_flight, j.rate_per_minute, j.eta_early_ms, j.eta_late_ms, j.waiting_until_ms,
    j.waiting_for, j.doubted_micros, j.worked_ms,
    (SELECT coalesce(sum(i.reserved_micros), 0) FROM items AS i WHERE i.job_id = j.id AND i.state = 'sending'),
    (SELECT coalesce(sum(i.reserved_micros), 0) FROM items AS i WHERE i.job_id = j.id AND i.state = 'in_doubt')
"""
"""What `job_of` reads, from `jobs AS j`."""

ITEM_COLUMNS = """
    i.id, i.job_id, i.ordinal, i.state, i.source_key, i.name, i.path, i.custom_id, i.size, i.mtime_ns, i.parent_id,
    i.level, i.part, i.span_start, i.span_end, i.waiting_for, i.sha256, i.attempts, i.refusals, i.faults, i.repairs,
    i.reserved_micros, i.input_tokens, i.output_tokens, i.usage_estimated, i.cost_micros, i.cost_estimated, i.model,
    i.finish_reason, i.request_id, i.elapsed_ms, i.failure, i.note, i.updated_ms
"""
"""What `item_of` reads, from `items AS i`."""

ATTEMPT_COLUMNS = """
    id, number, sent_ms, ended_ms, outcome, status, request_id, input_tokens, output_tokens, cost_micros,
    cost_estimated, worst_micros, failure
"""
"""What `attempt_of` reads, from `attempts`."""


def job_of(row: Sequence[Any], counts: Counts) -> Job:
    """The job in a row of JOB_COLUMNS."""
    state = JobState(row[2])
    at_work = state in AT_WORK
    return Job(
        id=row[0],
        spec=_spec_of(row),
        state=state,
        created_ms=row[18],
        started_ms=row[19],
        ended_ms=row[20],
        worked_ms=row[35],
        pause=None if row[3] is None else PauseReason(row[3]),
        pause_detail=row[4],
        listed=bool(row[16]),
        note=row[17],
        counts=counts,
        money=Money(
            spent=row[21],
            estimated=bool(row[22]),
            unknown=row[23],
            reserved=row[36],
            in_doubt=row[34] + row[37],
            projected=row[27],
        ),
        # What the worker last said of a job that it no longer works at is not true any more, but for what is under way.
        progress=Progress(
            in_flight=row[28],
            rate_per_minute=row[29] if at_work else None,
            eta_ms=(row[30], row[31]) if at_work and row[30] is not None and row[31] is not None else None,
            waiting_until_ms=row[32] if at_work else None,
            waiting_for=row[33] if at_work else "",
        ),
        input_tokens=row[24],
        output_tokens=row[25],
        requests=row[26],
    )


def item_of(row: Sequence[Any]) -> Item:
    """The item in a row of ITEM_COLUMNS."""
    return Item(
        id=row[0],
        job_id=row[1],
        ordinal=row[2],
        state=ItemState(row[3]),
        document=Document(key=row[4], name=row[5], path=row[6], custom_id=row[7], size=row[8], mtime_ns=row[9]),
        parent_id=row[10],
        level=row[11],
        part=row[12],
        span=None if row[13] is None else Span(row[13], row[14]),
        waiting_for=row[15],
        sha256=row[16],
        attempts=row[17],
        refusals=row[18],
        faults=row[19],
        repairs=row[20],
        reserved_micros=row[21],
        usage=Usage(row[22], row[23], estimated=bool(row[24])),
        cost=None if row[25] is None else Cost(row[25], bool(row[26])),
        model=row[27],
        finish_reason=row[28],
        request_id=row[29],
        elapsed_ms=row[30],
        failure=failure_of(row[31]),
        note=row[32],
        updated_ms=row[33],
    )


def attempt_of(row: Sequence[Any]) -> Attempt:
    """The attempt in a row of ATTEMPT_COLUMNS."""
    return Attempt(
        id=row[0],
        number=row[1],
        sent_ms=row[2],
        ended_ms=row[3],
        outcome=row[4] or "",
        status=row[5],
        request_id=row[6],
        usage=Usage(row[7], row[8]),
        cost=None if row[9] is None else Cost(row[9], bool(row[10])),
        worst_micros=row[11],
        failure=failure_of(row[12]),
    )


def failure_of(column: str | None) -> Failure | None:
    """The failure in a column of JSON."""
    return None if column is None else Failure.from_dict(decode(column, dict[str, object]))


def recipe_of(column: str) -> Recipe:
    """The recipe in a column of JSON."""
    return _value_of(column, Recipe)


def json_column(value: object) -> str:
    """A recipe, sources, limits or a list of numbers as JSON.

    File names that are no UTF-8 hold lone surrogates, which only this encoder escapes and brings back.
    """
    return json.dumps(msgspec.to_builtins(value))


def _value_of(column: str, form: type[_T]) -> _T:
    return convert(json.loads(column), form)


def _spec_of(row: Sequence[Any]) -> JobSpec:
    limits = _value_of(row[10], JobLimits)
    return JobSpec(
        name=row[1],
        recipe=recipe_of(row[8]),
        sources=_value_of(row[9], tuple[Source, ...]),
        provider=row[5],
        model=row[6],
        priority=Priority(row[7]),
        # The budget has a column of its own, which statements can compare with; the JSON says the same when written.
        limits=replace(limits, budget_micros=row[11]),
        out=row[12],
        out_format=row[13],
        callback_url=row[14],
        chat_id=row[15],
    )
