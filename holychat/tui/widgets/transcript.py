"""The conversation pane: a chat's messages, the reply that streams into it, and the message cursor."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar, Protocol

from textual.message import Message as Event
from textual.reactive import reactive

from holychat.tui.widgets.transcript_page import PAGE
from holychat.tui.widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.domain.chat import Message
    from holychat.tui.markdown.block import CodeBlock
    from holychat.tui.widgets.transcript_entry import Entry

_FRAME = 1 / 30
"""Seconds between two frames of a streaming reply at least."""
_SLICE = 0.006
"""Seconds that one frame may spend on working text in, so that keys are heard in between."""
_REST = 4
"""After a frame comes a rest of at least so many times its own cost."""
_KEPT_SCREENS = 40
"""Lines further away than so many screens are forgotten."""


class MessageSource(Protocol):
    """Where messages of the shown chat are loaded from when they are scrolled to."""

    async def messages(self, first: int, count: int) -> Sequence[Message]:
        """`count` messages from position `first` on."""
        ...


class Transcript(TranscriptView):
    """A chat. The cursor, the position of a marked message or None, is its state; no widget takes focus for it."""

    FOLLOWS: ClassVar[bool] = True
    """Whether the end may be followed at all."""
    cursor: reactive[int | None] = reactive(None, repaint=False)

    class CursorMoved(Event):
        """Another message, or none, is marked."""

        def __init__(self, message: Message | None) -> None:
            super().__init__()
            self.message = message

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002  Textual's name
        super().__init__(id=id, classes=classes)
        self._source: MessageSource | None = None
        self._frame_handle: asyncio.TimerHandle | None = None
        self._next_frame = 0.0
        self._loading: asyncio.Task[None] | None = None

    def validate_following(self, following: bool) -> bool:
        """Textual's hook: a text that is read from its beginning stays where it is."""
        return following and self.FOLLOWS

    # --- the chat -----------------------------------------------------------------------------------------------------

    async def show(self, source: MessageSource, total: int, first: int, messages: Sequence[Message]) -> None:
        """Show a chat of `total` messages of which `messages`, from position `first` on, are at hand."""
        start = max(total - 1, 0) // PAGE * PAGE
        if first > start:
            first, messages = start, await source.messages(start, total - start)
        self._source = source
        self.document.reset(total)
        whole_page = -(-first // PAGE) * PAGE
        self.document.load(whole_page, messages[whole_page - first :])
        self.cursor = None
        self.following = True
        self.document_changed()

    def clear(self) -> None:
        """Show nothing."""
        self._source = None
        self.document.reset()
        self.cursor = None
        self.following = True
        self.document_changed()

    def add(self, message: Message) -> None:
        """Show one more message at the end."""
        self.document.add(message)
        self.document_changed()

    def replace_from(self, position: int) -> None:
        """Forget the messages from a position on."""
        if self.cursor is not None and self.cursor >= position:
            self.cursor = None
        self.document.remove_from(position)
        self.document_changed()

    def retell(self, position: int, message: Message) -> None:
        """Show what is said around a message whose text is the same."""
        if (entry := self.document.entry(position)) is not None:
            entry.retell(message)
            self.document.changed()
            self.document_changed()

    @property
    def message_count(self) -> int:
        """Messages of the chat, loaded or not."""
        return len(self.document)

    # --- a reply that streams -----------------------------------------------------------------------------------------

    def append_text(self, delta: str) -> None:
        """More text of the last message. Cheap: it is worked in and painted with the next frame."""
        if (entry := self.document.last) is not None:
            entry.append_text(delta)
            self._request_frame()

    def append_reasoning(self, delta: str) -> None:
        """More reasoning of the last message."""
        if (entry := self.document.last) is not None:
            entry.append_reasoning(delta)
            self._request_frame()

    def note(self, text: str) -> None:
        """A notice below the streaming message; an empty one takes it away."""
        if (entry := self.document.last) is not None:
            entry.set_note(text)
            self.document_changed()

    def finish(self, message: Message) -> None:
        """The last message is over."""
        if (entry := self.document.last) is not None:
            entry.finish(message)
            self.document_changed()

    def _request_frame(self) -> None:
        if self._frame_handle is None:
            loop = asyncio.get_running_loop()
            self._frame_handle = loop.call_at(max(self._next_frame, loop.time()), self._frame)

    def _frame(self) -> None:
        """Work in what has arrived, for a bounded time, and show it."""
        self._frame_handle = None
        entry = self.document.last
        if entry is None or not self.is_attached:
            return
        loop = asyncio.get_running_loop()
        begin = loop.time()
        self.document.grown()
        entry_top = self.document.top_of_last
        more = entry.advance()
        while more and loop.time() - begin < _SLICE:
            more = entry.advance()
        changed_from = entry_top + entry.first_change(self.document.width)
        self.document.grown()
        self.update_view(changed_from)
        cost = loop.time() - begin
        self._next_frame = begin + max(_FRAME, cost * (1 + _REST))
        if more:
            self._request_frame()

    # --- pages --------------------------------------------------------------------------------------------------------

    def viewport_changed(self, top: int, rows: int) -> None:
        """Load the messages that are looked at, or soon will be."""
        missing = self.document.missing(top - rows, top + 2 * rows)
        if missing is not None and self._source is not None and self._loading is None:
            self._loading = asyncio.get_running_loop().create_task(self._load(*missing))

    async def _load(self, first: int, count: int) -> None:
        source = self._source
        if source is None:
            return
        try:
            messages = await source.messages(first, count)
        finally:
            self._loading = None
        if source is self._source:
            top, far = round(self.scroll_y), _KEPT_SCREENS * self.rows
            self.document.release_far(top - far, top + far)
            self.show_from(self.document.load_in_place(first, messages, top))

    async def jump_to(self, position: int) -> None:
        """Show the message at a position at the top, and mark it."""
        first = position // PAGE * PAGE
        if self.document.entry(position) is None and position < len(self.document):
            await self._load(first, min(PAGE, len(self.document) - first))
        self.cursor = position
        self.bring_message_into_view(position, to_top=True)

    # --- the message cursor -------------------------------------------------------------------------------------------

    @property
    def cursor_message(self) -> Message | None:
        """The marked message."""
        return None if self.marked is None else self.marked.message

    def move_cursor(self, delta: int) -> None:
        """Mark the message `delta` further down (up: negative); from none, the last one is marked first."""
        total = len(self.document)
        if total:
            cursor = total - 1 if self.cursor is None else min(max(self.cursor + delta, 0), total - 1)
            self.bring_message_into_view(cursor)
            self.cursor = cursor

    def watch_cursor(self, old: int | None, new: int | None) -> None:
        """Forget the marked code block, paint, tell."""
        del old
        if self.marked is not None:
            self.marked.selected_code = None
        self.marked = None if new is None else self.document.entry(new)
        self.refresh()
        self.post_message(self.CursorMoved(self.cursor_message))

    def fold_cursor(self) -> bool:
        """Fold or unfold the reasoning of the marked message. Returns whether it has any."""
        if self.marked is None or not self.marked.fold():
            return False
        self.document_changed()
        return True

    def next_code_block(self) -> CodeBlock | None:
        """Mark the next code block of the marked (or else the last) message and bring it into view."""
        if self.cursor is None:
            self.move_cursor(0)
        entry: Entry | None = self.marked
        blocks = entry.code_blocks() if entry is not None else []
        if entry is None or not blocks or self.cursor is None:
            return None
        index = blocks.index(entry.selected_code) + 1 if entry.selected_code in blocks else 0
        entry.selected_code = block = blocks[index % len(blocks)]
        top = self.document.top_of(self.cursor) + entry.top_of(block, self.document.width)
        self.bring_into_view(top, top + block.height(self.document.width) + 1)
        return block


class ReadingTranscript(Transcript):
    """A text that is whole and read from its beginning."""

    FOLLOWS = False
