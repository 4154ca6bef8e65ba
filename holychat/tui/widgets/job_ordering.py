"""Ordering a job in the side panel: the form, the draft that is kept of it, its review."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING

from textual.containers import Vertical

from holychat.domain.chat import ChatOptions
from holychat.domain.jobs import JobState
from holychat.errors import HolychatError
from holychat.tui.framework import keys_held
from holychat.tui.job_order import Order, order_of
from holychat.tui.widgets.job_fields import PathField, PromptField
from holychat.tui.widgets.job_form import JobForm, has_fields
from holychat.tui.widgets.job_review import TRIAL, JobReview
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from holychat.domain.jobs import Job
    from holychat.services import Services

_OPENING_SECONDS = 10.0
_UNTIL_KEPT = 1.0
"""Seconds after the last key in the form until what stands there is kept as a draft."""


class JobOrdering(Vertical):
    """The part of the panel in which a job is ordered; the form and the review are made when they are first wanted.

    Args:
        remapped: The person's keymap.
        services: The services; None until they are open.
        options: What the chat shown asks for: a new job starts with its provider and model.
        poke: Called after a job was changed here.
    """

    def __init__(
        self,
        remapped: Mapping[str, str],
        services: Callable[[], Services | None],
        options: Callable[[], ChatOptions],
        poke: Callable[[], None],
    ) -> None:
        super().__init__(id="panel")
        self._remapped = remapped
        self._services = services
        self._options = options
        self._poke = poke
        self._form: JobForm | None = None
        self._review: JobReview | None = None
        self._draft: Job | None = None
        """The draft that the form and the review are about."""
        self._listed = 0
        """The draft that was seen among all jobs."""
        self._keeping = asyncio.Lock()
        self._kept: Order | None = None
        """What of the form is stored with the draft."""

    def show_mode(self, mode: str) -> None:
        """Show "form" or "review" above the list, or "" for the list alone."""
        raise NotImplementedError

    def sent(self, job: Job) -> None:
        """A job was sent: show it."""
        raise NotImplementedError

    # --- the form -----------------------------------------------------------------------------------------------------

    async def new_job(self, template: str = "") -> None:
        """Show the form, as it was left; with a template, filled in from that."""
        with keys_held(self):
            form = await self._shown_form()
            self.show_mode("form")
            form.focus_first()
        services = self._services()
        if services is not None:
            try:
                form.use_templates(await services.jobs.templates(), template)
                form.use_model(form.order.provider, form.order.model)  # its name is known by now
            except HolychatError as error:
                form.say(str(error), problem=True)

    async def _shown_form(self) -> JobForm:
        if self._form is None:
            options = self._options()
            self._form = JobForm(
                Order(provider=options.provider, model=options.model),
                self._default_model,
                self._remapped,
                id="job-form",
            )
            await self.mount(self._form, before=0)
        elif self._draft is None and not self._form.order.where:
            options = self._options()
            self._form.use_model(options.provider, options.model)
        return self._form

    def _default_model(self, provider: str) -> str:
        services = self._services()
        infos = services.registry.infos() if services is not None else ()
        return next((info.model for info in infos if info.name == provider), "")

    async def _shown_review(self) -> JobReview:
        if self._review is None:
            self._review = JobReview(id="job-review")
            await self.mount(self._review, before=0)
        return self._review

    def on_job_form_edited(self, event: JobForm.Edited) -> None:
        """Keep it as a draft after a moment, where it is whole enough to be one."""
        event.stop()
        start_work(self, "keep soon", self._keep_soon)

    async def _keep_soon(self) -> None:
        await asyncio.sleep(_UNTIL_KEPT)
        start_work(self, "", self._keep_quietly)  # by itself: a keystroke drops the waiting, never half a draft

    async def _keep_quietly(self) -> None:
        try:
            await self._keep()
        except HolychatError:
            return  # not whole yet; the review will say what is missing

    async def _keep(self) -> Job | None:
        """Store what stands in the form as a draft; None while the services are not open, and at the end of the app.

        Raises:
            HolychatError: It is no job yet, or cannot be stored.
        """
        async with self._keeping:
            services, form = self._services(), self._form
            if services is None or form is None or not has_fields(form):
                return None
            order = form.order
            if self._draft is not None and order == self._kept:
                return self._draft
            spec = await asyncio.to_thread(order.spec)
            if self._draft is None:
                self._draft = await services.jobs.create(spec)
            else:
                self._draft = await services.jobs.revise(self._draft.id, spec)
            self._kept = order
            self._poke()
            return self._draft

    def on_job_form_wanted(self, event: JobForm.Wanted) -> None:
        """Go on, away, or to another screen."""
        event.stop()
        match event.what:
            case "review":
                start_work(self, "", self._to_review)
            case "leave":
                self.show_mode("")
            case "model":
                self._choose_model()
            case "folders":
                self._choose_path()
            case "editor":
                start_work(self, "", self._edit_prompt)

    def _choose_model(self) -> None:
        services, form = self._services(), self._form
        if services is None or form is None:
            return
        from holychat.tui.screens.models import ModelsScreen

        def chosen(options: ChatOptions | None) -> None:
            if options is not None:
                form.use_model(options.provider, options.model)

        order = form.order
        self.app.push_screen(ModelsScreen(services, ChatOptions(order.provider, order.model)), chosen)

    def _choose_path(self) -> None:
        from holychat.tui.screens.folders import FoldersScreen

        field = self.screen.focused
        if not isinstance(field, PathField):
            return

        def chosen(path: Path | None) -> None:
            if path is not None:
                field.set_path(str(path))

        self.app.push_screen(FoldersScreen(field.value), chosen)

    async def _edit_prompt(self) -> None:
        from holychat.tui.editor import edit_text

        field = self.query_one("#prompt", PromptField)
        try:
            field.load_text(await edit_text(self.app, field.text, lambda _read: None))
        except HolychatError as error:
            self.app.notify(str(error), severity="error")

    # --- the review ---------------------------------------------------------------------------------------------------

    async def _to_review(self) -> None:
        form = self._form
        assert form is not None
        if self._services() is None:
            form.say("The history is still being opened.", problem=True)
            if not await _opened(self._services):
                return
            form.say("")
        try:
            job = await self._keep()
        except HolychatError as error:
            form.complain(error)
            return
        if job is not None:
            await self.review(job)

    async def review(self, job: Job) -> None:
        """Show a draft with its estimate."""
        services = self._services()
        if services is None:
            return
        if self._draft is None or self._draft.id != job.id:
            form = await self._shown_form()
            form.use_templates(await services.jobs.templates())
            form.fill(order_of(job.spec))
            self._draft, self._kept = job, form.order
        review = await self._shown_review()
        review.show_job(job)
        self.show_mode("review")
        start_work(self, "estimate", self._estimate, job)

    async def _estimate(self, job: Job) -> None:
        services, review = self._services(), self._review
        if services is not None and review is not None:
            await review.reckon(services.jobs, job.id)

    def on_job_review_answered(self, event: JobReview.Answered) -> None:
        """Send it, or not."""
        event.stop()
        if event.what == "back":
            self.show_mode("form")
            if self._form is not None:
                self._form.focus_first()
        else:
            start_work(self, "send", self._send, TRIAL if event.what == "try" else None)

    async def _send(self, trial: int | None) -> None:
        services, review = self._services(), self._review
        if services is None or review is None or review.job is None:
            return
        try:
            job = await services.jobs.confirm(review.job.id, trial=trial)
        except HolychatError as error:
            review.show_problem(str(error))
            return
        self._start_over()
        self.sent(job)
        self._poke()
        if services.worker_trouble is not None:
            self.app.notify(str(services.worker_trouble), severity="error", markup=False)

    def _start_over(self) -> None:
        """The next job starts with the same wishes and no files."""
        self._draft = self._kept = None
        if self._form is not None:
            self._form.fill(dataclasses.replace(self._form.order, where="", column=""))

    def draft_may_be_gone(self, jobs: Sequence[Job]) -> None:
        """What stands in the form is no draft any more where that was deleted, or sent from another window."""
        if self._draft is None:
            return
        found = next((job for job in jobs if job.id == self._draft.id), None)
        if found is None and self._listed != self._draft.id:
            return  # these jobs were read before it was made
        if found is None or found.state is not JobState.DRAFT:
            self._draft = self._kept = None
        else:
            self._listed = found.id


async def _opened(services: Callable[[], Services | None]) -> bool:
    """Wait for the history as long as that may take; whether it is open."""
    deadline = time.monotonic() + _OPENING_SECONDS
    while services() is None and time.monotonic() < deadline:  # noqa: ASYNC110  # no event tells of it
        await asyncio.sleep(0.05)
    return services() is not None
