"""Telling that a job has ended: the terminal's bell, a desktop notification, a notice in the window."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState, JobState
from holychat.text import clean_line, delete_unsafe
from holychat.tui.job_words import number, state_words, took_words

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holychat.domain.jobs import Job
    from holychat.settings import JobSettings

BELL = "\a"
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


def announce(
    job: Job, settings: JobSettings, write: Callable[[str], object], toast: Callable[[str, bool], object]
) -> None:
    """Tell by every way that is switched on.

    Args:
        job: What has ended or paused.
        settings: Which ways are on.
        write: Writes a sequence to the terminal.
        toast: Shows a notice; the second argument says whether it is a warning.
    """
    text, warning = notice(job)
    if settings.notify_osc9:
        write(desktop_notification(text))
    if settings.notify_bell:
        write(BELL)
    if settings.notify_toast:
        toast(text, warning)
