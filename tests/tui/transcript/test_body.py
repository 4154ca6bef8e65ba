"""Markdown that arrives in pieces looks, in the end, like Markdown that was there from the start."""

import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holychat.tui.markdown.block import CodeBlock, ListBlock, ParagraphBlock
from holychat.tui.markdown.body import MarkdownBody
from holychat.tui.markdown.look import Look

LOOK = Look()

DOCUMENT = """\
# A title

Some **bold** and *slanted* text with `code`, https://example.com/x, Vec<T> and `Vec<T>`.
A second line of the same paragraph.

- one
- two
  - nested **deep**

    and a paragraph
- three

1. first

2. second

> a quotation
> of two lines

| name | size |
|:-----|-----:|
| a    |    1 |
| b    | long cell |

```python title="x"
def f(x):
    \"\"\"doc\"\"\"
    return x + 1  # comment
```

~~~c
/* a comment
   of two lines */
int main(void) { return 0; }
~~~

Setext
------

    indented
    code

See [the link] and [another][the link].

[the link]: https://example.com/reference

---

Tiếng Việt có dấu. 中文也可以，没有问题。
"""


def texts(body: MarkdownBody, width: int = 60) -> list[str]:
    rows: list[str] = []
    for block in body.blocks:
        lines = [line.text.rstrip() for line in block.lines(width, LOOK)]
        if lines:
            rows += ["", *lines] if rows else lines
    return rows


def styles(body: MarkdownBody, width: int = 60) -> list[tuple[str, object]]:
    rows = []
    for block in body.blocks:
        for line in block.lines(width, LOOK):
            rows += [(character, segment.style) for segment in line.segments for character in segment.text]
    return rows


def streamed(source: str, sizes: random.Random, *, paint: bool = True) -> MarkdownBody:
    body, position = MarkdownBody(), 0
    while position < len(source):
        size = sizes.choice([1, 2, 3, 7, 40, 400])
        body.feed(source[position : position + size])
        position += size
        while body.advance():
            pass
        if paint and sizes.random() < 0.3:
            texts(body)
    body.finish()
    return body


@pytest.mark.parametrize("seed", range(40))
def test_a_streamed_document_ends_like_the_whole_one(seed):
    body = streamed(DOCUMENT, random.Random(seed))
    whole = MarkdownBody.of(DOCUMENT)
    assert texts(body) == texts(whole)
    assert styles(body) == styles(whole)


def test_every_split_in_two_ends_like_the_whole():
    expected = texts(MarkdownBody.of(DOCUMENT))
    for cut in range(len(DOCUMENT)):
        body = MarkdownBody()
        for piece in (DOCUMENT[:cut], DOCUMENT[cut:]):
            body.feed(piece)
            body.advance()
            texts(body)
        body.finish()
        assert texts(body) == expected, cut


FRAGMENTS = ["# Head\n", "Title\n===\n", "plain **bold** `code`", "\n", "\n\n", "- item\n", "  - nested\n", "1. one\n"]
FRAGMENTS += [
    "> quote\n",
    "```py\nx = 1\n```\n",
    "```\nopen\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "---\n",
    "    in\n",
]
FRAGMENTS += [
    "[l](http://x.y) ",
    "[r][1] ",
    "\n[1]: http://a.b\n",
    "***",
    "`",
    "x<y> ",
    "\\",
    "日本語。",
    "word " * 60,
    "\t",
]


@settings(max_examples=150)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14), st.integers(0, 1000))
def test_no_word_is_lost_however_odd_the_markdown(fragments, seed):
    source = "".join(fragments)
    shown = "".join(texts(streamed(source, random.Random(seed)), 200))
    for word in ("plain", "item", "nested", "quote", "日本語", "open"):
        assert shown.count(word) == source.count(word)


