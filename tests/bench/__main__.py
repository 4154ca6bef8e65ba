"""`python -m tests.bench`: measure holychat beside its baselines, print tables."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench.driver import Driver
from tests.bench.machine import describe
from tests.bench.measure import BENCHMARKS, Plan, measure, tiny
from tests.bench.programs import HOLYCHAT, PROGRAMS
from tests.bench.report import report
from tests.bench.texts import KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what was asked for; 1 when a benchmark broke off."""
    options = _parser().parse_args(arguments)
    if options.read:
        print(report(_read(options.read)))
        return 0
    rows: list[dict[str, Any]] = [{"machine": describe()}]
    with Driver() as driver:
        for row in measure(driver, _plan(options), options.names or list(BENCHMARKS)):
            rows.append(row)
            if options.json:
                # Added at once: a run that is broken off has not been for nothing.
                _append(options.json, rows[-2:] if len(rows) == 2 else rows[-1:])
            print(_brief(row), file=sys.stderr, flush=True)
    print(report(rows))
    return int(any("error" in row for row in rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=main.__doc__)
    defaults = Plan()
    parser.add_argument("names", nargs="*", metavar="BENCHMARK", choices=[*BENCHMARKS, []], help=", ".join(BENCHMARKS))
    parser.add_argument("-r", "--repetitions", type=int, default=defaults.repetitions)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=defaults.kinds, help="texts of the floods")
    parser.add_argument("--sizes", nargs="+", type=int, default=defaults.sizes, help="tokens of the floods")
    parser.add_argument("--bare-sizes", nargs="*", type=int, default=defaults.bare_sizes, help="those for the bare app")
    parser.add_argument("--programs", nargs="+", choices=list(PROGRAMS), default=defaults.programs)
    parser.add_argument("--holychat", type=Path, metavar="COMMAND", help="another holychat than the installed one")
    parser.add_argument(
        "--openai", type=Path, nargs="+", metavar="PYTHON", default=(),
        help="Pythons of environments with other versions of the official client, for `batch`",
    )  # fmt: skip
    parser.add_argument("--tiny", action="store_true", help="only see whether the benchmarks work")
    parser.add_argument("--json", type=Path, metavar="FILE", help="add the rows to this file, one JSON object per line")
    parser.add_argument("--read", type=Path, nargs="+", metavar="FILE", help="only print the tables of such files")
    return parser


def _plan(options: argparse.Namespace) -> Plan:
    plan = replace(
        Plan(),
        repetitions=options.repetitions,
        kinds=options.kinds,
        sizes=options.sizes,
        bare_sizes=options.bare_sizes,
        programs=options.programs,
        openai_pythons=[python.absolute() for python in options.openai],
    )
    if options.tiny:
        plan = replace(tiny(), programs=options.programs, openai_pythons=plan.openai_pythons)
    if options.holychat:
        plan = replace(plan, holychat=replace(HOLYCHAT, command=(str(options.holychat.absolute()),)))
    return plan


def _append(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.writelines(json.dumps(row) + "\n" for row in rows)


def _read(files: Sequence[Path]) -> list[dict[str, Any]]:
    return [json.loads(line) for file in files for line in file.read_text(encoding="utf-8").splitlines()]


def _brief(row: dict[str, Any]) -> str:
    shown: dict[str, Any] = {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
    if delays := shown.pop("delays_ms", None):
        shown["worst_ms"] = max(delays)
    return "  ".join(f"{key}={value}" for key, value in shown.items())


if __name__ == "__main__":
    sys.exit(main())
