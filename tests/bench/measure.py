"""The benchmarks. Each yields rows: what was measured, of which program, under which conditions.

Figures: `_s` seconds, `_ms` milliseconds, `_mb` megabytes, `_pct` per cent of one core.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any

from tests.bench.batch import batch, batch_memory, batch_quota, batch_typing
from tests.bench.driver import KEYS
from tests.bench.machine import Weather
from tests.bench.programs import BARE_TEXTUAL, HOLYCHAT, PLAIN_PRINTER, PROGRAMS, Program
from tests.bench.seed import seed_chats
from tests.bench.terminal import Gone, TooLate
from tests.bench.texts import KINDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.bench.driver import Driver
    from tests.bench.terminal import Terminal

Row = dict[str, Any]
QUOTAS: dict[str, tuple[int, dict[str, Any]]] = {
    "500 per minute, smoothed": (1_000, {"per_second": 500 / 60}),
    "50 per second": (4_500, {"per_second": 50}),
    "50 per second, Retry-After": (4_500, {"per_second": 50, "retry_after": True}),
    "600 per minute, all at once": (1_500, {"per_minute": 600}),
}
"""Quotas that the desk is not told of: how many requests, and rules of the quota server."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How much of everything."""

    repetitions: int = 3
    starts: int = 7
    """Rounds of the benchmarks of starting and opening; the first is thrown away where there are more than one."""
    kinds: Sequence[str] = KINDS
    sizes: Sequence[int] = (2_000, 10_000, 40_000)
    bare_sizes: Sequence[int] = (2_000, 10_000)
    """Sizes that the bare Textual app is given; 40,000 take it minutes."""
    rates: Sequence[int] = (100, 400)
    stream_seconds: float = 8
    keys: int = 30
    messages: int = 10
    """Later messages per run of the first-token benchmark."""
    long_chat: int = 10_000
    patience: float = 150
    """Seconds after which a flood is given up."""
    batch_requests: int = 2_000
    batch_latencies: Sequence[float] = (0, 50)
    batch_at_once: Sequence[int] = (20, 100, 500)
    memory_items: Sequence[int] = (1_000, 100_000)
    typing_items: int = 30_000
    """Items of the job beside which somebody types: it must not end before them."""
    quotas: Mapping[str, tuple[int, dict[str, Any]]] = field(default_factory=lambda: dict(QUOTAS))
    quota_latency_ms: float = 400
    programs: Sequence[str] = tuple(PROGRAMS)
    holychat: Program = HOLYCHAT
    openai_pythons: Sequence[Path] = ()
    """Interpreters of environments with other versions of the official client, which are measured as well."""


def milliseconds(delays: Sequence[float]) -> list[float]:
    """Seconds in milliseconds, rounded for the record."""
    return [round(1000 * delay, 2) for delay in delays]


def start(driver: Driver, plan: Plan) -> Iterator[Row]:
    """Cold start: from the start of the process to the painted prompt, and to the echo of the first key.

    The first start of each program compiles byte code and makes the database.
    """
    programs = _chosen(plan, BARE_TEXTUAL, PLAIN_PRINTER)
    homes = {program.name: driver.home(program) for program in programs}
    for repetition, program in product(range(plan.starts), programs):
        with driver.ready(program, homes[program.name]) as terminal:
            painted = time.monotonic()
            echoed = _first_echo(terminal)
            if repetition or plan.starts == 1:
                yield {
                    "program": program.name,
                    "painted_s": painted - terminal.started,
                    "echo_s": echoed - terminal.started,
                    "cpu_s": terminal.cpu(),
                    "memory_mb": terminal.memory(),
                }
            # What the app does after its first frame belongs to nobody else's measurement.
            terminal.wait_until_idle(5)


def _first_echo(terminal: Terminal) -> float:
    for key in KEYS[:40]:
        terminal.type(key)
        try:
            return terminal.wait_for_key(key, 0.15)
        except TooLate:
            continue
    raise TooLate("No key was echoed")


