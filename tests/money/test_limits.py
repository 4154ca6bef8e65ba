"""Limits per day and month: exact, warned of at 80 %, held at 100 %, with a way past them."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.domain.spending import Spent, Unsettled
from holychat.errors import LimitReached, UsageError
from holychat.money.limits import Limit, refuse_over

TODAY = date(2026, 3, 1)


def limit(micros: int, spent: int = 0, unsettled: int = 0) -> Limit:
    return Limit("day", micros, Spent(1, micros=spent), Unsettled(1, unsettled), TODAY)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**9))
def test_a_request_passes_exactly_when_its_worst_case_fits(most: int, spent: int, unsettled: int, worst: int) -> None:
    fits = spent + unsettled + worst <= most
    try:
        refuse_over([limit(most, spent, unsettled)], worst)
    except LimitReached:
        assert not fits
    else:
        assert fits


@pytest.mark.parametrize(
    ("spent", "near", "reached"), [(0, False, False), (799, False, False), (800, True, False), (1000, True, True)]
)
def test_it_is_near_from_80_percent_on_and_reached_at_100(spent: int, near: bool, reached: bool) -> None:
    assert (limit(1000, spent).near, limit(1000, spent).reached) == (near, reached)


def test_what_is_under_way_counts_at_its_worst() -> None:
    assert limit(1000, 300, 500).left == 200
    assert limit(1000, 300, 500).near


def test_what_costs_nothing_passes_whatever_is_spent() -> None:
    refuse_over([limit(0), limit(1000, 5000)], 0)


def test_an_unknown_price_is_held_only_once_a_limit_is_reached() -> None:
    refuse_over([limit(1000, 999)], None)
    with pytest.raises(LimitReached, match="not known"):
        refuse_over([limit(1000, 1000)], None)


def test_the_strictest_limit_holds_and_says_what_is_left() -> None:
    with pytest.raises(LimitReached) as held:
        refuse_over([limit(10_000_000, 0), limit(5_000_000, 4_900_000)], 200_000)
    assert (
        held.value.title == "98 % of today's limit of $5.00 is spent; this request could cost ~$0.20 and $0.10 is left"
    )
    assert isinstance(held.value, UsageError)
