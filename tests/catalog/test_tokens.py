"""Token estimates, against counts made with the o200k vocabulary."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.catalog.tokens import estimate_tokens


def test_nothing_is_no_token_and_anything_is_at_least_one() -> None:
    assert estimate_tokens("") == 0
    assert estimate_tokens(" ") == 1
    assert estimate_tokens("a") == 1


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("The quick brown fox jumps over the lazy dog. " * 20, 180, 260),
        ("今天天气很好，我们一起去公园散步吧。" * 20, 220, 320),
        ("Быстрая коричневая лиса прыгает через ленивую собаку. " * 20, 260, 400),
        ("Hôm nay trời đẹp, chúng ta cùng đi dạo công viên nhé. " * 20, 240, 400),
        ("🙂" * 20, 20, 60),
    ],
    ids=["English", "Chinese", "Russian", "Vietnamese", "pictures"],
)
def test_each_script_is_counted_its_own_way(text: str, least: int, most: int) -> None:
    assert least <= estimate_tokens(text) <= most


@given(st.text(), st.text())
def test_more_text_is_never_fewer_tokens(first: str, second: str) -> None:
    both = estimate_tokens(first + second)
    assert max(estimate_tokens(first), estimate_tokens(second)) <= both
    assert both <= estimate_tokens(first) + estimate_tokens(second)


def test_a_long_text_is_counted_in_no_time() -> None:
    text = "Tiếng Việt và 中文 and English. " * 40_000
    started = time.perf_counter()
    estimate_tokens(text)
    assert time.perf_counter() - started < 1
