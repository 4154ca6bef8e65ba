"""What headers say about rate limits, in every form that was met."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from holychat.errors import RateLimits
from holychat.providers.limits import rate_limits

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def test_openai_sends_numbers_and_durations() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-tokens": "6ms",
    }
    assert rate_limits(headers) == RateLimits(60, 59, 1, 150_000, 149_984, 0.006)


def test_anthropic_sends_moments_that_count_from_the_servers_own_clock() -> None:
    headers = {
        "date": "Sun, 01 Mar 2026 12:00:00 GMT",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:02Z",
        "anthropic-ratelimit-tokens-limit": "40000",
        "anthropic-ratelimit-tokens-remaining": "39000",
        "anthropic-ratelimit-tokens-reset": "2026-03-01T11:59:00Z",
    }
    assert rate_limits(headers) == RateLimits(50, 49, 2, 40_000, 39_000, 0)


@pytest.mark.parametrize("headers", [{}, {"x-ratelimit-reset-requests": "1s"}, {"content-type": "application/json"}])
def test_a_server_that_names_no_limit_has_none(headers: dict[str, str]) -> None:
    assert rate_limits(headers) is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12ms", 0.012),
        ("1s", 1),
        ("1m30s", 90),
        ("0.5s", 0.5),
        ("250us", 0.00025),
        ("7", 7),
        ("7.25", 7.25),
        ("1772366405", 5),
        ("1772366405000", 5),
        ("2026-03-01T12:00:05Z", 5),
        ("2026-03-01T13:00:05+01:00", 5),
        ("2026-03-01T12:00:05", 5),
        ("soon", None),
        ("", None),
        ("-1", None),
        ("1s tomorrow", None),
        ("1e999", None),
        ("9" * 40, None),
    ],
)
def test_the_time_of_reset_is_read_in_every_form(text: str, seconds: float | None) -> None:
    limits = rate_limits({"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": text}, NOW)
    assert limits is not None
    assert limits.requests_reset_s == pytest.approx(seconds) if seconds is not None else limits.requests_reset_s is None


@pytest.mark.parametrize("limit", ["0", "-1", "nan", "inf", "many", ""])
def test_a_limit_that_makes_no_sense_counts_as_not_given(limit: str) -> None:
    """Azure sends -1 and 0."""
    limits = rate_limits({"x-ratelimit-limit-requests": limit, "x-ratelimit-remaining-requests": "3"})
    assert limits == RateLimits(None, 3, None)


def test_a_limit_per_day_is_not_taken_for_one_per_minute() -> None:
    """Groq's requests: 14,400 a day, and the 30 that were sent take three minutes to be there again."""
    headers = {
        "x-ratelimit-limit-requests": "14400",
        "x-ratelimit-remaining-requests": "14370",
        "x-ratelimit-reset-requests": "2m59.56s",
        "x-ratelimit-limit-tokens": "18000",
        "x-ratelimit-remaining-tokens": "17997",
        "x-ratelimit-reset-tokens": "7.66ms",
    }
    limits = rate_limits(headers)
    assert limits is not None
    assert limits.requests_per_minute is None
    assert (limits.requests_remaining, limits.requests_reset_s) == (14_370, pytest.approx(179.56))
    assert limits.tokens_per_minute == 18_000
