"""Rates of replies, only where they mean something."""

from __future__ import annotations

from holychat.domain.usage import Timing


def test_a_rate_counts_from_the_first_token_to_the_end() -> None:
    assert Timing(first_token_ms=500, elapsed_ms=2500).tokens_per_second(80) == 40


def test_a_reply_that_came_in_one_piece_has_no_rate() -> None:
    assert Timing(first_token_ms=900, elapsed_ms=901).tokens_per_second(34) is None
    assert Timing(first_token_ms=900, elapsed_ms=999).tokens_per_second(34) is None
    assert Timing(first_token_ms=900, elapsed_ms=1000).tokens_per_second(34) == 340
    assert Timing(first_token_ms=900, elapsed_ms=900).tokens_per_second(34) is None


def test_what_is_not_known_gives_no_rate() -> None:
    assert Timing(None, 2000).tokens_per_second(80) is None
    assert Timing(500, None).tokens_per_second(80) is None
    assert Timing(500, 2000).tokens_per_second(None) is None
    assert Timing(500, 2000).tokens_per_second(1) is None
