"""Where requests wait for their turn: the only part of a lane that knows asyncio."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from typing import TYPE_CHECKING

from holychat.jobs.lane.control import Control, LaneState, Ticket

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.errors import Outcome, RateLimits


class Slot:
    """The right to send one request. Whoever got it gives it back with `release`, whatever happens."""

    __slots__ = ("_lane", "_sent", "_ticket")

    def __init__(self, lane: Lane, ticket: Ticket) -> None:
        self._lane: Lane | None = lane
        self._ticket = ticket
        self._sent = False

    def sent(self) -> bool:
        """The request leaves now; False: it must not, because the provider turned others away meanwhile."""
        self._sent = self._lane is None or self._lane.goes(self._ticket)
        return self._sent

    def release(
        self,
        outcome: Outcome | None = None,
        *,
        tokens: int | None = None,
        limits: RateLimits | None = None,
        retry_after: float | None = None,
        overloaded: bool = False,
    ) -> None:
        """Give the slot back and say what became of the request. A second call does nothing.

        Args:
            outcome: None for a reply; of no meaning where `sent` was not called.
            tokens: What the request used, input and output together; None: not known.
            limits: What the answer said of the provider's limits, a refusal as well as a reply.
            retry_after: Seconds that the provider asked to wait.
            overloaded: It was refused because the provider has too much to do, and not because of a quota.
        """
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.back(self._ticket, self._sent, outcome, tokens, limits, retry_after, overloaded)


class Lane:
    """Requests to one provider with one key and one model. Used in one event loop.

    Args:
        concurrency: Requests at once, as the person wants it; None: found out while running.
        cap: Requests at once at most.
        requests_per_minute: As the person knows it; None: from headers, or found out.
        tokens_per_minute: The same for tokens, input and output together.
        clock: Seconds of a steady clock; None: that of the loop.
    """

    def __init__(
        self,
        *,
        concurrency: int | None = None,
        cap: int = 512,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._control = Control(concurrency, cap, requests_per_minute, tokens_per_minute)
        self._clock = clock
        self._waiting: deque[tuple[asyncio.Future[Slot], int]] = deque()
        self._background: deque[tuple[asyncio.Future[Slot], int]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at = math.inf

    def now(self) -> float:
        """Seconds of the lane's clock."""
        return asyncio.get_running_loop().time() if self._clock is None else self._clock()

    @property
    def waiting_until(self) -> float | None:
        """When something may be sent again (by `now`), where the provider turns requests away; None: now."""
        now = self.now()
        until = self._control.gate.ready_at(now)
        return until if until > now else None

    def state(self) -> LaneState:
        """How it stands, for people."""
        return self._control.state(self.now())

    def make_room(self, live_turns: int) -> None:
        """So many people chat with the same provider: leave room for them."""
        self._control.make_room(live_turns)
        self._pump()

    def allow(self, requests_per_minute: float | None) -> None:
        """Take this rate from now on; None: as headers say, or as it is found out."""
        self._control.pacer.allow(requests_per_minute)
        self._pump()

    def expect(self, concurrency: int) -> None:
        """Somebody wants so many at once and knows that it is allowed: begin there, until something is refused."""
        self._control.expect(concurrency)
        self._pump()

    async def acquire(self, tokens: int = 0, *, background: bool = False) -> Slot:
        """Wait for the right to send a request.

        Args:
            tokens: What it will use by estimate, input and output together.
            background: It is in no hurry: everything else goes first, and it gets a part of the window only.
        """
        if not self._waiting and not (background and self._background):
            now = self.now()
            if self._control.ready_at(now, background=background) <= now:
                return Slot(self, self._control.take(now, tokens, background=background))
        future: asyncio.Future[Slot] = asyncio.get_running_loop().create_future()
        (self._background if background else self._waiting).append((future, tokens))
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                future.result().release()
            else:
                self._pump()
            raise

    def goes(self, ticket: Ticket) -> bool:
        """A request is about to leave (see `Slot.sent`)."""
        return self._control.sent(self.now(), ticket)

    def back(
        self,
        ticket: Ticket,
        sent: bool,
        outcome: Outcome | None,
        tokens: int | None,
        limits: RateLimits | None,
        retry_after: float | None,
        overloaded: bool,
    ) -> None:
        """A slot comes back (see `Slot.release`)."""
        if sent:
            self._control.give_back(
                self.now(), ticket, outcome,
                tokens=tokens, limits=limits, retry_after=retry_after, overloaded=overloaded,
            )  # fmt: skip
        else:
            self._control.undo(ticket)
        self._pump()

    def _pump(self) -> None:
        """Let go whoever may go, and wake up when the next one may."""
        if not self._waiting and not self._background:
            return
        now = self.now()
        wake = min(self._serve(self._waiting, now, False), self._serve(self._background, now, True))
        if wake == self._wakes_at:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._wakes_at = wake
        if wake != math.inf:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, wake - now), self._wake)

    def _serve(self, queue: deque[tuple[asyncio.Future[Slot], int]], now: float, background: bool) -> float:
        if background and self._waiting:
            return math.inf
        while queue:
            future, tokens = queue[0]
            if future.done():
                queue.popleft()
                continue
            ready = self._control.ready_at(now, background=background)
            if ready > now:
                return ready
            queue.popleft()
            future.set_result(Slot(self, self._control.take(now, tokens, background=background)))
        return math.inf

    def _wake(self) -> None:
        self._timer, self._wakes_at = None, math.inf
        self._pump()
