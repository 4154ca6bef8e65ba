"""Pacer, window and gate of a lane put together. Pure control: the time is an argument, nothing waits here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.errors import Outcome
from holychat.jobs.lane.chance import Chance
from holychat.jobs.lane.gate import Gate
from holychat.jobs.lane.pacer import Pacer
from holychat.jobs.lane.window import ROUND, Window

if TYPE_CHECKING:
    from holychat.errors import RateLimits

_TROUBLE_SECONDS = 5.0
_FILLED, _FILLED_SLOWLY = 1.25, 0.75
"""Windows per round of replies that may be sent while nothing was refused yet; less where replies take long."""
_LOST, _LOST_SHARE = 10, 0.008
"""Requests, and part of all that went before, that the unknown end of a quota may cost: those that are sent until its
first refusal is heard of.
"""
_ECHO, _REPLY_TO_ECHO = 0.1, 4
"""Seconds until a refusal is heard of, as long as there was none; less where replies come so many times as late."""
_SLACK = 1.5
"""Of the window over what a known rate needs by the time that replies take."""
_FEW_SHED, _SHED_MEMORY = 0.15, 60
"""Of the last so many requests this part may be turned away by a provider with too much to do, and means nothing."""
_BACKGROUND = 4
"""One part in so many of the window is what background work may take."""


@dataclass(frozen=True, slots=True)
class LaneState:
    """How a lane stands, for people."""

    rate_per_minute: float | None
    """Requests per minute that are allowed; None: nothing limits them yet."""
    window: int
    """Requests at once that are allowed."""
    in_flight: int
    why: str
    """Where the limits come from or what is waited for, in a few words; may be empty."""


@dataclass(slots=True)
class Ticket:
    """What is remembered of a request."""

    tokens: int
    background: bool
    number: int
    level: int
    """How many there were at once, this one included."""
    sent_at: float


class Control:
    """Decides when a request may go, and learns from what became of it.

    Args:
        concurrency: Requests at once, as the person wants it; None: found out.
        cap: Requests at once at most.
        requests_per_minute: As the person knows it; None: headers, or found out.
        tokens_per_minute: The same for tokens.
    """

    def __init__(
        self,
        concurrency: int | None = None,
        cap: int = 512,
        requests_per_minute: float | None = None,
        tokens_per_minute: float | None = None,
    ) -> None:
        self.pacer = Pacer(requests_per_minute, tokens_per_minute)
        self.window = Window(concurrency, cap)
        self.gate = Gate()
        self._chance = Chance()
        self.in_flight = 0
        self._in_background = 0
        self._room = 0
        self._round = ROUND
        self._shed = 0.0
        self._told = concurrency or 0
        """Requests at once that somebody knows to be allowed."""
        self._search()

    def make_room(self, live_turns: int) -> None:
        """So many people wait for an answer of the same provider right now."""
        self._room = live_turns
        self.pacer.live = live_turns > 0

    def expect(self, concurrency: int) -> None:
        """So many at once are known to be allowed, until something is refused."""
        self.window.allow(concurrency)
        self._told = concurrency
        self._search()

    def limit(self) -> int:
        """Requests at once that are allowed now."""
        return max(1, self.window.size - self._room)

    def ready_at(self, now: float, *, background: bool = False) -> float:
        """When the next request may go if nothing changes; infinite where only the end of another one helps."""
        gate = self.gate.ready_at(now)
        if gate > now:
            return gate
        if self.gate.suspects:
            self.pacer.undo_cuts()
        if self.window.grow(now, self.in_flight):
            self._search()
        limit = self.limit()
        if background and self._in_background >= max(1, limit // _BACKGROUND):
            return math.inf
        if self.in_flight >= limit:
            return self.window.next_growth(now, self.in_flight)
        return self.pacer.ready_at(now)

    def take(self, now: float, tokens: int, *, background: bool = False) -> Ticket:
        """A request goes."""
        self.in_flight += 1
        self._in_background += background
        self.gate.taken(now)
        self._chance.taken()
        self.window.seen(now, self.in_flight)
        return Ticket(tokens, background, self.pacer.take(now, tokens), self.in_flight, now)

    def sent(self, now: float, ticket: Ticket) -> bool:
        """A request leaves now; False: it must not, because others were turned away since it was let go."""
        if self.gate.recalls(now, ticket.sent_at):
            return False
        self.gate.sent(now, ticket.sent_at)
        self.pacer.sent(now, ticket.number)
        ticket.sent_at = now
        return True

    def undo(self, ticket: Ticket) -> None:
        """It did not go after all."""
        self._leave(ticket)
        self.gate.undone(ticket.sent_at)
        self.pacer.undo(ticket.tokens, ticket.number)

    def give_back(
        self,
        now: float,
        ticket: Ticket,
        outcome: Outcome | None,
        *,
        tokens: int | None = None,
        limits: RateLimits | None = None,
        retry_after: float | None = None,
        overloaded: bool = False,
    ) -> None:
        """A request ended; `outcome` is None for a reply, `overloaded` marks a refusal that no quota explains."""
        self.window.seen(now, self.in_flight)
        self._leave(ticket)
        self._shed += (overloaded - self._shed) / _SHED_MEMORY
        if limits is not None:
            self.pacer.learn(now, ticket.sent_at, ticket.number, limits)
        if outcome is Outcome.REFUSED:
            self._chance.refused()
            if retry_after is None and (self._chance.found or (overloaded and self._shed < _FEW_SHED)):
                # It sheds a little of everybody's load: to go slower would change nothing, the next one gets through.
                self.pacer.settle(ticket.tokens, 0)
                self.gate.undone(ticket.sent_at)
                return
            self._refused(now, ticket, retry_after)
            return
        self.pacer.settle(ticket.tokens, tokens)
        if outcome is None:
            self._allow(now - ticket.sent_at)
            took = min(ROUND, now - ticket.sent_at)
            self._round = took if self._round == ROUND else self._round + 0.2 * (took - self._round)
            self.window.clean(now, ticket.sent_at, ticket.level)
            self._search()
        elif outcome in (Outcome.SERVER_FAULT, Outcome.AMBIGUOUS, Outcome.NEVER_SENT):
            self._trouble(now, ticket, outcome)
        if outcome is not Outcome.NEVER_SENT:
            self.gate.accepted(now, ticket.sent_at)

    def state(self, now: float) -> LaneState:
        """For people."""
        rate = self.pacer.rate(now)
        why = "the provider turns requests away" if self.gate.ready_at(now) > now else self.pacer.source
        return LaneState(None if rate == math.inf else rate * 60, self.limit(), self.in_flight, why)

    def _trouble(self, now: float, ticket: Ticket, outcome: Outcome) -> None:
        if outcome is Outcome.NEVER_SENT:
            self.pacer.unreached(ticket.number)
        self.window.freeze(now, _TROUBLE_SECONDS)
        self.pacer.freeze(now, _TROUBLE_SECONDS)

    def _refused(self, now: float, ticket: Ticket, retry_after: float | None) -> None:
        self.pacer.settle(ticket.tokens, 0)
        crowded = self.window.refused(now, ticket.sent_at, ticket.level, self.in_flight)
        if crowded and not self.gate.explains:
            self.gate.undone(ticket.sent_at)
            # The window keeps the next one back; the rate was not too high.
            self.pacer.refused(now, ticket.sent_at, ticket.number, now, cut=False)
            return
        self.gate.refused(now, ticket.sent_at, ticket.level, retry_after)
        until, cut = self.gate.ready_at(now), not self.gate.is_shut
        found = self.pacer.refused(now, ticket.sent_at, ticket.number, until, cut=cut)
        if found is not None and crowded is False and retry_after is None:
            self._chance.cut(found.accepted, explained=found.explained)
            if self._chance.found:
                # All that was learned of refusals was learned of chance.
                self.pacer.forget()
                self.window.search_again()
                self._search()
                return
        if not self.gate.explains:
            self.pacer.keep()
        if self.gate.is_shut:
            self._chance.doubted()
            # That nothing is refused now is not because the rate is low enough.
            self.pacer.freeze(now, self.gate.ready_at(now) - now)

    def _allow(self, seconds: float) -> None:
        if (named := self.pacer.named) is not None:
            self.window.allow(named * seconds * _SLACK)

    def _search(self) -> None:
        # A window that doubles must not be filled at one blow: half of it could be refused before anybody knows.
        share = _FILLED if self._round < ROUND else _FILLED_SLOWLY
        seconds = max(self._round, 0.001)
        unheard = (_LOST + _LOST_SHARE * self.pacer.sends) / min(_ECHO, seconds / _REPLY_TO_ECHO)
        self.pacer.search(min(share * self.window.size / seconds, max(unheard, share * self._told / seconds)))

    def _leave(self, ticket: Ticket) -> None:
        self.in_flight -= 1
        self._in_background -= ticket.background
