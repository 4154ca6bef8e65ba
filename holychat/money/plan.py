"""What a steady load costs on each road: all streamed, all batched, some of each, another model. Exact to the end.

Per day: tokens x (input share x input price + output share x output price) / 1,000,000, where input share is
ratio / (1 + ratio), output share 1 / (1 + ratio), and ratio is input tokens per output token. A hybrid is
(1 - batch share) x the streamed price + batch share x the batched one. A month is 30 days.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from holychat.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holychat.catalog.prices import Price, PriceBook

MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Load:
    """A steady load."""

    tokens_per_day: int
    ratio: Fraction = Fraction(0)
    """Input tokens per output token; 0: every token is counted at the output price."""
    batch_share: Fraction = Fraction(7, 10)
    """Share of the tokens that can wait, 0 to 1."""

    @property
    def input_share(self) -> Fraction:
        """Share of the tokens that are input."""
        return self.ratio / (1 + self.ratio)

    def cost(self, input_price: int, output_price: int) -> Fraction:
        """Micro-dollars per day at prices in micro-dollars per million tokens."""
        each = self.input_share * input_price + (1 - self.input_share) * output_price
        return Fraction(self.tokens_per_day, 1_000_000) * each


@dataclass(frozen=True, slots=True)
class Scenario:
    """One way to do it."""

    name: str
    per_day: Fraction
    """Micro-dollars."""
    note: str = ""
    streamed: str = ""
    """Model of the part that is streamed; empty: none."""
    batched: str = ""
    """Model of the part that is batched; empty: none."""

    @property
    def day_micros(self) -> int:
        """Whole micro-dollars per day, rounded half up."""
        return _rounded(self.per_day)

    @property
    def month_micros(self) -> int:
        """Whole micro-dollars per month of 30 days, rounded half up once."""
        return _rounded(self.per_day * MONTH_DAYS)

    def saving(self, base: Scenario) -> Fraction | None:
        """Share that it saves against another scenario, negative where it costs more; None where that is free."""
        return 1 - self.per_day / base.per_day if base.per_day else None


@dataclass(frozen=True, slots=True)
class Claim:
    """A figure that somebody published, held against the list prices."""

    micros: int
    """Per day."""
    equals: tuple[str, ...]
    """Scenarios that cost exactly that."""
    shares: tuple[tuple[Scenario, Fraction], ...]
    """Hybrids that would cost that at another batch share, and at which."""
    what: str = ""


def scenarios(book: PriceBook, provider: str, models: Sequence[str], load: Load) -> list[Scenario]:
    """Scenarios side by side; the first one, all streamed with the first model, is what the others are held against.

    With one model the cheapest other one of the provider is held against it.

    Args:
        book: Prices in force.
        provider: Where it is sent.
        models: One or more, see `usual_models`.
        load: How much it is.

    Raises:
        UsageError: A price is not known.
    """
    prices = {model: _price(book, provider, model) for model in models}
    first = models[0]
    others = [model for model in dict.fromkeys(models[1:]) if model != first]
    if len(models) == 1 and (cheapest := _cheapest(book, provider, first, load)) is not None:
        others = [cheapest]
        prices[cheapest] = _price(book, provider, cheapest)
    found = _roads(provider, first, prices[first], load)
    for other in others:
        found += _roads(provider, other, prices[other], load)[: 2 if prices[other].batch_output is not None else 1]
        found.append(_hybrid(load, (first, prices[first]), (other, prices[other]), provider))
    return found


def usual_models(book: PriceBook, provider: str, model: str, load: Load) -> list[str]:
    """What to compare where the person names nothing: a model and the cheapest one, or where it is that, the first of
    the provider's list; the dearer one first.

    Raises:
        UsageError: No price of the provider is known.
    """
    known = book.models(provider)
    if not known:
        raise UsageError(
            f"No price of {provider} is known",
            f'[prices.{provider}."MODEL"] in config.toml adds one; or give --provider.',
        )
    first = model if book.price(provider, model) is not None else known[-1]
    cheapest = _cheapest(book, provider, first, load) or first
    costs = {name: _all_streamed(book, provider, name, load) for name in (first, cheapest)}
    if costs[cheapest] >= costs[first]:
        listed = book.first_listed(provider)
        cheapest = listed if listed and listed != first else cheapest
        costs[cheapest] = _all_streamed(book, provider, cheapest, load)
    return sorted(dict.fromkeys((first, cheapest)), key=lambda name: -costs[name])


def check_claim(found: Sequence[Scenario], load: Load, micros: int, what: str = "") -> Claim:
    """Whether a published figure per day follows from the list prices, and what it would take."""
    alone = {s.streamed: s.per_day for s in found if s.streamed and not s.batched}
    shares = []
    for scenario in found:
        if not (scenario.streamed and scenario.batched) or not 0 < load.batch_share < 1:
            continue
        streamed = alone[scenario.streamed]
        batched = (scenario.per_day - (1 - load.batch_share) * streamed) / load.batch_share
        if streamed != batched and 0 <= (share := (streamed - micros) / (streamed - batched)) <= 1:
            shares.append((scenario, share))
    return Claim(micros, tuple(s.name for s in found if s.per_day == micros), tuple(shares), what)


def _roads(provider: str, model: str, price: Price, load: Load) -> list[Scenario]:
    streamed = Scenario(f"{model}, all streamed", load.cost(price.input, price.output), streamed=model)
    if price.batch_input is None or price.batch_output is None:
        batched = Scenario(f"{model}, all batched", streamed.per_day, _no_batch_price(provider), batched=model)
    else:
        cost = load.cost(price.batch_input, price.batch_output)
        batched = Scenario(
            f"{model}, all batched", cost, "the provider's own batch service, within 24 h", batched=model
        )
    return [streamed, batched, _hybrid(load, (model, price), (model, price), provider)]


def _hybrid(load: Load, live: tuple[str, Price], later: tuple[str, Price], provider: str) -> Scenario:
    (model, price), (other, other_price) = live, later
    batch_input, batch_output = other_price.batch_input, other_price.batch_output
    note = ""
    if batch_input is None or batch_output is None:
        batch_input, batch_output, note = other_price.input, other_price.output, _no_batch_price(provider)
    share = load.batch_share
    cost = (1 - share) * load.cost(price.input, price.output) + share * load.cost(batch_input, batch_output)
    streamed_part, batched_part = percent(1 - share), percent(share)
    if model == other:
        name = f"{model}, {streamed_part} streamed, {batched_part} batched"
    else:
        name = f"{model} {streamed_part} streamed, {other} {batched_part} batched"
    return Scenario(name, cost, note, model, other)


def _no_batch_price(provider: str) -> str:
    return f"{provider} documents no batch price: what is batched costs the list price"


def _price(book: PriceBook, provider: str, model: str) -> Price:
    found = book.price(provider, model)
    if found is None:
        known = ", ".join(book.models(provider)) or "none"
        raise UsageError(
            f"The price of {model or 'the default model'} at {provider} is not known",
            f'Known there: {known}. [prices.{provider}."{model}"] in config.toml adds one.',
        )
    return found


def _all_streamed(book: PriceBook, provider: str, model: str, load: Load) -> Fraction:
    price = _price(book, provider, model)
    return load.cost(price.input, price.output)


def _cheapest(book: PriceBook, provider: str, model: str, load: Load) -> str | None:
    same = book.price(provider, model)
    costs = {
        name: load.cost(price.input, price.output)
        for name in book.models(provider)
        if (price := book.price(provider, name)) is not None and price != same
    }
    return min(costs, key=lambda name: (costs[name], name), default=None)


def percent(share: Fraction) -> str:
    """A share as per cent with one decimal at most."""
    tenths = _rounded(share * 1000)
    return f"{tenths // 10} %" if tenths % 10 == 0 else f"{tenths / 10:.1f} %"


def _rounded(value: Fraction) -> int:
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)
