"""Statistics of a benchmark: percentiles, rates and ratios of whatever was measured."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.benchmark.figures import Sample, figures, percentile, ratio, spread

VALUES = st.lists(st.floats(0, 1e9), min_size=1, max_size=300)
SHARES = st.floats(0, 1)
SAMPLES = st.lists(
    st.builds(
        Sample,
        started_ms=st.integers(0, 10**7).map(float),
        elapsed_ms=st.integers(1, 10**6).map(float),
        first_token_ms=st.none() | st.integers(0, 10**6).map(float),
        output_tokens=st.integers(0, 10**5),
        tokens_estimated=st.booleans(),
        cost_micros=st.none() | st.integers(0, 10**7),
        cost_estimated=st.booleans(),
    ),
    min_size=1,
    max_size=120,
)


@given(VALUES, SHARES)
def test_a_percentile_lies_within_its_values_whatever_their_order(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert min(values) <= found <= max(values)
    assert percentile(values[::-1], share) == found


@given(VALUES, SHARES, SHARES)
def test_a_higher_share_never_has_a_lower_percentile(values: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert percentile(values, low) <= percentile(values, high)


@given(VALUES)
def test_the_ends_and_the_middle_are_minimum_maximum_and_median(values: list[float]) -> None:
    assert percentile(values, 0) == min(values)
    assert percentile(values, 1) == max(values)
    assert percentile(values, 0.5) == pytest.approx(statistics.median(values))


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=100), st.integers(1, 19))
def test_percentiles_are_those_of_the_standard_library(values: list[float], twentieth: int) -> None:
    theirs = statistics.quantiles(values, n=20, method="inclusive")[twentieth - 1]
    assert percentile(values, twentieth / 20) == pytest.approx(theirs, abs=1e-6)


def test_nothing_has_no_percentile() -> None:
    assert spread([]) is None
    with pytest.raises(ValueError, match="percentile"):
        percentile([], 0.5)
    with pytest.raises(ValueError, match="percentile"):
        percentile([1.0], 1.1)


@given(SAMPLES, st.integers(0, 50))
def test_figures_keep_the_sums_of_what_was_measured(samples: list[Sample], errors: int) -> None:
    found = figures(samples, asked=len(samples) + errors, errors=errors)
    took = max(s.ended_ms for s in samples) - min(s.started_ms for s in samples)
    assert found.answered + found.errors == found.asked
    assert found.seconds == pytest.approx(took / 1000, abs=0.001)
    assert found.per_minute is not None
    assert found.per_minute * took / 60_000 == pytest.approx(len(samples), abs=0.05 * took / 60_000 + 1e-6)
    assert found.tokens_per_second is not None
    tokens = sum(s.output_tokens for s in samples)
    assert found.tokens_per_second * took / 1000 == pytest.approx(tokens, abs=0.05 * took / 1000 + 1e-6)
    assert (found.first_token is None) == all(s.first_token_ms is None for s in samples)
    priced = [s.cost_micros for s in samples if s.cost_micros is not None]
    assert (found.micros_per_thousand is None) == (not priced)
    if found.micros_per_thousand is not None:
        assert min(priced) * 1000 - 1 <= found.micros_per_thousand <= max(priced) * 1000 + 1


@given(SAMPLES, st.integers(0, 10**9))
def test_it_does_not_matter_when_it_was_measured_and_in_which_order(samples: list[Sample], later: int) -> None:
    moved = [
        Sample(s.started_ms + later, s.elapsed_ms, s.first_token_ms, s.output_tokens, s.tokens_estimated,
               s.cost_micros, s.cost_estimated)
        for s in reversed(samples)
    ]  # fmt: skip
    assert figures(moved, asked=len(moved)) == figures(samples, asked=len(samples))


def test_the_rate_up_to_speed_is_that_of_the_second_half() -> None:
    """Ten requests one a second, then ten of them ten a second."""
    slow = [Sample(1000.0 * number, 500.0) for number in range(10)]
    quick = [Sample(10_000 + 100.0 * number, 500.0) for number in range(10)]
    found = figures([*slow, *quick], asked=20)
    assert found.up_to_speed_per_minute == 600
    assert found.per_minute == pytest.approx(20 * 60 / 11.4, abs=0.1)
    assert figures(slow, asked=10).up_to_speed_per_minute is None


def test_nothing_answered_has_no_figures_but_its_errors() -> None:
    found = figures([], asked=5, errors=5, refused=2, note="why")
    assert (found.answered, found.errors, found.refused, found.note) == (0, 5, 2, "why")
    assert found.per_minute is found.end_to_end is found.micros_per_thousand is None


def test_a_ratio_needs_both_roads() -> None:
    assert ratio(10, 4) == 2.5
    assert ratio(None, 4) is ratio(10, None) is ratio(10, 0) is None
