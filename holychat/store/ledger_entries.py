"""What is written into the ledger: every step of an item that a worker takes, and what becomes of it there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from holychat.domain.failures import Failure


class Bill(NamedTuple):
    """What an answer took."""

    input_tokens: int
    output_tokens: int
    tokens_estimated: bool
    cost_micros: int | None
    """None: the price is unknown."""
    cost_estimated: bool


class Sending(NamedTuple):
    """A request that is about to leave."""

    item_id: int
    worst_micros: int | None
    request_sha256: str
    sha256: str
    """Of the document's text."""
    model: str = ""
    """Where it is not that of the job."""


class Received(NamedTuple):
    """An answer as it came."""

    item_id: int
    attempt_id: int
    raw: bytes
    status: int
    request_id: str
    elapsed_ms: int


class Done(NamedTuple):
    """An answer that was read."""

    item_id: int
    attempt_id: int
    job_id: int
    text: str
    bill: Bill
    model: str
    finish_reason: str
    note: str


class Repair(NamedTuple):
    """An answer that does not fit and is asked for once more."""

    item_id: int
    attempt_id: int
    job_id: int
    text: str
    bill: Bill
    problem: Failure


class Failed(NamedTuple):
    """An item that cannot be done: its document, its request or its answer is unusable."""

    item_id: int
    job_id: int
    failure: Failure
    attempt_id: int | None = None
    """None: nothing was sent."""
    outcome: str = ""
    """How its attempt ended; empty: answered, and the answer is of no use."""
    bill: Bill | None = None
    partial: str | None = None
    """What the answer says, where it can be read."""


class Doubt(NamedTuple):
    """An item that was sent and nobody knows what became of it."""

    item_id: int
    attempt_id: int
    job_id: int
    failure: Failure
    partial: str | None = None
    again: bool = False
    """The person allowed to send it once more."""


class Back(NamedTuple):
    """An item that was not done and not billed: it is sent again later."""

    item_id: int
    attempt_id: int
    job_id: int
    outcome: str
    failure: Failure | None = None
    refusals: int = 0
    faults: int = 0


class Joined(NamedTuple):
    """A merge whose result needed no request."""

    item_id: int
    text: str


@dataclass(slots=True)
class Entries:
    """What is written in one transaction, by kind."""

    received: list[Received] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    repair: list[Repair] = field(default_factory=list)
    failed: list[Failed] = field(default_factory=list)
    doubt: list[Doubt] = field(default_factory=list)
    back: list[Back] = field(default_factory=list)
    joined: list[Joined] = field(default_factory=list)
    sending: list[Sending] = field(default_factory=list)


@dataclass(slots=True)
class Written:
    """What became of the entries."""

    attempts: dict[int, int] = field(default_factory=dict)
    """Item -> attempt, for what may be sent now. An item that is not here must not be sent."""
    moved: set[int] = field(default_factory=set)
    """Items of all other entries that were moved."""
    ended: list[tuple[int, int]] = field(default_factory=list)
    """(job, item) of what ended because a part of it did."""
    ready: set[int] = field(default_factory=set)
    """Jobs in which a merge has all its parts now."""
    over: set[int] = field(default_factory=set)
    """Items that must not be sent because they could cost more than may still be spent."""
