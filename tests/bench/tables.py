"""What the tables of all benchmarks are made with."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Row = dict[str, Any]
Verdicts = list[tuple[str, str, str, bool]]
"""Aim, what was wanted, what was measured, whether it is met."""
WEATHER = "loop CPU / wall ms / steal"


def percentile(values: Sequence[float], share: float) -> float:
    """Linear interpolation between the neighbours."""
    ordered = sorted(values)
    position = (len(ordered) - 1) * share
    low = int(position)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (position - low)


class Figures:
    """Rows, asked for by what they say of themselves."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows = [row for row in rows if "benchmark" in row and "error" not in row]

    def rows(self, benchmark: str, **what: object) -> list[Row]:
        """All rows of a benchmark for which this holds."""
        wanted = {"benchmark": benchmark, **what}
        return [row for row in self._rows if all(row.get(key) == value for key, value in wanted.items())]

    def values(self, figure: str, benchmark: str, **what: object) -> list[float]:
        """That figure of all these rows that have it."""
        return [row[figure] for row in self.rows(benchmark, **what) if figure in row]

    def one(self, of: Callable[[list[float]], float], figure: str, benchmark: str, **what: object) -> float | None:
        """One number for them, None where nothing was measured."""
        values = self.values(figure, benchmark, **what)
        return of(values) if values else None

    def median(self, figure: str, benchmark: str, **what: object) -> float | None:
        """Their median, None where nothing was measured."""
        return self.one(median, figure, benchmark, **what)

    def distinct(self, key: str, benchmark: str) -> list[Any]:
        """What that key is in the rows of a benchmark, in order of appearance."""
        return list(dict.fromkeys(row[key] for row in self.rows(benchmark) if key in row))

    def weather(self, rows: Sequence[Row]) -> str:
        """Median calibration and worst stolen time of some rows."""
        cpu, wall = (median(row[key] for row in rows) for key in ("calib_cpu_ms", "calib_wall_ms"))
        return f"{cpu:.0f} / {wall:.0f} / {max(row['steal_pct'] for row in rows):.0f} %"


def spread(delays: Sequence[float]) -> list[str]:
    """Number, median, 95th percentile and highest of some delays, as cells."""
    figures = (percentile(delays, 0.5), percentile(delays, 0.95), max(delays))
    return [str(len(delays)), *(f"{figure:.1f}" for figure in figures)]


def table(title: str, head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table under a heading; nothing without lines."""
    if not lines:
        return ""
    rows = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *lines)]
    return f"### {title}\n\n" + "\n".join(rows)
