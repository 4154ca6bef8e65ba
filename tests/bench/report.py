"""Tables and verdicts from the rows of `measure`."""

from __future__ import annotations

from collections import defaultdict
from itertools import chain
from statistics import median
from typing import TYPE_CHECKING

from tests.bench import batch_report
from tests.bench.programs import BARE_TEXTUAL, HOLYCHAT, PLAIN_PRINTER, PROGRAMS
from tests.bench.tables import WEATHER, Figures, Row, Verdicts, percentile, spread, table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_OURS, _BARE, _PRINTER = HOLYCHAT.name, BARE_TEXTUAL.name, PLAIN_PRINTER.name
_FIXED = 8
"""Pieces of the reply that measures what any reply costs."""


def report(rows: Sequence[Row]) -> str:
    """Everything that was measured, as Markdown."""
    figures = Figures(rows)
    machine = next((row["machine"] for row in rows if "machine" in row), None)
    parts = []
    if machine:
        packages = ", ".join(f"{name} {number}" for name, number in machine["packages"].items())
        parts.append(f"{machine['cores']} cores, {machine['system']}, Python {machine['python']}; {packages}.")
    parts.extend(filter(None, (table(figures) for table in _TABLES)))
    parts.extend(f"**{row['benchmark']} broke off:** {row['error']}" for row in rows if "error" in row)
    return "\n\n".join(parts) + "\n"


def verdicts(figures: Figures) -> str:
    """Each aim, what was measured, and whether it is met."""
    found = list(
        chain.from_iterable(
            aim(figures) for aim in (_start, _first, _flood, _growth, _open, _typing, batch_report.verdicts)
        )
    )
    lines = [[aim, wanted, measured, "yes" if met else "**no**"] for aim, wanted, measured, met in found]
    return table("Aims", ["aim", "wanted", "measured", "met"], lines)


def _start(figures: Figures) -> Verdicts:
    ours, bare = (figures.median("echo_s", "start", program=name) for name in (_OURS, _BARE))
    if not ours or not bare:
        return []
    return [("cold start, to the bare app", "≤ 1.5", f"{ours / bare:.2f}", ours / bare <= 1.5)]


def _first(figures: Figures) -> Verdicts:
    found: Verdicts = []
    for message in ("first", "later"):
        ours, printer = (
            figures.median("overhead_ms", "first_token", program=name, message=message) for name in (_OURS, _PRINTER)
        )
        if ours and printer:
            more = ours - printer
            found.append(
                (f"{message} message, first token after the plain printer's", "≤ 20 ms", f"{more:.1f} ms", more <= 20)
            )
    return found


def _flood(figures: Figures) -> Verdicts:
    found: Verdicts = []
    for kind in figures.distinct("kind", "flood"):
        ours = figures.median("cpu_s", "flood", program=_OURS, kind=kind, size=10_000)
        bare = figures.median("cpu_s", "flood", program=_BARE, kind=kind, size=10_000)
        least = ""
        if bare is None:
            bare, least = figures.median("cpu_last_s", "flood", program=_BARE, kind=kind, size=10_000), "over "
        if ours and bare:
            ratio = bare / ours
            found.append(
                (
                    f"flood of 10,000, {kind}: less CPU than the bare app",
                    "≥ 15 times",
                    f"{least}{ratio:.1f}",
                    ratio >= 15,
                )
            )
    return found


def _growth(figures: Figures) -> Verdicts:
    """The medians decide; the fastest runs are shown because other work on the machine only ever adds to a figure."""
    found: Verdicts = []
    for kind in figures.distinct("kind", "flood"):
        small, large = (_per_token(figures, _OURS, kind, size) for size in (2_000, 40_000))
        best_small, best_large = (_per_token(figures, _OURS, kind, size, of=min) for size in (2_000, 40_000))
        if small and large and best_small and best_large:
            raw, net, best = large[0] / small[0], large[1] / small[1], best_large[1] / best_small[1]
            measured = f"{net:.2f} (raw {raw:.2f}; fastest runs {best:.2f})"
            found.append((f"CPU per token at 40,000 to 2,000, {kind}", "≤ 1.2", measured, net <= 1.2))
    return found


