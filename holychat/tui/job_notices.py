"""Telling that a job has ended: the terminal's bell, a desktop notification, a notice in the window."""

from __future__ import annotations

import math
import os
import time
from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState, JobState
from holychat.text import clean_line, delete_unsafe
from holychat.tui.job_words import number, state_words, took_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holychat.domain.jobs import Job
    from holychat.settings import JobSettings

BELL = "\a"
NOTICE_SECONDS = 10.0
"""How long a notice in the window stays."""
_QUIET_SECONDS = 1.0
"""Between two bells at least."""
_MOST_LINES = 3
"""Jobs that one notice tells of by name."""
_LONGEST = 160


def notice(job: Job) -> tuple[str, bool]:
    """One line about a job that has ended or paused, and whether somebody should look at it."""
    name = clean_line(job.spec.name, 60)
    counts = job.counts
    done, failed, doubt = (counts.of(state) for state in (ItemState.DONE, ItemState.FAILED, ItemState.IN_DOUBT))
    pieces = [f"{number(done)} done"]
    if failed:
        pieces.append(f"{number(failed)} failed")
    if doubt:
        pieces.append(f"{number(doubt)} in doubt")
    if job.pause is not None:
        return f"“{name}” is paused: {state_words(job)[0]}. {', '.join(pieces)}.", True
    took = took_words(job)
    if took:
        pieces[-1] += f" in {took}"
    return f"“{name}” has ended: {', '.join(pieces)}.", job.state is not JobState.FINISHED


def desktop_notification(text: str, environ: Mapping[str, str] = os.environ) -> str:
    """OSC 9 with a text, wrapped for tmux; no character of the text can end or change the sequence."""
    safe = delete_unsafe(clean_line(text, _LONGEST)).replace("\N{REPLACEMENT CHARACTER}", "")
    sequence = f"\x1b]9;{safe}\x07"
    if environ.get("TMUX"):
        return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return sequence


class JobNotices:
    """Tells of jobs by every way that is switched on.

    Jobs that end while an older notice is still there share one with it: ten of them must not cover the window, and
    nobody needs ten bells within a second.

    Args:
        settings: Which ways are on.
        write: Writes a sequence to the terminal.
        toast: Shows a notice instead of the one before; the second argument says whether it is a warning.
        now: Seconds of a clock.
    """

    def __init__(
        self,
        settings: JobSettings,
        write: Callable[[str], object],
        toast: Callable[[str, bool], object],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._write = write
        self._toast = toast
        self._now = now
        self._shown: list[tuple[float, str, bool]] = []
        self._rang = -math.inf

    def tell(self, job: Job) -> None:
        """A job has ended or paused."""
        text, warning = notice(job)
        now = self._now()
        if self._settings.notify_osc9:
            self._write(desktop_notification(text))
        if self._settings.notify_bell and now - self._rang >= _QUIET_SECONDS:
            self._write(BELL)
            self._rang = now
        self._shown = [told for told in self._shown if now - told[0] < NOTICE_SECONDS]
        self._shown.append((now, text, warning))
        if self._settings.notify_toast:
            self._toast(*self._together())

    def _together(self) -> tuple[str, bool]:
        """What is told at the moment: first what somebody should look at, and what is newest."""
        lines = [text for _, text, _ in sorted(self._shown, key=lambda told: (not told[2], -told[0]))]
        more = len(lines) - _MOST_LINES
        if more > 0:
            lines = [*lines[:_MOST_LINES], f"And {more} more; the side panel shows all."]
        return "\n".join(lines), any(warning for _, _, warning in self._shown)
