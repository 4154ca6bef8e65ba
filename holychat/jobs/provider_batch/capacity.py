"""How much a provider takes at once: what it said is too much, and how long to leave it alone after that."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holychat.domain.batches import Submission
    from holychat.settings import BatchServiceSettings

    Lane = tuple[str, str]

_SLOWER = 2.0


class Capacity:
    """By provider and model. Belongs to one event loop.

    Args:
        bounds: What is set.
        under_way: What providers have.
    """

    def __init__(self, bounds: BatchServiceSettings, under_way: Callable[[], Sequence[Submission]]) -> None:
        self._bounds = bounds
        self._under_way = under_way
        self._caps: dict[Lane, int] = {}
        self._holds: dict[Lane, tuple[float, float]] = {}
        """Until when nothing is handed over (time of the loop), and how long that pause was."""

    def room(self, lane: Lane) -> int | None:
        """Tokens that may wait at the provider besides those that do; None: no limit is known."""
        cap = self._caps.get(lane, self._bounds.max_tokens)
        return None if cap is None else max(0, cap - self.waiting(lane))

    def waiting(self, lane: Lane) -> int:
        """Tokens that wait at the provider."""
        return sum(row.tokens for row in self._under_way() if (row.provider, row.model) == lane)

    def take_less(self, submission: Submission) -> bool:
        """The provider said that more waits than it allows: from now on less does; False where that is impossible."""
        lane = (submission.provider, submission.model)
        waiting = self.waiting(lane)
        self._caps[lane] = max(1, waiting // 2)
        return submission.lines > 1 or waiting > submission.tokens

    def held(self, lane: Lane) -> float:
        """Seconds for which nothing is handed over, because the last batch came to nothing."""
        until, _ = self._holds.get(lane, (0.0, 0.0))
        return max(0.0, until - asyncio.get_running_loop().time())

    def hold(self, lane: Lane) -> None:
        """A batch came to nothing: leave the provider alone, longer each time."""
        _, last = self._holds.get(lane, (0.0, 0.0))
        pause = min(self._bounds.longest_poll_seconds, last * _SLOWER or self._bounds.poll_seconds)
        self._holds[lane] = (asyncio.get_running_loop().time() + pause, pause)

    def goes_on(self, lane: Lane) -> None:
        """The provider answers."""
        self._holds.pop(lane, None)
