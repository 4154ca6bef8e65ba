"""What can be done in the screen of a job: send again, skip, accept, go on in a chat, export, copy, steer."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.await_complete import AwaitComplete
from textual.screen import Screen

from holychat.domain.jobs import ENDED_JOBS, ItemState, JobState
from holychat.errors import HolychatError, UsageError
from holychat.text import clean_line
from holychat.tui.framework import TightCompositor
from holychat.tui.job_steering import Steering
from holychat.tui.job_words import ITEM_WORDS, dollars, number
from holychat.tui.leaving import can_be_left
from holychat.tui.screens.choose import ChooseScreen, Way
from holychat.tui.widgets.job_causes import CauseList
from holychat.tui.widgets.job_list import can
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from holychat.domain.job_views import Cause, ItemDetail
    from holychat.domain.jobs import Item, Job
    from holychat.services import Services
    from holychat.tui.app import HolychatApp

_AGAIN = (ItemState.FAILED, ItemState.IN_DOUBT, ItemState.CANCELLED, ItemState.SKIPPED)
_LEFT_OUT = (ItemState.FAILED, ItemState.IN_DOUBT)


class JobDeeds(Screen[int | None]):
    """The ground of a job's screen: everything that changes something."""

    app: HolychatApp
    services: Services
    remapped: Mapping[str, str]
    job_id: int
    job: Job | None
    detail: ItemDetail | None
    split_item: Item | None = None
    """The document whose parts are listed."""
    _going_on = False
    """Whether a chat is being made of a result."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = TightCompositor()

    def dismiss(self, result: int | None = None) -> AwaitComplete:
        """Leave the screen with an answer, once."""
        return super().dismiss(result) if can_be_left(self) else AwaitComplete()

    # --- trying -------------------------------------------------------------------------------------------------------

    def say(self, text: str, *, error: bool = False) -> None:
        """A short notice."""
        self.app.notify(text, severity="error" if error else "information", timeout=8 if error else 5)

    def attempt(self, deed: Callable[[], Awaitable[None]]) -> None:
        """Do something that may fail in a way the person should read."""
        start_work(self, "", self._attempt, deed)

    async def _attempt(self, deed: Callable[[], Awaitable[None]]) -> None:
        try:
            await deed()
        except HolychatError as error:
            self.say(str(error), error=True)

    def can(self, action: str, job: Job) -> bool:
        """Whether something can be done with the job as it is."""
        if action in ("retry", "skip"):
            states = _AGAIN if action == "retry" else _LEFT_OUT
            busy = job.state in (JobState.DRAFT, JobState.FINISHING)
            return not busy and any(job.counts.of(state) for state in states)
        return can(action, job)

    # --- keys ---------------------------------------------------------------------------------------------------------

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """A key that does nothing now is not offered."""
        detail, job = self.detail, self.job
        match action:
            case "parts":
                return self.split_item is None and detail is not None and bool(detail.parts)
            case "whole":
                return self.split_item is not None
            case "pause" | "cancel":
                return job is not None and self.can(action, job)
            case "retry" | "skip":
                return job is not None and self.can(action, job)
            case "accept":
                return detail is not None and detail.item.state is ItemState.IN_DOUBT and bool(detail.partial)
            case "chat" | "copy":
                return detail is not None and bool(detail.result)
        return True

    @property
    def key_labels(self) -> Mapping[str, str]:
        """What Esc and p do now, for the footer."""
        paused = self.job is not None and self.job.pause is not None
        back = "list" if self.has_class("-reading") else "back"
        return {"job.close": back, "job.pause": "resume" if paused else "pause"}

    def item_words(self) -> str:
        """The marked document in a few words, for questions."""
        if self.detail is None:
            return ""
        item = self.detail.item
        return f"{clean_line(item.document.name, 60)} ({ITEM_WORDS[item.state][1]})"

    # --- the job ------------------------------------------------------------------------------------------------------

    @property
    def _steering(self) -> Steering:
        return Steering(self.app, self.services.jobs, self.attempt, self.app.poke_desk)

    def action_pause(self) -> None:
        """Pause the job, or let it go on."""
        if self.job is not None:
            self._steering.pause_or_resume(self.job)

    def action_cancel(self) -> None:
        """Cancel the job."""
        if self.job is not None:
            self._steering.cancel(self.job)

    def action_help(self) -> None:
        """Keys and help."""
        from holychat.tui.screens.help import HelpScreen, scopes_here

        self.app.push_screen(HelpScreen(self.remapped, scopes_here(self)))

    # --- again and away -----------------------------------------------------------------------------------------------

    def action_retry(self) -> None:
        """Ask what is to be sent again, with what it costs at worst."""
        self.attempt(self._ask_retry)

    async def _ask_retry(self) -> None:
        choices = [(scope, await self._worst(scope)) for scope in self._scopes(_AGAIN)]
        if not choices:
            raise UsageError("There is nothing to send again")
        ways = [Way(scope.label, told, scope.doubtful) for scope, told in choices]

        def answered(place: int | None) -> None:
            if place is not None:
                self.attempt(partial(self._retry, choices[place][0]))

        hint = "Files are read again as they are now. "
        self.app.push_screen(ChooseScreen("Send again", ways, hint), answered)

    async def _worst(self, scope: _Scope) -> str:
        count, micros = await self.services.jobs.worst_cost(self.job_id, scope.states, scope.item_ids, scope.cause)
        price = "price unknown" if micros is None else f"{dollars(micros)} at worst" if micros else "costs nothing"
        if scope.doubtful:
            return f"May be paid for twice: {price}"
        return f"{number(count)} document{'s' * (count != 1)}, {price}" if count != 1 else price

    async def _retry(self, scope: _Scope) -> None:
        count = await self.services.jobs.retry(self.job_id, scope.states, scope.item_ids, scope.cause)
        self.app.poke_desk()
        self.say(f"{number(count)} document{'s' * (count != 1)} will be sent again.")
        if count and self.job is not None and self.job.state in ENDED_JOBS:
            await self._steering.warn_without_key(self.job)

    def action_skip(self) -> None:
        """Ask what is to be left out."""
        scopes = self._scopes(_LEFT_OUT)
        if not scopes:
            self.say("There is nothing to skip.")
            return

        def answered(place: int | None) -> None:
            if place is not None:
                self.attempt(partial(self._skip, scopes[place]))

        ways = [Way(scope.label) for scope in scopes]
        self.app.push_screen(ChooseScreen("Leave out", ways, "They can be sent again later. "), answered)

    async def _skip(self, scope: _Scope) -> None:
        count = await self.services.jobs.skip(self.job_id, scope.states, scope.item_ids, scope.cause)
        self.app.poke_desk()
        self.say(f"{number(count)} document{'s' * (count != 1)} left out.")

    def _scopes(self, states: Sequence[ItemState]) -> list[_Scope]:
        """The marked cause or document, then all documents of each state."""
        scopes = []
        if (cause := self._cause()) is not None:
            scopes.append(_Scope(f"These {number(cause.count)}: {cause.title}", (cause.state,), cause=cause.cause))
        elif self.detail is not None and self.detail.item.state in states:
            item = self.detail.item
            scopes.append(_Scope(f"This one: {self.item_words()}", (item.state,), item_ids=[item.id]))
        job = self.job
        for state in states:
            count = job.counts.of(state) if job is not None else 0
            if count:
                scopes.append(_Scope(f"All {number(count)} {ITEM_WORDS[state][1]}", (state,)))
        return scopes

    def _cause(self) -> Cause | None:
        return self.query_one(CauseList).cause if self.has_class("-causes") else None

    def action_accept(self) -> None:
        """Take what arrived as the result."""
        detail = self.detail
        if detail is None:
            return

        async def accept() -> None:
            count = await self.services.jobs.accept([detail.item.id])
            self.app.poke_desk()
            self.say("What had arrived is the result now." if count else "It is not in doubt any more.")

        self.attempt(accept)

    # --- out ----------------------------------------------------------------------------------------------------------

    def action_chat(self) -> None:
        """Go on in a new chat with the document and its result."""
        detail = self.detail
        if detail is None or self._going_on:
            return
        self._going_on = True

        async def open_chat() -> None:
            try:
                chat = await self.services.jobs.open_as_chat(detail.item.id)
            finally:
                self._going_on = False
            self.dismiss(chat.id)

        self.attempt(open_chat)

    def action_copy(self) -> None:
        """Copy the result."""
        if self.detail is not None and self.detail.result:
            self.attempt(partial(self.app.copy_text, self.detail.result))

    def action_export(self) -> None:
        """Write the results to a file or a folder."""
        from holychat.tui.screens.job_export import JobExportScreen

        if self.job is None:
            return

        async def write(kind: str, path: Path, overwrite: bool) -> int:
            try:
                return await self.services.jobs.export(self.job_id, kind, path, overwrite=overwrite)
            except OSError as error:
                raise UsageError(f"Cannot write there: {error.strerror}", "Choose another place.") from None

        def done(told: str | None) -> None:
            if told:
                self.say(told)

        self.app.push_screen(JobExportScreen(self.job.spec.name, write), done)


class _Scope:
    """What a question is about: one document, those of a cause, or all in a state."""

    def __init__(
        self,
        label: str,
        states: Sequence[ItemState],
        *,
        item_ids: Sequence[int] | None = None,
        cause: str | None = None,
    ) -> None:
        self.label = label
        self.states = states
        self.item_ids = item_ids
        self.cause = cause
        self.doubtful = ItemState.IN_DOUBT in states
