"""How fast this machine is just now."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

_STAT = Path("/proc/stat")


def calibrate() -> float:
    """Milliseconds for a fixed loop of pure Python."""
    start, total = time.perf_counter(), 0
    for i in range(500_000):
        total += i
    return (time.perf_counter() - start) * 1000


class Weather:
    """Calibration and stolen time of one measurement: made before it, read after it."""

    def __init__(self) -> None:
        self._stolen, self._all = _jiffies()

    def read(self) -> dict[str, float]:
        """`calib_ms`, `steal_pct` (time the host gave to others) and `load` (average of the last minute)."""
        stolen, everything = _jiffies()
        share = 100 * (stolen - self._stolen) / max(1, everything - self._all)
        return {"calib_ms": round(calibrate(), 1), "steal_pct": round(share, 1), "load": round(os.getloadavg()[0], 2)}


def _jiffies() -> tuple[int, int]:
    try:
        fields = [int(field) for field in _STAT.read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]]
    except OSError:  # not Linux
        return 0, 0
    return fields[7], sum(fields)


def describe() -> dict[str, Any]:
    """The machine, in general terms."""
    from importlib.metadata import version

    return {
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("holychat", "textual", "httpx", "httpx-sse")},
    }
