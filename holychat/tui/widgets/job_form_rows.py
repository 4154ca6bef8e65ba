"""What the form of a new job consists of: its rows, and what is said of each field."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from textual.containers import Horizontal
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Static

from holychat.domain.jobs import Kind, Priority
from holychat.jobs.names import KIND_NAMES
from holychat.tui.job_words import PRIORITY_NAMES
from holychat.tui.keymap import key_label
from holychat.tui.widgets.completion_list import CompletionList
from holychat.tui.widgets.job_fields import Choice, LineField, Opener, PathField, PromptField

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from textual.widget import Widget

    from holychat.domain.jobs import Recipe

KINDS = (Kind.SUMMARIZE, Kind.TRANSLATE, Kind.CLASSIFY, Kind.EXTRACT, Kind.PROMPT)
FIELDS: dict[Kind, tuple[str, ...]] = {
    Kind.SUMMARIZE: ("length", "language"),
    Kind.TRANSLATE: ("language",),
    Kind.CLASSIFY: ("labels",),
    Kind.EXTRACT: ("schema",),
    Kind.PROMPT: ("prompt",),
}
OPTIONS = ("length", "language", "labels", "schema", "prompt")
PLACEHOLDERS = {Kind.TRANSLATE: "such as English"}
"""Of the language, where one is needed."""
_LANGUAGES = (
    "Arabic", "Chinese", "Czech", "Danish", "Dutch", "English", "Finnish", "French", "German", "Greek", "Hebrew",
    "Hindi", "Hungarian", "Indonesian", "Italian", "Japanese", "Korean", "Norwegian", "Polish", "Portuguese",
    "Romanian", "Russian", "Spanish", "Swedish", "Thai", "Turkish", "Ukrainian", "Vietnamese",
)  # fmt: skip
_LENGTHS = ("short", "medium", "long", "3 sentences", "5 sentences")
HINTS = {
    "where": "File, folder or pattern such as src/**/*.md. Tab completes, <folders> shows the tree, Enter goes on.",
    "column": "Which column or field holds the text; empty: the usual names are tried.",
    "doing": "← and → choose what is done with each document: five kinds, then templates, yours first.",
    "length": "short, medium, long, or words such as 5 sentences.",
    "language": "Language of the answer. Empty: that of the document.",
    f"language {Kind.TRANSLATE.value}": "Language to translate into.",
    "labels": "What to choose from, with commas: bug, feature, question.",
    "schema": "Path of a JSON schema; every answer is checked against it.",
    "prompt": "{text} is the document, {name} and {path} say which. Ctrl+J breaks the line, <editor> opens $EDITOR.",
    "model": "Space chooses model and provider.",
    "priority": "now: before other jobs. minutes: as fast as allowed. hours: through the provider's batch service if "
    "it has one, often at half the price.",
    "budget": "Dollars that the job may cost at most; empty: no limit.",
    "more": "Space shows the rest: requests at once, where results are written.",
    "concurrency": "Requests at once at most; empty: as many as the provider takes, found out while running.",
    "out": "Written at the end: a file ending in .jsonl, .csv or .md, or a folder. Empty: e in the job writes them.",
}


def form_rows() -> Iterator[Widget]:
    """A row per field."""
    popup, schema_popup, out_popup = CompletionList(), CompletionList(), CompletionList()
    yield _row("Files", PathField(popup, placeholder="path, Tab completes", id="where"))
    yield popup
    yield _row("Column", LineField(placeholder="found by itself", id="column"))
    yield _row("Do", Choice([(kind.value, KIND_NAMES[kind]) for kind in KINDS], KINDS[0].value, id="doing"))
    lengths, languages = SuggestFromList(_LENGTHS), SuggestFromList(_LANGUAGES, case_sensitive=False)
    yield _row("Length", LineField(placeholder="medium", id="length", suggester=lengths, select_on_focus=True))
    yield _row("Language", LineField(placeholder="as in the document", id="language", suggester=languages))
    yield _row("Labels", LineField(placeholder="bug, feature, question", id="labels"))
    yield _row("Schema", PathField(schema_popup, placeholder="schema.json", id="schema"))
    yield schema_popup
    yield _row("Prompt", PromptField("What to do with {text}", id="prompt"))
    yield _row("Model", Opener(id="model"))
    priorities = [(priority.value, PRIORITY_NAMES[priority]) for priority in Priority]
    yield _row("When", Choice(priorities, Priority.MEDIUM.value, id="priority"))
    yield _row("Budget", LineField(placeholder="no limit", id="budget"))
    more = Opener(id="more")
    more.text = "requests at once, output"
    yield _row("More", more)
    yield _row("At once", LineField(placeholder="found out while running", id="concurrency"), "-rare")
    yield _row("Write to", PathField(out_popup, placeholder="file or folder", id="out"), "-rare")
    yield out_popup
    yield Static(Content(""), id="form-hint")


def _row(label: str, field: Widget, classes: str = "") -> Horizontal:
    field.add_class("form-field")
    return Horizontal(
        Static(Content(label), classes="form-label"), field, id=f"{field.id}-row", classes=f"form-row {classes}"
    )


def hint_for(name: str | None, kind: Kind, keys: Mapping[str, tuple[str, ...]]) -> str:
    """What is said of a field, the keys in force in it; "" for what is no field."""
    hint = HINTS.get(f"{name} {kind.value}") or HINTS.get(name or "", "")
    for deed in ("folders", "editor"):
        hint = hint.replace(f"<{deed}>", key_label(keys[f"job_form.{deed}"][0]))
    return hint


def schema_line(schema: str) -> str:
    """A schema as it fits into a field: a path, or JSON without line breaks."""
    if not schema.lstrip().startswith("{"):
        return schema
    try:
        return json.dumps(json.loads(schema), ensure_ascii=False)
    except ValueError:
        return schema


def is_from(recipe: Recipe, template: Recipe) -> bool:
    """Whether a recipe may come from a template: what no field shows is the same."""
    hidden = ("kind", "system", "temperature", "max_tokens", *(("prompt",) if recipe.kind is not Kind.PROMPT else ()))
    return all(getattr(recipe, name) == getattr(template, name) for name in hidden)
