"""Watching a job from a shell: one live line on a terminal, plain lines elsewhere, a summary at the end."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import sys
import time
from typing import TYPE_CHECKING, Protocol

from holychat.cli.batch_words import (
    PAUSED_WHY,
    cause_fields,
    cause_words,
    job_fields,
    lines,
    progress_words,
    summary_rows,
)
from holychat.cli.output import is_terminal
from holychat.domain.jobs import ACTIVE_JOBS, ENDED_JOBS, ItemState, JobState, PauseReason
from holychat.errors import ExitCode
from holychat.text import clean, clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.cli.session import Session
    from holychat.domain.jobs import Job
    from holychat.services import Services

_LOOK = 0.15
"""Seconds between two looks at the job."""
_NUDGE = 3.0
"""Seconds between two looks whether there is a worker; one that was killed is replaced."""
_DRAIN = 10.0
"""Seconds that what is under way is waited for when a job has paused."""
_FIRST_LINE, _LONGEST_SILENCE = 5.0, 60.0
_BAR = 20

_OF_PAUSE = {
    PauseReason.KEY: ExitCode.KEY,
    PauseReason.QUOTA: ExitCode.REFUSED,
    PauseReason.STORE: ExitCode.FAILED,
    PauseReason.TRIAL: ExitCode.DONE,
}


class _Painter(Protocol):
    def show(self, job: Job) -> None:
        """The job as it is now."""

    def end(self) -> None:
        """Leave the terminal as it was."""


class _LiveLine:
    """One line on a terminal, painted over and over."""

    def __init__(self) -> None:
        self._shown = ""

    def show(self, job: Job) -> None:
        """Paint the line anew where it changed."""
        width = shutil.get_terminal_size().columns - 1
        pieces = progress_words(job, now_ms())
        text = clean_line(f"{_bar(job)} {', '.join(pieces)}", 1000)
        text = text if len(text) <= width else text[: max(width - 1, 0)] + "…"
        if text != self._shown:
            raw_notice(f"\r\x1b[K{_encodable(clean(text))}")
            self._shown = text

    def end(self) -> None:
        """Take the line away."""
        if self._shown:
            raw_notice("\r\x1b[K")
            self._shown = ""


class _PlainLines:
    """A line when something has changed, at intervals that grow."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._state: object = None
        self._text = ""
        self._started = time.monotonic()
        self._due = 0.0

    def show(self, job: Job) -> None:
        """Print a line where it is time for one."""
        now = time.monotonic()
        state = (job.state, job.pause, job.progress.waiting_until_ms)
        text = ", ".join(progress_words(job, now_ms()))
        if text == self._text or (state == self._state and now < self._due):
            return
        self._state, self._text = state, text
        self._due = now + min(max(_FIRST_LINE, (now - self._started) / 10), _LONGEST_SILENCE)
        self._session.out.notice(f"{time.strftime('%H:%M:%S')} job {job.id}: {text}")

    def end(self) -> None:
        """Nothing to take away."""


class _Silence:
    def show(self, job: Job) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


def now_ms() -> int:
    """The time, as it is stored."""
    return time.time_ns() // 1_000_000


async def follow(session: Session, services: Services, job_id: int, *, quiet: bool = False) -> tuple[Job, bool]:
    """Show a job until it has ended or waits for a person.

    Args:
        session: For the output.
        services: With the job.
        job_id: Of the job.
        quiet: Print no lines where there is no terminal.

    Returns:
        The job as it was last seen, and whether Ctrl+C ended the watching; the job goes on then.

    Raises:
        UsageError: There is no such job.
    """
    painter: _Painter = _LiveLine() if is_terminal(sys.stderr) else _Silence() if quiet else _PlainLines(session)
    resting_since: float | None = None
    nudged = float("-inf")
    with _interrupt() as interrupted:
        try:
            while True:
                job = await services.jobs.get(job_id)
                painter.show(job)
                now = time.monotonic()
                resting_since = (resting_since or now) if _rests(job) else None
                if resting_since is not None and (not _under_way(job) or now - resting_since > _DRAIN):
                    return job, False
                if job.state in ACTIVE_JOBS and now - nudged >= _NUDGE:
                    await services.jobs.ensure_worker()
                    nudged = now
                    if services.worker_trouble is not None:
                        painter.end()
                        session.tell_worker_trouble(services)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(interrupted.wait(), _LOOK)
                if interrupted.is_set():
                    return job, True
        finally:
            painter.end()


