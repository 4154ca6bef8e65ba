"""From the fields of the form to a job that can be ordered, and back."""

from __future__ import annotations

import json
import os
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from holychat.domain.jobs import JobLimits, JobSpec, Kind, Priority, Recipe, Source, SourceKind
from holychat.errors import UsageError
from holychat.jobs.names import job_name
from holychat.text import clean_line
from holychat.tui.files import absolute, existing_path, path_from

if TYPE_CHECKING:
    from collections.abc import Iterator

_MOST_DOLLARS = 1_000_000
_MOST_AT_ONCE = 1000
_LONGEST_SCHEMA = 1024 * 1024
_RECORDS = {".csv": SourceKind.CSV, ".jsonl": SourceKind.JSONL, ".ndjson": SourceKind.JSONL}


class FieldProblem(UsageError):
    """Something is missing or cannot be used.

    Attributes:
        name: Id of the field that it is about.
    """

    def __init__(self, name: str, title: str, hint: str = "") -> None:
        super().__init__(title, hint)
        self.name = name


@contextmanager
def _in_field(name: str) -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        raise FieldProblem(name, error.title, error.hint) from None


@dataclass(frozen=True, slots=True)
class Order:
    """What stands in the form, as it was typed."""

    where: str = ""
    column: str = ""
    """Of a CSV or JSONL file."""
    recipe: Recipe = field(default_factory=lambda: Recipe(Kind.SUMMARIZE, length="medium"))
    """Its `schema` may be the path of a file here."""
    labels: str = ""
    """With commas between them."""
    template: str = ""
    """Name of the one that was chosen; empty: none."""
    provider: str = ""
    model: str = ""
    priority: Priority = Priority.MEDIUM
    budget: str = ""
    concurrency: str = ""
    """Requests at once at most; empty: found out."""
    out: str = ""
    """File or folder for the results; empty: none."""

    def spec(self) -> JobSpec:
        """The job that is meant; blocking, since it looks at the files.

        Raises:
            FieldProblem: Something is missing or cannot be used.
        """
        if not self.where.strip():
            raise FieldProblem("where", "Which files?", "Type the path of a file or folder; Tab completes it.")
        recipe = self._recipe()
        with _in_field("where"):
            sources = sources_from(self.where, self.column.strip())
        if any(source.kind is SourceKind.REQUESTS for source in sources):
            recipe = Recipe(Kind.REQUESTS)
        self._refuse_what_offline_cannot(recipe.kind)
        with _in_field("budget"):
            budget = micros_from(self.budget)
        with _in_field("concurrency"):
            limits = JobLimits(budget_micros=budget, concurrency=concurrency_from(self.concurrency))
        with _in_field("out"):
            out, out_format = out_from(self.out)
        return JobSpec(
            name=job_name(sources, recipe, "" if recipe.kind is Kind.REQUESTS else self.template),
            recipe=recipe,
            sources=sources,
            provider=self.provider,
            model=self.model,
            priority=self.priority,
            limits=limits,
            out=out,
            out_format=out_format,
        )

    def _refuse_what_offline_cannot(self, kind: Kind) -> None:
        from holychat.jobs.recipes import OFFLINE_KINDS

        if self.provider == "offline" and kind not in OFFLINE_KINDS:
            hint = "It quotes and does not write. Space chooses another model."
            raise FieldProblem("model", f"The offline provider cannot {kind.value}", hint)

    def _recipe(self) -> Recipe:
        recipe = self.recipe
        match recipe.kind:
            case Kind.TRANSLATE if not recipe.language.strip():
                raise FieldProblem("language", "Into which language?", "For example: English.")
            case Kind.CLASSIFY:
                labels = tuple(dict.fromkeys(label for raw in self.labels.split(",") if (label := raw.strip())))
                if len(labels) < 2:
                    hint = "At least two, with commas between them: bug, feature, question."
                    raise FieldProblem("labels", "Which labels?", hint)
                return replace(recipe, labels=labels)
            case Kind.EXTRACT:
                with _in_field("schema"):
                    return replace(recipe, schema=schema_from(recipe.schema))
            case Kind.PROMPT if not recipe.prompt.strip():
                hint = "{text} stands for the document, {name} and {path} for where it is."
                raise FieldProblem("prompt", "Which prompt?", hint)
        return recipe


def order_of(spec: JobSpec) -> Order:
    """The form as it would be filled in for a job."""
    budget = spec.limits.budget_micros
    return Order(
        where=" ".join(shlex.quote(_typed(source)) for source in spec.sources)
        if len(spec.sources) > 1
        else "".join(_typed(source) for source in spec.sources),
        column=next((source.column for source in spec.sources if source.column), ""),
        recipe=spec.recipe,
        labels=", ".join(spec.recipe.labels),
        provider=spec.provider,
        model=spec.model,
        priority=spec.priority,
        budget="" if budget is None else f"{budget / 1_000_000:.6f}".rstrip("0").rstrip("."),
        concurrency=str(spec.limits.concurrency or ""),
        out=spec.out,
    )


