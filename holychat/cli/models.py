"""`holychat models` and `holychat providers`: what can be asked, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from holychat.cli.arguments import PROVIDER
from holychat.cli.output import table
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.catalog.prices import Price, PriceBook
    from holychat.cli.session import Session
    from holychat.domain.request import ModelInfo


@click.command(short_help="List the models that a provider offers.")
@click.option("-p", "--provider", type=PROVIDER, metavar="NAME", help="Default: the provider of the settings.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, with what is known of each model.")
@click.pass_obj
def models(session: Session, provider: str | None, as_json: bool) -> None:
    """List the models that a provider offers, one per line."""
    from holychat.runner import run

    session.start_log()
    name = provider or session.settings.chat.provider
    found = run(_ask_for_models(session, name))
    if not as_json:
        for model in found:
            session.out.line(clean_line(model.id))
        return
    from holychat.catalog.prices import PriceBook

    session.out.json([_known_of(PriceBook(session.settings.prices), name, model) for model in found])


def _known_of(book: PriceBook, provider: str, model: ModelInfo) -> dict[str, Any]:
    price = book.price(provider, model.id)
    return {
        "id": model.id,
        "owner": model.owner,
        "context_window": book.context_window(model.id, provider),
        "usd_per_million": None if price is None else price_fields(price),
    }


def price_fields(price: Price) -> dict[str, Any]:
    """A price for programs: dollars per million tokens, and where that is from."""
    amounts = {
        "input": price.input,
        "output": price.output,
        "cached_input": price.cached_input,
        "batch_input": price.batch_input,
        "batch_output": price.batch_output,
    }
    in_dollars = {name: None if micros is None else micros / 1_000_000 for name, micros in amounts.items()}
    return in_dollars | {"source": price.source, "date": price.date or None}


async def _ask_for_models(session: Session, name: str) -> tuple[ModelInfo, ...]:
    try:
        provider = session.registry.get(name)
        for warning in provider.warnings():
            session.warn(warning)
        return await provider.models()
    finally:
        await session.registry.aclose()


@click.command(short_help="List the providers and where they are.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def providers(session: Session, as_json: bool) -> None:
    """List the providers, the default one first, with their address and default model."""
    infos = session.registry.infos()
    default = session.settings.chat.provider
    if as_json:
        session.out.json(
            [
                {
                    "name": info.name,
                    "kind": info.kind,
                    "base_url": info.base_url,
                    "model": info.model,
                    "needs_key": info.needs_key,
                    "default": info.name == default,
                }
                for info in infos
            ]
        )
        return
    rows = [
        (
            "*" if info.name == default else "",
            info.name,
            info.base_url or "-",
            info.model or "-",
            "key" if info.needs_key else "no key",
        )
        for info in infos
    ]
    session.out.write(table(rows))
