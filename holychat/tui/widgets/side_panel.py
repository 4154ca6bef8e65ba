"""The panel of background jobs to the right: the list, the form of a new job, its review."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from holychat.domain.chat import ChatOptions
from holychat.domain.jobs import JobState
from holychat.errors import HolychatError
from holychat.tui.job_order import Order, order_of
from holychat.tui.widgets.job_fields import PathField, PromptField
from holychat.tui.widgets.job_form import JobForm
from holychat.tui.widgets.job_list import JobList
from holychat.tui.widgets.job_review import TRIAL, JobReview
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from textual.app import ComposeResult

    from holychat.domain.jobs import Job
    from holychat.services import Services

_UNTIL_KEPT = 1.0
"""Seconds after the last key in the form until what stands there is kept as a draft."""
_LOW = 26
"""Lines below which the form and the list are not shown together."""


class SidePanel(Vertical):
    """Docked to the right, an overlay on narrow terminals.

    Args:
        remapped: The person's keymap.
        services: The services; None until they are open.
        options: What the chat shown asks for: a new job starts with its provider and model.
        poke: Called after a job was changed here.
    """

    class Leave(Message):
        """Back to writing."""

    class Act(Message):
        """Something is to be done with a job: "open", "pause", "cancel" or "delete"."""

        def __init__(self, deed: str, job: Job) -> None:
            super().__init__()
            self.deed = deed
            self.job = job

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
        self._list = JobList(remapped, id="job-list")
        self._form: JobForm | None = None
        self._review: JobReview | None = None
        self._draft: Job | None = None
        """The draft that the form and the review are about."""
        self._keeping = asyncio.Lock()
        self._kept: Order | None = None
        """What of the form is stored with the draft."""

    def compose(self) -> ComposeResult:
        """The list; the form and the review are made when they are first wanted."""
        yield Static(Content("Jobs"), classes="panel-title", id="jobs-title")
        yield self._list

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_jobs(self, jobs: Sequence[Job]) -> None:
        """Show these jobs."""
        self._list.show(jobs)

    def on_resize(self) -> None:
        """A low screen shows one thing at a time."""
        self.set_class(self.app.size.height < _LOW, "-low")

    @property
    def mode(self) -> str:
        """What is shown above the list: "form", "review" or "" for nothing."""
        return "form" if self.has_class("-form") else "review" if self.has_class("-review") else ""

    def _show(self, mode: str) -> None:
        for name in ("form", "review"):
            self.set_class(mode == name, f"-{name}")
        if not mode:
            self._list.focus()

    def focus_panel(self) -> None:
        """Take the focus: where the person was."""
        if self.mode == "form" and self._form is not None:
            self._form.focus_first()
        elif self.mode == "review" and self._review is not None:
            self._review.query("Button").first().focus()
        else:
            self._list.focus()

    # --- the form -----------------------------------------------------------------------------------------------------

    async def new_job(self, template: str = "") -> None:
        """Show the form, as it was left; with a template, filled in from that."""
        form = await self._shown_form()
        self._show("form")
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
                Order(provider=options.provider, model=options.model), self._default_model, id="job-form"
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
        """Store what stands in the form as a draft; None while the services are not open.

        Raises:
            HolychatError: It is no job yet, or cannot be stored.
        """
        async with self._keeping:
            services, form = self._services(), self._form
            if services is None or form is None:
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
                self._show("")
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
            return
        try:
            job = await self._keep()
        except HolychatError as error:
            form.say(str(error), problem=True)
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
        self._show("review")
        start_work(self, "estimate", self._estimate, job)

    async def _estimate(self, job: Job) -> None:
        services, review = self._services(), self._review
        if services is None or review is None:
            return
        try:
            review.show_estimate(await services.jobs.estimate(job.id, progress=review.show_progress))
        except HolychatError as error:
            review.show_problem(str(error))

    def on_job_review_answered(self, event: JobReview.Answered) -> None:
        """Send it, or not."""
        event.stop()
        if event.what == "back":
            self._show("form")
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
        self._forget_draft()
        self._list.show([job, *(other for other in self._list.jobs if other.id != job.id)], marked=job.id)
        self._show("")
        self._poke()

    def _forget_draft(self) -> None:
        """The next job starts with the same wishes and no files."""
        self._draft = self._kept = None
        if self._form is not None:
            self._form.fill(dataclasses.replace(self._form.order, where="", column=""))

    # --- the list -----------------------------------------------------------------------------------------------------

    def on_job_list_act(self, event: JobList.Act) -> None:
        """Do something with the marked job."""
        event.stop()
        job = event.job
        if event.deed == "new":
            start_work(self, "", self.new_job)
        elif event.deed == "leave":
            self.post_message(self.Leave())
        elif job is None:
            return
        elif event.deed == "open" and job.state is JobState.DRAFT:
            start_work(self, "", self.review, job)
        else:
            if event.deed == "delete" and self._draft is not None and self._draft.id == job.id:
                self._draft = self._kept = None
            self.post_message(self.Act(event.deed, job))

    def on_job_list_cursor_moved(self, event: JobList.CursorMoved) -> None:
        """Other keys mean something now."""
        event.stop()
        self.screen.refresh_bindings()
