"""From the options of `holychat bench` to its tables: the price, the question, the run, the files."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holychat.benchmark import picture, prompts, report, runs, table
from holychat.catalog.money import money_text
from holychat.cli.batch_watch import raw_notice
from holychat.cli.output import is_terminal
from holychat.cli.questions import says_yes
from holychat.domain.usage import Cost
from holychat.errors import ExitCode, ProviderError, UsageError
from holychat.paths import write_private_file
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holychat.benchmark.report import Report
    from holychat.benchmark.trip import Progress
    from holychat.cli.session import Session
    from holychat.services import Services

_FIRST_REPLIES = 3
"""From so many replies it is said how long the rest will take, if that is long."""
_LONG_SECONDS = 20.0
_PAINT_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Wish:
    """The command line."""

    provider: str | None
    models: tuple[str, ...]
    count: int
    live_count: int
    concurrency: int | None
    prompts: Path | None
    max_tokens: int
    budget_micros: int | None
    yes: bool
    as_json: bool
    save: Path | None
    compare: Path | None
    svg: Path | None
    overwrite: bool


def carry_out(session: Session, wish: Wish) -> int:
    """Do what the command line says; the exit status.

    Raises:
        UsageError: It cannot be done, or nobody is there to say yes. Nothing was spent.
        HolychatError: Nothing could be measured.
    """
    _check_targets(wish)
    earlier = None if wish.compare is None else report.load(wish.compare)
    texts = prompts.BUILT_IN if wish.prompts is None else prompts.read(wish.prompts)
    plan, price = session.with_services(lambda services: _prepared(session, services, wish, texts))
    if not _agreed(session, wish, plan, price):
        session.out.notice("Nothing was sent.")
        return ExitCode.INTERRUPTED
    found, status = session.with_services(lambda services: _measured(session, services, plan, price))
    _print(session, wish, found, earlier)
    if found.measured or not found.interrupted:
        _write_files(wish, found)
    return status


# Before


def _check_targets(wish: Wish) -> None:
    """A file that cannot be written is found out before anything is paid for.

    Raises:
        UsageError: There is one.
    """
    for path in (wish.save, wish.svg):
        if path is None:
            continue
        if os.path.lexists(path) and not wish.overwrite:
            raise UsageError(f"{path} is there already", "Choose another name, or add --overwrite.")
        if not path.parent.is_dir():
            raise UsageError(f"There is no folder {path.parent}", "Make it first, or choose another.")
    if wish.save is not None and wish.svg is not None and wish.save.absolute() == wish.svg.absolute():
        raise UsageError("--save and --svg name the same file")


async def _prepared(
    session: Session, services: Services, wish: Wish, texts: tuple[str, ...]
) -> tuple[runs.Plan, runs.Price]:
    name = services.registry.info(wish.provider or session.settings.chat.provider).name
    for warning in services.registry.get(name).warnings():
        session.warn(warning)
    models = tuple(dict.fromkeys(model.strip() for model in wish.models if model.strip()))
    plan = runs.Plan(
        name,
        models or (await _default_model(services, name),),
        texts,
        wish.count,
        wish.live_count,
        wish.max_tokens,
        wish.concurrency,
        wish.budget_micros,
    )
    return plan, await runs.price_of(services, plan)


async def _default_model(services: Services, provider: str) -> str:
    model = services.settings.chat.model_of(provider) or services.registry.info(provider).model
    if not model:
        try:
            model = next((found.id for found in await services.registry.get(provider).models()), "")
        except ProviderError as error:
            raise UsageError(f"Which model is not known: {error.title}", "Name one with -m.") from error
    if not model:
        raise UsageError(f"{provider} offers no model", "Name one with -m.")
    return model


def _agreed(session: Session, wish: Wish, plan: runs.Plan, price: runs.Price) -> bool:
    """Show what it may cost, and ask where it may cost something."""
    models = ", ".join(clean_line(model, 60) for model in plan.models)
    fewer = "" if plan.live_count == plan.count else f", {plan.live_count:,} of them streamed as well"
    roads = "streamed, and again as a batch" if not fewer else f"as a batch{fewer}"
    most = price.micros if price.allowance is None else max(0, min(price.micros, price.allowance))
    cost = _cost_words(price, most)
    session.out.notice(
        f"{clean_line(plan.provider, 40)}, {models}: {plan.count:,} requests each {roads}, replies of up to"
        f" {plan.max_tokens:,} tokens: {cost}"
    )
    if wish.yes or price.is_free:
        return True
    money = money_text(Cost(most))
    unpriced = ", ".join(clean_line(model, 60) for model in price.unknown)
    if price.unknown:
        known = f" beside {money}" if price.micros else ""
        question = f"Spend what {unpriced} may cost, which is unknown{known}?"
    else:
        question = f"Spend up to {money}?"
    return says_yes(question)


def _cost_words(price: runs.Price, most: int) -> str:
    if price.is_free:
        return "free"
    known = f"at most {money_text(Cost(most))}" if price.micros else ""
    unknown = f"price of {', '.join(clean_line(model, 60) for model in price.unknown)} unknown" if price.unknown else ""
    held = " (all of it could cost more: it ends when that is reached)" if most < price.micros else ""
    return ", ".join(words for words in (known, unknown) if words) + held


# Meanwhile


async def _measured(session: Session, services: Services, plan: runs.Plan, price: runs.Price) -> tuple[Report, int]:
    painter = _Painter(session)
    with _signals() as signals:
        try:
            found = await runs.run(services, plan, price.allowance, painter.tell, signals.stop)
        finally:
            painter.end()
        return found, signals.status


class _Painter:
    """Says how far it is: a line that is painted anew on a terminal, a few plain lines elsewhere."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._live = is_terminal(sys.stderr)
        self._painted_at = 0.0
        self._shown = False
        self._announced: set[tuple[str, str]] = set()

    def tell(self, at: Progress) -> None:
        """Show it, where it is time."""
        self._announce(at)
        now = time.monotonic()
        if not self._live or (now - self._painted_at < _PAINT_SECONDS and at.done < at.of):
            return
        self._painted_at, self._shown = now, True
        errors = f", {at.errors:,} errors" if at.errors else ""
        left = "" if at.seconds_left is None or at.done >= at.of else f", about {_span(at.seconds_left)} left"
        text = clean_line(f"{at.model}, {at.road}: {at.done:,} of {at.of:,}{errors}{left}", 200)
        width = shutil.get_terminal_size().columns - 1
        raw_notice(f"\r\x1b[K{text[:width]}")

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            raw_notice("\r\x1b[K")
            self._shown = False

    def _announce(self, at: Progress) -> None:
        """Streaming many requests one after another may take longer than somebody wants to wait."""
        key = (at.model, at.road)
        if at.done < _FIRST_REPLIES or at.seconds_left is None or key in self._announced or at.road != "live":
            return
        self._announced.add(key)
        if at.seconds_left >= _LONG_SECONDS:
            self.end()
            self._session.out.notice(
                f"{clean_line(at.model, 60)}: streaming the other {at.of - at.done:,} one after another takes about"
                f" {_span(at.seconds_left)}. --live-n streams fewer; Ctrl+C prints what was measured."
            )


