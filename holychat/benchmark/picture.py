"""A report as an SVG picture: per model the latencies of both roads and their rates, as bars with their numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from xml.sax.saxutils import escape

from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.benchmark.figures import Spread
    from holychat.benchmark.report import ModelReport, Report

_WIDTH, _MARGIN = 760, 24
_LABEL, _NUMBER = 190, 120
_ROW, _BAR, _HEAD, _GAP = 26, 16, 30, 18
_LIVE, _BATCH = "#2f6db5", "#d9822b"
_FAINT = 0.55
_NAME = 60


class _Row(NamedTuple):
    label: str
    value: float
    text: str
    colour: str
    opacity: float


def picture(report: Report) -> str:
    """The whole file. Colours are seen on light and dark ground alike, and nothing but the text carries the numbers."""
    body: list[str] = []
    y = float(_MARGIN + 18)
    title = f"holychat {clean_line(report.holychat, 20)} bench, {clean_line(report.provider, _NAME)}"
    body.append(_text(_MARGIN, y, title, size=18, weight="bold"))
    y += 22
    body.append(_text(_MARGIN, y, clean_line(report.measured_at, 40), size=12))
    for model in report.models:
        y += _GAP + 14
        body.append(_text(_MARGIN, y, clean_line(model.model, _NAME), size=16, weight="bold"))
        for name, rows in (("latency", [*_latencies(model)]), ("requests per minute", [*_rates(model)])):
            if rows:
                y += _HEAD
                body.append(_text(_MARGIN, y, name, size=12))
                y += 8
                body += _bars(rows, y)
                y += _ROW * len(rows)
    height = round(y + _MARGIN)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}"'
        f' font-family="sans-serif" role="img">\n<title>{_escaped(title)}</title>\n'
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _latencies(model: ModelReport) -> Iterator[_Row]:
    for road, colour, name in ((model.live, _LIVE, "live"), (model.batch, _BATCH, "batch")):
        if road is not None:
            yield from _spread(f"{name}, first token", road.first_token, colour)
            yield from _spread(f"{name}, end to end", road.end_to_end, colour)


def _spread(name: str, found: Spread | None, colour: str) -> Iterator[_Row]:
    if found is not None:
        yield _Row(f"{name}, p50", found.p50, f"{found.p50:,.0f} ms", colour, 1.0)
        yield _Row(f"{name}, p95", found.p95, f"{found.p95:,.0f} ms", colour, _FAINT)


def _rates(model: ModelReport) -> Iterator[_Row]:
    for road, colour, name in ((model.live, _LIVE, "live"), (model.batch, _BATCH, "batch")):
        if road is not None and road.per_minute is not None:
            yield _Row(name, road.per_minute, f"{road.per_minute:,.0f} a minute", colour, 1.0)


def _bars(rows: list[_Row], top: float) -> Iterator[str]:
    most = max(row.value for row in rows) or 1.0
    room = _WIDTH - 2 * _MARGIN - _LABEL - _NUMBER
    for number, row in enumerate(rows):
        y = top + number * _ROW
        width = max(1.0, row.value / most * room)
        left = _MARGIN + _LABEL
        yield _text(_MARGIN, y + 13, row.label, size=13)
        yield (
            f'<rect x="{left}" y="{y:g}" width="{width:.1f}" height="{_BAR}" rx="2" fill="{row.colour}"'
            f' fill-opacity="{row.opacity:g}"/>'
        )
        yield _text(left + width + 8, y + 13, row.text, size=13)


def _text(x: float, y: float, text: str, *, size: int, weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:g}" font-size="{size}" font-weight="{weight}" fill="#1f2328">{_escaped(text)}</text>'
    )


def _escaped(text: str) -> str:
    return escape(text)
