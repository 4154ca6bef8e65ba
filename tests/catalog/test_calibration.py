"""Token estimates that learn from what providers report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.catalog.calibration import TokenEstimator, calibration_key
from holychat.domain.calibration import Calibration, Sample
from holychat.domain.chat import Role
from holychat.domain.request import PromptMessage

SAMPLES = st.lists(st.tuples(st.integers(50, 10**6), st.integers(1, 10**7)), min_size=1, max_size=30)


def learned(*samples: tuple[int, int]) -> Calibration:
    calibration = Calibration()
    for counted, reported in samples:
        sample = Sample.of("m", counted, reported)
        assert sample is not None
        calibration = calibration.learn(sample)
    return calibration


@given(SAMPLES)
def test_a_ratio_stays_within_its_bounds_and_an_error_is_a_share(samples: list[tuple[int, int]]) -> None:
    calibration = learned(*samples)
    assert 0.5 <= calibration.ratio <= 2.0
    assert 0.0 <= calibration.error <= 1.0
    assert calibration.samples == len(samples)


@given(st.floats(0.6, 1.9), st.integers(50, 100_000))
def test_a_model_that_always_counts_alike_is_learned_at_once(ratio: float, counted: int) -> None:
    reported = round(counted * ratio)
    calibration = learned((counted, reported))
    assert calibration.ratio == pytest.approx(reported / counted)
    assert learned(*[(counted, reported)] * 30).error < 0.01


def test_one_odd_prompt_moves_what_was_learned_by_a_fifth_of_the_way() -> None:
    assert learned((100, 100), (100, 200)).ratio == pytest.approx(1.2)


def test_a_short_prompt_teaches_nothing() -> None:
    assert Sample.of("m", 49, 49) is None
    assert Sample.of("m", 50, 0) is None


def test_estimates_follow_the_model_they_are_for_and_no_other() -> None:
    estimator = TokenEstimator()
    text = "word " * 80
    plain = estimator.text(text, "gpt-4.1")
    estimator.learned(calibration_key("gpt-4.1"), Calibration(1.5, 0.1, 3))
    assert estimator.text(text, "openai/gpt-4.1-2025-04-14") == plain * 1.5
    assert estimator.text(text, "gpt-4o") == estimator.text(text) == plain
    assert estimator.text("", "gpt-4.1") == 0


def test_a_prompt_counts_what_the_chat_format_adds_to_each_message() -> None:
    messages = [PromptMessage(Role.SYSTEM, "a"), PromptMessage(Role.USER, "")]
    assert TokenEstimator().prompt(messages) == 1 + 2 * 4


@pytest.mark.parametrize(
    ("model", "key"),
    [("GPT-4.1", "gpt-4.1"), ("claude-sonnet-4-5-20250929", "claude-sonnet-4.5"), ("llama3:8b", "llama3:8b")],
)
def test_names_of_one_model_share_a_calibration(model: str, key: str) -> None:
    assert calibration_key(model) == key
