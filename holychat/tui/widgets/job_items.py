"""The documents of a job: a list as long as the job, of which only what is looked at is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from holychat.domain.jobs import ItemState
from holychat.errors import HolychatError
from holychat.text import clean_line
from holychat.tui.job_words import ITEM_WORDS, compact, number
from holychat.tui.widgets.job_paint import COMPONENTS, between, styles_of
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from textual import events

    from holychat.domain.jobs import Item

    Load: TypeAlias = Callable[[int, int], Awaitable[list[Item]]]

PAGE = 100
_KEPT_PAGES = 30


class ItemList(ScrollView, can_focus=True):
    """One widget for any number of documents. Pages are read when they come into view, and again when they changed."""

    COMPONENT_CLASSES = COMPONENTS
    DEFAULT_CSS = "ItemList { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }"

    cursor: reactive[int] = reactive(0, repaint=False)

    class Marked(Message):
        """Another document is marked, or the marked one has changed; None while it is not read yet."""

        def __init__(self, item: Item | None) -> None:
            super().__init__()
            self.item = item

        def can_replace(self, message: Message) -> bool:
            """Only the last one matters."""
            return isinstance(message, ItemList.Marked)

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.total = 0
        self.empty = ""
        """What is said where there is nothing."""
        self._load: Load | None = None
        self._pages: dict[int, list[Item]] = {}
        self._stale: set[int] = set()
        self._told: Item | None = None
        self._styles: Mapping[str, Style] = {}

    # --- what it shows ------------------------------------------------------------------------------------------------

    @property
    def item(self) -> Item | None:
        """The marked document, where it is read."""
        return self.at(self.cursor)

    def at(self, row: int) -> Item | None:
        """The document of a row, where it is read."""
        page = self._pages.get(row // PAGE, [])
        return page[row % PAGE] if row >= 0 and row % PAGE < len(page) else None

    def show(self, load: Load, total: int, cursor: int = 0) -> None:
        """Show other documents: `load(first, count)` reads them."""
        self._load, self.total = load, total
        self._pages.clear()
        self._stale.clear()
        self._told = None
        self.set_reactive(ItemList.cursor, max(min(cursor, total - 1), 0))
        self._set_height()
        self.scroll_to(y=max(self.cursor - self.size.height // 2, 0), animate=False, immediate=True)
        self.refresh()
        self._read()

    def changed(self, total: int) -> None:
        """The same documents, some of which may be different now: what is in view is read again."""
        self.total = total
        self._stale.update(self._pages)
        if self.cursor >= total:
            self.set_reactive(ItemList.cursor, max(total - 1, 0))
        self._set_height()
        self._read()

    def _set_height(self) -> None:
        size = Size(self.scrollable_content_region.width, self.total)
        if size != self.virtual_size:
            self.virtual_size = size
            self.refresh()

    def _wanted(self) -> list[int]:
        """Pages that are in view or soon will be, those that are missing or may have changed."""
        top, height = round(self.scroll_y), max(self.size.height, 1)
        rows = [self.cursor, top, top + height - 1, top - height // 2, top + height + height // 2]
        pages = dict.fromkeys(row // PAGE for row in rows if 0 <= row < max(self.total, 1))
        return [page for page in pages if page not in self._pages or page in self._stale]

    def _read(self) -> None:
        if self._load is not None and self._wanted():
            start_work(self, "page", self._read_pages, self._load)

    async def _read_pages(self, load: Load) -> None:
        while pages := self._wanted():
            page = pages[0]
            try:
                items = await load(page * PAGE, PAGE)
            except HolychatError:
                return  # its job was deleted, or the disk fails: whoever shows the job says so
            if load is not self._load:
                return
            self._put(page, items)
        if (item := self.item) != self._told:
            self._told = item
            self.post_message(self.Marked(item))

    def _put(self, page: int, items: list[Item]) -> None:
        old = self._pages.pop(page, [])
        self._pages[page] = items
        self._stale.discard(page)
        while len(self._pages) > _KEPT_PAGES:
            gone = next(iter(self._pages))
            del self._pages[gone]
            self._stale.discard(gone)
        top = round(self.scroll_y)
        for place in range(max(len(old), len(items))):
            same = place < len(old) and place < len(items) and old[place] == items[place]
            row = page * PAGE + place - top
            if not same and 0 <= row < self.size.height:
                self.refresh(Region(0, row, self.size.width, 1))

    # --- painting -----------------------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        self._styles = {}

    def render_line(self, y: int) -> Strip:
        """One document."""
        width, row, base = self.scrollable_content_region.width, y + round(self.scroll_y), self.rich_style
        if not self._styles:
            self._styles = styles_of(self)
        marked = row == self.cursor and row < self.total
        back = base
        if marked and self.has_focus:
            back = base + Style(bgcolor=self.get_component_rich_style("jobs--marked").bgcolor)
        line = self._line(row, width - 3)
        edge = Segment("▌ " if marked else "  ", back + self._styles["live" if self.has_focus else "rest"])
        pieces = line.render(self.app.console)
        strip = Strip([edge, *(Segment(text, back + (style or Style())) for text, style, _ in pieces if text)])
        return strip.adjust_cell_length(width, back)

    def _line(self, row: int, width: int) -> Text:
        if row >= self.total:
            return Text(self.empty, self._styles["muted"]) if row == 0 else Text()
        item = self.at(row)
        if item is None:
            return Text(f"{number(row + 1)} …", self._styles["muted"])
        return item_line(item, width, self._styles)

    # --- moving -------------------------------------------------------------------------------------------------------

    def watch_has_focus(self, value: bool) -> None:
        """The mark looks different with the focus."""
        super().watch_has_focus(value)
        self.refresh()

    def on_resize(self) -> None:
        """More may be in view."""
        self._set_height()
        self._read()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Read what comes into view."""
        super().watch_scroll_y(old_value, new_value)
        if round(old_value) != round(new_value):
            self._read()

    def watch_cursor(self, old: int, new: int) -> None:
        """Paint the mark, keep it in view, tell."""
        top, height = round(self.scroll_y), max(self.size.height, 1)
        if new < top:
            self.scroll_to(y=new, animate=False, immediate=True)
        elif new >= top + height:
            self.scroll_to(y=new - height + 1, animate=False, immediate=True)
        for row in (old, new):
            if 0 <= row - round(self.scroll_y) < height:
                self.refresh(Region(0, row - round(self.scroll_y), self.size.width, 1))
        self._told = self.item
        self.post_message(self.Marked(self.item))
        self._read()

    def move(self, delta: int) -> None:
        """Mark another document."""
        self.cursor = min(max(self.cursor + delta, 0), max(self.total - 1, 0))

    def on_key(self, event: events.Key) -> None:
        """Move the mark."""
        page = max(self.size.height - 1, 1)
        steps = {
            "up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page,
            "home": -self.total, "g": -self.total, "end": self.total, "G": self.total,
        }  # fmt: skip
        if (delta := steps.get(event.key)) is not None:
            event.stop()
            event.prevent_default()
            self.move(delta)

    def on_click(self, event: events.Click) -> None:
        """Mark what is clicked."""
        row = event.y + round(self.scroll_y)
        if row < self.total:
            self.cursor = row


