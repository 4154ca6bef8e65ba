"""`holychat batch templates`: recipes with a name, kept as they are edited: as a few lines of TOML."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holychat.cli.arguments import CHAT, JOB, TEXT
from holychat.cli.output import is_terminal, table
from holychat.domain.jobs import Kind, Recipe, Template
from holychat.errors import UsageError
from holychat.text import clean_line
from holychat.tui.job_words import recipe_words
from holychat.typed import convert

if TYPE_CHECKING:
    from holychat.cli.session import Session
    from holychat.services import Services

_LARGEST = 1024 * 1024
_HALVES = re.compile(r"(?<!\\)((?:\\\\)*)(\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})", re.IGNORECASE)
_NEW = Template("", Recipe(Kind.PROMPT, prompt="What is the main point of this text?\n\n{text}\n"))
_COMMENTS = {
    "kind": "summarize, translate, classify, extract or prompt",
    "length": 'of a summary: short, medium, long, or words such as "5 sentences"',
    "language": "of a summary or translation; empty: that of the document",
    "labels": "what to choose from when documents are classified",
    "schema": "a JSON schema, as text, for what is extracted",
    "prompt": "with {text}, {name} and {path} for kind prompt; else a further wish",
    "system": "instructions that go before each document",
    "provider": "empty: that of the settings, or -p",
    "model": "empty: the provider's own, or -m",
}


@click.group()
def templates() -> None:
    """Templates: what a job does with each document, under a name. Use one with --template NAME."""


@templates.command("list", short_help="List templates.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_templates(session: Session, as_json: bool) -> None:
    """List templates: name, what it does, with which model."""
    found = session.with_services(lambda services: services.jobs.templates())
    if as_json:
        session.out.json([_as_fields(template) for template in found])
        return
    rows = [
        (
            clean_line(template.name, 40),
            "built in" if template.built_in else clean_line(f"{template.provider} {template.model}", 40),
            recipe_words(template.recipe),
        )
        for template in found
    ]
    session.out.write(table(rows))


@templates.command(short_help="Print a template.")
@click.argument("name", type=TEXT)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(session: Session, name: str, as_json: bool) -> None:
    """Print a template as TOML, as `templates save` takes it."""
    template = session.with_services(lambda services: find_template(services, name))
    if as_json:
        session.out.json(_as_fields(template))
    else:
        session.out.write(as_toml(template))


@templates.command(short_help="Keep a template.")
@click.argument("name", type=TEXT)
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--job", type=JOB, metavar="JOB", help="Keep what that job did.")
@click.option("--chat", type=CHAT, metavar="CHAT", help="Keep what that chat asks, its system prompt included.")
@click.pass_obj
def save(session: Session, name: str, file: Path | None, job: int | None, chat: int | None) -> None:
    """Keep a template under NAME, in place of the one of that name.

    It is read from FILE as TOML, from standard input where there is no FILE, or made of a job or a chat.
    """
    context = click.get_current_context()
    from_job, from_chat = (_is_given(context, option) for option in ("job", "chat"))
    if sum((file is not None, from_job, from_chat)) > 1:
        raise UsageError("A template is made of one thing", "Give FILE, --job or --chat.")

    async def make(services: Services) -> None:
        if from_chat:
            from holychat.cli.history import find_chat

            found = await find_chat(services, chat)
            await services.jobs.template_from_chat(found.id, name)
        elif from_job:
            from holychat.cli.batch_jobs import find_job

            spec = (await find_job(services, job)).spec
            if spec.recipe.kind is Kind.REQUESTS:
                raise UsageError("Ready-made requests have no recipe to keep", "Only other jobs can become templates.")
            await services.jobs.save_template(Template(name, spec.recipe, spec.provider, spec.model))
        else:
            await services.jobs.save_template(from_toml(name, text))

    text = "" if from_job or from_chat else _read(file)
    session.with_services(make)
    session.out.line(f"Kept the template {clean_line(name)}.")


@templates.command(short_help="Write or change a template in your editor.")
@click.argument("name", type=TEXT)
@click.pass_obj
def edit(session: Session, name: str) -> None:
    """Change a template, or write a new one, in $EDITOR. What cannot be used is told and nothing is changed."""
    if not is_terminal(sys.stdin):
        raise UsageError("An editor needs a terminal", "`holychat batch templates save NAME FILE` takes a file.")
    known = session.with_services(lambda services: services.jobs.templates())
    before = as_toml(next((template for template in known if template.name == name), _NEW))
    try:
        after = click.edit(before, extension=".toml")
    except click.ClickException as error:
        raise UsageError(error.format_message(), "Set EDITOR, for example `export EDITOR=nano`.") from None
    if after is None:
        session.out.notice("Nothing was changed.")
        return
    template = from_toml(name, after)
    session.with_services(lambda services: services.jobs.save_template(template))
    session.out.line(f"Kept the template {clean_line(name)}.")


@templates.command(short_help="Delete a template.")
@click.argument("name", type=TEXT)
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def delete(session: Session, name: str, yes: bool) -> None:
    """Delete a template, for good. Jobs that were made with it are not touched."""
    from holychat.cli.questions import must_agree

    session.with_services(lambda services: find_template(services, name))
    if not yes:
        must_agree(session, f"Delete the template {clean_line(name)}?", "Nothing was deleted.")
    session.with_services(lambda services: services.jobs.delete_template(name))
    session.out.line(f"Deleted the template {clean_line(name)}.")


async def find_template(services: Services, name: str) -> Template:
    """The template of that name.

    Raises:
        UsageError: There is none.
    """
    found = await services.jobs.templates()
    for template in found:
        if template.name == name:
            return template
    known = ", ".join(clean_line(template.name, 40) for template in found)
    raise UsageError(f"There is no template {name!r}", f"There are {known}." if known else "None is saved yet.")


def as_toml(template: Template) -> str:
    """A template as people edit it; fields without a value are comments."""
    rows = []
    for name, value in _as_fields(template).items():
        if name in ("name", "built_in"):
            continue
        comment = f"  # {_COMMENTS[name]}" if name in _COMMENTS else ""
        if value in ("", [], None):
            rows.append(f"# {name} ={comment}\n")
        elif isinstance(value, str) and "\n" in value:
            rows.append(f"{name} = {_several_lines(value)}\n")
        else:
            rows.append(f"{name} = {_value(value)}{comment}\n")
    return "".join(rows)


def from_toml(name: str, text: str) -> Template:
    """The template that a text describes.

    Raises:
        UsageError: It is no TOML, or says something that a template cannot hold.
    """
    import tomllib

    import msgspec

    from holychat.jobs import recipes

    try:
        given = tomllib.loads(text)
        provider, model = (str(given.pop(field, "")) for field in ("provider", "model"))
        known = {field.name for field in fields(Recipe)}
        if unknown := set(given) - known:
            raise UsageError(
                f"A template has no {clean_line(sorted(unknown)[0], 40)!r}", f"It has {', '.join(sorted(known))}."
            )
        recipe = convert(given, Recipe)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The template is no TOML: {clean_line(str(error))}") from None
    except msgspec.ValidationError as error:
        raise UsageError(f"The template cannot be used: {clean_line(str(error))}") from None
    recipes.check(recipe)
    return Template(name, recipe, provider, model)


def _is_given(context: click.Context, option: str) -> bool:
    return context.get_parameter_source(option) is click.core.ParameterSource.COMMANDLINE


def _read(file: Path | None) -> str:
    if file is None and (sys.stdin is None or is_terminal(sys.stdin)):
        raise UsageError("There is nothing to keep", "Give FILE, --job or --chat; `templates edit` opens an editor.")
    try:
        if file is None:
            data = sys.stdin.buffer.read(_LARGEST + 1)
        else:
            with file.open("rb") as stream:
                data = stream.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise UsageError("That is too long for a template", "A few lines of TOML are enough.")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError("That is no text", "A template is a few lines of TOML.") from None


def _as_fields(template: Template) -> dict[str, Any]:
    recipe = template.recipe
    values: dict[str, Any] = {field.name: getattr(recipe, field.name) for field in fields(Recipe)}
    values |= {"kind": recipe.kind.value, "labels": list(recipe.labels)}
    return {
        "name": template.name,
        "built_in": template.built_in,
        **values,
        "provider": template.provider,
        "model": template.model,
    }


def _value(value: Any) -> str:
    from holychat.cli.output import to_json

    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    # JSON escapes what is beyond 16 bits as two halves, which TOML does not know.
    return _HALVES.sub(_whole, to_json(value))


def _whole(found: re.Match[str]) -> str:
    character = json.loads(f'"{found[2]}"')
    return f"{found[1]}\\U{ord(character):08x}"


def _several_lines(text: str) -> str:
    """A string of several lines as TOML has it, with everything escaped that is not a line end."""
    body = "\n".join(_value(line)[1:-1] for line in text.split("\n"))
    return f'"""\n{body}"""'