def first_token(driver: Driver, plan: Plan) -> Iterator[Row]:
    """From Enter to the first painted piece of the reply, less the time the server took.

    The reply comes at 50 pieces per second, so that nothing else is being painted.
    """
    for _, program in product(range(plan.repetitions), _chosen(plan, BARE_TEXTUAL, PLAIN_PRINTER)):
        with driver.ready(program) as terminal:
            terminal.wait_until_idle()
            for number in range(plan.messages + 1):
                asked = driver.ask(terminal, "mixed", 12, 50)
                painted = terminal.wait_for_mark(asked.first)
                terminal.wait_for_mark(asked.last)
                server = driver.served(asked)
                yield {
                    "program": program.name,
                    "message": "later" if number else "first",
                    "overhead_ms": 1000 * (painted - asked.entered - (server["first"] - server["received"])),
                    "to_request_ms": 1000 * (server["received"] - asked.entered),
                    "to_paint_ms": 1000 * (painted - server["first"]),
                }
                terminal.watch(0.4)


def flood(driver: Driver, plan: Plan) -> Iterator[Row]:
    """A reply written at once: wall time to its last mark on the screen, CPU until then and until the program rests.

    Each flood has a process of its own, after a short exchange. A reply of 8 pieces measures what any reply costs.
    """
    programs = _chosen(plan, BARE_TEXTUAL, PLAIN_PRINTER)
    for _, kind, size, program in product(range(plan.repetitions), plan.kinds, (8, *plan.sizes), programs):
        if program is BARE_TEXTUAL and size not in (8, *plan.bare_sizes):
            continue
        yield {"program": program.name, "kind": kind, "size": size, **_one_flood(driver, plan, program, kind, size)}


def _one_flood(driver: Driver, plan: Plan, program: Program, kind: str, size: int) -> Row:
    with driver.warm(program) as terminal:
        rest = terminal.cpu()
        terminal.watch(1)
        idle_share = terminal.cpu() - rest
        memory, read = terminal.memory(), terminal.bytes_read
        asked = driver.ask(terminal, kind, size)
        try:
            painted = terminal.wait_for_mark(asked.last, plan.patience)
        except TooLate:
            return {"gave_up": True, "cpu_last_s": terminal.cpu() - asked.cpu}
        to_last = terminal.cpu() - asked.cpu
        terminal.wait_until_idle()
        elapsed = time.monotonic() - asked.entered
        server = driver.served(asked)
        return {
            "wall_s": painted - server["first"],
            "cpu_last_s": to_last,
            "cpu_s": terminal.cpu() - asked.cpu - idle_share * elapsed,
            "idle_pct": 100 * idle_share,
            "memory_mb": terminal.memory(),
            "grown_mb": terminal.memory() - memory,
            "painted_kb": (terminal.bytes_read - read) / 1000,
        }


def paced(driver: Driver, plan: Plan) -> Iterator[Row]:
    """A reply at a steady rate: how long each mark takes from the server's socket to the screen, and the CPU."""
    programs = _chosen(plan, BARE_TEXTUAL, PLAIN_PRINTER)
    for _, rate, program in product(range(plan.repetitions), plan.rates, programs):
        with driver.warm(program) as terminal:
            asked = driver.ask(terminal, "mixed", max(8, int(rate * plan.stream_seconds)), rate)
            terminal.wait_for_mark(asked.last, 6 * plan.stream_seconds + 20)
            used, took = terminal.cpu() - asked.cpu, time.monotonic() - asked.entered
            sent = driver.served(asked)["marks"]
            delays = [terminal.marks[mark] - at for mark, at in sent.items() if mark in terminal.marks]
            yield {
                "program": program.name,
                "rate": rate,
                "delays_ms": milliseconds(delays),
                "unseen": len(sent) - len(delays),
                "cpu_pct": 100 * used / took,
            }


