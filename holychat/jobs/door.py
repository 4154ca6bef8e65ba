"""Which documents of a job may be begun: all of them, a batch at a time, or those of a trial run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from holychat.domain.jobs import JobLimits

NO_LIMIT = 1_000_000_000


class Door:
    """Counts the documents of one job that go in and come out."""

    def __init__(self) -> None:
        self._batch = 0
        self._batch_left = NO_LIMIT
        self._trial_left = NO_LIMIT
        self._inside: set[int] = set()

    def order(self, limits: JobLimits, batch_size: int | None) -> None:
        """What the person wants now: `batch_size` where the job says nothing of batches."""
        self._batch = limits.batch_size or batch_size or 0
        if not self._batch:
            self._batch_left = NO_LIMIT
        if limits.trial is None:
            self._trial_left = NO_LIMIT

    def begin(self, limits: JobLimits, tried: int, begun: Collection[int]) -> None:
        """Count from here: so many documents were tried before, and these were begun and have not ended."""
        counts = self._batch or limits.trial is not None
        self._inside = set(begun) if counts else set()
        if self._batch:
            self._batch_left = max(0, self._batch - len(begun))
        if limits.trial is not None:
            self._trial_left = max(0, limits.trial - tried - len(begun))

    def is_open(self, *, quiet: bool) -> bool:
        """Whether another document may be begun; `quiet`: nothing of the job is under way."""
        if self._batch and self._batch_left <= 0 and not self._inside and quiet:
            self._batch_left = self._batch
        return self._batch_left > 0 and self._trial_left > 0

    @property
    def trial_has_ended(self) -> bool:
        """Whether all documents of the trial run went in and came out."""
        return self._trial_left <= 0 and not self._inside

    def is_inside(self, document_id: int) -> bool:
        """Whether it was begun, where that is counted."""
        return document_id in self._inside

    def enter(self, document_id: int) -> None:
        """It is begun."""
        if self._batch or self._trial_left != NO_LIMIT:
            self._inside.add(document_id)
        self._batch_left -= 1
        self._trial_left -= 1

    def leave(self, document_id: int) -> None:
        """It has ended."""
        self._inside.discard(document_id)
