"""A shell for background jobs: documents to send, a worker that leaves soon after its work."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from tests.cli.shell import DEADLINE, Done, Shell

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEA = "Tea is made of leaves. Green tea is steamed soon after it was picked. Black tea is left to oxidise for hours."
STARS = "Stars are made of hydrogen. They shine for billions of years. The sun is a star of middle age."
SEA = "The sea is salty. Rivers carry the salt there over a very long time. Nobody should drink it."

CONFIG = """\
[jobs]
idle_seconds = 0.5
"""


QUOTA = """
[providers.quota]
kind = "openai"
base_url = "{url}"
model = "quota-model"
needs_key = false

[prices.quota.quota-model]
input = 1.0
output = 2.0
"""


class BatchShell(Shell):
    """Runs `holychat batch`, offline unless it is told otherwise."""

    def __init__(self, home: Path, documents: Path) -> None:
        super().__init__()
        self.home = home
        self.documents = documents
        self.configure("")

    def configure(self, more: str) -> None:
        """Write the settings."""
        folder = self.home / "config"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text(CONFIG + more)

    def write(self, **texts: str) -> None:
        """Documents, by their names without `.md`."""
        self.documents.mkdir(exist_ok=True)
        for name, text in texts.items():
            (self.documents / f"{name}.md").write_text(text)

    def batch(self, *arguments: str, stdin: bytes | None = None) -> Done:
        """Run `holychat batch ARGUMENTS`."""
        return self.run("batch", *arguments, stdin=stdin)

    def summarize(self, *arguments: str, stdin: bytes | None = None) -> Done:
        """Summarise the documents offline."""
        return self.batch("summarize", str(self.documents), "-p", "offline", *arguments, stdin=stdin)

    def jobs(self) -> Any:
        """All jobs there are."""
        return self.batch("list", "--json").json

    def wait_until(self, wanted: Callable[[Any], bool], job: str = "last") -> Any:
        """The job once `wanted` says yes to it."""
        deadline = time.monotonic() + DEADLINE
        while True:
            done = self.batch("show", job, "--json")
            if done.status == 0 and wanted(done.json):
                return done.json
            assert time.monotonic() < deadline, (done.text, done.error)
            time.sleep(0.05)


def lines_of(text: str) -> list[Any]:
    """JSON lines."""
    return [json.loads(line) for line in text.splitlines()]


def rows_of(text: str) -> dict[str, str]:
    """A table of names and values."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("  ") for line in text.splitlines())}
