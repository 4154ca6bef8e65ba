"""`holychat batch templates`."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holychat.cli.batch_templates import as_toml, from_toml
from holychat.domain.jobs import Kind, Recipe, Template
from tests.cli.batch_shell import lines_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.batch_shell import BatchShell


def test_a_template_is_kept_used_and_deleted(desk: BatchShell, tmp_path: Path) -> None:
    file = tmp_path / "brief.toml"
    file.write_text('kind = "summarize"\nlength = "1 sentence"\nprovider = "offline"\n')
    assert desk.batch("templates", "save", "brief", str(file)).text == "Kept the template brief.\n"
    found = {template["name"]: template for template in desk.batch("templates", "list", "--json").json}
    assert (found["brief"]["length"], found["brief"]["built_in"]) == ("1 sentence", False)
    done = desk.batch("summarize", str(desk.documents), "--template", "brief", "--yes", "--wait", "--out", "-")
    assert [line["text"].count("\n- ") for line in lines_of(done.text)] == [1, 1, 1], done.error
    assert desk.jobs()[0]["name"] == f"brief: {desk.documents.name}"
    wrong = desk.batch("prompt", str(desk.documents), "--template", "brief", "--yes")
    assert (wrong.status, "batch summarize --template" in wrong.error) == (2, True)
    assert desk.batch("templates", "delete", "brief").status == 2
    assert desk.batch("templates", "delete", "brief", "--yes").status == 0
    assert desk.batch("templates", "show", "brief").status == 2


def test_a_job_and_a_template_of_another_shell_become_templates(desk: BatchShell) -> None:
    desk.summarize("--length", "1 sentence", "--yes", "--wait")
    assert desk.batch("templates", "save", "mine", "--job", "last").status == 0
    shown = desk.batch("templates", "show", "mine").text
    assert desk.batch("templates", "save", "copy", stdin=shown.encode()).status == 0
    assert desk.batch("templates", "show", "copy").text == shown


def test_templates_that_come_with_holychat_can_be_shown_and_copied(desk: BatchShell) -> None:
    built_in = [template for template in desk.batch("templates", "list", "--json").json if template["built_in"]]
    assert built_in
    shown = desk.batch("templates", "show", built_in[0]["name"]).text
    assert desk.batch("templates", "save", "own", stdin=shown.encode()).status == 0


@pytest.mark.parametrize(
    "text", ["kind = 3", "nonsense", 'kind = "dance"', 'length = "short"', 'kind = "summarize"\nsize = 3', "\udcff", ""]
)
def test_what_is_no_template_is_refused_in_two_lines(desk: BatchShell, text: str) -> None:
    done = desk.batch("templates", "save", "bad", stdin=text.encode("utf-8", "surrogateescape"))
    assert done.status == 2
    assert len(done.error.splitlines()) <= 2
    assert desk.batch("templates", "show", "bad").status == 2


@given(st.text(st.characters(exclude_categories=("Cs",))), st.text(st.characters(exclude_categories=("Cs",))))
@example("\U000e0000\U000f1234", "\\ud83d\\ude00 \\\U000e0001")
@example("one\n\U000e0000", "\U000e0000")
def test_what_is_edited_is_what_was_kept(prompt: str, system: str) -> None:
    recipe = Recipe(Kind.CLASSIFY, labels=("a", 'b "c"', "d\\e"), prompt=prompt, system=system, temperature=0.5)
    template = Template("t", recipe, "offline", "m")
    text = as_toml(template)
    assert tomllib.loads(text).get("prompt", "") == prompt.replace("\r\n", "\n")
    assert from_toml("t", text) == template
