"""What a message says of itself: attachments, reasoning folded, how it ended, what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.catalog.money import money_text
from holychat.domain.chat import Message, MessageState, Role
from holychat.text import clean, clean_line
from holychat.tui.later_words import waiting_words
from holychat.tui.markdown.block import PlainBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.domain.failures import Failure


_AGAIN = "Alt+↑ then r asks again."
_CONTINUE = "Alt+↑ then c continues, r asks again."
"""From the composer: the arrow goes to the message, where letters are commands; with Alt also beside a draft."""

WAITING = "…"
"""Stands where the first word will be, so that it comes without moving anything."""


def attachment_notes(message: Message) -> Iterator[PlainBlock]:
    """One line for each file that goes with the message."""
    for attachment in message.attachments:
        text = f"+ {clean_line(attachment.name)} ({size_text(attachment.size)})"
        yield PlainBlock.of(text, "accent", "user" if message.role is Role.USER else "background", joined=True)


def size_text(size: int) -> str:
    """A size for people: "812 B", "4.2 kB", "1.3 MB"."""
    if size < 1000:
        return f"{size} B"
    return f"{size / 1000:.1f} kB" if size < 1_000_000 else f"{size / 1_000_000:.1f} MB"


def reasoning_title(length: int, *, folded: bool) -> PlainBlock:
    """The line above reasoning, which is all of it while it is folded."""
    arrow, key = ("▸", "unfolds") if folded else ("▾", "folds")
    return PlainBlock.of(f"{arrow} Thinking, {length:,} characters (Enter {key})", "muted")


def closing_notes(message: Message, note: str) -> Iterator[PlainBlock]:
    """Lines below a message: a notice while it streams, else how it ended and what it took."""
    if message.role is not Role.ASSISTANT:
        if message.later is not None and (words := waiting_words(message.later)):
            yield PlainBlock.of(words, "muted", "user", joined=True)
        return
    if message.state is MessageState.STREAMING:
        if note:
            yield PlainBlock.of(note, "muted" if note == WAITING else "warning")
        return
    keys = _CONTINUE if message.text else _AGAIN
    if message.state is MessageState.STOPPED:
        kept = "What had arrived is kept." if message.text or message.reasoning else "Nothing had arrived."
        yield PlainBlock.of(f"■ Stopped. {kept} {keys}", "warning")
    elif message.state is MessageState.INTERRUPTED:
        yield PlainBlock.of(f"■ Cut short. {_reason(message.failure)}{keys}", "warning")
    elif message.state is MessageState.FAILED:
        yield PlainBlock.of(f"✗ {_reason(message.failure) or 'No answer came. '}{_AGAIN}", "error")
    elif message.finish_reason == "length":
        yield PlainBlock.of(f"■ The model reached its length limit. {_CONTINUE}", "warning")
    elif message.finish_reason == "content_filter":
        yield PlainBlock.of("■ The provider's content filter ended the reply.", "warning")
    if (message.state is not MessageState.FAILED or message.later is not None) and (facts := facts_of(message)):
        yield PlainBlock.of(facts, "muted")


def _reason(failure: Failure | None) -> str:
    if failure is None:
        return ""
    title = clean(failure.title).strip().rstrip(".")
    hint = clean(failure.hint).strip()
    return f"{title}. {hint} " if hint else f"{title}. "


def facts_of(message: Message) -> str:
    """What is known, in one line: "deepseek-v3.2 · first token 0.4 s · 52 tok/s · 312 tokens · $0.000131"."""
    timing, usage = message.timing, message.usage
    about = "~" if usage.estimated else ""
    facts = [clean_line(message.model, 60)] if message.model else []
    if timing.first_token_ms is not None:
        facts.append(f"first token {timing.first_token_ms / 1000:.2f} s")
    if (rate := timing.tokens_per_second(usage.output_tokens)) is not None:
        facts.append(f"{about}{rate:,.0f} tok/s")
    if usage.output_tokens is not None:
        facts.append(f"{about}{usage.output_tokens:,} tokens")
    if money := money_text(message.cost):
        facts.append(money)
    if message.later is not None and message.later.is_answer:
        facts.append(f"answered later by job {message.later.job_id}")
    return " · ".join(facts)
