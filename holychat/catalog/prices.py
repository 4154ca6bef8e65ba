"""What a reply costs, in whole micro-dollars: a dated table of the package, and before it the person's own prices."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from holychat.domain.usage import Cost
from holychat.errors import SettingsError
from holychat.typed import convert

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holychat.domain.usage import Usage
    from holychat.settings import PriceSettings

_MILLION = 1_000_000
_MAKER = re.compile(r"^(openai|anthropic|google|deepseek|deepseek-ai)/")
_SNAPSHOT = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
_DASHED_VERSION = re.compile(r"(?<=\d)-(?=\d)")
_OFFLINE = "offline"


@dataclass(frozen=True, slots=True)
class Price:
    """Price of one model at one provider, in micro-dollars per million tokens."""

    input: int
    output: int
    cached_input: int | None
    """None where the provider's price for cached input is not known."""
    source: str
    date: str
    """Day the price was true, ISO 8601; "" for a price of the person's own."""
    batch_input: int | None = None
    """Through the provider's own batch service; None where it has none, or does not say what it costs."""
    batch_output: int | None = None


class _ModelRow(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    input: str
    output: str
    cached: str | None = None
    date: str = ""


class _Figure(msgspec.Struct, forbid_unknown_fields=True):
    what: str
    models: list[str]
    tokens: int
    day: str


class _ProviderTable(msgspec.Struct, forbid_unknown_fields=True):
    source: str
    date: str
    models: list[_ModelRow]
    batch: str = "1"
    """Share of the price that a batch costs; "1": no batch price is documented."""
    batch_source: str = ""
    published: list[_Figure] = []


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    providers: dict[str, _ProviderTable]
    context: dict[str, int]
    longest_answer: dict[str, int]
    aliases: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Catalog:
    prices: Mapping[tuple[str, str], Price]
    context: Mapping[str, int]
    longest_answer: Mapping[str, int]
    aliases: Mapping[str, str]
    published: Mapping[str, Sequence[_Figure]]


class PriceBook:
    """Prices and context windows: the table of the package, and before it what the person wrote into config.toml.

    The table is read when something is first looked up, not when the book is made.

    Args:
        own: `[prices.PROVIDER."MODEL"]` of the settings, by provider and model.

    Raises:
        SettingsError: A price of the person's own lacks what belongs to it.
    """

    def __init__(self, own: Mapping[str, Mapping[str, PriceSettings]] | None = None) -> None:
        self._own: dict[tuple[str, str], PriceSettings] = {
            (provider, name.strip().lower()): row
            for provider, rows in (own or {}).items()
            for name, row in rows.items()
        }
        for (provider, name), row in self._own.items():
            only_details = row.input is None and (row.cached, row.batch_input, row.batch_output) != (None, None, None)
            if only_details and self._listed(provider, name) is None:
                raise SettingsError(
                    f'config.toml: prices.{provider}."{name}".input is missing',
                    "No price of that model is built in: input and output are needed besides.",
                )

    def price(self, provider: str, model: str) -> Price | None:
        """The price of a model at a provider, or None where it is unknown.

        The offline provider answers whatever model it is asked for, at no cost.
        """
        if provider == _OFFLINE:
            model = "extractive"
        listed = _catalog().prices
        for name in model_names(model):
            own = self._own.get((provider, name))
            if own is not None and (changed := _with_own(own, self._listed(provider, name))) is not None:
                return changed
            if (provider, name) in listed:
                return listed[provider, name]
        return None

    def cost_of(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """The exact cost of a reply, rounded half up to a micro-dollar, or None where price or tokens are unknown.

        Cached input is a part of the input. Where its own price is unknown it counts in full and the cost, which is
        then the most it can have been, is marked as estimated.
        """
        known = self.price(provider, model)
        return None if known is None else _cost(known.input, known.cached_input, known.output, usage)

    def batch_cost_of(self, provider: str, model: str, usage: Usage) -> Cost | None:
        """The cost of the same reply through the provider's own batch service; None where that has no known price."""
        known = self.price(provider, model)
        if known is None or known.batch_input is None or known.batch_output is None:
            return None
        return _cost(known.batch_input, None, known.batch_output, usage)

    def batch_worst_cost(self, provider: str, model: str, input_tokens: int, output_tokens: int) -> int | None:
        """As `worst_cost` through the provider's batch service; at the usual price where that one is not known."""
        known = self.price(provider, model)
        if known is None or known.batch_input is None or known.batch_output is None:
            return self.worst_cost(provider, model, input_tokens, output_tokens)
        return -(-(input_tokens * known.batch_input + output_tokens * known.batch_output) // _MILLION)

    def worst_cost(self, provider: str, model: str, input_tokens: int, output_tokens: int) -> int | None:
        """Micro-dollars, rounded up, that so many tokens cost where nothing comes from a cache; None: unknown."""
        known = self.price(provider, model)
        return None if known is None else -(-(input_tokens * known.input + output_tokens * known.output) // _MILLION)

    def context_window(self, model: str, provider: str = "") -> int | None:
        """How many tokens a model reads and writes at most, or None where that is unknown.

        A window of the person's own holds for the provider it was written for.
        """
        for name in model_names(model):
            own = self._own.get((provider, name))
            if own is not None and own.context is not None:
                return own.context
        return context_window(model)

    def longest_answer(self, model: str, provider: str = "") -> int | None:
        """How many tokens a model writes at most in one answer; as its context holds where only that is known."""
        return longest_answer(model) or self.context_window(model, provider)

    def models(self, provider: str) -> tuple[str, ...]:
        """Models of a provider whose price is known, the cheapest output first."""
        names = {name for where, name in _catalog().prices if where == provider}
        names |= {name for where, name in self._own if where == provider}
        priced = [(known.output, known.input, name) for name in names if (known := self.price(provider, name))]
        return tuple(name for _, _, name in sorted(priced))

    def providers(self) -> tuple[str, ...]:
        """Providers of which prices are known."""
        return tuple(sorted({where for where, _ in _catalog().prices} | {where for where, _ in self._own}))

    def published(self, provider: str, models: Iterable[str], tokens_per_day: int) -> tuple[tuple[str, int], ...]:
        """Costs per day that were published for such a load at a provider: what they are of, and micro-dollars."""
        names = set(models)
        figures = _catalog().published.get(provider, ())
        meant = (f for f in figures if f.tokens == tokens_per_day and names.issuperset(f.models))
        return tuple((figure.what, to_micros(Decimal(figure.day))) for figure in meant)

    def first_listed(self, provider: str) -> str:
        """The model that a provider's list begins with, or ""."""
        return next((name for where, name in _catalog().prices if where == provider), "")

    def _listed(self, provider: str, name: str) -> Price | None:
        listed = _catalog().prices
        return next((listed[provider, other] for other in model_names(name) if (provider, other) in listed), None)


def context_window(model: str) -> int | None:
    """How many tokens a model reads and writes at most as far as the package knows, or None."""
    windows = _catalog().context
    return next((windows[name] for name in model_names(model) if name in windows), None)


def longest_answer(model: str) -> int | None:
    """How many tokens a model writes at most in one answer, or None where that is unknown."""
    known = _catalog().longest_answer
    return next((known[name] for name in model_names(model) if name in known), None)


@lru_cache(maxsize=512)
def model_names(model: str) -> tuple[str, ...]:
    """What a model may be listed as, the most exact name first: without maker, without snapshot, dots for dashes."""
    aliases = _catalog().aliases
    exact = model.strip().lower()
    bare = _MAKER.sub("", exact)
    plain = _SNAPSHOT.sub("", bare)
    names = dict.fromkeys([exact, bare, plain, _DASHED_VERSION.sub(".", plain)])
    names |= dict.fromkeys(aliases[name] for name in list(names) if name in aliases)
    return tuple(names)


def same_model(one: str, other: str) -> bool:
    """Whether two names may mean the same model: other spellings, one of its snapshots."""
    return not set(model_names(one)).isdisjoint(model_names(other))


def _cost(input_price: int, cached_price: int | None, output_price: int, usage: Usage) -> Cost | None:
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    cached = min(usage.cached_input_tokens or 0, usage.input_tokens)
    each_cached = input_price if cached_price is None else cached_price
    exact = (usage.input_tokens - cached) * input_price + cached * each_cached + usage.output_tokens * output_price
    guessed = cached > 0 and cached_price is None and input_price > 0
    return Cost((2 * exact + _MILLION) // (2 * _MILLION), estimated=(usage.estimated and exact > 0) or guessed)


def _with_own(own: PriceSettings, listed: Price | None) -> Price | None:
    """The person's price; what they leave out is the table's, as long as they do not change what it belongs to."""
    if own.input is not None and own.output is not None:
        base = Price(to_micros(own.input), to_micros(own.output), None, "config.toml", "")
    elif listed is not None:
        base = listed
    else:
        return None
    changed = {
        name: to_micros(value)
        for name, value in (
            ("cached_input", own.cached), ("batch_input", own.batch_input), ("batch_output", own.batch_output)
        )
        if value is not None
    }  # fmt: skip
    return base if not changed else replace(base, **changed, source="config.toml", date="")


@lru_cache(maxsize=1)
def _catalog() -> _Catalog:
    from importlib.resources import files

    text = (files("holychat.catalog") / "prices.toml").read_text(encoding="utf-8")
    table = convert(tomllib.loads(text), _Table)
    prices = {
        (name, row.id): _listed_price(provider, row)
        for name, provider in table.providers.items()
        for row in provider.models
    }
    published = {name: provider.published for name, provider in table.providers.items()}
    return _Catalog(prices, table.context, table.longest_answer, table.aliases, published)


def _listed_price(provider: _ProviderTable, row: _ModelRow) -> Price:
    share = Decimal(provider.batch)
    return Price(
        input=to_micros(Decimal(row.input)),
        output=to_micros(Decimal(row.output)),
        cached_input=None if row.cached is None else to_micros(Decimal(row.cached)),
        source=provider.source,
        date=row.date or provider.date,
        batch_input=None if share == 1 else to_micros(Decimal(row.input) * share),
        batch_output=None if share == 1 else to_micros(Decimal(row.output) * share),
    )


def to_micros(dollars: Decimal) -> int:
    """Dollars as whole micro-dollars.

    Raises:
        ValueError: It is negative or finer than that.
    """
    micros = dollars * _MILLION
    if micros != micros.to_integral_value() or micros < 0:
        raise ValueError(f"{dollars} is not an amount in whole micro-dollars")
    return int(micros)
