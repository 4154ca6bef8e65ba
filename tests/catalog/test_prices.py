"""Prices: exact, dated, and unknown where they are unknown."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from datetime import date
from fractions import Fraction
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.catalog.prices import Price, PriceBook, context_window, longest_answer
from holychat.domain.usage import Cost, Usage
from holychat.errors import SettingsError
from holychat.settings import parse_settings

TABLE = tomllib.loads((files("holychat.catalog") / "prices.toml").read_text(encoding="utf-8"))
BOOK = PriceBook()
LISTED = [(name, row) for name, provider in TABLE["providers"].items() for row in provider["models"]]


@pytest.mark.parametrize(
    ("model", "input_price", "output_price"),
    [
        ("gpt-4.1", 2_000_000, 8_000_000),
        ("claude-sonnet-4.5", 3_000_000, 15_000_000),
        ("gemini-2.5-flash", 500_000, 2_500_000),
        ("deepseek-v3.2", 100_000, 420_000),
    ],
)
def test_holysheep_prices_are_its_list_of_2026(model: str, input_price: int, output_price: int) -> None:
    known = BOOK.price("holysheep", model)
    assert known is not None
    assert (known.input, known.output, known.cached_input) == (input_price, output_price, None)
    assert "HolySheep" in known.source


def test_every_price_has_a_source_and_a_date() -> None:
    for provider in TABLE["providers"].values():
        assert provider["source"]
        assert date.fromisoformat(provider["date"])


@pytest.mark.parametrize(("provider", "row"), LISTED, ids=[f"{name}-{row['id']}" for name, row in LISTED])
@given(data=st.data())
def test_a_cost_is_the_exact_one_rounded_half_up(provider: str, row: dict[str, str], data: st.DataObject) -> None:
    counts = st.integers(0, 3_000_000)
    input_tokens, output_tokens = data.draw(counts), data.draw(counts)
    cached = data.draw(st.integers(0, input_tokens))
    cached_price = Fraction(row.get("cached", row["input"]))
    exact = (input_tokens - cached) * Fraction(row["input"]) + cached * cached_price
    exact += output_tokens * Fraction(row["output"])
    cost = BOOK.cost_of(provider, row["id"], Usage(input_tokens, output_tokens, cached))
    assert cost is not None
    assert cost.micros == (exact + Fraction(1, 2)).__floor__()


def test_half_a_micro_dollar_is_rounded_up() -> None:
    assert BOOK.cost_of("holysheep", "deepseek-v3.2", Usage(5, 0)) == Cost(1)
    assert BOOK.cost_of("holysheep", "deepseek-v3.2", Usage(4, 0)) == Cost(0)
    assert BOOK.cost_of("holysheep", "deepseek-v3.2", Usage(1_000_000, 1_000_000)) == Cost(520_000)


def test_cached_input_has_its_own_price_where_it_is_known() -> None:
    assert BOOK.cost_of("openai", "gpt-4.1", Usage(1_000_000, 0, 400_000)) == Cost(1_400_000)
    assert BOOK.cost_of("holysheep", "gpt-4.1", Usage(1_000_000, 0, 400_000)) == Cost(2_000_000, estimated=True)
    assert BOOK.cost_of("openai", "gpt-4.1", Usage(100, 0, 500)) == Cost(50)


def test_a_cost_of_counted_tokens_is_an_estimate() -> None:
    assert BOOK.cost_of("openai", "gpt-4.1", Usage(1_000_000, 0, estimated=True)) == Cost(2_000_000, estimated=True)


@pytest.mark.parametrize(
    ("provider", "model", "usage"),
    [
        ("holysheep", "gpt-5", Usage(1, 1)),
        ("holysheep", "gpt-4.1-mini", Usage(1, 1)),
        ("openai", "gemini-2.5-flash-lite", Usage(1, 1)),
        ("mine", "gpt-4.1", Usage(1, 1)),
        ("local", "qwen3", Usage(1, 1)),
        ("openai", "", Usage(1, 1)),
        ("openai", "gpt-4.1", Usage(None, 1)),
        ("openai", "gpt-4.1", Usage(1, None)),
    ],
)
def test_what_is_unknown_stays_unknown(provider: str, model: str, usage: Usage) -> None:
    assert BOOK.cost_of(provider, model, usage) is None


def test_offline_costs_nothing_whatever_it_is_called() -> None:
    assert BOOK.cost_of("offline", "extractive", Usage(1000, 1000)) == Cost(0)
    assert BOOK.cost_of("offline", "gpt-4.1", Usage(1000, 1000)) == Cost(0)


@pytest.mark.parametrize(
    ("model", "same"),
    [
        ("GPT-4.1", "gpt-4.1"),
        ("openai/gpt-4.1", "gpt-4.1"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4-1", "gpt-4.1"),
    ],
)
def test_other_ways_to_write_a_model_cost_the_same(model: str, same: str) -> None:
    assert BOOK.price("openai", model) == BOOK.price("openai", same) is not None


def test_a_snapshot_with_its_own_price_keeps_it() -> None:
    first = BOOK.price("openai", "gpt-4o-2024-05-13")
    assert first is not None
    assert (first.input, first.output) == (5_000_000, 15_000_000)


def test_aliases_and_limits_lead_to_listed_models() -> None:
    listed = {row["id"] for _, row in LISTED}
    assert set(TABLE["aliases"].values()) <= listed
    assert set(TABLE["context"]) <= listed
    assert set(TABLE["longest_answer"]) <= set(TABLE["context"])
    assert (
        BOOK.price("holysheep", "claude-sonnet-4-5-20250929")
        == BOOK.price("holysheep", "claude-sonnet-4.5")
        is not None
    )


@pytest.mark.parametrize(("provider", "row"), LISTED, ids=[f"{name}-{row['id']}" for name, row in LISTED])
@given(counts=st.tuples(st.integers(0, 3_000_000), st.integers(0, 3_000_000)))
def test_a_batch_costs_exactly_half_where_the_provider_documents_it(
    provider: str, row: dict[str, str], counts: tuple[int, int]
) -> None:
    cost = BOOK.batch_cost_of(provider, row["id"], Usage(*counts))
    if provider not in ("openai", "anthropic"):
        assert cost is None
        return
    exact = (counts[0] * Fraction(row["input"]) + counts[1] * Fraction(row["output"])) / 2
    assert cost is not None
    assert cost.micros == (exact + Fraction(1, 2)).__floor__()


def test_a_batch_price_has_a_source_of_its_own() -> None:
    for provider in TABLE["providers"].values():
        assert ("batch" in provider) == bool(provider.get("batch_source"))


def test_cached_input_of_a_batch_counts_in_full_and_is_said_to_be_a_guess() -> None:
    assert BOOK.batch_cost_of("openai", "gpt-4.1", Usage(1_000_000, 0, 500_000)) == Cost(1_000_000, estimated=True)


def test_the_worst_case_is_rounded_up_and_knows_no_cache() -> None:
    assert BOOK.worst_cost("holysheep", "deepseek-v3.2", 1, 0) == 1
    assert BOOK.worst_cost("openai", "gpt-4.1", 1_000_000, 1_000_000) == 10_000_000
    assert BOOK.worst_cost("mine", "gpt-4.1", 1, 1) is None


def own(text: str) -> PriceBook:
    return PriceBook(parse_settings(text).prices)


def test_a_price_of_the_settings_comes_first_and_says_so() -> None:
    book = own(
        '[prices.holysheep."gpt-4.1"]\ninput = 1\noutput = "4.20"\n[prices.mine.some-model]\ninput = 0.1\noutput = 0\n'
    )
    assert book.price("holysheep", "gpt-4.1-2025-04-14") == Price(1_000_000, 4_200_000, None, "config.toml", "")
    assert book.cost_of("mine", "Some-Model", Usage(10, 99)) == Cost(1)
    assert book.price("holysheep", "deepseek-v3.2") == BOOK.price("holysheep", "deepseek-v3.2")
    assert book.price("mine", "another") is None


def test_one_detail_of_a_listed_price_can_be_changed_and_a_new_price_drops_the_old_details() -> None:
    listed = BOOK.price("openai", "gpt-4.1")
    assert listed is not None
    cached = own('[prices.openai."gpt-4.1"]\ncached = 1\n').price("openai", "gpt-4.1")
    assert cached is not None
    assert (cached.cached_input, cached.input, cached.batch_output) == (1_000_000, listed.input, listed.batch_output)
    dearer = own('[prices.openai."gpt-4.1"]\ninput = 3\noutput = 9\n').price("openai", "gpt-4.1")
    assert dearer is not None
    assert (dearer.cached_input, dearer.batch_input, dearer.batch_output) == (None, None, None)


def test_a_window_can_be_given_without_a_price() -> None:
    book = own('[prices.local."my-model"]\ncontext = 32768\n')
    assert book.context_window("my-model", "local") == 32_768
    assert book.context_window("my-model", "mine") is None
    assert book.price("local", "my-model") is None
    assert book.context_window("gpt-4.1", "local") == 1_047_576


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[prices.a."b.c"]\ninput = "much"\noutput = 1', 'prices.a."b.c".input'),
        ('[prices.a."b.c"]\ninput = 1', 'prices.a."b.c": input and output belong together'),
        ('[prices.a."b.c"]\ninput = -1\noutput = 1', 'prices.a."b.c": input must be'),
        ('[prices.a."b.c"]\ninput = nan\noutput = 1', 'prices.a."b.c": input must be'),
        ('[prices.a."b.c"]\ninput = 0.0000001\noutput = 1', 'prices.a."b.c": input must have at most six decimals'),
        ('[prices.a."b.c"]\nbatch_input = 1', 'prices.a."b.c": batch_input and batch_output belong together'),
        ('[prices.a."b.c"]\nprice = 1', 'prices.a."b.c": there is no setting `price`'),
        ('[prices.a."b.c"]\ncontext = 0', 'prices.a."b.c": context must be'),
        ('[prices.a."b.c"]\ncached = 1', 'prices.a."b.c".input is missing'),
        ("[prices.a.b.c]\ninput = 1\noutput = 1", 'a name with a dot is written in quotes, [prices.a."b.c"]'),
        ("[prices]\na = 1", "$.prices"),
        ("[limits]\nday = -1", "day must be"),
        ("[limits]\nmonth = true", "$.limits.month"),
    ],
)
def test_a_wrong_table_is_a_settings_error_that_names_the_field(text: str, named: str) -> None:
    with pytest.raises(SettingsError) as error:
        own(text)
    assert named in error.value.title


def test_models_of_a_provider_are_listed_by_price() -> None:
    assert own("[prices.holysheep.free]\ninput = 0\noutput = 0\n").models("holysheep") == (
        "free", "deepseek-v3.2", "gemini-2.5-flash", "gpt-4.1", "claude-sonnet-4.5"
    )  # fmt: skip
    assert BOOK.providers() == ("anthropic", "holysheep", "offline", "openai")


def test_longest_answers_are_known_or_unknown() -> None:
    assert longest_answer("gpt-4.1-2025-04-14") == 32_768
    assert longest_answer("nobody-knows") is None


def test_context_windows_are_known_or_unknown() -> None:
    assert context_window("gpt-4.1") == 1_047_576
    assert context_window("openai/gpt-4o-2024-08-06") == 128_000
    assert context_window("claude-sonnet-4-5") == 200_000
    assert context_window("nobody-knows") is None
    assert context_window("") is None


def test_the_table_is_read_only_when_a_price_is_wanted() -> None:
    program = (
        "import sys, holychat.catalog.tokens, holychat.catalog.prices as prices\n"
        "prices.PriceBook()\n"
        "print(prices._catalog.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
