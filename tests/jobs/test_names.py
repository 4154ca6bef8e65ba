"""Names of jobs, and of the files that results are written to."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.domain.jobs import Kind, Recipe, Source, SourceKind
from holychat.jobs.names import LONGEST_NAME, job_name, result_name
from holychat.text import clean

NASTY = [
    "../../etc/passwd", "/etc/passwd", "..", ".", "", "-rf", ".bashrc", "con", "NUL.txt", "a\\..\\b", "C:\\x", "a\0b",
    "a\nb", "\x1b]52;c;eA==\x07", "\u202egnp.exe", "x" * 5000, "tên " * 200, "\udcff\udcfe", "a. ", "*?<>|\"",
    "con.", "～",
]  # fmt: skip


def check(name: str) -> None:
    assert name == PurePosixPath(name).name == PureWindowsPath(name).name
    assert name == clean(name)
    assert name == unicodedata.normalize("NFC", name)
    assert 0 < len(name.encode()) <= 200
    assert name[0] not in "-. "
    assert not re.search(r'[<>:"/\\|?*\x00-\x1f]', name)
    assert not PureWindowsPath(name).is_reserved()


@pytest.mark.parametrize("name", NASTY)
def test_no_name_can_leave_its_folder_or_be_taken_for_something_else(name: str) -> None:
    check(result_name(name, name, ".md"))


@given(st.text(), st.text(), st.sampled_from([".md", ".json"]))
def test_any_name_becomes_a_safe_one(name: str, key: str, ending: str) -> None:
    made = result_name(name, key, ending)
    check(made)
    assert made.endswith(ending)


def test_names_stay_apart_where_a_file_system_would_take_them_for_one() -> None:
    documents = [
        "a/readme.md", "b/readme.md", "a/readme.txt", "a/README.md", "caf\u00e9", "cafe\u0301", "x" * 300, "x" * 301,
    ]  # fmt: skip
    made = {unicodedata.normalize("NFKC", result_name(key, key, ".md")).casefold() for key in documents}
    assert len(made) == len(documents)


def test_a_name_is_the_same_every_time_and_tells_which_document_it_is() -> None:
    assert result_name("report.pdf", "/docs/report.pdf", ".md") == result_name("report.pdf", "/docs/report.pdf", ".md")
    assert re.fullmatch(r"report-[0-9a-f]{10}\.md", result_name("report.pdf", "/docs/report.pdf", ".md"))
    assert result_name("docs/v1.2 notes.md", "k", ".md").startswith("docs-v1.2-notes-")
    assert result_name(".env", "k", ".md").startswith("env-")


@pytest.mark.parametrize(
    ("kind", "values", "recipe", "name"),
    [
        (SourceKind.PATH, ["/home/me/docs/"], Recipe(Kind.SUMMARIZE), "Summarise docs"),
        (SourceKind.PATH, ["/a.md", "/b.md", "/c.md"], Recipe(Kind.SUMMARIZE), "Summarise a.md and 2 more"),
        (SourceKind.GLOB, ["/me/docs/*.md"], Recipe(Kind.TRANSLATE, language="French"),
         "Translate docs/*.md into French"),
        (SourceKind.CSV, ["/me/mails.csv"], Recipe(Kind.CLASSIFY, labels=("a", "b")), "Classify mails.csv"),
        (SourceKind.PATH, ["/me/invoices"], Recipe(Kind.EXTRACT), "Extract from invoices"),
        (SourceKind.LIST, ["/me/lists/0123456789abcdef.txt"], Recipe(Kind.PROMPT), "Prompt for a list of files"),
        (SourceKind.LIST, ["/me/mine.txt"], Recipe(Kind.PROMPT), "Prompt for the files of mine.txt"),
        (SourceKind.REQUESTS, ["/me/calls.jsonl"], Recipe(Kind.REQUESTS), "Requests of calls.jsonl"),
        (SourceKind.CHAT, ["12"], Recipe(Kind.SUMMARIZE), "Summarise chat 12"),
        (SourceKind.PATH, ["/"], Recipe(Kind.SUMMARIZE), "Summarise /"),
    ],
)  # fmt: skip
def test_a_job_is_named_by_what_it_does_with_what(
    kind: SourceKind, values: list[str], recipe: Recipe, name: str
) -> None:
    assert job_name([Source(kind, value) for value in values], recipe) == name


def test_a_job_that_was_made_with_a_template_is_named_after_it() -> None:
    docs = Source(SourceKind.PATH, "/me/docs")
    assert job_name([docs], Recipe(Kind.EXTRACT), "Invoices") == "Invoices: docs"
    french = Recipe(Kind.TRANSLATE, language="French")
    assert (
        job_name([docs, docs, Source(SourceKind.PATH, "/x")], french, "house\nstyle") == "house style: docs and 1 more"
    )


@given(st.text(min_size=1), st.text(), st.sampled_from(list(Kind)), st.sampled_from(list(SourceKind)), st.text())
def test_no_folder_and_no_language_makes_a_name_that_is_not_one_clean_line(
    value: str, language: str, kind: Kind, source: SourceKind, template: str
) -> None:
    made = job_name([Source(source, value)], Recipe(kind, language=language), template)
    assert made == clean(made)
    assert "\n" not in made
    assert 0 < len(made) <= LONGEST_NAME
