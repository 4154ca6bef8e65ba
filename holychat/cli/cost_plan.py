"""`holychat cost plan`: what a steady load would cost, road by road."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from holychat.cli.arguments import DOLLARS, PROVIDER, TEXT
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holychat.catalog.prices import PriceBook
    from holychat.cli.session import Session
    from holychat.money.plan import Claim, Load, Scenario

_FORMULA = "per day = tokens x (input share x input price + output share x output price)"
_MULTIPLES = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}


class _Count(click.ParamType[int]):
    """A number of tokens: 250000, 500k, 1.5M."""

    name = "tokens"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d[\d_,]*(?:\.\d+)?)([kKmMgGbB]?)", str(value).strip())
        if match is not None:
            unit = match[2].upper().replace("B", "G").replace("K", "k")
            exact = Fraction(match[1].replace(",", "").replace("_", "")) * _MULTIPLES[unit]
            if exact.denominator == 1 and 0 < exact <= 10**15:
                return int(exact)
        return self.fail(f"{value} is no number of tokens; 250000, 500k and 1.5M are.", param, ctx)


class _Share(click.ParamType[Fraction]):
    """A share: 0.7 or 70%."""

    name = "share"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        text = str(value).strip()
        if re.fullmatch(r"\d+(\.\d+)?%?", text):
            share = Fraction(text.rstrip("%")) / (100 if text.endswith("%") else 1)
            if share <= 1:
                return share
        return self.fail(f"{value} is no share; 0.7 and 70% are.", param, ctx)


class _Ratio(click.ParamType[Fraction]):
    """Input tokens per output token: 3 or 3:1."""

    name = "ratio"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fraction:
        match = re.fullmatch(r"(\d{1,9}(?:\.\d+)?)(?::(\d{1,9}(?:\.\d+)?))?", str(value).strip())
        if match is not None and Fraction(match[2] or 1):
            return Fraction(match[1]) / Fraction(match[2] or 1)
        return self.fail(f"{value} is no ratio; 3 and 3:1 are, and 0 counts every token as output.", param, ctx)


@click.command(short_help="What a steady load would cost: streamed, batched, hybrid, another model.")
@click.option(
    "--tokens-per-day", type=_Count(), default="1M", metavar="N", help="For example 250000, 500k, 1.5M; default 1M."
)
@click.option(
    "-m", "--model", "models", type=TEXT, multiple=True,
    help="The model to start from; more of them are held against it. Alone: the cheapest other one is.",
)  # fmt: skip
@click.option("-p", "--provider", type=PROVIDER, metavar="NAME", help="Default: the provider of the settings.")
@click.option("--batch-share", type=_Share(), default="0.7", metavar="SHARE", help="Share that can wait; default 0.7.")
@click.option(
    "--in-out-ratio", type=_Ratio(), default="0", metavar="RATIO",
    help="Input tokens per output token, for example 3:1. Default 0: each token at the output price.",
)  # fmt: skip
@click.option(
    "--claim", "claims", type=DOLLARS, multiple=True, metavar="DOLLARS",
    help="A figure per day that somebody published: does it follow from the list prices?",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def plan(
    session: Session,
    tokens_per_day: int,
    models: tuple[str, ...],
    provider: str | None,
    batch_share: Fraction,
    in_out_ratio: Fraction,
    claims: tuple[int, ...],
    as_json: bool,
) -> None:
    """Scenarios side by side, per day and per month, with what each saves: all streamed, all batched, a hybrid of
    both, another model.

    Nothing is sent and nothing is spent.
    """
    from holychat.catalog.prices import PriceBook
    from holychat.money.plan import Load, check_claim, scenarios, usual_models

    where = provider or session.settings.chat.provider
    book = PriceBook(session.settings.prices)
    load = Load(tokens_per_day, in_out_ratio, batch_share)
    chosen = list(models) or usual_models(book, where, _default_model(session, where), load)
    found = scenarios(book, where, chosen, load)
    checked = [check_claim(found, load, micros) for micros in claims]
    if not claims and not in_out_ratio:
        published = book.published(where, [scenario.streamed for scenario in found], tokens_per_day)
        checked = [check_claim(found, load, micros, what) for what, micros in published]
    if as_json:
        session.out.json(_fields(book, where, load, found, checked))
    else:
        session.out.write(_text(book, where, load, found, checked))


def _default_model(session: Session, provider: str) -> str:
    """The model that the settings ask at a provider, or ""."""
    default = next((info.model for info in session.registry.infos() if info.name == provider), "")
    return session.settings.chat.model_of(provider) or default


def _text(book: PriceBook, provider: str, load: Load, found: Sequence[Scenario], claims: Sequence[Claim]) -> str:
    from holychat.money.plan import percent

    base = found[0]
    rows = [("", "per day", "per month", "saving")]
    for scenario in found:
        saved = scenario.saving(base)
        saving = "" if scenario is base or saved is None else percent(saved)
        rows.append((scenario.name, _money(scenario.day_micros), _money(scenario.month_micros), saving))
    shares = f"input share {percent(load.input_share)}, output share {percent(1 - load.input_share)}"
    kind = (
        "all counted at the output price" if not load.ratio else f"{float(load.ratio):g} input tokens per output token"
    )
    lines = [f"{load.tokens_per_day:,} tokens a day at {provider}, {kind}", "", *_columns(rows), ""]
    lines += [_FORMULA, f"  {shares} (--in-out-ratio)"]
    lines += [
        f"hybrid = {percent(1 - load.batch_share)} x streamed + {percent(load.batch_share)} x batched (--batch-share)"
    ]
    lines += ["per month = 30 days; saving is held against the first line", ""]
    lines += ["Prices per million tokens:", *(f"  {line}" for line in _prices(book, provider, found))]
    lines += [f"Note: {note}." for note in dict.fromkeys(scenario.note for scenario in found if scenario.note)]
    for claim in claims:
        lines += ["", *_claim_lines(claim, load)]
    return "\n".join(lines) + "\n"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Names to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *figures in rows:
        cells = (figure.rjust(width) for figure, width in zip(figures, widths[1:], strict=True))
        yield "  ".join([clean_line(name).ljust(widths[0]), *cells]).rstrip()


def _prices(book: PriceBook, provider: str, found: Sequence[Scenario]) -> Iterator[str]:
    for model in dict.fromkeys(name for scenario in found for name in (scenario.streamed, scenario.batched) if name):
        price = book.price(provider, model)
        assert price is not None
        batch = ""
        if price.batch_input is not None and price.batch_output is not None:
            batch = f", batched {_money(price.batch_input)} in, {_money(price.batch_output)} out"
        source = f"{price.source}, {price.date}" if price.date else price.source
        yield f"{model} {_money(price.input)} in, {_money(price.output)} out{batch} ({source})"


def _claim_lines(claim: Claim, load: Load) -> Iterator[str]:
    from holychat.money.plan import percent

    figure = f"{_money(claim.micros)} per day" + (f" ({claim.what})" if claim.what else "")
    if claim.equals:
        yield f"{figure} follows from the list prices: {claim.equals[0]}."
        return
    yield f"{figure} does not follow from the list prices: no line above costs that."
    for scenario, share in claim.shares:
        yield (
            f"  {scenario.streamed} streamed with {scenario.batched} batched costs {_money(scenario.day_micros)} at "
            f"a batch share of {percent(load.batch_share)}; it would take a share of {percent(share)}."
        )


def _money(micros: int) -> str:
    from holychat.catalog.money import money_text
    from holychat.domain.usage import Cost

    return money_text(Cost(micros))


def _fields(
    book: PriceBook, provider: str, load: Load, found: Sequence[Scenario], claims: Sequence[Claim]
) -> dict[str, Any]:
    from holychat.cli.models import price_fields

    models = dict.fromkeys(name for scenario in found for name in (scenario.streamed, scenario.batched) if name)
    prices = {model: price for model in models if (price := book.price(provider, model)) is not None}
    return {
        "provider": provider,
        "tokens_per_day": load.tokens_per_day,
        "in_out_ratio": float(load.ratio),
        "batch_share": float(load.batch_share),
        "formula": _FORMULA,
        "prices": {model: price_fields(price) for model, price in prices.items()},
        "scenarios": [
            {
                "name": scenario.name,
                "streamed": scenario.streamed or None,
                "batched": scenario.batched or None,
                "usd_per_day": scenario.day_micros / 1_000_000,
                "usd_per_month": scenario.month_micros / 1_000_000,
                "saving": None if (saved := scenario.saving(found[0])) is None else float(saved),
                "note": scenario.note or None,
            }
            for scenario in found
        ],
        "claims": [
            {
                "usd_per_day": claim.micros / 1_000_000,
                "what": claim.what or None,
                "follows_from": list(claim.equals),
                "needs_batch_share": {scenario.name: float(share) for scenario, share in claim.shares},
            }
            for claim in claims
        ],
    }
