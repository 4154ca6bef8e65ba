"""`holychat models` and `holychat providers`: what can be asked, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from holychat.cli.arguments import PROVIDER
from holychat.cli.output import table
from holychat.text import clean_line

if TYPE_CHECKING:
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
    found = run(_ask_for_models(session, provider or session.settings.chat.provider))
    if not as_json:
        for model in found:
            session.out.line(clean_line(model.id))
        return
    from holychat.catalog.prices import context_window

    session.out.json(
        [{"id": model.id, "owner": model.owner, "context_window": context_window(model.id)} for model in found]
    )


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
