"""No text that is not ours can be read as markup on the screen. What the check itself finds is shown first."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.support.markup_lint import findings

TUI = Path(__file__).resolve().parent.parent / "holychat" / "tui"


@pytest.mark.parametrize(
    "source",
    [
        "def f(title):\n    Static(title)",
        "def f(title):\n    Static(f'Chat {title}')",
        "def f(title):\n    Static('Chat ' + title)",
        "def f(title):\n    Static(title, markup=True)",
        "def f(title):\n    Label(content=title)",
        "def f(title):\n    Button(title, id='x')",
        "def f(names):\n    OptionList(*names)",
        "OptionList()",
        "class Names(OptionList): pass\nNames()",
        "class Line(Static): pass\nclass Short(Line): pass\ndef f(title):\n    Short(title)",
        "class Line(Static):\n    def __init__(self, title):\n        super().__init__(title)",
        "def f(box, title):\n    box.border_title = title",
        "def f(box, title):\n    box.tooltip = f'{title}'",
        "def f(title):\n    Input(tooltip=title)",
        "def f(self, title):\n    self.query_one('#x', Static).update(title)",
        "class Line(Static):\n    def f(self, title):\n        self.update(title)",
        "def f(table, row):\n    table.add_row(row)",
        "def f(title):\n    Static(Content.from_markup(title))",
        "def f(title):\n    line = title\n    Static(line)",
        "def f(title):\n    line = Content(title)\n    line = title\n    Static(line)",
        "def f(name):\n    SystemCommand(name, 'help', lambda: None)",
        "def f(title):\n    Tab(title)",
        "def f(entry):\n    Hit(0.5, entry.title, run)",
        "def f(entry):\n    DiscoveryHit(entry.title, run)",
    ],
)
def test_a_text_that_could_be_markup_is_found(source: str) -> None:
    assert findings([("some.py", ast.parse(source))]) != []


@pytest.mark.parametrize(
    "source",
    [
        "Static('[b]Welcome[/b]')",
        "def f(title):\n    Static(title, markup=False)",
        "def f(title):\n    Static(Content(title))",
        "def f(title):\n    Static(Content.styled(title, 'bold').truncate(20))",
        "def f(title):\n    line = Content(title)\n    Static(line)",
        "def f(title: Content | None):\n    Static(title)",
        "def line(x) -> Content: ...\ndef f(title):\n    Static(line(title))",
        "def f(names):\n    OptionList(*names, markup=False)",
        "def f(box, title):\n    box.border_title = Content(title) if title else None",
        "class Line(Static):\n    def __init__(self, title):\n        super().__init__(title, markup=False)",
        "def f():\n    for title, help_text in COMMANDS:\n        SystemCommand(title, f'{help_text}!', run)",
        "def f(entry):\n    Hit(0.5, Content(entry.title), run(entry), help='Open')",
        "def f(values, more):\n    values.update(more)",
        "def f(table, row):\n    table.add_row(Text(row), *[Text(cell) for cell in row])",
    ],
)
def test_safe_forms_pass(source: str) -> None:
    assert findings([("some.py", ast.parse(source))]) == []


def test_the_screen_reads_no_text_as_markup_that_is_not_ours() -> None:
    files = [
        (file.relative_to(TUI).as_posix(), ast.parse(file.read_text("utf-8"))) for file in sorted(TUI.rglob("*.py"))
    ]
    assert findings(files) == []