def _typed(source: Source) -> str:
    return f"@{source.value}" if source.kind is SourceKind.LIST else source.value


def sources_from(text: str, column: str = "") -> tuple[Source, ...]:
    """The places that a person typed: a path, several as in a shell, a glob, or @ and a file with a path per line.

    Raises:
        UsageError: One of them is not there.
    """
    if text.strip().startswith("@"):
        return (Source(SourceKind.LIST, _existing(text.strip()[1:])),)
    path = existing_path(text.strip())
    if os.path.lexists(path):
        return (_source(path, column),)
    if any(sign in text for sign in "*?["):
        return (Source(SourceKind.GLOB, str(absolute(path_from(text)))),)
    try:
        words = shlex.split(text)
    except ValueError:
        words = []
    if len(words) > 1:
        return tuple(_source(Path(_existing(word)), column) for word in words)
    raise UsageError(f"There is no file or folder {clean_line(text, 120)}", "Tab completes a path.")


def _existing(text: str) -> str:
    path = path_from(text)
    if not os.path.lexists(path):
        raise UsageError(f"There is no file or folder {clean_line(str(path), 120)}", "Tab completes a path.")
    return str(absolute(path))


def _source(path: Path, column: str) -> Source:
    kind = _RECORDS.get(path.suffix.lower(), SourceKind.PATH) if path.is_file() else SourceKind.PATH
    if kind is SourceKind.JSONL and not column and _is_requests(path):
        kind = SourceKind.REQUESTS
    records = kind in (SourceKind.CSV, SourceKind.JSONL)
    return Source(kind, str(absolute(path)), column if records else "")


def _is_requests(path: Path) -> bool:
    """Whether a JSONL file holds requests for a batch: its first line tells."""
    try:
        with path.open("rb") as file:
            first = json.loads(file.readline(_LONGEST_SCHEMA))
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and "custom_id" in first and isinstance(first.get("body"), dict)


def takes_column(text: str) -> bool:
    """Whether the path typed is that of a file of records."""
    return Path(text.strip()).suffix.lower() in _RECORDS


def schema_from(text: str, *, pipes: bool = False) -> str:
    """A JSON schema, from the path of a file or from its own text.

    Args:
        text: The path or the schema.
        pipes: Whether a pipe is read, too; its end is waited for.

    Raises:
        UsageError: There is none, or it is no JSON object.
    """
    text = text.strip()
    if not text:
        raise UsageError("Which schema?", "The path of a JSON schema, as a file; Tab completes it.")
    if not text.startswith("{"):
        text = _text_of(existing_path(text), pipes)
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"The schema is no JSON: {clean_line(str(error), 120)}") from None
    if not isinstance(found, dict):
        raise UsageError("The schema is no JSON object", 'It begins with {"type": "object", …')
    return text


def _text_of(path: Path, pipes: bool) -> str:
    shown = clean_line(str(path), 120)
    try:
        if not pipes and path.exists() and not path.is_file():
            raise UsageError(f"{shown} is not a regular file", "Name a JSON schema in a file.")
        with path.open("rb") as file:
            return file.read(_LONGEST_SCHEMA + 1).decode()
    except FileNotFoundError:
        raise UsageError(f"There is no {shown}", "Name a JSON schema in a file.") from None
    except (OSError, ValueError):
        raise UsageError(f"Cannot read {shown}", "A JSON schema in a text file.") from None


def micros_from(text: str) -> int | None:
    """A budget in micro-dollars: "2.50", "$3", "0,5"; None for nothing.

    Raises:
        UsageError: It is no amount.
    """
    text = text.strip().removeprefix("$").strip().replace(",", ".")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _MOST_DOLLARS:
        raise UsageError(f"“{clean_line(text, 40)}” is no budget", "Dollars, such as 2.50; empty for no limit.")
    return round(value * 1_000_000)


def concurrency_from(text: str) -> int | None:
    """Requests at once; None for nothing.

    Raises:
        UsageError: It is no such number.
    """
    text = text.strip()
    if not text:
        return None
    if not text.isdecimal() or not 1 <= int(text[:6]) <= _MOST_AT_ONCE:
        raise UsageError(f"“{clean_line(text, 40)}” requests at once?", f"1 to {_MOST_AT_ONCE:,}; empty: found out.")
    return int(text)


def out_from(text: str) -> tuple[str, str]:
    """Where results shall be written and in which format: a file by its ending, or a folder; "" twice for nowhere.

    Raises:
        UsageError: They cannot be written there.
    """
    if not text.strip():
        return "", ""
    from holychat.jobs.export import FILES, check_target, format_of

    typed, target = os.path.expanduser(text.strip()), absolute(path_from(text))
    try:
        form = format_of(typed)
    except UsageError as error:
        raise UsageError(error.title, "End it in .jsonl, .csv or .md; a name without an ending is a folder.") from None
    if form != FILES and os.path.lexists(target):
        raise UsageError(f"{clean_line(text, 120)} is there already", "Choose another name under “Write to”.")
    check_target(target, form)
    return str(target), form
