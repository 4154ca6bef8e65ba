"""Breaking runs of text into lines."""

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.style import Style

from holychat.tui.markdown.lines import is_simple, wrap

PLAIN, BOLD = Style(), Style(bold=True)
TEXT = st.text(alphabet=st.sampled_from("ab 漢字、。é e\u0301👩\u200d💻ệ-—…\u00a0x"), max_size=120)


def test_words_are_kept_whole_and_spaces_at_breaks_vanish():
    lines = wrap([("hello world this is ", PLAIN), ("bold", BOLD), (" text", PLAIN)], 12)
    assert [line.text for line in lines] == ["hello world", "this is bold", "text"]
    assert [line.joint for line in lines] == [" ", " ", None]


def test_a_word_wider_than_a_line_is_folded_without_losing_a_character():
    lines = wrap([("x" * 25, PLAIN)], 10)
    assert [line.text for line in lines] == ["x" * 10, "x" * 10, "x" * 5]
    assert "".join(line.text for line in lines) == "x" * 25


def test_chinese_breaks_between_characters_but_not_before_closing_punctuation():
    lines = wrap([("今天天气很好，我们去公园散步。", PLAIN)], 12)
    assert all(line.cells <= 12 for line in lines)
    assert not any(line.text.startswith(("，", "。")) for line in lines)
    assert "".join(line.text for line in lines) == "今天天气很好，我们去公园散步。"


def test_styles_stay_with_their_characters_across_breaks():
    lines = wrap([("aaa ", PLAIN), ("bbb ccc", BOLD)], 7)
    styled = [(segment.text, segment.style) for line in lines for segment in line.segments]
    assert styled == [("aaa ", PLAIN), ("bbb", BOLD), ("ccc", BOLD)]


def test_a_line_feed_ends_a_line_for_good():
    lines = wrap([("one\ntwo", PLAIN)], 20)
    assert [(line.text, line.joint) for line in lines] == [("one", None), ("two", None)]


@given(TEXT, st.integers(min_value=2, max_value=40))
def test_joining_the_lines_gives_the_text_back_and_no_line_is_too_wide(text, width):
    lines = wrap([(text, PLAIN)], width)
    joined = "".join(line.text + ("" if line.joint is None else line.joint) for line in lines)
    assert joined.replace(" ", "") == text.replace(" ", "")
    for line in lines:
        assert line.cells == cell_len(line.text)
        # A cluster that is wider than the line can not be made narrower.
        assert line.cells <= max(width, 4) or " " in line.text.rstrip(" ") or len(line.text) <= 6


def test_simple_text_is_exactly_the_text_whose_length_is_its_width():
    for code in range(0x20, 0x10000):
        character = chr(code)
        if not 0xD800 <= code < 0xE000 and is_simple(character):
            assert cell_len(character) == 1, hex(code)
