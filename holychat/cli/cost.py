"""`holychat cost`: what was spent, on what, and how much of the limits is left."""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, cast

import click

from holychat.cli.cost_plan import plan
from holychat.errors import UsageError
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holychat.cli.session import Session
    from holychat.domain.calibration import Calibration
    from holychat.domain.spending import Share, Spent, Unsettled
    from holychat.money.costs import By, Costs
    from holychat.money.limits import Limit
    from holychat.services import Services

_BY = ("model", "provider", "day", "chat", "job")
_MOST_NAME = 40


class _Day(click.ParamType[str]):
    """A day: 2026-03-01, today, yesterday, or 7d for seven days ago."""

    name = "day"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        text = str(value).strip().lower()
        if text not in ("today", "yesterday") and not re.fullmatch(r"\d{1,5}d", text):
            try:
                date.fromisoformat(text)
            except ValueError:
                self.fail(f"{value} is no day; 2026-03-01, today, yesterday and 7d (seven days ago) are.", param, ctx)
        return text


def _day(text: str, today: date) -> date:
    if text in ("today", "yesterday"):
        return today - timedelta(days=text == "yesterday")
    return today - timedelta(days=int(text[:-1])) if text.endswith("d") else date.fromisoformat(text)


@click.group(invoke_without_command=True, short_help="What was spent: today, this month, by model, by day; plans.")
@click.option(
    "--since", type=_Day(), metavar="DAY", help="First day: 2026-03-01, today, yesterday, 7d; default: the 1st."
)
@click.option("--until", type=_Day(), metavar="DAY", help="Last day; default: today.")
@click.option("--by", type=click.Choice(_BY), help="Only this: money by model, provider, day, chat or job.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def cost(context: click.Context, since: str | None, until: str | None, by: str | None, as_json: bool) -> None:
    """What was spent: today, this month, by model and by day, and how much of the limits is used.

    "~" marks what is estimated because a provider did not report its tokens. What has no known price is counted and
    said, not guessed. What was paid for a chat or job that was deleted stays in the sums.
    """
    if context.invoked_subcommand is not None:
        if since or until or by or as_json:
            raise UsageError("These options are for `holychat cost` alone", "See `holychat cost plan --help`.")
        return
    session: Session = context.obj
    asked = session.with_services(lambda services: _read(services, since, until, cast("By | None", by)))
    if as_json:
        session.out.json(asked.fields())
    else:
        session.out.write("".join(f"{line}\n" for line in asked.lines(_width())))


cost.add_command(plan)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Everything that is printed."""

    first: date
    last: date
    today: date
    by: By | None
    spent: Spent
    spent_today: Spent
    shares: dict[By, list[Share]]
    unsettled: Unsettled
    limits: tuple[Limit, ...]
    calibrations: dict[str, Calibration]

    def lines(self, width: int) -> Iterator[str]:
        """For people."""
        if self.by is None:
            yield from _totals(self)
            yield from _warnings(self)
        for by, shares in self.shares.items():
            if self.by is None:
                yield ""
                yield f"By {by}"
            yield from _bars(shares, width)
            if not shares:
                yield "Nothing was spent."
        if self.by is None and self.calibrations:
            yield ""
            yield "Token estimates, learned from what providers reported"
            for name, known in sorted(self.calibrations.items()):
                yield _calibration_line(name, known)

    def fields(self) -> dict[str, Any]:
        """For programs."""
        found: dict[str, Any] = {"since": self.first.isoformat(), "until": self.last.isoformat()}
        found |= {"total": _spent_fields(self.spent), "today": _spent_fields(self.spent_today)}
        found["unsettled"] = {
            "requests": self.unsettled.requests,
            "worst_usd": self.unsettled.micros / 1_000_000,
            "unknown": self.unsettled.unknown,
        }
        found["limits"] = {
            limit.name: {
                "usd": limit.micros / 1_000_000,
                "used_usd": limit.used / 1_000_000,
                "left_usd": limit.left / 1_000_000,
                "near": limit.near,
                "reached": limit.reached,
            }
            for limit in self.limits
        }
        found["token_estimates"] = {
            name: {"ratio": known.ratio, "error": known.error, "samples": known.samples}
            for name, known in sorted(self.calibrations.items())
        }
        return found | {f"by_{by}": [_share_fields(share) for share in shares] for by, shares in self.shares.items()}


async def _read(services: Services, since: str | None, until: str | None, by: By | None) -> _Asked:
    costs: Costs = services.costs
    today = costs.today()
    last = _day(until, today) if until else today
    first = _day(since, today) if since else last.replace(day=1)
    if first > last:
        raise UsageError(f"{first} is after {last}", "--since is the first day and --until the last.")
    wanted: tuple[By, ...] = (by,) if by is not None else ("model", "day")
    shares: dict[By, list[Share]] = {each: await costs.shares(each, first, last) for each in wanted}
    if "day" in shares:
        shares["day"] = _from_first_spent(shares["day"])
    return _Asked(
        first, last, today, by, await costs.total(first, last), await costs.total(today, today), shares,
        await costs.unsettled(first, last), await costs.limits(), dict(await costs.calibrations()),
    )  # fmt: skip


def _from_first_spent(days: list[Share]) -> list[Share]:
    """Days from the first on which there was something; a whole empty month says nothing."""
    begins = next((place for place, day in enumerate(days) if day.spent.requests), len(days))
    return days[begins:]


def _totals(asked: _Asked) -> Iterator[str]:
    whole_month = (asked.first, asked.last) == (asked.today.replace(day=1), asked.today)
    rows = {
        "Today": asked.spent_today,
        "This month" if whole_month else f"{asked.first} to {asked.last}": asked.spent,
    }
    width = max(len(name) for name in rows)
    for name, spent in rows.items():
        yield f"{name:<{width}}  {_total_words(spent)}"


def _warnings(asked: _Asked) -> Iterator[str]:
    for limit in asked.limits:
        yield f"Limit: {limit.text()}{'; requests are held' if limit.reached else ''}."
    if asked.unsettled.requests:
        from holychat.catalog.money import worst_words

        requests = "1 request" if asked.unsettled.requests == 1 else f"{asked.unsettled.requests:,} requests"
        yield f"Under way or in doubt: {requests}, {worst_words(asked.unsettled)}."


def _total_words(spent: Spent) -> str:
    requests = f"{spent.requests:,} {'request' if spent.requests == 1 else 'requests'}"
    tokens = f"{spent.input_tokens:,} tokens in, {spent.output_tokens:,} out" if spent.requests else ""
    parts = [part for part in (requests, tokens, _doubts(spent)) if part]
    return f"{_cost(spent)}  {'; '.join(parts)}"


def _doubts(spent: Spent) -> str:
    parts = []
    if spent.estimated:
        parts.append(f"{spent.estimated:,} estimated")
    if spent.unknown:
        parts.append(f"{spent.unknown:,} of unknown price, not in the sum")
    return ", ".join(parts)


def _bars(shares: Sequence[Share], width: int) -> Iterator[str]:
    from rich.cells import cell_len

    from holychat.catalog.money import bar

    rows = [(_name(share), _cost(share.spent), share.spent) for share in shares]
    names = max((cell_len(name) for name, _, _ in rows), default=0)
    costs = max((len(amount) for _, amount, _ in rows), default=0)
    most = max((spent.micros for _, _, spent in rows), default=0)
    room = max(10, width - names - costs - 4 - 12)
    for name, amount, spent in rows:
        unknown = f" + {spent.unknown:,} unknown" if spent.unknown and spent.unknown != spent.requests else ""
        line = f"{name}{' ' * (names - cell_len(name))}  {amount:>{costs}}  {bar(spent.micros, most, room)}{unknown}"
        yield line.rstrip()


def _name(share: Share) -> str:
    if share.id is not None:
        return f"{share.id} {clean_line(share.name, _MOST_NAME) or 'untitled or deleted'}"
    name = clean_line(share.name, _MOST_NAME) or "unnamed"
    return f"{name} ({clean_line(share.provider, 20)})" if share.provider and share.provider != share.name else name


def _cost(spent: Spent) -> str:
    from holychat.catalog.money import short_money

    return short_money(spent.cost) or "unknown"


def _calibration_line(name: str, known: Calibration) -> str:
    times = "answer" if known.samples == 1 else "answers"
    return (
        f"{clean_line(name, _MOST_NAME)}: {known.ratio:.2f} times our count, off by {known.error:.0%} on average, "
        f"from {known.samples:,} {times}"
    )


def _spent_fields(spent: Spent) -> dict[str, Any]:
    known = spent.cost
    return {
        "usd": None if known is None else known.micros / 1_000_000,
        "requests": spent.requests,
        "estimated": spent.estimated,
        "unknown": spent.unknown,
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
    }


def _share_fields(share: Share) -> dict[str, Any]:
    where = {"provider": share.provider} if share.provider else {}
    number = {"id": share.id} if share.id is not None else {}
    return {"name": share.name, **where, **number, **_spent_fields(share.spent)}


def _width() -> int:
    return min(100, shutil.get_terminal_size().columns) if sys.stdout is not None and sys.stdout.isatty() else 80
