"""Lines that show jobs: a bar of where its documents stand, and a few rows of words."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.style import Style
from rich.text import Text

from holychat.domain.jobs import ENDED_JOBS, ItemState, JobState
from holychat.text import clean, clean_line
from holychat.tui.job_words import (
    advice,
    clock,
    counts_words,
    money_words,
    pace_words,
    state_words,
    took_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from textual.widget import Widget

    from holychat.domain.jobs import Job

STYLES = ("name", "name2", "text", "muted", "live", "good", "bad", "doubt", "rest", "marked")
"""Component classes, each as "jobs--NAME", of every widget that paints jobs."""
COMPONENTS = {f"jobs--{name}" for name in STYLES}
_GAP = " · "
_ADVICE_ROWS = 4


def styles_of(widget: Widget) -> dict[str, Style]:
    """Foreground styles of a widget's component classes; what they stand on is the widget's business."""
    found = {name: widget.get_component_rich_style(f"jobs--{name}") for name in STYLES}
    return {name: Style(color=style.color, bold=style.bold) for name, style in found.items()}


def bar(job: Job, width: int, styles: Mapping[str, Style]) -> Text:
    """Done, failed, in doubt and the rest, as parts of a line; what is not zero takes a cell at least."""
    counts, total = job.counts, job.counts.total
    line = Text(no_wrap=True)
    if total and not job.listed and job.state not in ENDED_JOBS:
        total += max(total // 10, 1)  # more are being found: never look finished before that
    left = width
    gone = ItemState.SKIPPED, ItemState.CANCELLED
    shares = (
        ("bar", counts.of(ItemState.DONE)),
        ("bad", counts.of(ItemState.FAILED)),
        ("doubt", counts.of(ItemState.IN_DOUBT)),
        ("muted", sum(counts.of(state) for state in gone)),
    )
    ended = sum(count for _, count in shares)
    for name, count in shares:
        cells = min(max(round(width * count / total), 1), left) if count else 0
        if ended < total and left - cells < 1:
            cells = max(left - 1, 0)
        style = styles["good" if job.state is JobState.FINISHED else "live"] if name == "bar" else styles[name]
        line.append("━" * cells, style)
        left -= cells
    if ended and ended == total and left:
        line.append("━" * left, styles["good" if job.state is JobState.FINISHED else "live"])
        left = 0
    line.append("─" * left, styles["rest"])
    return line


def job_rows(job: Job, width: int, styles: Mapping[str, Style], keys: Mapping[str, str]) -> list[Text]:
    """A job in two to seven rows of at most `width` cells: name and state, bar, counts, pace, money, advice.

    Args:
        job: The job.
        width: Cells.
        styles: Style of each of `STYLES`.
        keys: Labels of the keys that the advice names; see `job_words.advice`.
    """
    now = round(time.time() * 1000)
    word, style = state_words(job)
    if job.state in ENDED_JOBS and job.ended_ms is not None:
        sign = "✓ " if style == "good" else "" if job.state is JobState.CANCELLED else "! "
        word = f"{sign}{word} {clock(job.ended_ms, now)}"
    elif job.state is JobState.DRAFT:
        word = f"{word} {clock(job.created_ms, now)}"  # drafts of one name are told apart
    name = Text.assemble((f"#{job.id} ", styles["muted"]), (clean_line(job.spec.name, 120), styles["name"]))
    rows = [between(name, Text(word, styles[style]), width)]
    if job.state is JobState.DRAFT:
        rows.append(fitted([("Not sent. ", styles["text"]), (f"{keys['enter']} reviews it.", styles["muted"])], width))
        return rows
    ended = job.state in ENDED_JOBS
    if not ended:
        rows.append(bar(job, width, styles))
    pieces = [(text, styles[name]) for text, name in counts_words(job)]
    if ended:
        pieces += [(text, styles["muted"]) for text in (took_words(job), *money_words(job))]
    rows += flowed(pieces, width, styles["muted"])
    if not ended:
        rows += _running_rows(job, width, styles, now)
    if tip := advice(job, keys):
        rows += wrapped(tip, width, styles["doubt"], _ADVICE_ROWS)
    elif job.note:
        rows += wrapped(clean_line(job.note, 300), width, styles["muted"], 2)
    return rows


def _running_rows(job: Job, width: int, styles: Mapping[str, Style], now: int) -> Iterable[Text]:
    if pace := pace_words(job, now):
        waits = job.progress.waiting_until_ms is not None and job.progress.waiting_until_ms > now
        yield from wrapped(pace, width, styles["doubt" if waits else "text"], 2)
    yield from flowed([(text, styles["muted"]) for text in money_words(job)], width, styles["muted"])


def between(left: Text, right: Text, width: int) -> Text:
    """Two texts at both ends of a line; the left one is cut where there is no room."""
    line = left.copy()
    line.no_wrap = True
    right = right.copy()
    right.truncate(width, overflow="ellipsis")
    room = width - right.cell_len - (2 if right.cell_len else 0)
    line.truncate(max(room, 0), overflow="ellipsis")
    line.append(" " * max(width - line.cell_len - right.cell_len, 0), Style())
    line.append_text(right)
    return line


def flowed(pieces: Sequence[tuple[str, Style]], width: int, muted: Style) -> list[Text]:
    """Pieces with dots between them, in as many lines as they need; empty ones are left out."""
    rows: list[list[tuple[str, Style]]] = []
    used = 0
    for text, style in pieces:
        if not text:
            continue
        cells = cell_len(text)
        if rows and used + len(_GAP) + cells <= width:
            rows[-1].append((text, style))
            used += len(_GAP) + cells
        else:
            rows.append([(text, style)])
            used = cells
    return [joined(row, width, muted) for row in rows]


def joined(pieces: Iterable[tuple[str, Style]], width: int, muted: Style) -> Text:
    """Pieces with dots between them, cut to a width."""
    parts: list[tuple[str, Style]] = []
    for text, style in pieces:
        if parts:
            parts.append((_GAP, muted))
        parts.append((text, style))
    return fitted(parts, width)


def fitted(pieces: Iterable[tuple[str, Style]], width: int) -> Text:
    """Pieces one after another, cut to a width."""
    line = Text(no_wrap=True)
    for text, style in pieces:
        line.append(clean(text), style)
    line.truncate(max(width, 1), overflow="ellipsis")
    return line


def wrapped(text: str, width: int, style: Style, most: int) -> list[Text]:
    """A text in at most `most` lines, cut at words."""
    rows: list[str] = [""]
    for word in text.split():
        longer = f"{rows[-1]} {word}".strip()
        if rows[-1] and Text(longer).cell_len > width:
            rows.append(word)
        else:
            rows[-1] = longer
    if len(rows) > most:
        rows[most - 1 :] = [" ".join(rows[most - 1 :])]
    return [fitted([(row, style)], width) for row in rows]
