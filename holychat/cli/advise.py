"""`holychat advise`: which road suits a piece of work, and what each would cost and take."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import click

from holychat.cli.arguments import DOLLARS, PROVIDER, TEXT
from holychat.domain.jobs import JobLimits, Kind
from holychat.errors import UsageError

if TYPE_CHECKING:
    from holychat.cli.session import Session
    from holychat.domain.roads import Choice, Work
    from holychat.jobs.estimate import Estimate
    from holychat.services import Services

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}
_ASSUMED_IN, _ASSUMED_OUT = 500, 300
_STAND_INS: dict[Kind, dict[str, Any]] = {
    Kind.TRANSLATE: {"language": "English"},
    Kind.CLASSIFY: {"labels": ("one", "another")},
    Kind.EXTRACT: {"schema": "{}"},
    Kind.PROMPT: {"prompt": "{text}"},
}
"""What a recipe needs to be counted; what it says exactly does not matter for that."""
_DOING = [kind.value for kind in Kind if kind is not Kind.REQUESTS]


class _Time(click.ParamType[float]):
    """A time span in seconds: 90s, 30m, 2h, 1d."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)\s*(s|m|min|h|d)", str(value).strip().lower())
        if match is None or not float(match[1]):
            self.fail(f"{value} is no time; 90s, 30m, 2h and 1d are.", param, ctx)
        return float(match[1]) * _UNITS[match[2]]


@click.command(short_help="Which road suits some work: live, desk, the provider's batch service.")
@click.argument("paths", type=click.Path(), nargs=-1, metavar="[PATH]...")
@click.option("-m", "--model", type=TEXT, default="", help="Any name that the provider knows.")
@click.option("-p", "--provider", type=PROVIDER, metavar="NAME", help="Default: the provider of the settings.")
@click.option("--kind", type=click.Choice(_DOING), default=Kind.SUMMARIZE.value, help="What is done with each PATH.")
@click.option("--waiting", is_flag=True, help="Somebody waits for it at the screen.")
@click.option("--within", "within_seconds", type=_Time(), metavar="TIME", help="It must be there in 90s, 30m, 2h, 1d.")
@click.option("--budget", "budget_micros", type=DOLLARS, metavar="USD", help="It must not cost more.")
@click.option("--requests", type=click.IntRange(1, 10**9), metavar="N", help="Without PATH: so many requests.")
@click.option("--tokens-in", type=click.IntRange(0, 10**9), metavar="N", help="Tokens of each request; default 500.")
@click.option("--tokens-out", type=click.IntRange(0, 10**9), metavar="N", help="Tokens of each answer; default 300.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def advise(session: Session, /, paths: tuple[str, ...], kind: str, as_json: bool, **wish: Any) -> None:
    """Which road suits some work: streamed live, on the desk, or through the provider's batch service.

    Prints price, expected first token, expected end and requests per minute of each side by side, the facts they rest
    on, the road to take and why. PATH is a document, a folder, a CSV or JSONL file, as for `holychat batch`; without
    one, --requests, --tokens-in and --tokens-out say what there is to do. Nothing is sent and nothing is spent.
    """
    from holychat.cli.road_table import road_fields, road_text

    sized = [name for name in ("requests", "tokens_in", "tokens_out") if wish[name] is not None]
    if paths and sized:
        raise UsageError(
            f"--{sized[0].replace('_', '-')} is for work without documents", "Leave it out, or leave the paths out."
        )
    if paths:
        choice, estimate = session.with_services(lambda own: _of_documents(session, own, paths, Kind(kind), wish))
    else:
        choice, estimate = session.with_services(lambda own: _of_numbers(session, own, wish)), None
    if as_json:
        from holychat.cli.batch_words import estimate_fields

        session.out.json(road_fields(choice) | {"estimate": None if estimate is None else estimate_fields(estimate)})
        return
    session.out.write(f"{_what(wish, estimate)}\n\n{road_text(choice)}")
    for warning in () if estimate is None else estimate.warnings:
        session.warn(warning)


def _what(wish: dict[str, Any], estimate: Estimate | None) -> str:
    """The work, in one line."""
    from holychat.cli.batch_words import documents
    from holychat.tui.job_words import number

    if estimate is not None:
        tokens = f"~{number(estimate.input_tokens)} tokens in, ~{number(estimate.output_tokens)} out"
        return f"{documents(estimate.documents)}, {tokens}"
    work = _work_of(wish)
    plural = "" if work.requests == 1 else "s"
    tokens = f"{number(work.input_tokens)} tokens in, {number(work.output_tokens)} out"
    return f"{number(work.requests)} request{plural}, {tokens}"


def _work_of(wish: dict[str, Any]) -> Work:
    from holychat.domain.roads import Work

    count = wish["requests"] or 1
    given = _ASSUMED_IN if wish["tokens_in"] is None else wish["tokens_in"]
    made = _ASSUMED_OUT if wish["tokens_out"] is None else wish["tokens_out"]
    within, budget = wish["within_seconds"], wish["budget_micros"]
    return Work(count, count * given, count * made, wish["waiting"], within, budget)


async def _of_numbers(session: Session, services: Services, wish: dict[str, Any]) -> Choice:
    provider, model = _whom(session, wish)
    return await services.jobs.advise(provider, model, _work_of(wish))


async def _of_documents(
    session: Session, services: Services, paths: tuple[str, ...], kind: Kind, wish: dict[str, Any]
) -> tuple[Choice, Estimate]:
    """Count the documents as a job of them would be counted, then lay the roads out."""
    from dataclasses import replace

    from holychat.cli.batch_checks import refuse_nothing
    from holychat.cli.batch_order import Order
    from holychat.cli.batch_send import counting
    from holychat.cli.batch_sources import is_requests, sources_of
    from holychat.jobs import lists
    from holychat.jobs.roads import work_of

    provider, model = _whom(session, wish)
    if len(paths) == 1 and is_requests(paths[0]):
        kind = Kind.REQUESTS
    limits = JobLimits(budget_micros=wish["budget_micros"])
    order = Order(kind, paths, _STAND_INS.get(kind, {}), provider=provider, model=model, limits=limits)
    sources = sources_of(order, session.paths)
    try:
        spec = order.spec(sources, None, session.settings.chat)
        with counting() as tell:
            estimate = await services.jobs.preview(spec, progress=tell)
    finally:
        lists.forget(session.paths, sources)
    refuse_nothing(estimate)
    work = replace(
        work_of(estimate, wish["budget_micros"]), waiting=wish["waiting"], within_seconds=wish["within_seconds"]
    )
    return await services.jobs.advise(provider, model, work), estimate


def _whom(session: Session, wish: dict[str, Any]) -> tuple[str, str]:
    """Provider and model that are meant."""
    chat = session.settings.chat
    provider = wish["provider"] or chat.provider
    return provider, wish["model"] or chat.model_of(provider)