def typing(driver: Driver, plan: Plan) -> Iterator[Row]:
    """From a key press to its echo: at rest, and while a reply streams at the highest rate."""
    programs = _chosen(plan, BARE_TEXTUAL)
    for repetition, rate, program in product(range(plan.repetitions), (0, max(plan.rates)), programs):
        with driver.warm(program) as terminal:
            if rate:
                seconds = plan.keys * 0.25 + 4
                asked = driver.ask(terminal, "mixed", int(rate * seconds), rate)
                terminal.wait_for_mark(asked.first)
                terminal.watch(min(2.0, seconds / 3))
            delays = echoes(terminal, plan.keys, repetition)
            yield {"program": program.name, "rate": rate, "delays_ms": milliseconds(delays)}


def echoes(terminal: Terminal, count: int, seed: int) -> list[float]:
    """Press so many keys at irregular times; seconds from each press to its echo."""
    gaps = random.Random(seed)
    delays = []
    for key in KEYS[:count]:
        terminal.forget()
        at = terminal.type(key)
        delays.append(terminal.wait_for_key(key) - at)
        # Not in step with the frames of the program.
        terminal.watch(gaps.uniform(0.08, 0.2))
    return delays


def open_chat(driver: Driver, plan: Plan) -> Iterator[Row]:
    """Open a short and a long chat of one database: with `holychat --chat`, and with the keyboard from the list."""
    if HOLYCHAT.name not in plan.programs:
        return
    home = driver.home(plan.holychat)
    chats = seed_chats(home, (10, plan.long_chat))
    for repetition, (size, chat), way in product(range(plan.starts), chats.items(), ("start", "list")):
        with driver.ready(plan.holychat, home, *(("--chat", str(chat.id)) if way == "start" else ())) as terminal:
            if way == "start":
                since = terminal.started
            else:
                terminal.wait_until_idle()
                terminal.type("\x13")
                terminal.wait_for_text(chat.title)
                terminal.type(chat.title)
                terminal.watch(1)
                terminal.forget()
                before, since = terminal.cpu(), terminal.type("\r")
            shown = terminal.wait_for_mark(chat.last_mark)
            used = terminal.cpu() - (0 if way == "start" else before)
            key = KEYS[repetition % len(KEYS)]
            terminal.type(key)
            echoed = terminal.wait_for_key(key)
            terminal.type("\x7f")
            terminal.wait_until_idle(5)
            if repetition or plan.starts == 1:
                yield {
                    "program": HOLYCHAT.name,
                    "way": way,
                    "size": size,
                    "shown_s": shown - since,
                    "echo_s": echoed - since,
                    "cpu_s": used,
                    "memory_mb": terminal.memory(),
                }


def _chosen(plan: Plan, *baselines: Program) -> list[Program]:
    return [program for program in (plan.holychat, *baselines) if program.name in plan.programs]


BENCHMARKS: dict[str, Callable[[Driver, Plan], Iterator[Row]]] = {
    "start": start,
    "first_token": first_token,
    "flood": flood,
    "paced": paced,
    "typing": typing,
    "open_chat": open_chat,
    "batch": batch,
    "batch_memory": batch_memory,
    "batch_typing": batch_typing,
    "batch_quota": batch_quota,
}


def measure(driver: Driver, plan: Plan, names: Sequence[str]) -> Iterator[Row]:
    """Rows of the named benchmarks, each with the weather it was measured in; an error where one broke off."""
    for name in names:
        weather = Weather()
        try:
            for row in BENCHMARKS[name](driver, plan):
                yield {"benchmark": name, **row, **weather.read()}
                weather = Weather()
        except (Gone, TooLate, TimeoutError, RuntimeError, LookupError) as error:
            yield {"benchmark": name, "error": f"{type(error).__name__}: {error}"}


def tiny() -> Plan:
    """A plan that takes seconds: it shows that the benchmarks work, its figures mean nothing."""
    return replace(
        Plan(),
        repetitions=1,
        starts=1,
        kinds=("mixed",),
        sizes=(),
        bare_sizes=(),
        rates=(100,),
        stream_seconds=0.5,
        keys=3,
        messages=1,
        long_chat=30,
        batch_requests=40,
        batch_latencies=(5,),
        batch_at_once=(10,),
        memory_items=(20, 60),
        typing_items=6_000,
        quotas={"20 per second": (40, {"per_second": 20})},
        quota_latency_ms=20,
    )
