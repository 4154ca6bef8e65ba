"""A document and what became of it, each in a pane that scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Static

from holychat.domain.chat import Message, MessageState, Role, TextPart
from holychat.domain.jobs import ItemState
from holychat.domain.usage import Timing
from holychat.text import clean, clean_line
from holychat.tui.job_words import ITEM_WORDS, dollars, number
from holychat.tui.widgets.conversation_pane import scroll_by_key
from holychat.tui.widgets.transcript import ReadingTranscript

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult

    from holychat.domain.failures import Failure
    from holychat.domain.job_views import ItemDetail
    from holychat.domain.jobs import Item

_MOST = 200_000
"""Characters of a text that are shown."""


class TextPane(Vertical, can_focus=True):
    """A title and a text that scrolls with the arrow keys while it has the focus.

    Args:
        title: What it is a pane of.
    """

    def __init__(self, title: str, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._label = title
        self._shown: tuple[object, ...] = ()
        self.transcript = ReadingTranscript()

    def compose(self) -> ComposeResult:
        """Title and text."""
        yield Static(Content(self._label), classes="pane-title")
        yield self.transcript

    def show(self, key: tuple[object, ...], facts: str, messages: Sequence[Message]) -> None:
        """Show a text from its beginning; the same `key` again changes only the facts."""
        if not self.query(".pane-title"):  # a busy machine: it is not composed yet, or is gone already
            if self.is_attached:
                self.call_after_refresh(self.show, key, facts, messages)
            return
        title = Text.assemble((self._label, "bold"), (f"  {clean_line(facts, 200)}", ""), no_wrap=True)
        self.query_one(".pane-title", Static).update(title, layout=False)
        if key == self._shown:
            return
        self._shown = key
        self.transcript.clear()
        for message in messages:
            self.transcript.add(message)
        self.call_after_refresh(self.transcript.scroll_home, animate=False)

    def on_key(self, event: events.Key) -> None:
        """Scroll."""
        scroll_by_key(self.transcript, event)


def source_messages(detail: ItemDetail) -> tuple[str, list[Message]]:
    """Facts about a document, and its text as a message."""
    if detail.source is None:
        failure = detail.source_failure or detail.item.failure
        return "", [_plain(_told(failure) if failure is not None else "There is no text.")]
    facts = f"{number(len(detail.source))} characters"
    if detail.source_note:
        facts = f"{facts}, {detail.source_note}"
    text = detail.source[:_MOST]
    if len(detail.source) > _MOST:
        text += f"\n\n… {number(len(detail.source) - _MOST)} characters more are sent and not shown here."
    return facts, [_plain(text)]


def result_messages(detail: ItemDetail) -> tuple[str, list[Message]]:
    """Facts about what became of a document, and its result, or the reason why there is none, as messages."""
    item = detail.item
    facts = [ITEM_WORDS[item.state][1]]
    if item.state is ItemState.PENDING and item.waiting_for:
        facts = [f"waits for {number(item.waiting_for)} parts"]
    if detail.parts:
        facts.append(f"{number(detail.parts)} parts")
    if item.attempts > 1:
        facts.append(f"sent {item.attempts} times")
    if item.state is ItemState.IN_DOUBT and item.reserved_micros:
        facts.append(f"may have cost up to {dollars(item.reserved_micros)}")
    if item.note:
        facts.append(item.note)
    messages = []
    if item.state in (ItemState.FAILED, ItemState.IN_DOUBT):
        failure = item.failure
        told = _told(failure) if failure is not None else "It was sent, and nobody knows what became of it."
        messages.append(_plain(told))
    text = detail.result if detail.result is not None else detail.partial
    if text is not None:
        messages.append(_answer(item, text))
    return ", ".join(facts), messages


def _told(failure: Failure) -> str:
    lines = [failure.title, failure.hint]
    if failure.status is not None or failure.request_id:
        status = f"HTTP {failure.status}" if failure.status is not None else ""
        request = f"request {failure.request_id}" if failure.request_id else ""
        lines.append(", ".join(part for part in (status, request) if part))
    return "\n".join(line for line in lines if line)


def _plain(text: str) -> Message:
    return Message(0, 0, 1, Role.USER, MessageState.COMPLETE, (TextPart(clean(text)),), 0)


def _answer(item: Item, text: str) -> Message:
    more = "" if len(text) <= _MOST else f"\n\n… {number(len(text) - _MOST)} characters more"
    return Message(
        0,
        0,
        2,
        Role.ASSISTANT,
        MessageState.COMPLETE,
        (TextPart(text[:_MOST] + more),),
        item.updated_ms,
        model=item.model,
        finish_reason=item.finish_reason if item.finish_reason != "length" else "",
        usage=item.usage,
        cost=item.cost,
        timing=Timing(elapsed_ms=item.elapsed_ms),
    )
