"""What headers say that remains, and requests that never reach the provider: those take nothing of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.errors import Outcome, RateLimits
from holychat.jobs.lane.allowance import Allowance
from holychat.jobs.lane.control import Control

if TYPE_CHECKING:
    from holychat.jobs.lane.control import Ticket


def says(remaining: int, reset: float = 60) -> RateLimits:
    return RateLimits(requests_per_minute=60, requests_remaining=remaining, requests_reset_s=reset)


def answered(control: Control, now: float, limits: RateLimits) -> None:
    """A request is sent, and its answer there a tenth of a second later."""
    ticket = control.take(now, 0)
    assert control.sent(now, ticket)
    control.give_back(now + 0.1, ticket, None, limits=limits)


def with_nineteen_left() -> Control:
    """Of a quota per minute, at its twelfth second: nothing came back meanwhile."""
    control = Control(concurrency=100)
    for place in range(12):
        answered(control, float(place), says(30 - place, 60 - place))
    return control


def let_go(control: Control, now: float) -> list[Ticket]:
    """All that may be sent at once of the nineteen: the last four are for those that come late."""
    tickets, begun = [], now
    for _ in range(15):
        now = control.ready_at(now)
        tickets.append(control.take(now, 0))
    assert now < begun + 0.1, "they may be sent at once"
    return tickets


def test_no_more_are_sent_at_once_than_remain_however_long_nothing_was() -> None:
    control = with_nineteen_left()
    now = begun = control.ready_at(13.0) + 10
    while (now := control.ready_at(now)) < begun + 0.1:
        control.take(now, 0)
    assert 15 <= control.in_flight <= 16


def test_what_remains_does_not_shrink_by_requests_that_were_never_sent() -> None:
    control = with_nineteen_left()
    for ticket in let_go(control, 13.0):
        control.undo(ticket)
    let_go(control, 14.0)


def test_requests_that_found_no_connection_take_nothing_either() -> None:
    control = with_nineteen_left()
    for ticket in let_go(control, 13.0):
        assert control.sent(13.1, ticket)
        control.give_back(13.2, ticket, Outcome.NEVER_SENT)
    let_go(control, 20.0)


@pytest.mark.parametrize("undone", [0, 1, 40])
def test_what_was_not_sent_changes_nothing_of_what_is_counted(undone: int) -> None:
    """Whether it was let go before or after a request whose answer tells what remains, or while that was under way."""
    allowance, sends = Allowance(), 1
    allowance.learn(0.1, 0.0, 1, sends, says(100))
    before = allowance.spare(0.1)

    def let_go(count: int) -> list[int]:
        nonlocal sends
        for _ in range(count):
            sends += 1
            allowance.take(1.0, sends)
        return list(range(sends - count + 1, sends + 1))

    early, (asked,), late = let_go(undone), let_go(1), let_go(undone)
    for number in early[::2] + late[::2]:
        allowance.undo(number)
    allowance.sent(1.0, asked, sends)
    for number in early[1::2] + late[1::2]:
        allowance.undo(number)
    assert allowance.spare(1.0) == before - 1
    allowance.learn(1.5, 1.0, asked, sends, says(99))
    assert allowance.spare(1.5) == before - 1
    (second,) = let_go(1)
    allowance.sent(9.0, second, sends)
    allowance.learn(9.5, 9.0, second, sends, says(98))
    assert (allowance.spare(9.5), allowance.refills) == (before - 2, False), "what was never sent does not come back"


def test_what_was_let_go_before_anything_was_known_is_counted_where_it_is_on_its_way() -> None:
    allowance = Allowance()
    allowance.undo(4)
    allowance.learn(1.0, 0.0, 3, 5, says(50))  # of the fourth and fifth request the fifth is on its way
    assert allowance.spare(1.0) == 49 - 5
    allowance.undo(2)  # it is older than what is known, which says nothing of it
    assert allowance.spare(1.0) == 49 - 5
    allowance.undo(5)
    assert allowance.spare(1.0) == 50 - 5
