"""How fast this machine is just now."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Any

_PACKAGES = ("holychat", "textual", "httpx", "httpx-sse", "aiohttp", "openai")
_STAT = Path("/proc/stat")


def calibrate() -> tuple[float, float]:
    """Milliseconds of CPU and of wall time for a fixed loop of pure Python; they differ where others want the core."""
    cpu, wall, total = time.process_time(), time.perf_counter(), 0
    for i in range(500_000):
        total += i
    return 1000 * (time.process_time() - cpu), 1000 * (time.perf_counter() - wall)


class Weather:
    """Calibration and stolen time of one measurement: made before it, read after it."""

    def __init__(self) -> None:
        self._stolen, self._all = _jiffies()

    def read(self) -> dict[str, float]:
        """The loop's `calib_cpu_ms` and `calib_wall_ms`; `steal_pct`, the time that the host gave to others; `load`."""
        stolen, everything = _jiffies()
        share = 100 * (stolen - self._stolen) / max(1, everything - self._all)
        cpu, wall = calibrate()
        return {
            "calib_cpu_ms": round(cpu, 1),
            "calib_wall_ms": round(wall, 1),
            "steal_pct": round(share, 1),
            "load": round(os.getloadavg()[0], 2),
        }


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
        "packages": {name: version(name) for name in _PACKAGES},
    }
