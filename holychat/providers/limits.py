"""What the headers of an answer say about rate limits.

OpenAI and those who follow it (Azure, OpenRouter, Groq, vLLM gateways) send `x-ratelimit-{limit,remaining,reset}-
{requests,tokens}` with durations such as `6m0s`; Anthropic sends `anthropic-ratelimit-{requests,tokens}-{limit,
remaining,reset}` with moments. Google, DeepSeek and local servers send nothing.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from holychat.errors import RateLimits
from holychat.providers.waits import http_date

if TYPE_CHECKING:
    from collections.abc import Mapping

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h|d)")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_LONGEST_MINUTE = 90.0
"""Seconds: what takes longer to be full again is a limit per hour or per day (Groq's requests), not per minute."""
_EPOCH = 1e9
"""A number of seconds from here on is a moment (unix time) and no duration."""


def rate_limits(headers: Mapping[str, str], now: datetime | None = None) -> RateLimits | None:
    """The limits that an answer names, or None where it names none. Numbers that make no sense count as not given.

    Args:
        headers: Of the answer; names are looked up in lower case.
        now: The time, for moments; None: the server's own `Date`, so that a wrong clock here changes nothing.
    """
    requests = _kind(headers, "requests", now)
    tokens = _kind(headers, "tokens", now)
    if requests == tokens == (None, None, None):
        return None
    return RateLimits(*requests, *tokens)


def _kind(
    headers: Mapping[str, str], kind: str, now: datetime | None
) -> tuple[float | None, float | None, float | None]:
    """(per minute, remaining, seconds until full) of requests or tokens."""
    get = headers.get
    limit = get(f"x-ratelimit-limit-{kind}")
    remaining = get(f"x-ratelimit-remaining-{kind}")
    reset = get(f"x-ratelimit-reset-{kind}")
    if limit is None and remaining is None:
        limit = get(f"anthropic-ratelimit-{kind}-limit")
        remaining = get(f"anthropic-ratelimit-{kind}-remaining")
        if limit is None and remaining is None:
            return None, None, None
        reset = get(f"anthropic-ratelimit-{kind}-reset")
    seconds = None if reset is None else _seconds(reset.strip(), headers, now)
    per_minute = _number(limit)
    if not per_minute or (seconds is not None and seconds > _LONGEST_MINUTE):
        per_minute = None
    return per_minute, _number(remaining), seconds


def _number(text: str | None) -> float | None:
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds(text: str, headers: Mapping[str, str], now: datetime | None) -> float | None:
    """Seconds from now, of a duration, a number of seconds, or a moment."""
    if _DURATION.fullmatch(text):
        return sum(float(amount) * _UNITS[unit] for amount, unit in _PART.findall(text))
    number = _number(text)
    if number is not None and number < _EPOCH:
        return number
    try:
        if number is not None:
            until = datetime.fromtimestamp(number / 1000 if number >= _EPOCH * 1000 else number, UTC)
        else:
            until = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    start = now or http_date(headers.get("date", "")) or datetime.now(UTC)
    return max(0.0, ((until if until.tzinfo else until.replace(tzinfo=UTC)) - start).total_seconds())
