"""Tables and verdicts of the desk's benchmarks."""

from __future__ import annotations

from itertools import chain, product
from statistics import median
from typing import TYPE_CHECKING

from tests.bench.batch import CLIENTS, OURS
from tests.bench.tables import WEATHER, Figures, Verdicts, percentile, spread, table

if TYPE_CHECKING:
    from collections.abc import Callable

_OF_AIOHTTP = {20: 0.9, 100: 0.6, 500: 0.33}
"""At 50 ms: the part of plain aiohttp's throughput that the desk shall have, by concurrency."""
_TIMES_OPENAI = 8
_LATENCY = 50
_NOISE_MS = 3.0
"""Key to echo: what medians of two runs at rest differ by on a shared machine."""


def verdicts(figures: Figures) -> Verdicts:
    """Each aim of the desk, what was measured, whether it is met."""
    return list(chain.from_iterable(aim(figures) for aim in (_throughput, _memory, _typing, _quota)))


def _rate(figures: Figures, program: str, latency: float, at_once: int) -> float | None:
    return figures.median("per_second", "batch", program=program, latency_ms=latency, at_once=at_once)


def _throughput(figures: Figures) -> Verdicts:
    found: Verdicts = []
    for at_once, wanted in _OF_AIOHTTP.items():
        ours, plain = (_rate(figures, name, _LATENCY, at_once) for name in (OURS, "aiohttp"))
        where = f"at {_LATENCY} ms and {at_once} at once"
        if ours and plain:
            found.append(
                (f"desk to plain aiohttp {where}", f"≥ {wanted}", f"{ours / plain:.2f}", ours / plain >= wanted)
            )
        for name in _programs(figures):
            official = _rate(figures, name, _LATENCY, at_once) if name.startswith("openai") else None
            if ours and official and at_once > 20:
                times = ours / official
                wants = f"≥ {_TIMES_OPENAI} times"
                found.append((f"desk to {name} {where}", wants, f"{times:.1f}", times >= _TIMES_OPENAI))
    return found


def _programs(figures: Figures) -> list[str]:
    """Those that were measured, in a fixed order."""
    known = (*CLIENTS, OURS)
    others = sorted(set(figures.distinct("program", "batch")) - set(known))
    return [*CLIENTS, *others, OURS]


def _memory(figures: Figures) -> Verdicts:
    sizes = sorted(figures.distinct("size", "batch_memory"))
    if len(sizes) < 2:
        return []
    small, large = (figures.median("memory_mb", "batch_memory", size=size) for size in (sizes[0], sizes[-1]))
    assert small
    assert large
    ratio = large / small
    return [(f"worker's memory at {sizes[-1]:,} items to {sizes[0]:,}", "≤ 1.2", f"{ratio:.2f}", ratio <= 1.2)]


def _typing(figures: Figures) -> Verdicts:
    delays = {load: _delays(figures, load) for load in ("rest", "job")}
    if not all(delays.values()):
        return []
    rest, job = (median(values) for values in delays.values())
    far = [percentile(values, 0.95) for values in delays.values()]
    measured = f"{job - rest:+.1f} ms (p95 {far[1] - far[0]:+.1f})"
    return [("key to echo beside a job of 500 at once, median", f"+{_NOISE_MS:.0f} ms at most", measured,
             job - rest <= _NOISE_MS)]  # fmt: skip


def _quota(figures: Figures) -> Verdicts:
    found: Verdicts = []
    for name in figures.distinct("quota", "batch_quota"):
        rows = figures.rows("batch_quota", quota=name)
        part = median(row["ideal_s"] / row["took_s"] for row in rows)
        refused = median(row["refused_pct"] for row in rows)
        measured = f"{100 * part:.0f} %, {refused:.1f} % refused"
        found.append((f"unknown quota, {name}", "≥ 90 %, < 2 % refused", measured, part >= 0.9 and refused < 2))
    return found


def _batch_table(figures: Figures) -> str:
    lines = []
    latencies, crowds = (sorted(figures.distinct(key, "batch")) for key in ("latency_ms", "at_once"))
    for latency, at_once, program in product(latencies, crowds, _programs(figures)):
        rows = figures.rows("batch", program=program, latency_ms=latency, at_once=at_once)
        if not rows:
            continue
        rates, plain = [row["per_second"] for row in rows], _rate(figures, "aiohttp", latency, at_once)
        count = rows[0]["requests"]
        lines.append([
            f"{latency:g}", str(at_once), program, str(len(rows)),
            f"{median(rates):,.0f} ({min(rates):,.0f}–{max(rates):,.0f})",
            f"{median(rates) / plain:.2f}" if plain else "–",
            f"{1000 * median(row['cpu_s'] for row in rows) / count:.2f}",
            f"{median(row['memory_mb'] for row in rows):.0f}", str(max(row["peak"] for row in rows)),
            figures.weather(rows),
        ])  # fmt: skip
    head = [
        "latency ms", "at once", "program", "runs", "requests/s (min–max)", "to aiohttp", "CPU ms per request",
        "memory MB", "at once at most", WEATHER,
    ]  # fmt: skip
    return table("Requests per second", head, lines)


def _memory_table(figures: Figures) -> str:
    lines = []
    for size in sorted(figures.distinct("size", "batch_memory")):
        rows = figures.rows("batch_memory", size=size)
        memory, cpu, rate = (median(row[key] for row in rows) for key in ("memory_mb", "cpu_s", "per_second"))
        lines.append(
            [f"{size:,}", str(len(rows)), f"{memory:.1f}", f"{cpu:.1f}", f"{rate:,.0f}", figures.weather(rows)]
        )
    return table("Memory of the worker", ["items", "runs", "most MB", "CPU s", "requests/s", WEATHER], lines)


def _delays(figures: Figures, load: str) -> list[float]:
    return list(chain.from_iterable(row["delays_ms"] for row in figures.rows("batch_typing", beside=load)))


_LOADS = {"rest": "nothing", "aiohttp": "plain aiohttp, 500 at once", "job": "the desk, 500 at once"}


def _typing_table(figures: Figures) -> str:
    lines = []
    for load, what in _LOADS.items():
        rows = figures.rows("batch_typing", beside=load)
        if delays := _delays(figures, load):
            rate = median(row["per_second"] for row in rows)
            lines.append([what, f"{rate:,.0f}", str(len(rows)), *spread(delays), figures.weather(rows)])
    head = ["beside it runs", "requests/s", "runs", "n", "p50 ms", "p95 ms", "max ms", WEATHER]
    return table("Key to echo beside a job", head, lines)


def _quota_table(figures: Figures) -> str:
    lines = []
    for name in figures.distinct("quota", "batch_quota"):
        rows = figures.rows("batch_quota", quota=name)
        ideal, took, refused = (median(row[key] for row in rows) for key in ("ideal_s", "took_s", "refused_pct"))
        lines.append([
            name, f"{rows[0]['requests']:,}", str(len(rows)), f"{ideal:.1f}", f"{took:.1f}",
            f"{100 * ideal / took:.0f} %", f"{refused:.2f}", figures.weather(rows),
        ])  # fmt: skip
    head = ["quota", "requests", "runs", "at best s", "took s", "of the best", "refused %", WEATHER]
    return table("Unknown quota", head, lines)


TABLES: tuple[Callable[[Figures], str], ...] = (_batch_table, _memory_table, _typing_table, _quota_table)
