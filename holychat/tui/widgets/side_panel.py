"""The panel of background jobs to the right: the list, the form of a new job, its review."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from holychat.domain.jobs import JobState
from holychat.tui.widgets.job_list import JobList
from holychat.tui.widgets.job_ordering import JobOrdering
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from textual.app import ComposeResult

    from holychat.domain.chat import ChatOptions
    from holychat.domain.jobs import Job
    from holychat.services import Services

_LOW = 26
"""Lines below which the form and the list are not shown together."""


class SidePanel(JobOrdering):
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
        super().__init__(remapped, services, options, poke)
        self._list = JobList(remapped, id="job-list")

    def compose(self) -> ComposeResult:
        """The list; the form and the review are made when they are first wanted."""
        yield Static(Content("Jobs"), classes="panel-title", id="jobs-title")
        yield self._list

    # --- what is shown ------------------------------------------------------------------------------------------------

    def show_jobs(self, jobs: Sequence[Job]) -> None:
        """Show these jobs."""
        self._list.show(jobs)
        self.draft_may_be_gone(jobs)

    @property
    def marked_is_paused(self) -> bool:
        """Whether the key of a pause lets the marked job go on."""
        return self._list.job is not None and self._list.job.state is JobState.PAUSED

    def on_resize(self) -> None:
        """A low screen shows one thing at a time."""
        self.set_class(self.app.size.height < _LOW, "-low")

    @property
    def mode(self) -> str:
        """What is shown above the list: "form", "review" or "" for nothing."""
        return "form" if self.has_class("-form") else "review" if self.has_class("-review") else ""

    def show_mode(self, mode: str) -> None:
        """Show "form" or "review" above the list, or "" for the list alone."""
        for name in ("form", "review"):
            self.set_class(mode == name, f"-{name}")
        if not mode:
            self._list.focus(scroll_visible=False)

    def sent(self, job: Job) -> None:
        """Show the job that was sent, marked."""
        self._list.show([job, *(other for other in self._list.jobs if other.id != job.id)], marked=job.id)
        self.show_mode("")

    def compare_roads(self) -> bool:
        """Show the roads of the order under review side by side; False where none is."""
        if self.mode != "review" or self._review is None or self._review.roads is None:
            return False
        self._review.action_compare()
        return True

    def focus_panel(self) -> None:
        """Take the focus: where the person was."""
        if self.mode == "form" and self._form is not None:
            self._form.focus_first()
        elif self.mode == "review" and self._review is not None:
            self._review.query("Button").first().focus(scroll_visible=False)
        else:
            self._list.focus(scroll_visible=False)

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
            self.post_message(self.Act(event.deed, job))

    def on_job_list_cursor_moved(self, event: JobList.CursorMoved) -> None:
        """Other keys mean something now."""
        event.stop()
        self.screen.refresh_bindings()
