"""One job in full: its documents, what became of each, and what can be done about it."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.containers import Container, Horizontal, Vertical

from holychat.domain.jobs import ItemState
from holychat.errors import HolychatError
from holychat.text import clean_line
from holychat.tui.keymap import bindings, key_label, keys_in_force
from holychat.tui.screens.job_deeds import JobDeeds
from holychat.tui.widgets.footer import KeyFooter
from holychat.tui.widgets.job_causes import CauseList
from holychat.tui.widgets.job_head import FILTERS, FilterBar, JobHeader, filter_count
from holychat.tui.widgets.job_items import ItemList
from holychat.tui.widgets.job_texts import TextPane, result_messages, source_messages
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual.app import ComposeResult
    from textual.widgets import OptionList

    from holychat.domain.jobs import Item, Job
    from holychat.services import Services

_WIDE, _NARROW, _LOW = 116, 76, 25
_GLANCE = 0.04
"""Seconds that a document is marked before its texts are read: a held key passes over many."""
_SIDE_BY_SIDE = 84
"""Columns from which source and result stand side by side when they are read."""


class JobScreen(JobDeeds):
    """Answers with the chat to go on in, or None.

    Args:
        services: Where jobs are.
        job_id: The job.
        remapped: The person's keymap.
        item_id: The document to begin with; None: the first one.
    """

    BINDINGS: ClassVar = bindings("job")
    AUTO_FOCUS: ClassVar[str] = "#items"

    def __init__(
        self, services: Services, job_id: int, remapped: Mapping[str, str], *, item_id: int | None = None
    ) -> None:
        super().__init__()
        self.services = services
        self.job_id = job_id
        self.remapped = remapped
        self.job: Job | None = None
        self.detail = None
        keys = keys_in_force(remapped)
        self._advice_keys = {"p": key_label(keys["job.pause"][0])}
        self._filter_keys = {name: key_label(keys[f"job.{name}"][0]) for name in FILTERS}
        self._filter = "all"
        self._wanted_item = item_id
        self._shown_total = -1

    def compose(self) -> ComposeResult:
        """Head, filters, list, texts, keys."""
        yield JobHeader(self._advice_keys)
        yield FilterBar(self._filter_keys)
        with Container(id="job-body"):
            yield ItemList(id="items")
            yield CauseList(id="causes")
            with Horizontal(id="texts"), Vertical(id="texts-inner"):
                yield TextPane("Source", id="source")
                yield TextPane("Result", id="result")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Read the job."""
        start_work(self, "job", self._read, first=True)

    def on_resize(self) -> None:
        """Three columns, two, or one above the other."""
        width, height = self.size
        self.set_class(width >= _WIDE, "-wide")
        self.set_class(width < _NARROW, "-narrow")
        self.set_class(height < _LOW, "-low")
        self.set_class(width >= _SIDE_BY_SIDE, "-beside")

    # --- reading ------------------------------------------------------------------------------------------------------

    def jobs_changed(self, jobs: Sequence[Job]) -> None:
        """Something has changed somewhere: read again what is looked at."""
        del jobs
        start_work(self, "job", self._read)

    async def _read(self, *, first: bool = False) -> None:
        try:
            job = await self.services.jobs.get(self.job_id)
        except HolychatError as error:
            self.app.notify(error.title, severity="warning")
            self.dismiss(None)
            return
        old, self.job = self.job, job
        if job == old:
            return
        self.query_one(JobHeader).show(job)
        bar = self.query_one(FilterBar)
        bar.counts = tuple(filter_count(job, name) for name in FILTERS)
        items = self.query_one(ItemList)
        if first or self._shown_total < 0:
            items.empty = "Looking for documents…" if not job.listed else "No documents."
            self._show_list(await self._first_row())
        elif self.split_item is None:
            items.changed(filter_count(job, self._filter))
        else:
            items.changed(items.total)
        if self._filter == "causes":
            start_work(self, "causes", self._read_causes)
        self.refresh_bindings()

    async def _first_row(self) -> int:
        """Row of the document to begin with."""
        if self._wanted_item is None:
            return 0
        try:
            return (await self.services.jobs.item(self._wanted_item)).item.ordinal
        except HolychatError:
            return 0  # it is gone

    def _show_list(self, row: int = 0) -> None:
        if self.job is None:
            return
        items = self.query_one(ItemList)
        self._shown_total = filter_count(self.job, self._filter)
        states = FILTERS[self._filter][1]
        items.show(partial(self._load, states), self._shown_total, row)

    async def _load(self, states: Sequence[ItemState] | None, first: int, count: int) -> list[Item]:
        return await self.services.jobs.items(self.job_id, first, count, states=states)

    async def _load_parts(self, parent_id: int, first: int, count: int) -> list[Item]:
        return await self.services.jobs.items(self.job_id, first, count, parent_id=parent_id)

    async def _read_causes(self) -> None:
        try:
            self.query_one(CauseList).show(await self.services.jobs.causes(self.job_id))
        except HolychatError as error:
            self.say(str(error), error=True)

    # --- the marked document ------------------------------------------------------------------------------------------

    def on_item_list_marked(self, event: ItemList.Marked) -> None:
        """Show it."""
        event.stop()
        if self._filter != "causes":
            start_work(self, "detail", self._show_item, event.item.id if event.item is not None else None)

    def on_cause_list_marked(self, event: CauseList.Marked) -> None:
        """Show an example."""
        event.stop()
        if self._filter == "causes":
            start_work(self, "detail", self._show_item, event.cause.example_item_id if event.cause else None)

    async def _show_item(self, item_id: int | None) -> None:
        await asyncio.sleep(_GLANCE)
        try:
            detail = await self.services.jobs.item(item_id) if item_id is not None else None
        except HolychatError as error:
            self.query_one("#source", TextPane).show((), "", [])
            self.query_one("#result", TextPane).show((), error.title, [])
            return
        self.detail = detail
        source, result = self.query_one("#source", TextPane), self.query_one("#result", TextPane)
        if detail is None:
            source.show((), "", [])
            result.show((), "", [])
        else:
            name = clean_line(detail.item.document.name, 200)
            facts, messages = source_messages(detail)
            source.show((detail.item.id, detail.source), f"{name}  {facts}", messages)
            facts, messages = result_messages(detail)
            key = (detail.item.id, detail.item.state, detail.result, detail.partial, detail.item.failure)
            result.show(key, facts, messages)
        self.refresh_bindings()

    # --- what is listed -----------------------------------------------------------------------------------------------

    def action_filter(self, name: str) -> None:
        """List other documents, or the causes of what went wrong."""
        if self.job is None:
            return
        self._filter, self.split_item = name, None
        bar = self.query_one(FilterBar)
        bar.chosen, bar.inside = name, ""
        causes = name == "causes"
        self.set_class(causes, "-causes")
        if causes:
            start_work(self, "causes", self._read_causes)
        else:
            label = FILTERS[name][0].lower()
            self.query_one(ItemList).empty = "No documents." if name == "all" else f"None {label}."
            self._show_list()
        if not self.has_class("-reading"):
            self._focus_list()
        if filter_count(self.job, name) == 0:
            start_work(self, "detail", self._show_item, None)

    def action_next_filter(self) -> None:
        """The next filter, round and round."""
        names = list(FILTERS)
        self.action_filter(names[(names.index(self._filter) + 1) % len(names)])

    def on_filter_bar_chosen(self, event: FilterBar.Chosen) -> None:
        """A click on a filter."""
        event.stop()
        self.action_filter(event.name)

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Enter on a cause lists the documents in its state."""
        event.stop()
        if (cause := self.query_one(CauseList).cause) is not None:
            self.action_filter("doubt" if cause.state is ItemState.IN_DOUBT else "failed")

    def action_parts(self) -> None:
        """List the parts of the marked document."""
        detail = self.detail
        if detail is None or not detail.parts:
            return
        self.split_item = detail.item
        self.query_one(FilterBar).inside = detail.item.document.name
        items = self.query_one(ItemList)
        items.show(partial(self._load_parts, detail.item.id), detail.parts)
        self.refresh_bindings()

    def action_whole(self) -> None:
        """Back to the documents."""
        if self.split_item is None:
            return
        row = self.split_item.ordinal if self._filter == "all" else 0
        self.split_item = None
        self.query_one(FilterBar).inside = ""
        self._show_list(row)
        self.refresh_bindings()

    # --- reading and leaving ------------------------------------------------------------------------------------------

    def action_read(self) -> None:
        """Give source and result the whole width, or the list its place again."""
        reading = not self.has_class("-reading")
        self.set_class(reading, "-reading")
        if reading:
            self.query_one("#result").focus(scroll_visible=False)
        else:
            self._focus_list()
        self.refresh_bindings()

    def _focus_list(self) -> None:
        # Once the styles are applied: what is not shown cannot take the focus.
        wanted = self.query_one(CauseList if self._filter == "causes" else ItemList)
        self.call_after_refresh(wanted.focus, scroll_visible=False)

    def action_next_pane(self) -> None:
        """List, source, result."""
        self.focus_next("#items, #causes, #source, #result")

    def action_close(self) -> None:
        """One step back: from reading to the list, from the parts to the document, from the list to the chat."""
        if self.has_class("-reading"):
            self.action_read()
        elif self.split_item is not None:
            self.action_whole()
        else:
            self.dismiss(None)
