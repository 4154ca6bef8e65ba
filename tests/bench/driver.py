"""The hand that drives: runs the server, starts programs, asks, and knows what the server did and when."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.bench.programs import Program
    from tests.bench.terminal import Terminal

_REPOSITORY = Path(__file__).parents[2]
KEYS = "αβγδεζηθικλμνξοπρστυφχψωΓΔΘΛΞΠΣΦΨΩбгджзийлпфцчшщъыэюяБГДЖЗИЙЛПФЦЧШЩЪЫЭЮЯ"
"""Characters that no reply contains, one per key press that is measured."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that is on its way."""

    tag: str
    entered: float
    """When Enter was pressed, CLOCK_MONOTONIC seconds."""
    cpu: float
    """Seconds of CPU that the program had used until then."""

    @property
    def first(self) -> str:
        return f"zq{self.tag}Fz"

    @property
    def last(self) -> str:
        return f"zq{self.tag}Lz"


class Driver:
    """Everything that one run of the benchmarks shares."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="holychat-bench-"))
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.server"],
            cwd=_REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._facts: queue.Queue[dict[str, Any]] = queue.Queue()
        self._reader = threading.Thread(target=self._listen, daemon=True)
        self._reader.start()
        self.url = f"http://127.0.0.1:{self._next_fact('port')['port']}/v1"
        self._tags = self._count_tags()
        self._homes = 0

    def __enter__(self) -> Driver:
        return self

    def __exit__(self, *exception: object) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.terminate()
        self._server.wait()
        self._reader.join()
        self._server.stdout.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listen(self) -> None:
        assert self._server.stdout is not None
        for line in self._server.stdout:
            self._facts.put(json.loads(line))

    def _next_fact(self, key: str, value: object = None, seconds: float = 60) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while True:
            try:
                fact = self._facts.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"The server did not say {key} {value or ''}") from None
            if key in fact and value in (None, fact[key]):
                return fact

    @staticmethod
    def _count_tags() -> Iterator[str]:
        number = 0
        while True:
            number += 1
            yield f"{chr(ord('A') + number // 1000 % 26)}{number % 1000:03d}"

    def home(self, program: Program) -> Path:
        """A new folder with the program's settings."""
        home = self.new_folder()
        program.prepare(home, self.url)
        return home

    def new_folder(self) -> Path:
        """A new empty folder, gone at the end of the run."""
        self._homes += 1
        folder = self.folder / f"home{self._homes}"
        folder.mkdir()
        return folder

    def ready(self, program: Program, home: Path | None = None, *arguments: str) -> Terminal:
        """The program with its prompt on the screen."""
        terminal = program.start(home or self.home(program), self.url, *arguments)
        try:
            terminal.wait_for_text(program.ready)
        except BaseException:
            terminal.close()
            raise
        return terminal

    def warm(self, program: Program) -> Terminal:
        """The program at rest after a short exchange, so that what is imported late is there."""
        terminal = self.ready(program)
        terminal.wait_until_idle()
        asked = self.ask(terminal, "mixed", 300)
        terminal.wait_for_mark(asked.last)
        terminal.wait_until_idle()
        return terminal

    def ask(self, terminal: Terminal, kind: str, count: int, rate: float = 0) -> Asked:
        """Have a reply ready, type a question, wait for its last letter to show, press Enter."""
        tag = next(self._tags)
        assert self._server.stdin is not None
        self._server.stdin.write(json.dumps({"kind": kind, "count": count, "rate": rate, "tag": tag}) + "\n")
        self._server.stdin.flush()
        self._next_fact("prepared", tag)
        terminal.forget()
        terminal.type(f"question {tag} ω")
        terminal.wait_for_key("ω")
        # Someone who reads over what they wrote: nothing that a program does on typing is in the way of Enter.
        terminal.watch(0.7)
        terminal.forget()
        cpu = terminal.cpu()
        return Asked(tag, terminal.type("\r"), cpu)

    def served(self, asked: Asked, seconds: float = 60) -> dict[str, Any]:
        """What the server did for a question: `received`, `first`, `last`, `marks`."""
        return self._next_fact("served", asked.tag, seconds)
