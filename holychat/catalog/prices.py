"""What a reply costs, in whole micro-dollars, from a dated table that ships with the package."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import msgspec

from holychat.domain.usage import Cost

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holychat.domain.usage import Usage

_MILLION = 1_000_000
_MAKER = re.compile(r"^(openai|anthropic|google|deepseek|deepseek-ai)/")
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8})$")


@dataclass(frozen=True, slots=True)
class Price:
    """Price of one model at one provider, in micro-dollars per million tokens."""

    input: int
    output: int
    cached_input: int | None
    """None where the provider's price for cached input is not known."""
    source: str
    date: str
    """Day the price was true, ISO 8601."""


class _ModelRow(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    input: str
    output: str
    cached: str | None = None


class _ProviderTable(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    date: str
    models: list[_ModelRow]


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    providers: dict[str, _ProviderTable]
    context: dict[str, int]
    aliases: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Catalog:
    prices: Mapping[tuple[str, str], Price]
    context: Mapping[str, int]
    aliases: Mapping[str, str]


def price(provider: str, model: str) -> Price | None:
    """The price of a model at a provider, or None where it is unknown.

    The offline provider answers whatever model it is asked for, at no cost.
    """
    catalog = _catalog()
    if provider == "offline":
        model = "extractive"
    found = (catalog.prices.get((provider, name)) for name in _names(model, catalog))
    return next((known for known in found if known is not None), None)


def cost_of(provider: str, model: str, usage: Usage) -> Cost | None:
    """The exact cost of a reply, rounded half up to a micro-dollar, or None where price or tokens are unknown.

    Cached input is a part of the input. Where its own price is unknown it counts in full and the cost, which is then
    the most it can have been, is marked as estimated.
    """
    known = price(provider, model)
    if known is None or usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
    cached_price = known.input if known.cached_input is None else known.cached_input
    exact = (usage.input_tokens - cached) * known.input + cached * cached_price + usage.output_tokens * known.output
    guessed = cached > 0 and known.cached_input is None and known.input > 0
    return Cost((2 * exact + _MILLION) // (2 * _MILLION), estimated=(usage.estimated and exact > 0) or guessed)


def context_window(model: str) -> int | None:
    """How many tokens a model reads and writes at most, or None where that is unknown."""
    catalog = _catalog()
    return next((catalog.context[name] for name in _names(model, catalog) if name in catalog.context), None)


def _names(model: str, catalog: _Catalog) -> list[str]:
    """What a model may be listed as, the most exact name first."""
    exact = model.strip().lower()
    bare = _MAKER.sub("", exact)
    names = [exact, bare, _SNAPSHOT.sub("", bare)]
    return list(dict.fromkeys([*names, *(catalog.aliases[name] for name in names if name in catalog.aliases)]))


@lru_cache(maxsize=1)
def _catalog() -> _Catalog:
    text = (files("holychat.catalog") / "prices.toml").read_text(encoding="utf-8")
    table = msgspec.convert(tomllib.loads(text), _Table)
    prices = {
        (name, row.id): Price(
            input=_micros(row.input),
            output=_micros(row.output),
            cached_input=None if row.cached is None else _micros(row.cached),
            source=provider.source,
            date=provider.date,
        )
        for name, provider in table.providers.items()
        for row in provider.models
    }
    return _Catalog(prices, table.context, table.aliases)


def _micros(dollars: str) -> int:
    micros = Decimal(dollars) * _MILLION
    if micros != micros.to_integral_value() or micros < 0:
        raise ValueError(f"{dollars} is not a price in whole micro-dollars")
    return int(micros)
