"""The test's end of the quota server: starts it, changes its rules, reads its account. See `quota_server`."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the server had written down when it was asked."""

    items: dict[str, list[list[Any]]]
    """Item -> requests in order of arrival: outcome, accepted, arrived, answered (None: not, or the client went)."""
    outcomes: dict[str, int]
    in_flight: int
    peak: int
    connections: int

    @property
    def accepted(self) -> dict[str, int]:
        """Item -> how often it would be billed; items that were never accepted are left out."""
        counts = {item: sum(row[1] for row in rows) for item, rows in self.items.items()}
        return {item: count for item, count in counts.items() if count}

    @property
    def unanswered(self) -> set[str]:
        """Items with an accepted request whose answer nobody was there to take, or that was none."""
        return {item for item, rows in self.items.items() if any(row[1] and row[3] is None for row in rows)}

    @property
    def arrived(self) -> int:
        """All requests."""
        return sum(self.outcomes.values())

    @property
    def refused(self) -> int:
        """Requests turned away with 429, 503 or 529."""
        return sum(self.outcomes.get(code, 0) for code in ("429", "503", "529"))

    @property
    def seconds(self) -> float:
        """From the first arrival to the last answer."""
        first = min(row[2] for rows in self.items.values() for row in rows)
        return max(row[3] or row[2] for rows in self.items.values() for row in rows) - first


class QuotaServer:
    """The server as a context manager; its keyword arguments are fields of `quota_server.Rules`."""

    def __init__(self, **rules: Any) -> None:
        self._rules = rules
        self.port = 0

    @property
    def base_url(self) -> str:
        """What belongs into a provider's `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def __enter__(self) -> QuotaServer:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.quota_server", json.dumps(self._rules)],
            cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        self.port = json.loads(self._process.stdout.readline())["port"]
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.terminate()
        self._process.wait(10)
        self._process.stdout.close()

    def set(self, **rules: Any) -> None:
        """Change these rules for what arrives from now on; quotas begin anew."""
        self._ask("POST", "/rules", rules)

    def reset(self) -> None:
        """Begin a new account."""
        self._ask("POST", "/reset")

    def ledger(self) -> Ledger:
        """The whole account."""
        return Ledger(**self._ask("GET", "/ledger"))

    def totals(self) -> Ledger:
        """The account without its items: cheap to ask again and again."""
        return Ledger(items={}, **self._ask("GET", "/totals"))

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, json.dumps(body))
            told: dict[str, Any] = json.loads(connection.getresponse().read())
            return told
        finally:
            connection.close()
