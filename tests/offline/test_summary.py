"""Summaries: verbatim, in order, of the length asked for, in any script."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holychat.providers.offline.summary import Length, asked_length, find_answer, summarise

ROOT = Path(__file__).resolve().parents[2]

VIETNAMESE = """Hà Nội là thủ đô của Việt Nam và là trung tâm chính trị, văn hóa của cả nước. Thành phố nằm bên bờ
sông Hồng, giữa đồng bằng Bắc Bộ trù phú. Mùa hè ở đây nóng và ẩm. Mùa đông thì lạnh và có mưa phùn.
Năm 2010, Hà Nội kỷ niệm 1.000 năm Thăng Long. Hôm nay trời đẹp. Phố cổ Hà Nội có 36 phố phường, mỗi
phố một nghề. Du khách đến Hà Nội thường thăm Hồ Gươm, Văn Miếu và phố cổ. Tôi thích ăn phở."""

CHINESE = (
    "北京是中华人民共和国的首都，也是全国的政治和文化中心。这座城市有三千多年的历史。今天天气很好。故宫位于北京的中心，"
    "是明清两代的皇家宫殿。每年有上千万游客参观故宫。我喜欢喝茶。长城是北京附近最有名的古迹。北京的夏天炎热，冬天寒冷。"
    "“你好！”他说。北京大学和清华大学都在北京。"
)

ENGLISH = """Solar panels turn sunlight into electricity. A panel is made of many cells of silicon. Light knocks
electrons loose in the silicon, and a current flows. My neighbour has a red car. Panels work best in
direct sunlight, but they also make electricity on cloudy days. Solar panels turn sunlight into
electricity! A battery stores the electricity of the panels for the night. Prices of solar panels
fell by ninety percent in ten years. It was a nice day. Many countries pay owners of panels for the
electricity they feed into the grid."""


@pytest.mark.parametrize("source", [ENGLISH, VIETNAMESE, CHINESE], ids=["English", "Vietnamese", "Chinese"])
def test_a_summary_quotes_what_the_text_is_about(source: str) -> None:
    extract = summarise(source, Length(sentences=3))
    assert len(extract.sentences) == 3
    assert extract.sentences[0].start == 0
    chosen = " ".join(sentence.text for sentence in extract.sentences)
    for aside in ("red car", "nice day", "trời đẹp", "ăn phở", "喝茶", "天气", "你好"):
        assert aside not in chosen


def test_nothing_is_said_twice() -> None:
    chosen = [sentence.text for sentence in summarise(ENGLISH, Length(sentences=50)).sentences]
    assert sum("turn sunlight into electricity" in text for text in chosen) == 1


@given(st.text(), st.integers(1, 12))
@settings(max_examples=200)
def test_any_text_is_summarised_verbatim_in_order_and_within_the_number_asked_for(source: str, number: int) -> None:
    extract = summarise(source, Length(sentences=number))
    assert len(extract.sentences) <= min(number, extract.total)
    assert bool(extract.sentences) == bool(source.strip())
    starts = [sentence.start for sentence in extract.sentences]
    assert starts == sorted(set(starts))
    assert all(sentence.text in source for sentence in extract.sentences)


SCRIPTS = [
    "The cat sat on the mat", "Con mèo ngồi trên thảm", "猫坐在垫子上", "Кошка сидит на коврике", "बिल्ली चटाई पर बैठी है",
    "القطة جالسة على السجادة", "고양이가 매트 위에 앉았다", "猫がマットの上に座った",
]  # fmt: skip
STOPS = [". ", "! ", "? ", "。", "！", "। ", "؟ ", ".\n\n"]


@given(
    st.lists(st.tuples(st.sampled_from(SCRIPTS), st.integers(0, 99), st.sampled_from(STOPS)), min_size=1, max_size=40)
)
def test_mixed_scripts_are_summarised_verbatim_and_in_order(parts: list[tuple[str, int, str]]) -> None:
    source = "".join(f"{words} {number}{stop}" for words, number, stop in parts)
    extract = summarise(source, Length(sentences=5))
    assert extract.sentences
    starts = [sentence.start for sentence in extract.sentences]
    assert starts == sorted(set(starts))
    assert all(source[sentence.start : sentence.end] == sentence.text for sentence in extract.sentences)


def test_the_same_text_gets_the_same_summary_in_every_process() -> None:
    program = f"""
from holychat.providers.offline.summary import Length, summarise
print([s.start for s in summarise({ENGLISH + CHINESE + VIETNAMESE!r}, Length()).sentences])
"""
    seen = set()
    for seed in ("0", "1", "2"):
        environ = {"PYTHONHASHSEED": seed, "PATH": "/usr/bin"}
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environ, cwd=ROOT
        )
        seen.add(done.stdout)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("request_text", "length"),
    [
        ("Summarise this", Length()),
        ("Summarise this in 3 sentences", Length(sentences=3)),
        ("Give me five key points", Length(sentences=5)),
        ("one-sentence summary in one sentence", Length(sentences=1)),
        ("Tóm tắt trong 3 câu", Length(sentences=3)),
        ("Tóm tắt bằng hai câu", Length(sentences=2)),
        ("用三句话总结", Length(sentences=3)),
        ("用5句话总结", Length(sentences=5)),
        ("in 100 words", Length(words=100)),
        ("a 50-word summary", Length(words=50)),
        ("shorter please", Length(scale=0.5)),
        ("tóm tắt ngắn gọn", Length(scale=0.5)),
        ("in detail", Length(scale=2.5)),
        ("详细总结", Length(scale=2.5)),
        ("in 0 sentences", Length(sentences=1)),
    ],
)
def test_the_length_asked_for_is_understood(request_text: str, length: Length) -> None:
    assert asked_length(request_text) == length


def test_short_is_shorter_and_detail_is_longer_than_usual() -> None:
    source = (ROOT / "README.md").read_text(encoding="utf-8")
    short, usual, long = (len(summarise(source, asked_length(how)).sentences) for how in ("short", "", "in detail"))
    assert short < usual < long


def test_a_number_of_words_is_kept_to() -> None:
    extract = summarise(ENGLISH, Length(words=30))
    assert 0 < sum(len(sentence.text.split()) for sentence in extract.sentences) <= 30


def test_a_text_without_sentences_is_summarised_by_lines() -> None:
    extract = summarise("| name | price |\n| --- | --- |\n| tea | 3 |\n", Length(sentences=2))
    assert not extract.prose
    assert len(extract.sentences) == 2


def test_the_sentences_that_match_a_question_are_found() -> None:
    found = find_answer(ENGLISH, "What stores electricity for the night?")
    assert any("battery" in sentence.text for sentence in found.sentences)
    assert find_answer(CHINESE, "故宫在哪里？").sentences[0].text.startswith("故宫位于北京的中心")
    assert find_answer(ENGLISH, "elephants").sentences == ()


def test_a_megabyte_is_summarised_in_a_few_seconds() -> None:
    words = (ENGLISH + VIETNAMESE).split()
    sentences = [
        " ".join(words[(7 * start) % 150 : (7 * start) % 150 + 12]) + f" {start}. Next" for start in range(14_000)
    ]
    source = " ".join(sentences)
    assert len(source) > 1_000_000
    started = time.perf_counter()
    summarise(source, Length())
    assert time.perf_counter() - started < 10
