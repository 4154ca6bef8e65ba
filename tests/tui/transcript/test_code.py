"""Highlighting of code that grows."""

import random

import pytest
from pygments.lexers import get_lexer_by_name

from holychat.tui.markdown.code import Highlighter
from holychat.tui.markdown.look import Look

SAMPLES = {
    "python": (
        'class A:\n    """doc\n    string"""\n    def f(self, x):\n        return f"{x!r}"  # note\n\n'
        "@d\nasync def g(): ...\n"
    ),
    "javascript": "const a = `t ${x + 1}\nmore`;\nfunction f(x) { return /re+/g.test(x) ? 1 : 'two'; }\n// note\n",
    "rust": 'fn main() {\n    let v: Vec<&str> = vec!["a"];\n    println!("{}", v[0]);\n}\n',
    "bash": "for f in *.txt; do\n  echo \"$f\" | sed 's/a/b/'\ndone\n",
    "json": '{"a": [1, 2.5, null],\n "b": {"c": "d\\n"}}\n',
    "sql": "SELECT a, count(*) FROM t -- note\nWHERE b = 'x' GROUP BY a;\n",
    "html": "<div class='x'>\n  <b>text</b> &amp;\n</div>\n",
    "c": '#include <stdio.h>\nint main(void) {\n    printf("x\\n");\n    return 0;\n}\n',
    "yaml": "a:\n  - b: 1\n    c: [x, y]\n# note\nd: |\n  text\n  more\n",
    "diff": "--- a\n+++ b\n@@ -1 +1 @@\n-old\n+new\n",
}


def flat(rows) -> list[tuple[str, object]]:
    return [(character, style) for row in rows for text, style in [*row, ("\n", None)] for character in text]


@pytest.mark.parametrize("language", SAMPLES)
def test_line_by_line_gives_the_same_colours_as_the_whole(language):
    look, source = Look(), SAMPLES[language].rstrip("\n")
    whole = Highlighter(language, look).lines(source)
    grown, highlighter = [], Highlighter(language, look)
    for line in source.split("\n"):
        grown += highlighter.lines(line)
    assert "\n".join("".join(text for text, _ in row) for row in grown) == source
    if not highlighter.uncertain:
        assert flat(grown) == flat(whole)


def test_common_languages_can_go_on_line_by_line():
    look = Look()
    certain = {language for language in SAMPLES if not Highlighter(language, look).uncertain}
    assert certain >= {"python", "javascript", "rust", "bash", "sql", "diff"}


@pytest.mark.parametrize("language", SAMPLES)
def test_the_state_machine_agrees_with_pygments_own(language):
    look, source = Look(), SAMPLES[language]
    lexer = get_lexer_by_name(language, stripnl=False, ensurenl=False)
    expected = [
        (character, look.token(token_type))
        for _, token_type, value in lexer.get_tokens_unprocessed(source)
        for character in value
        if character != "\n"
    ]
    rows = Highlighter(language, look).lines(source.rstrip("\n"))
    assert [pair for pair in flat(rows) if pair[0] != "\n"] == expected


@pytest.mark.parametrize("language", ["", "text", "no-such-language", "{.unknown}"])
def test_unknown_languages_are_plain(language):
    rows = Highlighter(language, Look()).lines("a = 1\nb")
    assert [[text for text, _ in row] for row in rows] == [["a = 1"], ["b"]]


def test_a_copy_goes_on_without_touching_the_original():
    look = Look()
    highlighter = Highlighter("python", look)
    highlighter.lines('"""open')
    twin = highlighter.copy()
    twin.lines('closed"""')
    (row,) = highlighter.lines("still a string")
    assert {style for _, style in row} == {look.style("string", "code")}


def test_random_bytes_never_stop_the_highlighter():
    sizes = random.Random(7)
    for language in SAMPLES:
        source = "".join(sizes.choice("\"'`{}()<>/*#\\ \nab1é漢\t$") for _ in range(400))
        rows = Highlighter(language, Look()).lines(source)
        assert "\n".join("".join(text for text, _ in row) for row in rows) == source


def test_constructs_that_span_lines_are_reported_as_uncertain():
    highlighter = Highlighter("rust", Look())
    highlighter.lines("let a;")
    assert not highlighter.uncertain
    highlighter.lines("/* begins")
    assert highlighter.uncertain
