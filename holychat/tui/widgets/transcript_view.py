"""The viewport on a document of messages: what is visible is exact and painted, the rest is guessed.

One widget however long the chat. Its lines come from `transcript_document`, which is asked to lay out what the viewport
shows; when a guess above it proves wrong, the viewport moves with the text, so that nothing jumps under the
reader's eyes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.style import Style
from textual.geometry import Region, Size
from textual.message import Message as Event
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.widget import Widget

from holychat.tui.markdown.look import Look, Palette
from holychat.tui.widgets.transcript_document import Document
from holychat.tui.widgets.transcript_paint import (
    EDGE,
    GUTTER,
    Frame,
    PaintedLines,
    paint_frame,
    selected_text,
    thumb_rows,
)

if TYPE_CHECKING:
    from textual import events
    from textual.selection import Selection
    from textual.strip import Strip

    from holychat.tui.markdown.lines import Line
    from holychat.tui.widgets.transcript_entry import Entry

WIDEST = 110
"""Cells of text in a line at most; longer lines are hard to read."""
_MARGIN = 20
"""Lines above and below the viewport that are laid out with it."""


class TranscriptView(ScrollView, can_focus=False):
    """A document of messages and the part of it that is seen.

    Attributes:
        following: Whether the view stays at the end while text arrives. Scrolling up releases it; scrolling down to
            the end takes it back.
    """

    DEFAULT_CSS = "TranscriptView { overflow-x: hidden; overflow-y: scroll; scrollbar-size: 0 0; }"
    ALLOW_SELECT = True

    following: reactive[bool] = reactive(True, repaint=False)

    class LinkActivated(Event, namespace="transcript"):
        """A link was clicked; nothing has been opened."""

        def __init__(self, url: str) -> None:
            super().__init__()
            self.url = url

    class FollowChanged(Event, namespace="transcript"):
        """The view began or ceased to follow the end."""

        def __init__(self, following: bool) -> None:
            super().__init__()
            self.following = following

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id, classes=classes)
        self.document = Document(Look())
        self.marked: Entry | None = None
        """The message that carries the cursor."""
        self._moving = False
        self._seen = (0, range(0))
        """Line at the top and thumb of the scroll bar as they were painted."""
        self._painted = PaintedLines(self._finish)

    # --- where it looks -----------------------------------------------------------------------------------------------

    @property
    def rows(self) -> int:
        """Lines that are visible."""
        return self.size.height

    def jump_latest(self) -> None:
        """Go to the end and follow it."""
        self.following = True
        self.update_view()

    def page_up(self) -> None:
        """Go up by a screen, less two lines to keep one's place."""
        self.scroll_to(y=self.scroll_y - max(self.rows - 2, 1), animate=False, immediate=True)

    def page_down(self) -> None:
        """Go down by a screen, less two lines."""
        self.scroll_to(y=self.scroll_y + max(self.rows - 2, 1), animate=False, immediate=True)

    def update_view(self, changed_from: int = 0) -> None:
        """Make the visible part exact, move with the text, set the scroll bar, and paint.

        Args:
            changed_from: First line that may look different; lines above it are painted only where they move.
        """
        rows, document = self.rows, self.document
        if not self.is_attached or rows <= 0:
            return
        top = document.settle_end(rows) if self.following else document.settle(round(self.scroll_y), rows, _MARGIN)
        self._set_height(document.height)
        top = max(min(top, document.height - rows), 0)
        if top != round(self.scroll_y):
            self._move_to(top)
        document.view(top, rows)
        seen = (top, thumb_rows(top, rows, document.height))
        if seen == self._seen and changed_from > top:
            self.refresh(Region(0, changed_from - top, self.size.width, max(top + rows - changed_from, 0)))
        else:
            self.refresh()
        self._seen = seen
        self.viewport_changed(top, rows)

    def show_from(self, top: int) -> None:
        """Move with the text after something above it has changed, unless the end is followed."""
        if not self.following:
            self._set_height(self.document.height)
            self._move_to(top)
        self.update_view()

    def viewport_changed(self, top: int, rows: int) -> None:
        """Hook: the viewport shows `rows` lines from `top` on."""

    def document_changed(self) -> None:
        """Messages were added, removed or changed."""
        self.document.changed()
        self.update_view()

    def bring_into_view(self, top: int, bottom: int, *, to_top: bool = False) -> None:
        """Scroll as little as needed to show the lines from `top` to `bottom`; their first where they do not fit."""
        view = round(self.scroll_y)
        if to_top or top < view or bottom - top > self.rows:
            view = top
        elif bottom > view + self.rows:
            view = bottom - self.rows
        self._set_height(self.document.height)
        self._move_to(view)
        self.following = view >= self.max_scroll_y
        self.update_view()

    def bring_message_into_view(self, position: int, *, to_top: bool = False) -> None:
        """Scroll to a message."""
        document = self.document
        top = document.settle_at(position, self.rows + _MARGIN)
        is_last = position + 1 >= len(document)
        bottom = document.height if is_last else document.top_of(position + 1)
        self.bring_into_view(top, bottom, to_top=to_top)

    def _move_to(self, y: int) -> None:
        self._moving = True
        self.scroll_to(y=max(y, 0), animate=False, immediate=True, force=True)
        self._moving = False

    def _set_height(self, height: int) -> None:
        size = Size(self.size.width, height)
        if size != self.virtual_size:
            # Without set_reactive each streamed line would lay out the whole screen again; nothing depends on this
            # size, since the scroll bar is painted with the lines.
            self.set_reactive(Widget.virtual_size, size)

    # --- what happens to it -------------------------------------------------------------------------------------------

    def on_resize(self, event: events.Resize) -> None:
        """Lay out again what is visible; the rest when it is looked at."""
        del event
        width = min(max(self.size.width - GUTTER - EDGE, 8), WIDEST)
        if width == self.document.width:
            self.update_view()
            return
        position = self.document.position_at(round(self.scroll_y))
        self.document.width = width
        self.document_changed()
        if not self.following:
            self.bring_message_into_view(position, to_top=True)

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        palette = Palette.from_variables(self.app.theme_variables, self.app.current_theme.dark)
        if palette != self.document.look.palette:
            self.document.look = Look(palette)
            self._painted.clear()
            self.document_changed()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """A person scrolls: lay out what comes into view, and see whether the end is left or reached."""
        super().watch_scroll_y(old_value, new_value)
        if not self._moving and round(old_value) != round(new_value):
            self.following = new_value >= self.max_scroll_y
            self.update_view()

    def watch_following(self, following: bool) -> None:
        """Tell those who show a hint."""
        self.post_message(self.FollowChanged(following))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """The scroll bar is taken hold of."""
        if event.x == self.size.width - 1 and self.document.height > self.rows:
            self.capture_mouse()
            self._drag_to(event.y)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """The scroll bar is dragged."""
        if self.app.mouse_captured is self:
            self._drag_to(event.y)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """The scroll bar is let go."""
        del event
        if self.app.mouse_captured is self:
            self.release_mouse()

    def _drag_to(self, row: int) -> None:
        share = min(max(row / max(self.rows - 1, 1), 0.0), 1.0)
        self.scroll_to(y=round(share * self.max_scroll_y), animate=False, immediate=True)

    def on_click(self, event: events.Click) -> None:
        """A click on a link tells its address."""
        href = event.style.meta.get("href")
        if isinstance(href, str) and href:
            self.post_message(self.LinkActivated(href))

    # --- painting -----------------------------------------------------------------------------------------------------

    def render_lines(self, crop: Region) -> list[Strip]:
        """Lines of the viewport, filtered. They come from caches: a frame paints only what has changed.

        The widget has no border and no padding, so the painting of those, half the cost of a frame, is passed over.
        """
        strips = self._paint(crop.line_range)
        whole = crop.x == 0 and crop.width == self.size.width
        return strips if whole else [strip.crop(crop.x, crop.right) for strip in strips]

    def render_line(self, y: int) -> Strip:
        """One line of the viewport, filtered."""
        return self._paint(range(y, y + 1))[0]

    def _paint(self, rows: range) -> list[Strip]:
        document, scroll, width = self.document, round(self.scroll_y), self.size.width
        thumb = thumb_rows(scroll, self.rows, document.height)
        selection = self.text_selection
        strips: list[Strip] = []
        for row in rows:
            y = row + scroll
            entry, line, section, entry_row = document.line(y)
            inside = entry is not None and entry_row < entry.height(document.width) - 1
            raised = inside and entry is not None and entry.is_user
            bar, colour = ("▎", "accent") if raised else (" ", "muted")
            if entry is not None and section is not None and section is entry.selected_code:
                bar, colour = "▌", "warning"
            elif inside and entry is self.marked:
                bar, colour = "▌", "accent"
            span = None if selection is None else selection.get_span(y)
            strips.append(self._painted.strip(line, Frame(y, width, bar, colour, raised, row in thumb, span)))
        return strips

    def _finish(self, line: Line | None, frame: Frame) -> Strip:
        selected = Style() if frame.span is None else self.screen.get_component_rich_style("screen--selection")
        strip = paint_frame(line, frame, self.document.look, selected)
        background = self.background_colors[1]
        for line_filter in self.get_line_filters():
            strip = strip.apply_filter(line_filter, background)
        return strip

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text and what ends it."""
        return selected_text(self.document, selection), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """Paint the selection."""
        del selection
        self.refresh()
