"""Where sentences end, in many scripts, and what is none."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.providers.offline.sentences import LONGEST, split_lines, split_sentences


def texts(source: str) -> list[str]:
    return [sentence.text for sentence in split_sentences(source)]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("One. Two! Three? Four…", ["One.", "Two!", "Three?", "Four…"]),
        ("Dr. Smith met J. K. Rowling. She smiled.", ["Dr. Smith met J. K. Rowling.", "She smiled."]),
        ("Pi is 3.14159. Version 2.0 is out.", ["Pi is 3.14159.", "Version 2.0 is out."]),
        ("It works, e.g. Like this. See Fig. 3 and No. 7.", ["It works, e.g. Like this.", "See Fig. 3 and No. 7."]),
        ("I said no. Then I left.", ["I said no.", "Then I left."]),
        ("He lives in the U.S. The U.S. Army is there.", ["He lives in the U.S.", "The U.S. Army is there."]),
        ("Bread, milk, etc. We went home.", ["Bread, milk, etc.", "We went home."]),
        ('"Why?" he asked. "No!" She left.', ['"Why?" he asked.', '"No!"', "She left."]),
        ("Look at example.com/a.b today. Fine.", ["Look at example.com/a.b today.", "Fine."]),
        ("Wait... what? Wait... What?", ["Wait... what?", "Wait...", "What?"]),
        ("Call `foo. Bar` now. Done.", ["Call `foo. Bar` now.", "Done."]),
        ("**Bold end.** Next one.", ["**Bold end.**", "Next one."]),
        ("Am 3. Mai kam z.B. Otto. Er blieb.", ["Am 3. Mai kam z.B. Otto.", "Er blieb."]),
        (
            "TS. Nguyễn Văn A nói TP. Hồ Chí Minh có 9,5 triệu dân. Giá là 3.500 đồng. Ông ấy đi rồi!",
            ["TS. Nguyễn Văn A nói TP. Hồ Chí Minh có 9,5 triệu dân.", "Giá là 3.500 đồng.", "Ông ấy đi rồi!"],
        ),
        (
            "他说：“今天很好。”然后走了。价格是3.14元！真的吗？是的……好。",
            ["他说：“今天很好。”", "然后走了。", "价格是3.14元！", "真的吗？", "是的……", "好。"],
        ),
        ("これは文です。これも文です。", ["これは文です。", "これも文です。"]),
        ("यह एक वाक्य है। यह दूसरा है।", ["यह एक वाक्य है।", "यह दूसरा है।"]),
        ("هل هذا صحيح؟ نعم.", ["هل هذا صحيح؟", "نعم."]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(source: str, expected: list[str]) -> None:
    assert texts(source) == expected


def test_markdown_that_is_no_prose_gives_no_sentences() -> None:
    source = """---
title: Front matter. Not prose.
---
# A heading. Really.

Prose one,
over two lines. Prose two.

```python
x = "Code. Not prose."
```

| a table. | is not |
| --- | --- |
| Prose. | Either. |

<!-- A comment. -->
<div align="center">
[![Badge. One.](https://x.example/b.svg)](https://x.example)
[reference]: https://x.example/a

- Item one. Item two.
- [x] Item three.
1. Item four.
> Quoted one. Quoted two.

Setext heading. Here
--------------------
Last.
"""
    assert texts(source) == [
        "Prose one,\nover two lines.", "Prose two.", "Item one.", "Item two.", "Item three.", "Item four.",
        "Quoted one.", "Quoted two.", "Last.",
    ]  # fmt: skip


def test_a_sentence_knows_the_heading_above_it() -> None:
    first, second, third = split_sentences("Before.\n\n## Keys\n\nOne. Two.")
    assert (first.title, second.title, third.title) == ("", "Keys", "Keys")
    assert (second.leads, third.leads) == (True, False)


def test_a_line_of_a_paragraph_may_begin_with_a_year() -> None:
    assert texts("It was in the summer of\n2024. Then it rained.") == [
        "It was in the summer of\n2024.",
        "Then it rained.",
    ]


def test_text_without_punctuation_is_cut_at_spaces() -> None:
    pieces = texts("word " * 1000)
    assert len(pieces) > 5
    assert all(len(piece) <= LONGEST and not piece.startswith("ord") for piece in pieces)


@given(st.text())
def test_every_sentence_is_a_slice_of_its_source_in_order(source: str) -> None:
    for found in (split_sentences(source), split_lines(source)):
        place = 0
        for sentence in found:
            assert source[sentence.start : sentence.end] == sentence.text == sentence.text.strip() != ""
            assert sentence.start >= place
            place = sentence.end


@given(
    st.lists(
        st.sampled_from(["# ", "\n", "\n\n", "- ", "> ", "```", "| ", "1. ", "a", ".", "。", " ", "`", "<!--", "---"])
    )
)
def test_markup_in_any_order_never_breaks_it(pieces: list[str]) -> None:
    source = "".join(pieces)
    assert all(sentence.text in source for sentence in split_sentences(source))


ENDLESS = {
    "dots": "." * 300_000 + "x",
    "ticks": "`" * 300_000,
    "code": "`a" * 150_000,
    "spaces": " " * 300_000 + "x",
    "quotes": '."' * 150_000,
    "quotations": "> " * 150_000,
    "brackets": "[" * 300_000,
    "tags": "<a" * 150_000,
    "numbers": "1. A " * 60_000,
    "marks": "# " + " #" * 150_000 + "x",
    "ellipsis": "…" * 300_000,
    "front matter": "---\n" + "a\n" * 150_000,
}


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS.keys())
def test_no_text_takes_more_than_linear_time(source: str) -> None:
    started = time.perf_counter()
    split_sentences(source)
    split_lines(source)
    assert time.perf_counter() - started < 8
