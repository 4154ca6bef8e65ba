"""The head of a job's screen: how it stands, and what the list below is filtered by."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from rich.text import Text
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from holychat.domain.jobs import ENDED_JOBS, ItemState, JobState
from holychat.text import clean_line
from holychat.tui.job_words import (
    PRIORITY_NAMES,
    advice,
    clock,
    counts_words,
    money_words,
    number,
    pace_words,
    recipe_words,
    state_words,
)
from holychat.tui.widgets.job_paint import COMPONENTS, bar, between, flowed, styles_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.style import Style
    from textual import events
    from textual.visual import VisualType

    from holychat.domain.jobs import Job

FILTERS: Mapping[str, tuple[str, Sequence[ItemState] | None]] = {
    "all": ("All", None),
    "done": ("Done", (ItemState.DONE,)),
    "failed": ("Failed", (ItemState.FAILED,)),
    "doubt": ("In doubt", (ItemState.IN_DOUBT,)),
    "open": ("To do", (ItemState.PENDING, ItemState.SENDING, ItemState.RECEIVED)),
    "causes": ("Causes", (ItemState.FAILED, ItemState.IN_DOUBT)),
}
"""What the list can be filtered by: what it is called, and the states it lets through (None: all)."""


def filter_count(job: Job, name: str) -> int:
    """How many documents a filter lets through."""
    states = FILTERS[name][1]
    return job.counts.total if states is None else sum(job.counts.of(state) for state in states)


class JobHeader(Widget):
    """Name and state, a bar, counts and money; a line or two of advice for a paused job.

    Args:
        keys: Labels of the keys that the advice names; see `job_words.advice`.
    """

    COMPONENT_CLASSES = COMPONENTS

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._keys = keys
        self._job: Job | None = None
        self._rows: list[Text] = []

    def show(self, job: Job) -> None:
        """Show a job as it is now."""
        self._job = job
        self._lay_out()

    def _lay_out(self) -> None:
        if self._job is None or not self.size.width:
            return
        rows = header_rows(self._job, self.size.width, styles_of(self), self._keys)
        if rows != self._rows:
            if len(rows) != len(self._rows):
                self.styles.height = len(rows) + self.gutter.height
            self._rows = rows
            self.refresh()

    def on_resize(self) -> None:
        """Another width, other lines."""
        self._lay_out()

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        if self.is_attached:
            self._lay_out()

    def render(self) -> VisualType:
        """The lines."""
        return Text("\n").join(self._rows)


def header_rows(job: Job, width: int, styles: Mapping[str, Style], keys: Mapping[str, str]) -> list[Text]:
    """A job in three to five lines."""
    now = round(time.time() * 1000)
    word, style = state_words(job)
    if job.state in ENDED_JOBS and job.ended_ms is not None:
        word = f"{word} {clock(job.ended_ms, now)}"
    name = Text.assemble((f"#{job.id} ", styles["muted"]), (clean_line(job.spec.name, 120), styles["name"]))
    rows = [between(name, Text(word, styles[style]), width)]
    if width >= 70:
        who = f"{clean_line(job.spec.model, 50)} · {clean_line(job.spec.provider, 30)}"
        told = Text.assemble((recipe_words(job.spec.recipe), styles["muted"]))
        rows.append(between(told, Text(f"{who} · {PRIORITY_NAMES[job.spec.priority]}", styles["muted"]), width))
    if job.state not in ENDED_JOBS:
        rows.append(bar(job, width, styles))
    pieces = [(text, styles[name]) for text, name in counts_words(job)]
    if pace := pace_words(job, now):
        pieces.append((pace, styles["text" if job.state is JobState.RUNNING else "muted"]))
    pieces += [(money, styles["muted"]) for money in money_words(job)]
    rows += flowed(pieces, width, styles["muted"])
    if tip := advice(job, keys):
        rows += wrapped(tip, width, styles["doubt"], 2)
    elif job.note:
        rows += wrapped(clean_line(job.note, 300), width, styles["muted"], 2)
    return rows


class FilterBar(Widget):
    """Filters with their keys and counts, one painted line."""

    COMPONENT_CLASSES = {"filter--key", "filter--name", "filter--chosen"}  # noqa: RUF012

    chosen: reactive[str] = reactive("all")
    counts: reactive[tuple[int, ...]] = reactive(())
    inside: reactive[str] = reactive("")
    """Name of the document whose parts are shown; "" for the documents themselves."""

    class Chosen(Message):
        """A filter was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, keys: Mapping[str, str]) -> None:
        super().__init__()
        self._keys = keys
        self._places: list[tuple[int, int, str]] = []

    def render(self) -> VisualType:
        """As many as fit; the chosen one always."""
        key, name, chosen = (self.get_component_rich_style(f"filter--{part}") for part in ("key", "name", "chosen"))
        if self.inside:
            return Text.assemble(("‹ ", key), ("parts of ", name), (clean_line(self.inside, 200), chosen), no_wrap=True)
        long = self._line(key, name, chosen, labels=True)
        return long if long.cell_len <= self.size.width else self._line(key, name, chosen, labels=False)

    def _line(self, key: Style, name: Style, chosen: Style, *, labels: bool) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis")
        self._places = []
        for place, (filter_id, (label, _)) in enumerate(FILTERS.items()):
            is_chosen = filter_id == self.chosen
            count = self.counts[place] if place < len(self.counts) else 0
            told = f" {number(count)}" if filter_id != "causes" else ""
            words = f"{label}{told}" if labels or is_chosen else (told.strip() or label)
            start = line.cell_len
            line.append(f"{self._keys[filter_id]} ", key)
            line.append(f" {words} " if is_chosen else words, chosen if is_chosen else name)
            self._places.append((start, line.cell_len, filter_id))
            line.append("  ")
        return line

    def on_click(self, event: events.Click) -> None:
        """Choose a filter."""
        for start, end, name in self._places:
            if start <= event.x < end:
                self.post_message(self.Chosen(name))