def item_line(item: Item, width: int, styles: Mapping[str, Style]) -> Text:
    """A document in one line: sign, name, what there is to know of it."""
    sign, words, style = ITEM_WORDS[item.state]
    if item.parent_id is not None:
        name = f"part {item.part + 1}" if not item.level else f"part {item.part + 1}, merged"
    else:
        name = clean_line(item.document.name, 300)
    told = ""
    if item.state is ItemState.DONE:
        told = "" if item.usage.output_tokens is None else f"{compact(item.usage.output_tokens)} tok"
    elif item.state is not ItemState.PENDING:
        told = words
    elif item.waiting_for:
        told = f"waits for {item.waiting_for} part{'s' * (item.waiting_for != 1)}"
    right = Text(told, styles["muted" if item.state is ItemState.DONE else style])
    room = max(width - 2 - (right.cell_len + 2 if told else 0), 1)
    quiet = item.state in (ItemState.PENDING, ItemState.SKIPPED, ItemState.CANCELLED)
    text = Text(_end_of(name, room), styles["muted" if quiet else "text"])
    return Text.assemble((f"{sign} ", styles[style]), between(text, right, max(width - 2, 1)))


def _end_of(name: str, cells: int) -> str:
    """A name cut at its beginning: the end of a path tells more."""
    text = Text(name)
    if text.cell_len <= cells:
        return name
    kept = name
    while kept and Text(kept).cell_len > cells - 1:
        kept = kept[max(len(kept) - cells, 1) :] if len(kept) > 2 * cells else kept[1:]
    return f"…{kept}"
