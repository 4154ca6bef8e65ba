"""The conversation as one Line-API widget: a single widget however long the chat, a bounded cost for each frame.

What is laid out and what only guessed is `transcript_document`'s business, what a message looks like
`transcript_entry`'s. Here is the frame clock, the viewport with its `following` flag, the message cursor, and painting.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Protocol

from rich.segment import Segment
from rich.style import Style
from textual.geometry import Offset, Size
from textual.message import Message as Event
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from holychat.tui.markdown.look import Look, Palette
from holychat.tui.widgets.transcript_document import PAGE, Document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.selection import Selection

    from holychat.domain.chat import Message
    from holychat.tui.markdown.block import CodeBlock
    from holychat.tui.markdown.lines import Line
    from holychat.tui.widgets.transcript_entry import Entry

GUTTER = 2
"""Columns before the text: a bar and a space."""
WIDEST = 110
"""Longer lines are hard to read."""
_FRAME = 1 / 30
"""Seconds between two frames of a streaming reply at least."""
_SLICE = 0.006
"""Seconds that one frame may spend on working text in, so that keys are heard in between."""
_REST = 4
"""A frame is followed by a rest of at least so many times its own cost."""
_MARGIN = 20
"""Lines above and below the viewport that are laid out with it."""


class MessageSource(Protocol):
    """Where messages of the shown chat are loaded from when they are scrolled to."""

    async def messages(self, first: int, count: int) -> Sequence[Message]:
        """`count` messages from position `first` on."""
        ...


class Transcript(ScrollView, can_focus=False):
    """The conversation pane.

    Attributes:
        following: Whether the view stays at the end while text arrives. Scrolling up releases it; sending, End or
            scrolling down to the end takes it back.
        cursor: Position of the marked message, or None.
    """

    DEFAULT_CSS = "Transcript { overflow-x: hidden; overflow-y: scroll; }"
    ALLOW_SELECT = True
    COMPONENT_CLASSES: ClassVar[set[str]] = set()

    following: reactive[bool] = reactive(True, repaint=False)
    cursor: reactive[int | None] = reactive(None, repaint=False)

    class LinkActivated(Event):
        """A link was clicked; nothing has been opened."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    class FollowChanged(Event):
        """The view began or ceased to follow the end."""

        def __init__(self, following: bool) -> None:
            super().__init__()
            self.following = following

    class CursorMoved(Event):
        """Another message, or none, is marked."""

        def __init__(self, message: Message | None) -> None:
            super().__init__()
            self.message = message

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id, classes=classes)
        self._document = Document(Look())
        self._source: MessageSource | None = None
        self._moving = False
        self._frame_handle: asyncio.TimerHandle | None = None
        self._next_frame = 0.0
        self._loading: asyncio.Task[None] | None = None

    # --- the chat -------------------------------------------------------------------------------------------------

    async def show(self, source: MessageSource, total: int, first: int, messages: Sequence[Message]) -> None:
        """Show a chat of `total` messages of which `messages`, from position `first` on, are at hand."""
        self._source = source
        self._document.reset(total)
        # Pages are loaded whole; what is at hand may begin in the middle of one.
        start = -(-first // PAGE) * PAGE if first else 0
        if start >= total > 0:
            start = (total - 1) // PAGE * PAGE
            messages = await source.messages(start, total - start)
            first = start
        self._document.load(start, messages[start - first :])
        self.cursor = None
        self.following = True
        self._changed()

    def clear(self) -> None:
        """Show nothing."""
        self._source = None
        self._document.reset()
        self.cursor = None
        self.following = True
        self._changed()

    def add(self, message: Message) -> None:
        """Show one more message at the end."""
        self._document.add(message)
        self._changed()

    def replace_from(self, position: int) -> None:
        """Forget the messages from a position on."""
        self._document.remove_from(position)
        if self.cursor is not None and self.cursor >= position:
            self.cursor = None
        self._changed()

    @property
    def message_count(self) -> int:
        """Messages of the chat, loaded or not."""
        return len(self._document)

    # --- a reply that streams ---------------------------------------------------------------------------------------

    def append_text(self, delta: str) -> None:
        """More text of the last message. Cheap: it is worked in and painted with the next frame."""
        if (entry := self._document.last) is not None:
            entry.append_text(delta)
            self._request_frame()

    def append_reasoning(self, delta: str) -> None:
        """More reasoning of the last message."""
        if (entry := self._document.last) is not None:
            entry.append_reasoning(delta)
            self._request_frame()

    def note(self, text: str) -> None:
        """A notice below the streaming message; "" takes it away."""
        if (entry := self._document.last) is not None:
            entry.set_note(text)
            self._changed()

    def finish(self, message: Message) -> None:
        """The last message is over."""
        if (entry := self._document.last) is not None:
            entry.finish(message)
            self._changed()

    def _request_frame(self) -> None:
        if self._frame_handle is None:
            loop = asyncio.get_running_loop()
            self._frame_handle = loop.call_at(max(self._next_frame, loop.time()), self._frame)

    def _frame(self) -> None:
        """Work in what has arrived, for a bounded time, and show it."""
        self._frame_handle = None
        entry = self._document.last
        if entry is None or not self.is_attached:
            return
        loop = asyncio.get_running_loop()
        begin = loop.time()
        more = entry.advance()
        while more and loop.time() - begin < _SLICE:
            more = entry.advance()
        self._document.grown()
        self._update_view()
        cost = loop.time() - begin
        self._next_frame = begin + max(_FRAME, cost * (1 + _REST))
        if more:
            self._request_frame()

    # --- the viewport -----------------------------------------------------------------------------------------------

    def jump_latest(self) -> None:
        """Go to the end and follow it."""
        self.following = True
        self._update_view()

    async def jump_to(self, position: int) -> None:
        """Show the message at a position at the top, and mark it."""
        self.following = False
        await self._load_around(position)
        self.cursor = position
        self._scroll_into_view(position, to_top=True)

    def on_resize(self, event: events.Resize) -> None:
        """Lay out again what is visible; the rest when it is looked at."""
        del event
        width = min(max(self.scrollable_content_region.width - GUTTER - 1, 8), WIDEST)
        if width != self._document.width:
            top = self._document.settle(round(self.scroll_y), 1)
            position = self._document.position_at(top)
            self._document.width = width
            self._changed()
            if not self.following:
                self._scroll_into_view(position, to_top=True)
        else:
            self._update_view()

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        theme = self.app.current_theme
        palette = Palette.from_variables(self.app.theme_variables, theme.dark)
        if palette != self._document.look.palette:
            self._document.look = Look(palette)
            self._changed()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """A person scrolls: lay out what comes into view, and see whether the end is left or reached."""
        super().watch_scroll_y(old_value, new_value)
        if self._moving or round(old_value) == round(new_value):
            return
        self.following = new_value >= self.max_scroll_y
        self._update_view()

    def watch_following(self, following: bool) -> None:
        """Tell those who show a hint."""
        self.post_message(self.FollowChanged(following))

    def _changed(self) -> None:
        self._document.changed()
        if self.is_attached:
            self._update_view()

    def _update_view(self) -> None:
        """Make the visible part exact, set the size of the scroll bar, and paint."""
        rows = self.scrollable_content_region.height
        document = self._document
        if rows <= 0:
            return
        if self.following:
            top = document.settle_end(rows)
        else:
            top = round(self.scroll_y)
            shift = document.settle(max(top - _MARGIN, 0), rows + 2 * _MARGIN) - max(top - _MARGIN, 0)
            top += shift
        self._set_height(document.height)
        top = max(min(top, document.height - rows), 0)
        if top != round(self.scroll_y):
            self._moving = True
            self.scroll_to(y=top, animate=False, immediate=True, force=True)
            self._moving = False
        document.view(top, rows)
        self.refresh()
        self._load_missing(top - rows, top + 2 * rows)

    def _set_height(self, height: int) -> None:
        size = Size(self.scrollable_content_region.width, height)
        if size != self.virtual_size:
            # Without set_reactive each streamed line would lay out the whole screen again. The width never changes
            # and the scroll bar is always there, so nothing but the bar depends on this size.
            self.set_reactive(Widget.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = height

    def _scroll_into_view(self, position: int, *, to_top: bool = False) -> None:
        rows = self.scrollable_content_region.height
        for _ in range(4):
            top = self._document.top_of(position)
            self._document.settle(max(top - _MARGIN, 0), rows + 2 * _MARGIN)
            if self._document.top_of(position) == top:
                break
        top = self._document.top_of(position)
        bottom = self._document.top_of(position + 1) if position + 1 < len(self._document) else self._document.height
        view = round(self.scroll_y)
        if to_top or top < view or bottom - top > rows:
            view = top
        elif bottom > view + rows:
            view = bottom - rows
        self._set_height(self._document.height)
        self._moving = True
        self.scroll_to(y=max(view, 0), animate=False, immediate=True, force=True)
        self._moving = False
        self.following = view >= self.max_scroll_y
        self._update_view()

    # --- pages --------------------------------------------------------------------------------------------------------

    def _load_missing(self, top: int, bottom: int) -> None:
        missing = self._document.missing(top, bottom)
        if missing is None or self._source is None or (self._loading is not None and not self._loading.done()):
            return
        self._loading = asyncio.get_running_loop().create_task(self._load(*missing))

    async def _load(self, first: int, count: int) -> None:
        source = self._source
        if source is None:
            return
        messages = await source.messages(first, count)
        if source is self._source:
            top = round(self.scroll_y)
            self._document.load(first, messages)
            self._document.changed()
            del top
            self._loading = None
            self._update_view()

    async def _load_around(self, position: int) -> None:
        first = position // PAGE * PAGE
        if self._document.entry(position) is None and position < len(self._document):
            await self._load(first, min(PAGE, len(self._document) - first))

    # --- the message cursor -------------------------------------------------------------------------------------------

    @property
    def cursor_message(self) -> Message | None:
        """The marked message."""
        entry = self._cursor_entry
        return None if entry is None else entry.message

    @property
    def _cursor_entry(self) -> Entry | None:
        return None if self.cursor is None else self._document.entry(self.cursor)

    def move_cursor(self, delta: int) -> None:
        """Mark the message `delta` further down (up: negative); from none, the last one is marked first."""
        total = len(self._document)
        if total:
            cursor = total - 1 if self.cursor is None else min(max(self.cursor + delta, 0), total - 1)
            self.cursor = cursor
            self._scroll_into_view(cursor)

    def watch_cursor(self, old: int | None, new: int | None) -> None:
        """Forget the marked code block, paint, tell."""
        del new
        entry = None if old is None else self._document.entry(old)
        if entry is not None:
            entry.selected_code = None
        self.refresh()
        self.post_message(self.CursorMoved(self.cursor_message))

    def fold_cursor(self) -> bool:
        """Fold or unfold the reasoning of the marked message. Returns whether it has any."""
        entry = self._cursor_entry
        if entry is None or not entry.fold():
            return False
        self._changed()
        return True

    def next_code_block(self) -> CodeBlock | None:
        """Mark the next code block of the marked (or else the last) message and bring it into view."""
        if self.cursor is None:
            self.move_cursor(0)
        entry = self._cursor_entry
        blocks = entry.code_blocks() if entry is not None else []
        if entry is None or not blocks:
            return None
        index = blocks.index(entry.selected_code) + 1 if entry.selected_code in blocks else 0
        entry.selected_code = block = blocks[index % len(blocks)]
        assert self.cursor is not None
        top = self._document.top_of(self.cursor) + entry.top_of(block, self._document.width)
        rows = self.scrollable_content_region.height
        if not round(self.scroll_y) <= top < round(self.scroll_y) + rows - 1:
            self.following = False
            self._moving = True
            self.scroll_to(y=max(top - 1, 0), animate=False, immediate=True, force=True)
            self._moving = False
        self._update_view()
        return block

    def on_click(self, event: events.Click) -> None:
        """A click on a link tells its address; a click elsewhere marks nothing (it may begin a selection)."""
        href = event.style.meta.get("href")
        if isinstance(href, str) and href:
            self.post_message(self.LinkActivated(href))

    # --- painting -----------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """One line of the viewport."""
        width = self.scrollable_content_region.width
        y += round(self.scroll_y)
        document = self._document
        entry, line, section, row = document.line(y)
        selection = self.text_selection
        span = None if selection is None else selection.get_span(y)
        marked = entry is not None and entry is self._cursor_entry
        code = entry is not None and section is not None and section is entry.selected_code
        key = (y, width, marked, code, span)
        if line is not None and isinstance(line.cache, tuple) and line.cache[0] == key:
            strip: Strip = line.cache[1]
            return strip
        strip = self._strip(entry, line, row, width, marked=marked, code=code, y=y)
        if span is not None:
            strip = self._select(strip, span)
        strip = strip.apply_offsets(0, y)
        if line is not None:
            line.cache = (key, strip)
        return strip

    def _strip(
        self, entry: Entry | None, line: Line | None, row: int, width: int, *, marked: bool, code: bool, y: int
    ) -> Strip:
        look = self._document.look
        del y
        last_row = entry is None or row == entry.height(self._document.width) - 1
        raised = entry is not None and entry.is_user and not last_row
        background = "user" if raised else "background"
        bar, colour = " ", "muted"
        if code:
            bar, colour = "▌", "warning"
        elif marked and not last_row:
            bar, colour = "▌", "accent"
        elif raised:
            bar, colour = "▎", "accent"
        segments = [Segment(bar + " ", look.style(colour, background))]
        cells = GUTTER
        if line is not None:
            segments += line.segments
            cells += line.cells
        if cells < width:
            segments.append(Segment(" " * (width - cells), look.style("foreground", background)))
        strip = Strip(segments, max(cells, width))
        return strip.crop(0, width) if cells > width else strip

    def _select(self, strip: Strip, span: tuple[int, int]) -> Strip:
        start, end = span
        style = self.screen.get_component_rich_style("screen--selection")
        cells = strip.cell_length
        start = min(max(start, GUTTER), cells)
        end = cells if end == -1 else min(max(end, start), cells)
        before, inside, after = strip.crop(0, start), strip.crop(start, end), strip.crop(end, cells)
        over = Style(color=style.color, bgcolor=style.bgcolor)
        return Strip.join([before, Strip([Segment(s.text, (s.style or over) + over) for s in inside]), after])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text: without the gutter and fill, wrapped lines joined as they were written."""
        height = self._document.height
        start = selection.start or Offset(0, 0)
        end = selection.end or Offset(10_000, max(height - 1, 0))
        pieces: list[str] = []
        for y in range(start.y, min(end.y, height - 1) + 1):
            _, line, _, _ = self._document.line(y)
            text = "" if line is None else line.text
            first = max(start.x - GUTTER, 0) if y == start.y else 0
            last = max(end.x - GUTTER, 0) if y == end.y else len(text)
            joint = "\n" if line is None or line.joint is None else line.joint
            pieces.append(text[first:last].rstrip() + (joint if y != end.y else ""))
        return "".join(pieces).rstrip("\n"), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Paint the selection."""
        del selection
        self.refresh()
