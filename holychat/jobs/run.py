"""One job at work: what of it is ready to be sent, what may be sent now, and what is still to come back."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from holychat.jobs.budget import Budget
from holychat.jobs.door import NO_LIMIT, Door
from holychat.jobs.preparing import Ready
from holychat.jobs.progress import Pace

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from holychat.domain.jobs import Job
    from holychat.jobs.preparing import Prepared
    from holychat.settings import JobSettings

READY_ITEMS = 256
READY_SIZE = 16 * 1024 * 1024
"""Characters of prompts that are ready at most; one alone may be longer."""


class JobRun:
    """What the worker has in hand of one job. Belongs to one event loop.

    An item is in hand from when it is ready until its fate is written in the database. Holding many would cost memory,
    so no more is read than is soon sent.

    Args:
        job: The job as it was when it began to run.
        settings: What holds where the job says nothing.
        changed: Called when something may be sent that could not before.
        not_request: Takes what is no request, in its turn: a document to split, one that cannot be sent.
    """

    def __init__(
        self,
        job: Job,
        settings: JobSettings,
        changed: Callable[[], None],
        not_request: Callable[[JobRun, Prepared], None],
    ) -> None:
        self.id = job.id
        self.job = job
        self.lane = (job.spec.provider, job.spec.model)
        self.active = False  # more of it may be sent
        self.aborted = False  # what is under way is given up
        self.short = False  # the next request does not fit into the budget
        self.over_limit = False  # nor into what may be spent on everything; what ends may make room
        self.budget = Budget(job.spec.limits.budget_micros, job.money.spent + job.money.in_doubt)
        self.pace = Pace(time.monotonic())
        # What belongs to documents that were begun goes first: parts, merges, what is sent again.
        self._begun: deque[Prepared] = deque()
        self._fresh: deque[Prepared] = deque()
        self._size = 0
        self._queued, self._flying = set[int](), set[int]()
        self.in_flight = 0
        self.by_batch = False
        """Whatever is not to be soon goes through the provider's batch service."""
        self.away = 0
        """Batches that the provider has, and requests that are gathered for the next one."""
        self.unsettled = 0  # answers and failures whose fate is not written yet
        self.on_the_wire: set[asyncio.Task[None]] = set()
        self.doubts_left = 0
        self.doubt_micros_left: int | None = None
        self._settings = settings
        self.changed = changed
        self.again: Callable[[], None] = changed
        """Called when the database has something to send again that was read before."""
        self.room: Callable[[], None] = changed
        """Called when there is room for more."""
        self._not_request = not_request
        self._door = Door()
        self.revise(job)

    # What the person ordered

    def revise(self, job: Job) -> None:
        """Take over limits that were changed while the job ran."""
        self.job = job
        limits = job.spec.limits
        self.budget.limit = limits.budget_micros
        self.short = self.over_limit = False
        self._concurrency = limits.concurrency or self._settings.max_concurrency or NO_LIMIT
        self._door.order(limits, self._settings.batch_size)

    def begin(self, tried: int, begun: list[int]) -> None:
        """It may be worked at.

        Args:
            tried: Documents that were sent before and have ended.
            begun: Documents that were begun before and have not ended.
        """
        self._door.begin(self.job.spec.limits, tried, begun)
        self.active = True
        self.aborted = False

    def stop(self) -> None:
        """Send nothing more; what is ready is forgotten, it waits in the database."""
        self.active = False
        self._begun.clear()
        self._fresh.clear()
        self._queued.clear()
        self._size = 0

    @property
    def limit(self) -> int:
        """Requests at once at most."""
        return self._concurrency

    @property
    def is_quiet(self) -> bool:
        """Whether nothing of it is under way and everything that happened is written."""
        return not self.in_flight and not self.unsettled and not self.away

    @property
    def trial_is_over(self) -> bool:
        """Whether all documents of the trial run have ended, and there are more."""
        return bool(self._fresh) and not self._begun and self._door.trial_has_ended and self.is_quiet

    @property
    def ready(self) -> int:
        """How many items could be sent as far as reading them goes."""
        return len(self._begun) + len(self._fresh)

    @property
    def head(self) -> Prepared | None:
        """What goes next."""
        return next(iter(self._begun or self._fresh), None)

    # Sending

    def wants(self) -> bool:
        """Whether more should be read from the database."""
        return self.active and self.ready < READY_ITEMS and self._size < READY_SIZE

    def in_hand(self, item_id: int) -> bool:
        """Whether an item is ready, or was taken and its fate is not written yet."""
        return item_id in self._queued or item_id in self._flying

    def add(self, prepared: Prepared) -> None:
        """One more item is ready."""
        self._queued.add(prepared.item_id)
        (self._fresh if self._is_fresh(prepared) else self._begun).append(prepared)
        self._size += prepared.size
        self.changed()

    def put_back(self, item: Ready) -> None:
        """It goes again, before all that was not sent yet."""
        self._flying.discard(item.item_id)
        if not self.active:
            return
        self._queued.add(item.item_id)
        self._begun.appendleft(item)
        self._size += item.size
        self.changed()

    def next(self) -> Ready | None:
        """What would be sent now; None where nothing may be."""
        if not self.active or self.over_limit or self.in_flight >= self._concurrency:
            return None
        while (head := self.head) is not None and (self._begun or self._door.is_open(quiet=self.is_quiet)):
            if isinstance(head, Ready):
                if self.budget.fits(self.worst_of(head)):
                    return head
                # What is under way may turn out cheaper than feared; only when it has ended is the money gone.
                self.short = self.is_quiet
                return None
            self._pop()
            self._not_request(self, head)
        return None

    def take(self) -> Ready:
        """Send what `next` showed: its worst case is set aside."""
        item = self._pop()
        assert isinstance(item, Ready)
        self.budget.reserve(self.worst_of(item))
        self.in_flight += 1
        return item

    def goes_live(self, item: Ready) -> bool:
        """Whether it is sent by itself: also of a batch job what waited for a whole batch already."""
        return not self.by_batch or item.merges or item.repairs > 0

    def worst_of(self, item: Ready) -> int | None:
        """What it costs at most, the way it goes."""
        return item.worst_micros if self.goes_live(item) else item.batch_micros

    def own_model(self, item: Ready) -> str:
        """The model of a request that names another one than the job; "" where it does not."""
        return "" if item.request.model == self.job.spec.model else item.request.model

    def make_room(self) -> None:
        """Parts of a document that was begun are to be read: forget documents that may not begin and are in the way."""
        if not self.wants() and not self._begun and not self._door.is_open(quiet=self.is_quiet):
            for prepared in self._fresh:
                self._queued.discard(prepared.item_id)
                self._size -= prepared.size
            self._fresh.clear()

    def _is_fresh(self, prepared: Prepared) -> bool:
        return prepared.is_document and not self._door.is_inside(prepared.item_id)

    def _pop(self) -> Prepared:
        fresh = not self._begun
        item = (self._fresh if fresh else self._begun).popleft()
        self._size -= item.size
        self._queued.discard(item.item_id)
        self._flying.add(item.item_id)
        if self.ready <= READY_ITEMS // 2:
            self.room()
        if fresh:
            self._door.enter(item.item_id)
        return item

    # Coming back

    def landed(self) -> None:
        """A request is not under way any more; its fate is not written yet."""
        self.in_flight -= 1
        self.unsettled += 1
        self.changed()

    def settled(self, item_id: int, *, ended: bool) -> None:
        """The fate of an item is written.

        Args:
            item_id: The item.
            ended: Whether nothing more happens to it by itself.
        """
        self.unsettled -= 1
        self.over_limit = False
        self.forget(item_id, ended=ended)

    def forget(self, item_id: int, *, ended: bool) -> None:
        """It is in hand no more."""
        self._flying.discard(item_id)
        if ended:
            self._door.leave(item_id)
        self.changed()

    def allows_doubt(self, worst: int | None) -> bool:
        """Whether an item in doubt may be sent again without asking; if so, it is counted."""
        if not self.active or self.doubts_left <= 0:
            return False
        if self.doubt_micros_left is not None:
            if worst is None or worst > self.doubt_micros_left:
                return False
            self.doubt_micros_left -= worst
        self.doubts_left -= 1
        return True
