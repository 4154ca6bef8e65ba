"""Which state of a job, and of an item, may follow which."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from holychat.domain.jobs import ItemState, JobState

if TYPE_CHECKING:
    from collections.abc import Mapping

_S = TypeVar("_S", JobState, ItemState)

_JOB_MOVES: Mapping[JobState, frozenset[JobState]] = {
    JobState.DRAFT: frozenset({JobState.QUEUED, JobState.CANCELLED}),
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.PAUSED, JobState.CANCELLED}),
    JobState.RUNNING: frozenset({JobState.PAUSED, JobState.FINISHING, JobState.CANCELLED}),
    JobState.PAUSED: frozenset({JobState.QUEUED, JobState.FINISHING, JobState.CANCELLED}),
    JobState.FINISHING: frozenset({JobState.FINISHED, JobState.FINISHED_WITH_ERRORS, JobState.CANCELLED}),
    JobState.FINISHED: frozenset({JobState.QUEUED}),
    JobState.FINISHED_WITH_ERRORS: frozenset({JobState.QUEUED, JobState.FINISHED}),
    JobState.CANCELLED: frozenset({JobState.QUEUED}),
}

_ITEM_MOVES: Mapping[ItemState, frozenset[ItemState]] = {
    ItemState.PENDING: frozenset({ItemState.SENDING, ItemState.FAILED, ItemState.SKIPPED, ItemState.CANCELLED}),
    # Back to pending: only where it is known that nothing was billed, or the person allowed it.
    ItemState.SENDING: frozenset({ItemState.RECEIVED, ItemState.PENDING, ItemState.FAILED, ItemState.IN_DOUBT}),
    # Back to pending: one repair of an answer that does not fit its schema.
    ItemState.RECEIVED: frozenset({ItemState.DONE, ItemState.FAILED, ItemState.PENDING}),
    ItemState.DONE: frozenset(),
    ItemState.FAILED: frozenset({ItemState.PENDING, ItemState.SKIPPED}),
    ItemState.IN_DOUBT: frozenset({ItemState.PENDING, ItemState.DONE, ItemState.SKIPPED}),
    ItemState.SKIPPED: frozenset({ItemState.PENDING}),
    ItemState.CANCELLED: frozenset({ItemState.PENDING}),
}


class ImpossibleMove(ValueError):
    """A state was asked to become one that may not follow it."""


def moved(old: _S, new: _S) -> _S:
    """`new`, where it may follow `old`.

    Raises:
        ImpossibleMove: It may not.
    """
    allowed = _JOB_MOVES.get(old, frozenset()) if isinstance(old, JobState) else _ITEM_MOVES.get(old, frozenset())
    if new not in allowed:
        raise ImpossibleMove(f"{old.value} cannot become {new.value}")
    return new


def states_before(new: _S) -> tuple[_S, ...]:
    """The states that `new` may follow, for the WHERE of a statement."""
    moves = _JOB_MOVES if isinstance(new, JobState) else _ITEM_MOVES
    return tuple(old for old, allowed in moves.items() if new in allowed)
