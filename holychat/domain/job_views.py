"""What is read of a job and its items besides the rows themselves: one item in full, failures by cause."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.domain.usage import Usage

if TYPE_CHECKING:
    from holychat.domain.failures import Failure
    from holychat.domain.jobs import Item, ItemState
    from holychat.domain.usage import Cost


@dataclass(frozen=True, slots=True)
class Attempt:
    """One request that was sent, or was about to be, for an item."""

    id: int
    number: int
    """1, 2, 3 … within the item."""
    sent_ms: int
    """When it was written down; the first byte left after that."""
    ended_ms: int | None = None
    outcome: str = ""
    """"answered" or a value of `errors.Outcome`; empty: under way, or nobody knows."""
    status: int | None = None
    request_id: str = ""
    usage: Usage = Usage()
    cost: Cost | None = None
    worst_micros: int | None = None
    """What it could cost at most; None: the price is unknown."""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class ItemDetail:
    """One item with its texts and everything that was sent for it. Texts are as stored: clean them before showing."""

    item: Item
    source: str | None
    """The text that is asked about: kept with the item, or read from its file just now. None: see `source_failure`."""
    source_failure: Failure | None = None
    """Why there is no source text."""
    source_note: str = ""
    """What to know about the source text, for example that it is not all of it."""
    result: str | None = None
    partial: str | None = None
    """What is legible of an answer that broke off."""
    attempts: tuple[Attempt, ...] = ()
    parts: int = 0
    """Direct parts of a document, or of a merge, that was split."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Documents that failed, or are in doubt, for the same reason."""

    cause: str
    """What `JobService.retry(cause=…)` takes."""
    title: str
    count: int
    state: ItemState
    example_item_id: int
    hint: str = ""
    """What to do about it."""
