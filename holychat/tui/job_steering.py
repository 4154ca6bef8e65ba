"""What the panel and the screen of a job both do with a job: pause, go on, cancel, delete, each with its question."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.jobs import ItemState, JobState, PauseReason
from holychat.errors import HolychatError
from holychat.text import clean_line
from holychat.tui.job_order import micros_from
from holychat.tui.job_words import dollars, number

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from textual.app import App

    from holychat.domain.jobs import Job
    from holychat.jobs.service import JobService


WAY_TO_A_KEY = "“Add a key” in the command palette takes it."


async def missing_key(jobs: JobService, job: Job) -> str:
    """What a job could not begin without, in a few words; "" where nothing is missing. A keyring may take its time."""
    missing: HolychatError | None
    try:
        missing = await jobs.session_keys.missing(job.spec.provider)
    except HolychatError as error:
        missing = error
    return "" if missing is None else missing.title


class Steering:
    """Steers jobs for a window.

    Args:
        app: Shows the questions.
        jobs: Where jobs are.
        attempt: Does something that may fail in a way the person should read.
        poke: Called after a change.
    """

    def __init__(
        self,
        app: App[int],
        jobs: JobService,
        attempt: Callable[[Callable[[], Awaitable[None]]], None],
        poke: Callable[[], None],
    ) -> None:
        self._app = app
        self._jobs = jobs
        self._attempt = attempt
        self._poke = poke

    def pause_or_resume(self, job: Job) -> None:
        """Pause a job at work; let a paused one go on, with a new budget where the old one is used up."""
        if job.state is not JobState.PAUSED:
            self._do(lambda: self._jobs.pause(job.id))
        elif job.pause is PauseReason.BUDGET and job.spec.limits.budget_micros is not None:
            self._ask_budget(job)
        else:
            self._do(lambda: self._resume(job))

    def _ask_budget(self, job: Job) -> None:
        from holychat.tui.screens.ask_line import AskLineScreen

        def answered(text: str | None) -> None:
            if text:
                self._do(lambda: self._resume(job, text))

        old = job.spec.limits.budget_micros or 0
        projected = job.money.projected
        told = f"{dollars(job.money.spent)} of {dollars(old)} spent"
        if projected is not None and projected > old:
            told += f", {dollars(projected, about=True)} expected in all"
        suggested = max(projected or 0, old * 2)
        value = f"{suggested / 1_000_000:.4f}".rstrip("0").rstrip(".")
        self._app.push_screen(AskLineScreen(f"Budget in dollars: {told}", value, suggested=True), answered)

    async def _resume(self, job: Job, budget: str | None = None) -> None:
        await self._jobs.resume(job.id, budget_micros=None if budget is None else micros_from(budget))
        await self.warn_without_key(job)

    async def warn_without_key(self, job: Job) -> None:
        """Say so where a job that was set going has to wait for its key."""
        if missing := await missing_key(self._jobs, job):
            self._app.notify(f"{missing}: job {job.id} waits for one. {WAY_TO_A_KEY}", severity="warning", timeout=8)

    def cancel(self, job: Job) -> None:
        """Ask, then cancel."""
        left = sum(job.counts.of(state) for state in (ItemState.PENDING, ItemState.SENDING, ItemState.RECEIVED))
        done = job.counts.of(ItemState.DONE)
        flying = job.counts.of(ItemState.SENDING)
        detail = f"“{_name(job)}”: {number(done)} done, {number(left)} not finished. What is done is kept."
        if flying:
            detail += f" {number(flying)} under way may still be billed; they will be in doubt."
        self._ask("Cancel this job?", detail, "Cancel the job", lambda: self._jobs.cancel(job.id))

    def delete(self, job: Job) -> None:
        """Ask, then delete."""
        done = job.counts.of(ItemState.DONE)
        detail = f"“{_name(job)}” and its {number(done)} results. This cannot be undone; exported files stay."
        if job.state is JobState.DRAFT:
            detail = f"“{_name(job)}” was not sent yet."
        self._ask("Delete this job?", detail, "Delete", lambda: self._jobs.delete(job.id))

    def _ask(self, question: str, detail: str, yes: str, deed: Callable[[], Awaitable[object]]) -> None:
        from holychat.tui.screens.confirm import ConfirmScreen

        def answered(sure: bool | None) -> None:
            if sure:
                self._do(deed)

        self._app.push_screen(ConfirmScreen(question, detail, yes, "Keep it"), answered)

    def _do(self, deed: Callable[[], Awaitable[object]]) -> None:
        async def work() -> None:
            try:
                await deed()
            finally:
                self._poke()

        self._attempt(work)


def _name(job: Job) -> str:
    return clean_line(job.spec.name, 80)
