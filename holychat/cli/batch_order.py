"""`holychat batch summarize` and its sisters: what is ordered, from the words of a command line."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from holychat.cli.arguments import DOLLARS, OUT_NAMES, PROVIDER, TEMPERATURE, TEXT, TOKENS, OutOption
from holychat.domain.jobs import JobLimits, JobSpec, Kind, Priority, Recipe
from holychat.errors import UsageError
from holychat.jobs.names import job_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from holychat.cli.session import Session
    from holychat.domain.jobs import Source, Template
    from holychat.settings import ChatSettings

C = TypeVar("C", bound="Callable[..., Any]")

STDOUT = "-"


@dataclass(frozen=True, slots=True)
class Order:
    """What a command line asks for; None and "" where it says nothing."""

    kind: Kind
    paths: tuple[str, ...]
    wishes: dict[str, Any]
    """Fields of the recipe that were given."""
    template: str = ""
    name: str = ""
    provider: str = ""
    model: str = ""
    priority: str = Priority.MEDIUM.value
    limits: JobLimits = field(default_factory=JobLimits)
    column: str = ""
    chat: int | None = None
    hidden: bool = False
    ignored: bool = False
    out: str = ""
    form: str = ""
    overwrite: bool = False
    callback_url: str = ""
    trial: int | None = None
    dry_run: bool = False
    hold: bool = False
    yes: bool = False
    wait: bool = False
    as_json: bool = False

    def spec(self, sources: tuple[Source, ...], template: Template | None, chat: ChatSettings) -> JobSpec:
        """The job that is meant.

        Args:
            sources: Where the documents are.
            template: What to begin with, for what the command line leaves open.
            chat: Whom to ask where neither says.

        Raises:
            UsageError: The template does something else.
        """
        recipe = Recipe(self.kind) if template is None else template.recipe
        if recipe.kind is not self.kind:
            raise UsageError(
                f"The template {self.template!r} does not {self.kind.value}",
                f"It belongs to `holychat batch {recipe.kind.value} --template …`.",
            )
        provider = self.provider or (template.provider if template else "") or chat.provider
        same = template is not None and provider == (template.provider or provider)
        recipe = replace(recipe, **{name: value for name, value in self.wishes.items() if value is not None})
        return JobSpec(
            name=self.name or job_name(sources, recipe, self.template),
            recipe=recipe,
            sources=sources,
            provider=provider,
            model=self.model or (template.model if template is not None and same else "") or chat.model_of(provider),
            priority=Priority(self.priority),
            limits=self.limits,
            out="" if self.out == STDOUT else self.out,
            out_format=self.form if self.out and self.out != STDOUT else "",
            callback_url=self.callback_url,
        )


_WHAT = (
    click.option("--template", type=TEXT, metavar="NAME", help="Begin with a template; see `batch templates`."),
    click.option("--prompt", type=TEXT, metavar="TEXT", help="A further wish; {text} {name} {path} in `batch prompt`."),
    click.option("-s", "--system", type=TEXT, metavar="TEXT", help="Instructions that go before each document."),
    click.option("-t", "--temperature", type=TEMPERATURE, metavar="NUMBER", help="0 to 2."),
    click.option("--max-tokens", type=TOKENS, metavar="N", help="Longest answer to each request, in tokens."),
)
_DOCUMENTS = (
    click.option("--column", type=TEXT, metavar="NAME", help="Column of a CSV, field of a JSONL, named as PATH."),
    click.option("--chat", type=click.IntRange(1), metavar="NUMBER", help="Take each message of that chat, too."),
    click.option("--hidden", is_flag=True, help="Take hidden files and folders, too."),
    click.option("--no-ignore", "ignored", is_flag=True, help="Take what a .gitignore leaves out, too."),
)
_HOW = (
    click.option("-m", "--model", type=TEXT, help="Any name that the provider knows."),
    click.option("-p", "--provider", type=PROVIDER, metavar="NAME", help="openai, anthropic, offline … or your own."),
    click.option(
        "--priority", type=click.Choice([priority.value for priority in Priority]), default=Priority.MEDIUM.value,
        help="high: now; medium: minutes (default); low: hours, the cheapest way.",
    ),
    click.option("--budget", "budget_micros", type=DOLLARS, metavar="USD", help="Pause before it costs more."),
    click.option("--concurrency", type=click.IntRange(1, 1000), metavar="N", help="Requests at once; else found out."),
    click.option("--batch-size", type=click.IntRange(1), metavar="N", help="Send N, wait for them, send the next N."),
    click.option(
        "--rate", "requests_per_minute", type=click.FloatRange(0, min_open=True), metavar="N",
        help="Requests per minute that are allowed; default: found out.",
    ),
    click.option(
        "--doubt-retries", type=click.IntRange(0), default=0, metavar="N",
        help="Send up to N documents in doubt again without asking; they may be paid for twice.",
    ),
    click.option("--doubt-budget", "doubt_micros", type=DOLLARS, metavar="USD", help="What that may cost at most."),
    click.option("--name", type=TEXT, help="What the job is called in lists."),
    click.option("--callback", "callback_url", type=TEXT, metavar="URL", help="Tell this address at the end."),
    click.option(
        *OUT_NAMES, cls=OutOption, type=TEXT, metavar="PATH", help="Write the results there at the end; - is stdout."
    ),
    click.option("--format", "form", metavar="FORMAT", help="jsonl, csv, markdown, or files (one per document)."),
    click.option("--overwrite", is_flag=True, help="Replace what is at --out."),
    click.option("--dry-run", is_flag=True, help="Show what it will take; create and send nothing."),
    click.option("--hold", is_flag=True, help="Send nothing before `batch resume`; see `batch export`."),
    click.option("--trial", type=click.IntRange(1), metavar="N", help="Send N documents first and show their results."),
    click.option("-y", "--yes", is_flag=True, help="Send without being asked."),
    click.option("-w", "--wait", is_flag=True, help="Wait for the end, show progress and a summary."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object."),
)  # fmt: skip


def _with(options: tuple[Callable[[C], C], ...]) -> Callable[[C], C]:
    def add(function: C) -> C:
        for option in reversed(options):
            function = option(function)
        return function

    return add


_PATHS = click.argument("paths", type=click.Path(), nargs=-1, metavar="PATH...")
_PATH_HINT = """PATH is a file, a folder, a glob in quotes, a CSV or JSONL file of records, or - for a list of paths
on standard input. Nothing is sent before you have seen what it will take and have said yes."""


def _ordered(
    session: Session, kind: Kind, paths: tuple[str, ...], wishes: dict[str, Any], terms: dict[str, Any]
) -> int:
    """Sort the options into an order and carry it out."""
    wishes |= {name: terms.pop(name, None) for name in ("prompt", "system", "temperature", "max_tokens")}
    limits = JobLimits(
        **{
            name: terms.pop(name)
            for name in (
                "budget_micros", "concurrency", "batch_size", "requests_per_minute", "doubt_retries", "doubt_micros",
            )
        }
    )  # fmt: skip
    given = {name: value for name, value in terms.items() if value is not None}
    order = Order(kind=kind, paths=paths, wishes=wishes, limits=limits, **given)
    from holychat.cli.batch_send import carry_out

    return carry_out(session, order)


@click.command(short_help="Summarise documents.", epilog=_PATH_HINT)
@_PATHS
@click.option("--length", type=TEXT, metavar="HOW", help='short, medium, long, or words such as "5 sentences".')
@click.option("--language", type=TEXT, metavar="NAME", help="Of the summary; default: that of the document.")
@_with(_WHAT)
@_with(_DOCUMENTS)
@_with(_HOW)
@click.pass_obj
def summarize(
    session: Session, /, paths: tuple[str, ...], length: str | None, language: str | None, **terms: Any
) -> int:
    """Summarise each document."""
    return _ordered(session, Kind.SUMMARIZE, paths, {"length": length, "language": language}, terms)


@click.command(short_help="Translate documents.", epilog=_PATH_HINT)
@_PATHS
@click.option("--to", "--language", "language", type=TEXT, metavar="NAME", help="The language to translate into.")
@_with(_WHAT)
@_with(_DOCUMENTS)
@_with(_HOW)
@click.pass_obj
def translate(session: Session, /, paths: tuple[str, ...], language: str | None, **terms: Any) -> int:
    """Translate each document."""
    return _ordered(session, Kind.TRANSLATE, paths, {"language": language}, terms)


@click.command(short_help="Sort documents under labels.", epilog=_PATH_HINT)
@_PATHS
@click.option("--labels", type=TEXT, multiple=True, metavar="A,B,...", help="What to choose from.")
@_with(_WHAT)
@_with(_DOCUMENTS)
@_with(_HOW)
@click.pass_obj
def classify(session: Session, /, paths: tuple[str, ...], labels: tuple[str, ...], **terms: Any) -> int:
    """Give each document one of your labels."""
    split = tuple(dict.fromkeys(label for given in labels for raw in given.split(",") if (label := raw.strip())))
    return _ordered(session, Kind.CLASSIFY, paths, {"labels": split or None}, terms)


@click.command(short_help="Extract JSON from documents.", epilog=_PATH_HINT)
@_PATHS
@click.option("--schema", type=TEXT, metavar="FILE", help="A JSON schema: a file, or the schema itself.")
@_with(_WHAT)
@_with(_DOCUMENTS)
@_with(_HOW)
@click.pass_obj
def extract(session: Session, /, paths: tuple[str, ...], schema: str | None, **terms: Any) -> int:
    """Extract a JSON object from each document, checked against a schema."""
    from holychat.tui.job_order import schema_from

    return _ordered(
        session, Kind.EXTRACT, paths, {"schema": None if schema is None else schema_from(schema, pipes=True)}, terms
    )


@click.command(short_help="Send documents with a prompt of your own.", epilog=_PATH_HINT)
@_PATHS
@_with(_WHAT)
@_with(_DOCUMENTS)
@_with(_HOW)
@click.pass_obj
def prompt(session: Session, /, paths: tuple[str, ...], **terms: Any) -> int:
    """Send each document with a prompt of your own; {text}, {name} and {path} stand for the document."""
    return _ordered(session, Kind.PROMPT, paths, {}, terms)


@click.command(short_help="Send ready-made requests.")
@click.argument("file", type=click.Path(), metavar="FILE.jsonl")
@_with(_HOW)
@click.pass_obj
def submit(session: Session, /, file: str, **terms: Any) -> int:
    """Send the requests of an OpenAI batch file: one JSON object per line with `custom_id` and `body`."""
    return _ordered(session, Kind.REQUESTS, (file,), {}, terms)
