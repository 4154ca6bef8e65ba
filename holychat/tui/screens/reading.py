"""What all screens share that show one text to be read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from holychat.tui.screens.dialog import Dialog
from holychat.tui.widgets.conversation_pane import scroll_by_key
from holychat.tui.widgets.footer import KeyFooter
from holychat.tui.widgets.transcript import ReadingTranscript, Transcript

if TYPE_CHECKING:
    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget

    from holychat.domain.chat import Message


class ReadingScreen(Dialog[None]):
    """A message that fills a large dialog, laid out like any other of the app."""

    def compose(self) -> ComposeResult:
        """A scrolling page."""
        with Vertical(classes="dialog tall"):
            yield from self.head()
            yield ReadingTranscript()
        yield KeyFooter()

    def head(self) -> list[Widget]:
        """What stands above the page."""
        return []

    def show(self, message: Message) -> None:
        """Show this one, from its beginning."""
        transcript = self.query_one(Transcript)
        transcript.clear()
        transcript.add(message)
        self.call_after_refresh(transcript.scroll_home, animate=False)

    def on_key(self, event: events.Key) -> None:
        """Scroll."""
        scroll_by_key(self.query_one(Transcript), event)
