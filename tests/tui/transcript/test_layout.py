"""What Markdown constructs look like."""

from rich.cells import cell_len

from holychat.tui.markdown.body import MarkdownBody
from holychat.tui.markdown.look import Look
from holychat.tui.markdown.table import fit_columns

LOOK = Look()


def rows(source: str, width: int = 40) -> list[str]:
    return [line.text.rstrip() for block in MarkdownBody.of(source).blocks for line in block.lines(width, LOOK)]


def test_headings_have_a_rule_as_long_as_their_text():
    assert rows("# Title\n") == ["Title", "━━━━━"]
    assert rows("## Title\n") == ["Title", "─────"]
    assert rows("### Title\n") == ["Title"]


def test_lists_hang_and_nest():
    assert rows("- one that is long enough to wrap\n- two\n  - deep\n", 20) == [
        "• one that is long",
        "  enough to wrap",
        "• two",
        "  ◦ deep",
    ]


def test_loose_items_are_set_apart():
    assert rows("1. a\n\n2. b\n") == ["1. a", "", "2. b"]


def test_numbers_count_on_from_the_first_item():
    assert rows("3. a\n3. b\n3. c\n") == ["3. a", "4. b", "5. c"]


def test_quotations_carry_a_bar():
    assert rows("> text\n>\n> more\n") == ["▌ text", "▌", "▌ more"] or rows("> text\n>\n> more\n") == [
        "▌ text",
        "▌ ".rstrip(),
        "▌ more",
    ]


def test_tables_align_their_columns():
    assert rows("| a | n |\n|---|--:|\n| long one | 1 |\n| b | 22 |\n") == [
        "a        │  n",
        "─────────┼───",
        "long one │  1",
        "b        │ 22",
    ]


def test_a_table_that_does_not_fit_wraps_its_cells():
    source = "| a | b |\n|---|---|\n| " + "word " * 12 + "| x |\n"
    table = rows(source, 30)
    assert max(map(cell_len, table)) <= 30
    assert sum(row.count("word") for row in table) == 12


def test_narrow_columns_keep_their_width_and_wide_ones_share_the_rest():
    assert fit_columns([3, 50, 50], 43) == [3, 20, 20]
    assert fit_columns([3, 5], 40) == [3, 5]


def test_a_word_is_folded_only_where_no_column_can_give_way():
    assert fit_columns([3, 50, 22], 45, [3, 9, 22]) == [3, 20, 22]
    assert fit_columns([30, 50, 22], 43, [9, 9, 21]) == [11, 11, 21]
    assert fit_columns([20, 20], 21, [12, 20]) == [10, 11], "there is no room for both"
    assert fit_columns([90, 200], 60, [9, 200]) == [30, 30], "half of it is enough for one word"
    assert fit_columns([3, 22, 22], 24, [3, 22, 22]) == [3, 10, 11], "short words are whole where long ones are not"
    told = "says what it does in a few words"
    assert rows(f"| `a` | b |\n|---|---|\n| `composer.messages` | {told} |\n| **in bo**ld | 漢字漢字 |\n", 38)[2:] == [
        "composer.messages │ says what it does",
        "                  │ in a few words",
        "in bold           │ 漢字漢字",
    ]


def test_a_table_with_a_row_that_is_too_short_or_too_long_does_not_break():
    assert rows("| a | b |\n|---|---|\n| 1 |\n| 1 | 2 | 3 |\n")[2:] == ["1 │", "1 │ 2"]


def test_code_keeps_every_space_and_is_folded_at_the_width():
    source = "```\na  b   " + "x" * 40 + "\n```\n"
    code = [line for block in MarkdownBody.of(source).blocks for line in block.lines(30, LOOK)][1:]
    assert all(line.cells == 30 for line in code)
    assert "".join(line.text[1:].rstrip() if line.joint is None else line.text[1:29] for line in code) == (
        "a  b   " + "x" * 40
    )


def test_tabs_in_code_stand_on_tab_stops():
    assert rows("```\n\tx\n a\tb\n```\n")[1:] == ["     x", "  a  b"]


def test_images_are_named_not_fetched():
    assert rows("![a cat](http://x.y/cat.png)\n") == ["[image: a cat]"]


def test_every_line_fits_the_width_down_to_very_narrow_panes():
    source = (
        "# Head\n\n- item **bold** text\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n> quote\n\n```py\nx = 1\n```\n\n漢字\n"
    )
    for width in range(8, 60):
        for block in MarkdownBody.of(source).blocks:
            for line in block.lines(width, LOOK):
                assert line.cells == cell_len(line.text)
                assert line.cells <= max(width, 12), (width, line)
