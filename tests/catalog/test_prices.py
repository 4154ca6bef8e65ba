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

from holychat.catalog.prices import context_window, cost_of, price
from holychat.domain.usage import Cost, Usage

TABLE = tomllib.loads((files("holychat.catalog") / "prices.toml").read_text(encoding="utf-8"))
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
    known = price("holysheep", model)
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
    cost = cost_of(provider, row["id"], Usage(input_tokens, output_tokens, cached))
    assert cost is not None
    assert cost.micros == (exact + Fraction(1, 2)).__floor__()


def test_half_a_micro_dollar_is_rounded_up() -> None:
    assert cost_of("holysheep", "deepseek-v3.2", Usage(5, 0)) == Cost(1)
    assert cost_of("holysheep", "deepseek-v3.2", Usage(4, 0)) == Cost(0)
    assert cost_of("holysheep", "deepseek-v3.2", Usage(1_000_000, 1_000_000)) == Cost(520_000)


def test_cached_input_has_its_own_price_where_it_is_known() -> None:
    assert cost_of("openai", "gpt-4.1", Usage(1_000_000, 0, 400_000)) == Cost(1_400_000)
    assert cost_of("holysheep", "gpt-4.1", Usage(1_000_000, 0, 400_000)) == Cost(2_000_000, estimated=True)
    assert cost_of("openai", "gpt-4.1", Usage(100, 0, 500)) == Cost(50)


def test_a_cost_of_counted_tokens_is_an_estimate() -> None:
    assert cost_of("openai", "gpt-4.1", Usage(1_000_000, 0, estimated=True)) == Cost(2_000_000, estimated=True)


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
    assert cost_of(provider, model, usage) is None


def test_offline_costs_nothing_whatever_it_is_called() -> None:
    assert cost_of("offline", "extractive", Usage(1000, 1000)) == Cost(0)
    assert cost_of("offline", "gpt-4.1", Usage(1000, 1000)) == Cost(0)


@pytest.mark.parametrize(
    ("model", "same"),
    [
        ("GPT-4.1", "gpt-4.1"),
        ("openai/gpt-4.1", "gpt-4.1"),
        ("gpt-4.1-2025-04-14", "gpt-4.1"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
    ],
)
def test_other_ways_to_write_a_model_cost_the_same(model: str, same: str) -> None:
    assert price("openai", model) == price("openai", same) is not None


def test_a_snapshot_with_its_own_price_keeps_it() -> None:
    first = price("openai", "gpt-4o-2024-05-13")
    assert first is not None
    assert (first.input, first.output) == (5_000_000, 15_000_000)


def test_aliases_lead_to_listed_models() -> None:
    listed = {row["id"] for _, row in LISTED}
    assert set(TABLE["aliases"].values()) <= listed
    assert price("holysheep", "claude-sonnet-4-5-20250929") == price("holysheep", "claude-sonnet-4.5") is not None


def test_context_windows_are_known_or_unknown() -> None:
    assert context_window("gpt-4.1") == 1_047_576
    assert context_window("openai/gpt-4o-2024-08-06") == 128_000
    assert context_window("claude-sonnet-4-5") == 200_000
    assert context_window("nobody-knows") is None
    assert context_window("") is None


def test_the_table_is_read_only_when_a_price_is_wanted() -> None:
    program = (
        "import sys, holychat.catalog.tokens, holychat.catalog.prices as prices\n"
        "print(prices._catalog.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