def _open(figures: Figures) -> Verdicts:
    found: Verdicts = []
    for way in figures.distinct("way", "open_chat"):
        sizes = sorted(figures.distinct("size", "open_chat"))
        short, long = (figures.median("shown_s", "open_chat", way=way, size=size) for size in (sizes[0], sizes[-1]))
        if short and long:
            found.append(
                (
                    f"open {sizes[-1]:,} messages to {sizes[0]}, {_WAYS[way]}",
                    "≤ 1.2",
                    f"{long / short:.2f}",
                    long / short <= 1.2,
                )
            )
    return found


def _typing(figures: Figures) -> Verdicts:
    rate = max(figures.distinct("rate", "typing"), default=0)
    rows = figures.rows("typing", program=_OURS, rate=rate)
    delays = list(chain.from_iterable(row["delays_ms"] for row in rows))
    if not rate or not delays:
        return []
    p95 = percentile(delays, 0.95)
    return [(f"key to echo, p95, at {rate} tokens/s", "< 35 ms", f"{p95:.1f} ms", p95 < 35)]


_WAYS = {"start": "`holychat --chat ID`", "list": "from the list"}


def _per_token(
    figures: Figures, program: str, kind: str, size: int, of: Callable[[list[float]], float] = median
) -> tuple[float, float] | None:
    """Microseconds of CPU per piece: raw, and less what the reply of 8 pieces costs."""
    whole, fixed = (figures.one(of, "cpu_s", "flood", program=program, kind=kind, size=n) for n in (size, _FIXED))
    if whole is None or fixed is None or size == _FIXED:
        return None
    return 1e6 * whole / size, 1e6 * (whole - fixed) / (size - _FIXED)


def _start_table(figures: Figures) -> str:
    lines = []
    for name in PROGRAMS:
        rows = figures.rows("start", program=name)
        if rows:
            echo = [row["echo_s"] for row in rows]
            painted, cpu, memory = (median(row[key] for row in rows) for key in ("painted_s", "cpu_s", "memory_mb"))
            lines.append([
                name, str(len(rows)), f"{painted:.2f}", f"{median(echo):.2f} ({min(echo):.2f}–{max(echo):.2f})",
                f"{cpu:.2f}", f"{memory:.0f}", figures.weather(rows),
            ])  # fmt: skip
    head = ["program", "runs", "prompt painted s", "first key echoed s (min–max)", "CPU s", "memory MB", WEATHER]
    return table("Cold start", head, lines)


def _first_table(figures: Figures) -> str:
    lines = []
    for message in ("first", "later"):
        for name in PROGRAMS:
            rows = figures.rows("first_token", program=name, message=message)
            if rows:
                overhead = [row["overhead_ms"] for row in rows]
                request, paint = (median(row[key] for row in rows) for key in ("to_request_ms", "to_paint_ms"))
                lines.append([
                    name, message, str(len(rows)), f"{median(overhead):.1f} ({min(overhead):.1f}–{max(overhead):.1f})",
                    f"{request:.1f}", f"{paint:.1f}", figures.weather(rows),
                ])  # fmt: skip
    head = ["program", "message", "n", "Enter to first token ms (min–max)", "to request", "to paint", WEATHER]
    return table("First token", head, lines)


def _flood_table(figures: Figures) -> str:
    lines = []
    for kind in figures.distinct("kind", "flood"):
        for size in sorted(figures.distinct("size", "flood")):
            bare = figures.median("cpu_s", "flood", program=_BARE, kind=kind, size=size)
            for name in PROGRAMS:
                if rows := figures.rows("flood", program=name, kind=kind, size=size):
                    lines.append(_flood_line(figures, rows, bare))
    head = [
        "text", "tokens", "program", "runs", "wall s", "CPU s: to last / until idle (min–max)", "µs/token: raw / net",
        "bare app's CPU to this", "memory MB (+)", "painted kB", WEATHER,
    ]  # fmt: skip
    return table("Flood", head, lines)


