"""Plans: exact to the end, and a published figure is held against the list prices instead of copied."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.catalog.prices import PriceBook
from holychat.errors import UsageError
from holychat.money.plan import Load, check_claim, percent, scenarios, usual_models

BOOK = PriceBook()
MILLION = Load(1_000_000)
SHARES = st.fractions(0, 1, max_denominator=1000)
RATIOS = st.fractions(0, 1000, max_denominator=1000)


def costs(provider: str, models: list[str], load: Load) -> dict[str, tuple[int, int]]:
    return {s.name: (s.day_micros, s.month_micros) for s in scenarios(BOOK, provider, models, load)}


def test_a_million_tokens_a_day_cost_what_was_published_for_each_model() -> None:
    found = costs("holysheep", ["gpt-4.1", "deepseek-v3.2"], MILLION)
    assert found["gpt-4.1, all streamed"] == (8_000_000, 240_000_000)
    assert found["deepseek-v3.2, all streamed"] == (420_000, 12_600_000)


def test_the_published_hybrid_does_not_follow_and_is_not_copied() -> None:
    found = scenarios(BOOK, "holysheep", ["gpt-4.1", "deepseek-v3.2"], MILLION)
    claim = check_claim(found, MILLION, 700_000)
    assert claim.equals == ()
    [(hybrid, share)] = claim.shares
    assert hybrid.day_micros == 2_694_000
    assert share == (Fraction(8_000_000) - 700_000) / (8_000_000 - 420_000)
    assert percent(share) == "96.3 %"
    at_that_share = scenarios(BOOK, "holysheep", ["gpt-4.1", "deepseek-v3.2"], Load(1_000_000, Fraction(0), share))
    assert 700_000 in [scenario.per_day for scenario in at_that_share]


def test_figures_that_follow_are_said_to() -> None:
    found = scenarios(BOOK, "holysheep", ["gpt-4.1", "deepseek-v3.2"], MILLION)
    assert check_claim(found, MILLION, 8_000_000).equals[0] == "gpt-4.1, all streamed"
    assert check_claim(found, MILLION, 420_000).equals == ("deepseek-v3.2, all streamed",)


def test_a_provider_without_a_batch_price_saves_nothing_by_batching_and_says_so() -> None:
    streamed, batched, hybrid, *_ = scenarios(BOOK, "holysheep", ["gpt-4.1"], MILLION)
    assert streamed.per_day == batched.per_day == hybrid.per_day
    assert "no batch price" in batched.note
    assert batched.saving(streamed) == 0


def test_half_price_batches_are_worth_half_of_what_waits() -> None:
    streamed, batched, hybrid, *_ = scenarios(BOOK, "openai", ["gpt-4.1"], MILLION)
    assert (streamed.day_micros, batched.day_micros, hybrid.day_micros) == (8_000_000, 4_000_000, 5_200_000)
    assert hybrid.saving(streamed) == Fraction(35, 100)


def test_input_and_output_cost_differ() -> None:
    assert costs("holysheep", ["gpt-4.1"], Load(4_000_000, Fraction(3)))["gpt-4.1, all streamed"][0] == 14_000_000


@given(st.integers(1, 10**12), RATIOS, SHARES)
def test_every_scenario_is_the_exact_sum_of_its_tokens(tokens: int, ratio: Fraction, share: Fraction) -> None:
    load = Load(tokens, ratio, share)
    price = BOOK.price("openai", "gpt-4.1")
    assert price is not None
    assert price.batch_input is not None
    assert price.batch_output is not None
    given_tokens, made = tokens * ratio / (1 + ratio), tokens / (1 + ratio)
    streamed = (given_tokens * price.input + made * price.output) / 1_000_000
    batched = (given_tokens * price.batch_input + made * price.batch_output) / 1_000_000
    first, second, hybrid, *_ = scenarios(BOOK, "openai", ["gpt-4.1"], load)
    assert (first.per_day, second.per_day) == (streamed, batched)
    assert hybrid.per_day == (1 - share) * streamed + share * batched
    assert first.month_micros == (streamed * 30 + Fraction(1, 2)).__floor__()


@given(SHARES, SHARES)
def test_a_hybrid_costs_between_its_two_parts(share: Fraction, wanted: Fraction) -> None:
    load = Load(1_000_000, Fraction(2), share)
    found = scenarios(BOOK, "openai", ["gpt-4.1", "gpt-4.1-mini"], load)
    by_name = {scenario.name: scenario.per_day for scenario in found}
    low, high = by_name["gpt-4.1-mini, all batched"], by_name["gpt-4.1, all streamed"]
    assert low <= found[-1].per_day <= high
    if 0 < share < 1:
        micros = round(low + wanted * (high - low))
        for hybrid, needed in check_claim(found, load, micros).shares:
            again = scenarios(BOOK, "openai", ["gpt-4.1", "gpt-4.1-mini"], Load(1_000_000, Fraction(2), needed))
            same = next(s for s in again if (s.streamed, s.batched) == (hybrid.streamed, hybrid.batched))
            assert same.per_day == micros


def test_one_model_is_held_against_the_cheapest_other_one() -> None:
    assert {s.streamed for s in scenarios(BOOK, "holysheep", ["gpt-4.1"], MILLION)} == {"gpt-4.1", "", "deepseek-v3.2"}


@pytest.mark.parametrize(
    ("provider", "model", "compared"),
    [
        ("holysheep", "deepseek-v3.2", ["gpt-4.1", "deepseek-v3.2"]),
        ("openai", "gpt-4.1", ["gpt-4.1", "gpt-4.1-nano"]),
        ("holysheep", "", ["claude-sonnet-4.5", "deepseek-v3.2"]),
        ("anthropic", "", ["claude-opus-4.1", "claude-3.5-haiku"]),
    ],
)
def test_without_a_model_two_worth_comparing_are_taken(provider: str, model: str, compared: list[str]) -> None:
    assert usual_models(BOOK, provider, model, MILLION) == compared


def test_an_unknown_price_is_an_error_that_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="price of gpt-9 at holysheep is not known") as error:
        scenarios(BOOK, "holysheep", ["gpt-9"], MILLION)
    assert "deepseek-v3.2" in error.value.hint
    with pytest.raises(UsageError, match="No price of local"):
        usual_models(BOOK, "local", "", MILLION)