class _Signals:
    """What ends a run early, and the exit status that follows from it."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.status = int(ExitCode.DONE)

    def receive(self, number: int) -> None:
        """The first one counts."""
        if not self.stop.is_set():
            self.status = 128 + number
            self.stop.set()


@contextlib.contextmanager
def _signals() -> Iterator[_Signals]:
    loop = asyncio.get_running_loop()
    signals = _Signals()
    numbers = [number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
               if signal.getsignal(number) != signal.SIG_IGN]  # fmt: skip
    for number in numbers:
        loop.add_signal_handler(number, signals.receive, number)
    try:
        yield signals
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


# After


def _print(session: Session, wish: Wish, found: Report, earlier: Report | None) -> None:
    if wish.as_json:
        fields: dict[str, Any] = json.loads(report.encode(found))
        if earlier is not None:
            fields["compared_with"] = json.loads(report.encode(earlier))
        session.out.json(fields)
    else:
        lines = list(table.tables(found))
        if earlier is not None:
            lines += ["", *table.differences(earlier, found, str(wish.compare))]
        session.out.write("".join(f"{line}\n" for line in lines))
    if not found.interrupted:
        return
    if found.measured:
        session.out.notice("It was interrupted: these are the figures of what was done until then.")
    else:
        session.out.notice("It was interrupted before the first reply: nothing was measured.")


def _write_files(wish: Wish, found: Report) -> None:
    if wish.save is not None:
        write_private_file(wish.save, report.encode(found), overwrite=wish.overwrite)
    if wish.svg is not None:
        write_private_file(wish.svg, picture.picture(found), overwrite=wish.overwrite)


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
