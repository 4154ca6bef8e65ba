"""What headers say that remains: how much of it is used at once."""

from __future__ import annotations

from holychat.errors import RateLimits
from holychat.jobs.lane.control import Control


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


def test_no_more_are_sent_at_once_than_remain_however_long_nothing_was() -> None:
    control = with_nineteen_left()
    now = begun = control.ready_at(13.0) + 10
    while (now := control.ready_at(now)) < begun + 0.1:
        control.take(now, 0)
    assert 15 <= control.in_flight <= 16
