"""The programs under test: how each is started, recognised as ready, and kept away from everything personal."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.terminal import Terminal

_BASELINES = Path(__file__).parent / "baselines"
_CONFIG = """\
[providers.bench]
kind = "openai"
base_url = "{url}"
needs_key = false

[chat]
provider = "bench"
model = "bench-model"
"""


def environment(home: Path) -> dict[str, str]:
    """All that a program under test sees of the environment: `home` is the only place where it can keep things."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "HOLYCHAT_HOME": str(home),
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "NO_PROXY": "*",
        "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
    }


@dataclass(frozen=True, slots=True)
class Program:
    """One command; `{url}` in it stands for the base URL of the server."""

    name: str
    command: tuple[str, ...]
    ready: str
    """What its empty prompt shows."""
    keys: bool = True
    """Whether it answers single keys; a program in line mode leaves the echo to the terminal."""
    environment: dict[str, str] = field(default_factory=dict)

    def prepare(self, home: Path, url: str) -> None:
        """Put its settings into an empty folder."""
        config = home / "config" / "config.toml"
        config.parent.mkdir(parents=True, exist_ok=True)
        config.write_text(_CONFIG.format(url=url), encoding="utf-8")

    def start(self, home: Path, url: str, *arguments: str) -> Terminal:
        """Start it with `home` as the only place it can keep things."""
        command = [part.format(url=url) for part in self.command]
        return Terminal([*command, *arguments], environment(home) | self.environment, home)


HOLYCHAT = Program("holychat", (str(Path(sys.executable).with_name("holychat")),), "Ask anything, or")
BARE_TEXTUAL = Program(
    "bare Textual", (sys.executable, str(_BASELINES / "bare_textual.py"), "{url}"), "Write a message"
)
PLAIN_PRINTER = Program(
    "plain printer", (sys.executable, str(_BASELINES / "plain_printer.py"), "{url}"), "Write a message", keys=False
)
PROGRAMS = {program.name: program for program in (HOLYCHAT, BARE_TEXTUAL, PLAIN_PRINTER)}