@pytest.mark.parametrize("text", ["*(two of six)*", "**[bold]** rest", "_«quoted»_ rest", "`code` first"])
def test_emphasis_may_begin_a_paragraph_and_a_piece(text):
    long = "A sentence that is long enough, and then more. " * 30
    for source in (text, long + text):
        shown = "".join(texts(MarkdownBody.of(source), 4000))
        assert not set("*_`") & set(shown)


def test_html_like_text_is_shown_and_not_swallowed():
    source = "Use Vec<T>, <script>x</script> and\n\n<details>\nhidden\n</details>\n\n<!-- comment -->\n"
    shown = " ".join(texts(MarkdownBody.of(source)))
    for expected in ("Vec<T>", "<script>x</script>", "<details>", "hidden", "<!-- comment -->"):
        assert expected in shown


def test_link_definitions_stay_visible_and_resolve_backwards():
    body = streamed("see [x] now\n\n[x]: https://a.b/c\n", random.Random(1))
    assert texts(body) == ["see x now", "", "[x]: https://a.b/c"]
    metas = [segment.style.meta for line in body.blocks[0].lines(60, LOOK) for segment in line.segments]
    assert {"href": "https://a.b/c"} in metas


def test_entities_for_bidi_and_control_characters_do_not_reach_the_lines():
    shown = " ".join(texts(MarkdownBody.of("a &#x202E;b &#27;[31m `\x1b]52;c` c\x1b[2J\n")))
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)


def test_unicode_line_separators_do_not_move_text():
    source = "first\u2028second\n\n```\ncode\u2029line\n```\n\nend\n"
    assert texts(streamed(source, random.Random(3))) == texts(MarkdownBody.of(source))


def test_absurd_nesting_is_shown_as_it_is():
    source = "> " * 60 + "deep\n\nafter\n"
    shown = " ".join(texts(MarkdownBody.of(source), 300))
    assert "deep" in shown
    assert "after" in shown


# --- bounded work --------------------------------------------------------------------------------------------------


class Counting(Look):
    """A look that counts how often inline styles are asked for: a measure of work that needs no clock."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def inline(self, flags: int, background: str = "background"):
        self.asked += 1
        return super().inline(flags, background)

    def token(self, token_type: object):
        self.asked += 1
        return super().token(token_type)


def work_for(source: str) -> float:
    look, body = Counting(), MarkdownBody()
    for position in range(0, len(source), 100):
        body.feed(source[position : position + 100])
        body.advance()
        for block in body.blocks[-2:]:
            block.lines(80, look)
    body.finish()
    return look.asked / len(source)


@pytest.mark.parametrize(
    "unit",
    [
        "The **quick** brown fox jumps over `it`, then rests. ",
        "- an *item* of a list\n",
        "今天天气**很好**，我们去散步。",
    ],
    ids=["paragraph", "list", "chinese"],
)
def test_work_for_each_character_does_not_grow_with_the_length(unit):
    short, long = (work_for(unit * (size // len(unit))) for size in (20_000, 80_000))
    assert long < 1.3 * short


def test_work_for_each_character_of_an_open_code_block_does_not_grow_with_its_length():
    lines = "".join(f"value_{number} = compute({number}, 'text')  # note\n" for number in range(2000))
    short, long = (work_for("```python\n" + lines[:size]) for size in (20_000, 80_000))
    assert long < 1.3 * short


def test_only_the_last_block_can_still_change():
    body = MarkdownBody()
    body.feed("para one\n\n- a\n- b\n\npara ")
    body.advance()
    first, second, third = body.blocks
    assert isinstance(first, ParagraphBlock)
    assert isinstance(second, ListBlock)
    assert not first.tail
    assert not second.tail
    assert third.tail == "para "


def test_a_code_block_keeps_its_source_for_copying():
    body = streamed(DOCUMENT, random.Random(5))
    first = next(block for block in body.blocks if isinstance(block, CodeBlock))
    assert first.source == 'def f(x):\n    """doc"""\n    return x + 1  # comment'
