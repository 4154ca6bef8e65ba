"""Cutting long texts into parts, and the tree that merges their results."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.catalog.tokens import estimate_tokens
from holychat.jobs.split import SMALLEST_BUDGET, TreeNode, fan_in, plan, room_for_text, tree

WORDS = st.sampled_from([
    "word ", "Sentence ends. ", "\n", "\n\n", "# Heading\n", "## Sub\n", "Chapter 3\n", "中文句子。", "ประโยค",
    "Привет, мир! ",
    "👩‍👩‍👧", "e\u0301", "\r\n", "x" * 50, "Dr. ", "한국어 문장이다. ", "تجربة؟ ", "    indented\n", "```\n", "हिन्दी। ",
])  # fmt: skip
TEXTS = st.one_of(st.text(max_size=400), st.lists(WORDS, max_size=300).map("".join))


def pieces(text: str, budget: int) -> list[str]:
    return [text[span.start : span.end] for span in plan(text, budget)]


@given(TEXTS, st.integers(SMALLEST_BUDGET, 400))
def test_the_parts_are_the_text_and_each_fits(text: str, budget: int) -> None:
    parts = pieces(text, budget)
    assert "".join(parts) == text
    assert all(part and estimate_tokens(part) <= budget for part in parts)
    if text and estimate_tokens(text) <= budget:
        assert len(parts) == 1


def test_nothing_is_cut_where_everything_fits() -> None:
    assert pieces("", 100) == []
    assert pieces("One.\n\nTwo.", 100) == ["One.\n\nTwo."]
    with pytest.raises(ValueError, match="at least"):
        plan("text", SMALLEST_BUDGET - 1)


SENTENCE = "The quick brown fox jumps over the lazy dog near the river. "


def test_a_heading_is_the_best_place_and_a_higher_one_the_better() -> None:
    section = f"### Small\n{SENTENCE * 8}\n\n"
    text = f"# One\n\n{section * 3}# Two\n\n{section * 3}"
    parts = pieces(text, estimate_tokens(text) * 2 // 3)
    assert [part[:5] for part in parts] == ["# One", "# Two"]


def test_without_headings_paragraphs_are_kept_whole_then_sentences() -> None:
    text = (SENTENCE * 5 + "\n\n") * 6
    assert all(part.endswith("\n\n") for part in pieces(text, estimate_tokens(text) // 3))
    text = SENTENCE * 40
    assert all(part.endswith("river. ") for part in pieces(text, estimate_tokens(text) // 3))


@pytest.mark.parametrize(
    "sentence", ["这是一个很长的句子而且没有空格。", "これは日本語の文です。", "यह एक वाक्य है। ", "هل هذا سؤال؟ "]
)
def test_sentences_end_in_every_script(sentence: str) -> None:
    parts = pieces(sentence * 60, 200)
    assert len(parts) > 1
    assert all(part.rstrip().endswith(sentence.strip()[-1]) for part in parts)


def test_an_abbreviation_ends_no_sentence() -> None:
    text = ("He met Dr. Smith and Mr. Jones there. " * 30).strip()
    assert all(not part.rstrip().endswith(("Dr.", "Mr.")) for part in pieces(text, 100))


def test_marks_stay_with_their_letters_where_there_is_no_better_place() -> None:
    for letter in ("e\u0301", "👩\u200d👧", "\r\n"):
        parts = pieces(letter * 300, 50)
        assert all(len(part) % len(letter) == 0 for part in parts)


def test_parts_are_about_equally_long() -> None:
    text = (SENTENCE * 3 + "\n\n") * 70
    budget = estimate_tokens(text) * 10 // 41
    sizes = [estimate_tokens(part) for part in pieces(text, budget)]
    assert len(sizes) == 5
    assert min(sizes) > 0.7 * max(sizes)


@pytest.mark.parametrize(
    "piece",
    [SENTENCE, SENTENCE * 9 + "\n\n", "x" * 97, "\n", "a. ", " \n", "= ", "中文没有空格的长句子。", "-" * 9 + "\n"],
)
def test_megabytes_are_cut_in_seconds(piece: str) -> None:
    # Ten of prose; what no place to cut is found in takes time with the square of a part at worst, never of the text.
    size = 10_000_000 if piece == SENTENCE else 3_000_000
    text = piece * (size // len(piece.encode()))
    began = time.process_time()
    assert plan(text, 6000)
    assert time.process_time() - began < 10


def leaves(node: TreeNode) -> list[int]:
    return [node.first] if not node.children else [leaf for child in node.children for leaf in leaves(child)]


def nodes(node: TreeNode) -> list[TreeNode]:
    return [node, *(below for child in node.children for below in nodes(child))]


@given(st.integers(1, 2000), st.integers(2, 40))
def test_a_tree_has_every_part_once_in_order_and_no_node_with_too_many(parts: int, most: int) -> None:
    root = tree(parts, most)
    assert leaves(root) == list(range(parts))
    for node in nodes(root):
        assert len(node.children) <= most
        assert (node.level == 0) == (not node.children)
        assert all(child.level < node.level for child in node.children)
        if node.children:
            assert (node.first, node.last) == (node.children[0].first, node.children[-1].last)
    levels, reach = root.level, most
    while levels > 1:
        levels, reach = levels - 1, reach * most
    assert parts > reach // most or root.level == 1  # no level more than needed


def test_a_tree_of_nothing_or_of_single_children_is_refused() -> None:
    for parts, most in ((0, 2), (3, 1)):
        with pytest.raises(ValueError, match="tree"):
            tree(parts, most)


def test_room_and_fan_in_follow_from_the_window() -> None:
    assert room_for_text(8192, 192, 2000) == 5400
    assert room_for_text(100, 90, 50) == SMALLEST_BUDGET
    assert fan_in(5400, 800) == 6
    assert (fan_in(100, 800), fan_in(10**6, 10)) == (2, 32)
