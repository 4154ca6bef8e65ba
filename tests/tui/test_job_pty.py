"""A folder sent from the panel in a real terminal, worked at by the real worker while windows come and go."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from tests.tui.terminal import Terminal, environment, installed_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.pty, pytest.mark.timeout(240)]

DOCUMENTS = 6


@pytest.fixture
def papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, private_environment: Path) -> Path:
    """A folder of documents in the current folder; a worker that has nothing to do ends soon."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "papers"
    folder.mkdir()
    for number in range(DOCUMENTS):
        text = " ".join(f"Sentence {line} of paper {number} tells of wombats and owls." for line in range(30))
        (folder / f"{number}.md").write_text(f"# Paper {number}\n\n{text}\n")
    config = private_environment / "config"
    config.mkdir(parents=True)
    (config / "config.toml").write_text("[jobs]\nidle_seconds = 1\n")
    return folder


@pytest.fixture
def start() -> Iterator[Callable[..., Terminal]]:
    """Starts holychat in a terminal, with the offline provider."""
    terminals: list[Terminal] = []

    def begin(columns: int = 110, rows: int = 32, **environ: str) -> Terminal:
        variables = environment(HOLYCHAT_PROVIDER="offline", **environ)
        terminals.append(Terminal(installed_command(), variables, columns, rows))
        terminals[-1].shows("Ask anything")
        return terminals[-1]

    yield begin
    for terminal in terminals:
        terminal.close()


def send_folder(terminal: Terminal) -> None:
    """From the chat to a job that was sent."""
    terminal.type("\x02")
    terminal.shows("No jobs yet.")
    terminal.type("n")
    terminal.shows("New job")
    terminal.type("pa")
    terminal.shows("papers/")
    terminal.type("\t")
    terminal.until(lambda: "papers/ " in terminal.text())
    terminal.type("\r")
    terminal.shows(f"Documents  {DOCUMENTS}")
    terminal.shows("Try 3 first")
    terminal.type("\r")


def test_a_folder_is_sent_watched_left_found_finished_read_and_exported(
    start: Callable[..., Terminal], papers: Path, tmp_path: Path
) -> None:
    terminal = start(HOLYCHAT_OFFLINE_PACE="30")
    send_folder(terminal)
    terminal.until(lambda: f"of {DOCUMENTS}" in terminal.text() or "all 6 done" in terminal.text())
    terminal.type("\x11")  # the window is closed while the job may be at work
    assert terminal.wait() == 0
    assert terminal.is_restored() == []

    again = start()
    again.type("\x1bOS")
    again.shows(f"all {DOCUMENTS} done")
    again.type("\r")
    again.shows(f"2 Done {DOCUMENTS}")
    again.shows("Sentence 0 of paper 0")
    again.shows("Extractive")
    again.type("e")
    again.shows("Export results")
    again.type("\r")
    again.shows(f"{DOCUMENTS} results written")
    rows = [json.loads(line) for line in (tmp_path / "Summarise-papers.jsonl").read_text().splitlines()]
    assert [row["state"] for row in rows] == ["done"] * DOCUMENTS
    assert all("wombats" in row["text"] for row in rows)
    again.type("\x1b")
    again.shows("Ask anything")
    again.type("\x11")
    assert again.wait() == 0


def test_a_killed_window_leaves_the_job_at_work(start: Callable[..., Terminal], papers: Path) -> None:
    terminal = start()
    send_folder(terminal)
    terminal.until(lambda: "queued" in terminal.text() or "running" in terminal.text() or "done" in terminal.text())
    terminal.process.send_signal(signal.SIGKILL)
    terminal.process.wait(10)
    again = start()
    again.type("\x1bOS")
    again.shows(f"all {DOCUMENTS} done")


def test_the_end_rings_the_bell_and_asks_for_a_notification(start: Callable[..., Terminal], papers: Path) -> None:
    terminal = start()
    send_folder(terminal)
    terminal.shows(f"all {DOCUMENTS} done")
    terminal.until(lambda: b"\x1b]9;" in terminal.output, "OSC 9")
    told = bytes(terminal.output).partition(b"\x1b]9;")[2].partition(b"\x07")[0].decode()
    assert told.startswith("“Summarise papers” has ended: 6 done")


def test_two_windows_steer_the_same_job(start: Callable[..., Terminal], papers: Path) -> None:
    one, two = start(), start()
    send_folder(one)
    two.type("\x02")
    two.shows("✓ done")
    two.type("d")
    two.shows("Delete this job?")
    two.type("y")
    two.shows("No jobs yet.")
    one.shows("No jobs yet.")
