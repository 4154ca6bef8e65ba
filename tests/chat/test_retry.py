"""When a request is sent again."""

from __future__ import annotations

import pytest

from holychat.chat.retry import RetryPolicy, spoken
from holychat.errors import KeyRejected, Overloaded, RateLimited, ReplyBroken, RequestRefused, Unreachable

POLICY = RetryPolicy(2)


@pytest.mark.parametrize("error", [RateLimited("x"), Overloaded("x"), Unreachable("x"), ReplyBroken("x")])
def test_what_a_wait_may_cure_is_retried(error: RateLimited) -> None:
    assert POLICY.delay(error, 1, 0.5) is not None
    assert POLICY.delay(error, 2, 0.5) is not None
    assert POLICY.delay(error, 3, 0.5) is None


@pytest.mark.parametrize("error", [KeyRejected("x"), RequestRefused("x"), RateLimited("x", retryable=False)])
def test_what_no_wait_cures_is_not_retried(error: KeyRejected) -> None:
    assert POLICY.delay(error, 1, 0.5) is None


def test_no_retries_means_none() -> None:
    assert RetryPolicy(0).delay(Overloaded("x"), 1, 0.5) is None


def test_waits_double_up_to_a_limit_and_jitter_only_shortens_them() -> None:
    policy = RetryPolicy(10)
    waits = [policy.delay(Overloaded("x"), attempt, 1.0) for attempt in range(1, 8)]
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]
    assert policy.delay(Overloaded("x"), 3, 0.0) == 1.5


def test_what_the_provider_asks_for_is_never_undercut() -> None:
    for seconds in (0.0, 0.25, 59.9, 60.0):
        for jitter in (0.0, 1.0):
            delay = POLICY.delay(RateLimited("x", retry_after=seconds), 1, jitter)
            assert seconds <= delay <= seconds * 1.1
    assert POLICY.delay(RateLimited("x", retry_after=60.1), 1, 0.0) is None


def test_a_wait_that_is_too_long_is_said_and_a_short_one_is_not() -> None:
    long = RateLimited("x", "Try later.", provider="holysheep", retry_after=3700)
    assert POLICY.hint(long) == "holysheep asks to wait 1 h 1 min. Try later."
    assert POLICY.hint(RateLimited("x", "Try later.", retry_after=5)) == "Try later."


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "1 s"), (59, "59 s"), (60, "1 min"), (61, "1 min 1 s"), (3600, "1 h"), (7500, "2 h 5 min")],
)
def test_durations_are_said_as_people_say_them(seconds: float, text: str) -> None:
    assert spoken(seconds) == text
