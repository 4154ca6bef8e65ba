"""Money reads the same everywhere, exact and honest."""

from __future__ import annotations

import pytest

from holychat.catalog.money import money_text, short_money, usd, worst_words
from holychat.catalog.prices import PriceBook
from holychat.domain.spending import Unsettled
from holychat.domain.usage import Cost, Usage


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (None, ""),
        (Cost(0), "$0"),
        (Cost(0, estimated=True), "~$0"),
        (Cost(1), "$0.000001"),
        (Cost(131), "$0.000131"),
        (Cost(42_000), "$0.042"),
        (Cost(123_456), "$0.123456"),
        (Cost(10_000), "$0.01"),
        (Cost(500_000), "$0.50"),
        (Cost(2_500_000, estimated=True), "~$2.50"),
        (Cost(1_234_000_000), "$1,234.00"),
    ],
)
def test_money_is_exact_and_an_estimate_says_so(cost: Cost | None, text: str) -> None:
    assert money_text(cost) == text


@pytest.mark.parametrize(
    ("cost", "text"),
    [
        (None, ""),
        (Cost(0), "$0"),
        (Cost(1), "<$0.0001"),
        (Cost(131), "$0.0001"),
        (Cost(4_500), "$0.0045"),
        (Cost(42_000), "$0.042"),
        (Cost(50_000), "$0.05"),
        (Cost(99_999), "$0.10"),
        (Cost(4_113_704), "$4.11"),
        (Cost(28_258_286, estimated=True), "~$28.26"),
        (Cost(1_234_567_890), "$1,234.57"),
    ],
)
def test_money_of_an_overview_is_rounded_and_never_to_nothing(cost: Cost | None, text: str) -> None:
    assert short_money(cost) == text


def test_an_unknown_cost_is_no_number_for_programs_either() -> None:
    assert usd(None) is None
    assert usd(Cost(1_234)) == 0.001234


def test_what_costs_nothing_is_known_to_cost_nothing_even_where_its_tokens_are_guessed() -> None:
    cost = PriceBook().cost_of("offline", "extractive", Usage(10, 20, estimated=True))
    assert money_text(cost) == "$0"


@pytest.mark.parametrize(
    ("unsettled", "text"),
    [
        (Unsettled(2, 20_000), "~$0.02 at worst"),
        (Unsettled(2, 20_000, 1), "~$0.02 at worst, 1 of unknown price"),
        (Unsettled(2, 0, 2), "2 of unknown price"),
    ],
)
def test_what_may_have_been_billed_is_no_zero_where_its_price_is_unknown(unsettled: Unsettled, text: str) -> None:
    assert worst_words(unsettled) == text