async def tell_end(session: Session, services: Services, job: Job, interrupted: bool, *, as_json: bool = False) -> int:
    """Say how a job that was followed stands, and what can be done; the exit status.

    The summary is what was asked for and goes to stdout, everything else to stderr.
    """
    causes = await services.jobs.causes(job.id)
    if as_json:
        (job,) = await services.jobs.until_now([job])
        session.out.json(job_fields(job) | {"causes": [cause_fields(cause) for cause in causes]})
    elif not interrupted:
        session.out.write(lines(summary_rows(job)))
        for cause in causes:
            session.out.notice(f"  {cause_words(cause)}")
    if interrupted:
        session.report(
            f"Job {job.id} goes on without this command",
            f"`holychat batch watch {job.id}` shows it again, `holychat batch cancel {job.id}` ends it.",
        )
        return ExitCode.INTERRUPTED
    if job.note:
        session.warn(clean_line(job.note, 1000))
    if job.pause is not None:
        why = clean_line(job.pause_detail, 1000) or PAUSED_WHY[job.pause]
        # Without more money it would pause again at once.
        more = " --budget USD" if job.pause is PauseReason.BUDGET and job.spec.limits.budget_micros is not None else ""
        session.report(f"Job {job.id} is paused: {why}", f"`holychat batch resume {job.id}{more}` goes on.")
        return _OF_PAUSE.get(job.pause, ExitCode.SOME_FAILED)
    if not as_json:
        _tell_what_to_do(session, job)
    return status_of(job)


def status_of(job: Job) -> ExitCode:
    """What the end of a job is to a script: some in doubt weighs more than some failed, for it needs a person."""
    from holychat.jobs.finishing import lacks_its_output

    if job.counts.of(ItemState.IN_DOUBT):
        return ExitCode.SOME_IN_DOUBT
    if job.counts.of(ItemState.FAILED) or job.state is not JobState.FINISHED:
        return ExitCode.SOME_FAILED
    # The documents are done, and what was asked for is not there.
    return ExitCode.FAILED if lacks_its_output(job) else ExitCode.DONE


def _tell_what_to_do(session: Session, job: Job) -> None:
    doubt, failed = job.counts.of(ItemState.IN_DOUBT), job.counts.of(ItemState.FAILED)
    if doubt:
        session.out.notice(
            "In doubt: sent, and nobody knows what became of it. "
            f"`holychat batch retry {job.id} --in-doubt` shows what sending again may cost, and asks."
        )
    if failed:
        session.out.notice(f"`holychat batch retry {job.id}` sends what failed again.")
    if job.counts.of(ItemState.DONE) and not job.spec.out:
        session.out.notice(f"The results: `holychat batch export {job.id} -o results.jsonl` (or .csv, .md, a folder).")


def _rests(job: Job) -> bool:
    """Whether nothing more is sent before somebody does something. A provider that comes back is waited for."""
    return job.state in ENDED_JOBS or (job.state is JobState.PAUSED and job.pause is not PauseReason.OFFLINE)


def _under_way(job: Job) -> int:
    return sum(
        counts.get(state, 0)
        for counts in (job.counts.documents, job.counts.parts)
        for state in (ItemState.SENDING, ItemState.RECEIVED)
    )


def _bar(job: Job) -> str:
    total = job.counts.total
    filled = _BAR * job.counts.ended // total if total else 0
    return "█" * filled + "░" * (_BAR - filled)


def _encodable(text: str) -> str:
    """Text as the terminal can show it: blocks become signs that every terminal has."""
    encoding = (sys.stderr.encoding if sys.stderr is not None else "") or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.replace("█", "#").replace("░", ".").replace("–", "-").encode(encoding, "replace").decode(encoding)
    return text


def raw_notice(text: str) -> None:
    """Characters to the terminal on stderr; that it has gone is no reason to stop watching."""
    if sys.stderr is None:
        return
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


@contextlib.contextmanager
def _interrupt() -> Iterator[asyncio.Event]:
    """An event that Ctrl+C sets, in place of what it does else."""
    happened = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGINT, happened.set)
    except NotImplementedError:  # Windows: Ctrl+C ends the program as it always does there
        yield happened
        return
    try:
        yield happened
    finally:
        loop.remove_signal_handler(signal.SIGINT)
