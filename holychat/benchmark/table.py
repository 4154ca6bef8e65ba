"""A report as lines for people: one table per model, and what changed since an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.benchmark.figures import ratio
from holychat.catalog.money import money_text
from holychat.domain.usage import Cost
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from holychat.benchmark.figures import Figures
    from holychat.benchmark.report import ModelReport, Report

_NONE, _UNKNOWN = "-", "unknown"
_MOST_NAME = 60


def tables(report: Report) -> Iterator[str]:
    """Lines of all tables."""
    for number, model in enumerate(report.models):
        if number:
            yield ""
        yield f"{clean_line(model.model, _MOST_NAME)} at {clean_line(report.provider, _MOST_NAME)}"
        yield from _columns([("", "live", "batch", "batch/live"), *_rows(model)])
        for name, road in (("live", model.live), ("batch", model.batch)):
            if road is not None and road.note:
                yield f"{name}: {clean_line(road.note, 300)}"
    spent = money_text(Cost(report.spent_micros, estimated=report.spent_estimated))
    unknown = any(_unpriced(model) for model in report.models)
    yield ""
    yield f"Spent: {spent}" + (", and what has no known price" if unknown else "")


def differences(earlier: Report, report: Report, name: str) -> Iterator[str]:
    """Lines that hold a report against an earlier one, model by model and figure by figure."""
    before = {model.model: model for model in earlier.models}
    yield f"Since {clean_line(name, 100)} ({clean_line(earlier.measured_at, 40)}, {clean_line(earlier.provider, 40)}):"
    for model in report.models:
        if (old := before.get(model.model)) is None:
            yield f"{clean_line(model.model, _MOST_NAME)} was not in it"
            continue
        yield clean_line(model.model, _MOST_NAME)
        rows = [
            (f"{label}, {road}", _was_and_is(show, get(then), get(now)), _change(get(then), get(now)))
            for road, then, now in (("live", old.live, model.live), ("batch", old.batch, model.batch))
            if then is not None and now is not None
            for label, show, get in _MEASURES
            if get(then) is not None or get(now) is not None
        ]
        yield from _columns([("", "then -> now", "change"), *rows])


def _rows(model: ModelReport) -> Iterator[tuple[str, ...]]:
    live, batch = model.live, model.batch
    for label, show, get in _MEASURES:
        first = None if live is None else get(live)
        second = None if batch is None else get(batch)
        times = ratio(second, first)
        yield label, _marked(show(first), label, live), _marked(show(second), label, batch), _times(times)
    yield "errors", _errors(live), _errors(batch), ""
    refused = [road.refused if road is not None else 0 for road in (live, batch)]
    if any(refused):
        yield "turned away, sent again", *(f"{count:,}" for count in refused), ""


def _unpriced(model: ModelReport) -> bool:
    roads = (model.live, model.batch)
    return any(road is not None and road.answered > 0 and road.micros_per_thousand is None for road in roads)


def _milliseconds(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f} ms" if value >= 100 else f"{value:.1f} ms"


def _rate(value: float | None) -> str:
    return _NONE if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _money(value: float | None) -> str:
    return _UNKNOWN if value is None else money_text(Cost(round(value)))


_FIRST_TOKEN = "time to first token"  # noqa: S105  # no secret
_TOKENS, _COST = "tokens/s", "cost per 1,000 requests"
_MEASURES: tuple[tuple[str, Callable[[float | None], str], Callable[[Figures], float | None]], ...] = (
    (f"{_FIRST_TOKEN}, p50", _milliseconds, lambda road: None if road.first_token is None else road.first_token.p50),
    (f"{_FIRST_TOKEN}, p95", _milliseconds, lambda road: None if road.first_token is None else road.first_token.p95),
    ("end to end, p50", _milliseconds, lambda road: None if road.end_to_end is None else road.end_to_end.p50),
    ("end to end, p95", _milliseconds, lambda road: None if road.end_to_end is None else road.end_to_end.p95),
    ("requests/min", _rate, lambda road: road.per_minute),
    ("  sent, once up to speed", _rate, lambda road: road.up_to_speed_per_minute),
    (_TOKENS, _rate, lambda road: road.tokens_per_second),
    (_COST, _money, lambda road: road.micros_per_thousand),
)


def _marked(text: str, label: str, road: Figures | None) -> str:
    """The text, with "~" where it rests on an estimate; nothing where the road was not gone."""
    if road is None or not road.answered:
        return _NONE
    about = (label == _TOKENS and road.tokens_estimated) or (label == _COST and road.cost_estimated)
    return f"~{text}" if about and text not in (_NONE, _UNKNOWN) else text


def _errors(road: Figures | None) -> str:
    return _NONE if road is None else f"{road.errors:,} of {road.asked:,}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}x" if value >= 100 else f"{value:.2f}x"


def _was_and_is(show: Callable[[float | None], str], then: float | None, now: float | None) -> str:
    return f"{show(then)} -> {show(now)}"


def _change(then: float | None, now: float | None) -> str:
    share = ratio(now, then)
    return "" if share is None else f"{share - 1:+.1%}"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        figures = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        yield "  ".join([name.ljust(widths[0]), *figures]).rstrip()