def _flood_line(figures: Figures, rows: Sequence[Row], bare: float | None) -> list[str]:
    name, kind, size = rows[0]["program"], rows[0]["kind"], rows[0]["size"]
    done = [row for row in rows if "cpu_s" in row]
    head = [kind, f"{size:,}", name]
    if not done:
        spent = max(row["cpu_last_s"] for row in rows)
        return [*head, str(len(rows)), "gave up", f"over {spent:.1f}", "–", "–", "–", "–", figures.weather(rows)]
    wall, last, memory, grown, painted = (
        median(row[key] for row in done) for key in ("wall_s", "cpu_last_s", "memory_mb", "grown_mb", "painted_kb")
    )
    cpu = [row["cpu_s"] for row in done]
    each = _per_token(figures, name, kind, size)
    return [
        *head, str(len(done)), f"{wall:.2f}", f"{last:.2f} / {median(cpu):.2f} ({min(cpu):.2f}–{max(cpu):.2f})",
        f"{each[0]:.0f} / {each[1]:.0f}" if each else "–",
        f"{bare / median(cpu):.1f}" if bare and name != _BARE and median(cpu) > 0 else "–",
        f"{memory:.0f} (+{grown:.0f})", f"{painted:.0f}", figures.weather(rows),
    ]  # fmt: skip


def _paced_table(figures: Figures) -> str:
    lines = []
    for rate in sorted(figures.distinct("rate", "paced")):
        for name in PROGRAMS:
            rows = figures.rows("paced", program=name, rate=rate)
            if delays := list(chain.from_iterable(row["delays_ms"] for row in rows)):
                cpu, unseen = median(row["cpu_pct"] for row in rows), sum(row["unseen"] for row in rows)
                lines.append([
                    str(rate), name, str(len(rows)), *spread(delays), f"{unseen}", f"{cpu:.0f}", figures.weather(rows),
                ])  # fmt: skip
    head = ["tokens/s", "program", "runs", "n", "p50 ms", "p95 ms", "max ms", "marks not seen", "CPU %", WEATHER]
    return table("Paced: from the server's socket to the screen", head, lines)


def _typing_table(figures: Figures) -> str:
    lines = []
    for rate in sorted(figures.distinct("rate", "typing")):
        for name in PROGRAMS:
            rows = figures.rows("typing", program=name, rate=rate)
            if delays := list(chain.from_iterable(row["delays_ms"] for row in rows)):
                lines.append([str(rate), name, str(len(rows)), *spread(delays), figures.weather(rows)])
    return table("Key to echo", ["tokens/s", "program", "runs", "n", "p50 ms", "p95 ms", "max ms", WEATHER], lines)


def _open_table(figures: Figures) -> str:
    groups: dict[tuple[str, int], list[Row]] = defaultdict(list)
    for row in figures.rows("open_chat"):
        groups[row["way"], row["size"]].append(row)
    lines = []
    for (way, size), rows in sorted(groups.items()):
        shown = [row["shown_s"] for row in rows]
        echo, cpu, memory = (median(row[key] for row in rows) for key in ("echo_s", "cpu_s", "memory_mb"))
        lines.append([
            _WAYS[way], f"{size:,}", str(len(rows)), f"{median(shown):.3f} ({min(shown):.3f}–{max(shown):.3f})",
            f"{echo:.3f}", f"{cpu:.3f}", f"{memory:.0f}", figures.weather(rows),
        ])  # fmt: skip
    head = [
        "opened with",
        "messages",
        "runs",
        "last message painted s (min–max)",
        "key echoed s",
        "CPU s",
        "memory MB",
        WEATHER,
    ]
    return table("Opening a chat (holychat)", head, lines)


_TABLES = (
    verdicts, _start_table, _first_table, _flood_table, _paced_table, _typing_table, _open_table, *batch_report.TABLES,
)  # fmt: skip
