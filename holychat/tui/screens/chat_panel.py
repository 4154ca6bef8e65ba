"""The main screen and its panel of background jobs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.errors import UsageError
from holychat.tui.framework import hold_keys, keys_held
from holychat.tui.job_steering import Steering
from holychat.tui.job_words import work_words
from holychat.tui.screens.chat_view import ChatView
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holychat.domain.jobs import Job
    from holychat.tui.widgets.side_panel import SidePanel

_WIDE = 100
"""Columns from which the side panel has room beside the conversation."""


class ChatPanel(ChatView):
    """Opens the panel, feeds it, and does what is asked for in it."""

    _jobs_told: str = ""
    """What the key of the panel says of jobs at work."""

    @property
    def panel(self) -> SidePanel | None:
        """The panel, once it was wanted."""
        from holychat.tui.widgets.side_panel import SidePanel

        found = self.query(SidePanel)
        return found.first() if found else None

    def action_toggle_panel(self) -> None:
        """Show the panel with the focus in it; hide it when it has the focus already."""
        panel = self.panel
        if panel is not None and panel.display and panel.has_focus_within:
            panel.display = False
            self.focus_composer()
        else:
            hold_keys(self)  # at once: the next key may be here already, and it is for the panel
            start_work(self, "panel", self.open_panel)
        self.call_after_refresh(self.fit_panel)

    async def open_panel(self) -> SidePanel:
        """The panel, shown and with the focus; it is made when it is first wanted."""
        with keys_held(self):
            return await self._opened_panel()

    async def _opened_panel(self) -> SidePanel:
        panel = self.panel
        if panel is None:
            from holychat.tui.widgets.side_panel import SidePanel

            panel = SidePanel(
                self.remapped,
                lambda: self.conversation.services,
                lambda: self.conversation.options,
                self.app.poke_desk,
            )
            await self.query_one("#body").mount(panel)
            if self.app.jobs_known:
                panel.show_jobs(self.app.jobs_shown)
        panel.display = True
        self.fit_panel()
        panel.focus_panel()
        return panel

    def fit_panel(self) -> None:
        """The panel lies over a narrow screen."""
        panel = self.panel
        if panel is not None:
            panel.set_class(self.size.width < _WIDE, "-overlay")

    @property
    def key_labels(self) -> Mapping[str, str]:
        """The key of the panel tells how far the jobs at work are, that of a pause what it does now."""
        told = {"chat.panel": self._jobs_told} if self._jobs_told else {}
        if self.panel is not None and self.panel.marked_is_paused:
            told["jobs.pause"] = "resume"
        return {**super().key_labels, **told}

    def jobs_changed(self, jobs: Sequence[Job]) -> None:
        """Show them, where somebody looks."""
        told = work_words(jobs)
        if told != self._jobs_told:
            self._jobs_told = told
            self.refresh_bindings()
        panel = self.panel
        if panel is not None:
            panel.show_jobs(jobs)

    async def new_job(self, template: str = "") -> None:
        """Open the form of a new job; with a template, filled in from that."""
        panel = await self.open_panel()
        await panel.new_job(template)

    def action_new_job(self) -> None:
        """Open the form of a new job."""
        self.attempt(self.new_job)

    def action_batch(self) -> None:
        """Make a template of this chat, after asking for its name."""
        from holychat.tui.screens.ask_line import AskLineScreen

        def answered(name: str | None) -> None:
            if name:
                self.attempt(self.make_template, name)

        title = self.conversation.chat.title if self.conversation.chat else ""
        self.app.push_screen(AskLineScreen("Name of the job template", title, suggested=True), answered)

    async def make_template(self, name: str) -> None:
        """Make a template of this chat and open the form with it."""
        services = self.conversation.services
        if services is None or self.conversation.chat is None or not self.conversation.chat.message_count:
            raise UsageError("There is nothing to make a template of", "Ask about one document first, then /batch.")
        template = await services.jobs.template_from_chat(self.conversation.chat.id, name)
        await self.new_job(template.name)

    def open_job(self, job_id: int, item_id: int | None = None) -> None:
        """Show a job in full, at one of its documents where that is given."""
        services = self._services_or_say()
        if services is None:
            return
        from holychat.tui.screens.job import JobScreen

        def left(chat_id: int | None) -> None:
            if chat_id is not None:
                self.attempt(self.show_chat, chat_id)

        self.app.push_screen(JobScreen(services, job_id, self.remapped, item_id=item_id), left)

    def on_side_panel_leave(self, event: SidePanel.Leave) -> None:
        """Back to writing; a panel that lies over the conversation goes."""
        event.stop()
        self.uncover()
        self.focus_composer()

    def uncover(self) -> None:
        """Take a panel away that lies over the conversation."""
        panel = self.panel
        if panel is not None and panel.has_class("-overlay"):
            panel.display = False

    def on_side_panel_act(self, event: SidePanel.Act) -> None:
        """Do something with a job."""
        event.stop()
        services = self._services_or_say()
        if services is None:
            return
        steering = Steering(self.app, services.jobs, self.attempt, self.app.poke_desk)
        match event.deed:
            case "open":
                self.open_job(event.job.id)
            case "pause":
                steering.pause_or_resume(event.job)
            case "cancel":
                steering.cancel(event.job)
            case "delete":
                steering.delete(event.job)
