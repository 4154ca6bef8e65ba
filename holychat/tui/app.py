"""The app: composes the services with the main screen, and routes."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from textual.app import SystemCommand

from holychat.domain.chat import ChatOptions
from holychat.errors import HolychatError, UsageError
from holychat.runner import run
from holychat.tui.desk import Desk
from holychat.tui.elsewhere import watch_history
from holychat.tui.framework import FrameworkApp, teach_alt_enter, terminal_driver
from holychat.tui.job_notices import NOTICE_SECONDS, JobNotices
from holychat.tui.keymap import bindings, check_keymap, key_label, keys_in_force
from holychat.tui.lifecycle import Lifecycle
from holychat.tui.screens.chat import ChatScreen
from holychat.tui.themes import DARK, LIGHT, check_theme

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Sequence

    from textual.command import Provider
    from textual.driver import Driver
    from textual.events import Key, Paste
    from textual.notifications import SeverityLevel
    from textual.screen import Screen

    from holychat.domain.jobs import Job
    from holychat.log import Masker
    from holychat.paths import Paths
    from holychat.services import Services
    from holychat.settings import Settings

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StartWith:
    """Which chat to begin with, and whom it asks."""

    chat: int | None = None
    resume: bool = False
    provider: str | None = None
    model: str | None = None

    @property
    def asks(self) -> bool:
        """Whether a provider or a model is wanted."""
        return self.provider is not None or self.model is not None


def _chats_provider() -> type[Provider]:
    from holychat.tui.palette import ChatsProvider

    return ChatsProvider


def _commands_provider() -> type[Provider]:
    from textual.system_commands import SystemCommandsProvider

    return SystemCommandsProvider


class HolychatApp(FrameworkApp):
    """Opens the services after the first frame, owns the clipboard and the way out.

    Args:
        paths: Where things live.
        settings: The person's settings.
        start: Which chat to begin with.
        masker: What masks keys in the log.
        driver_class: Driver of the terminal; None for Textual's own choice.

    Raises:
        SettingsError: Theme or keys of the settings cannot be used.
    """

    TITLE = "holychat"
    BINDINGS: ClassVar = bindings("app")
    COMMANDS: ClassVar = {_commands_provider, _chats_provider}
    CSS_PATH = ["styles/app.tcss", "styles/chat.tcss", "styles/jobs.tcss"]  # noqa: RUF012  # Textual types it without ClassVar
    COMMAND_PALETTE_BINDING = "f20"  # Ctrl+P is a row of the keymap; Textual insists on a key of its own

    def __init__(
        self,
        paths: Paths,
        settings: Settings,
        start: StartWith = StartWith(),
        masker: Masker | None = None,
        driver_class: type[Driver] | None = None,
    ) -> None:
        super().__init__(paths.log_file, driver_class)
        self.paths = paths
        self.settings = settings
        self.services: Services | None = None
        self._start = start
        self._masker = masker
        self._opening: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._desk: Desk | None = None
        self._desk_running: asyncio.Task[None] | None = None
        self._status_at_end = 0
        self.is_ready = False
        """Whether the services are open and the first chat is shown."""
        keymap = check_keymap(settings.keys)
        self.set_keymap(keymap)
        self.register_theme(DARK)
        self.register_theme(LIGHT)
        self.theme = check_theme(settings.ui.theme)
        chat = settings.chat
        options = ChatOptions(chat.provider, chat.model, chat.system, chat.temperature, chat.max_tokens)
        self.main = ChatScreen(options, keymap)

    def get_default_screen(self) -> Screen[None]:
        """The chat is the first and only base screen."""
        return self.main

    def on_mount(self) -> None:
        """Open everything once the first frame is on the terminal."""
        self.main.call_after_refresh(self._begin)

    def _begin(self) -> None:
        self._opening = self._lasting(self._open(), "open services")

    def _lasting(self, work: Coroutine[None, None, None], name: str) -> asyncio.Task[None]:
        """A task that outlives screens; an error that it does not handle ends the app, as one in a worker does."""

        def done(task: asyncio.Task[None]) -> None:
            if task.cancelled() or not isinstance(error := task.exception(), Exception):
                return
            if self._exit:
                _LOG.info("%s: ended with the app: %s", name, type(error).__name__)  # its widgets are gone
            else:
                self._handle_exception(error)

        task = asyncio.create_task(work, name=name)
        task.add_done_callback(done)
        return task

    async def _open(self) -> None:
        from holychat.services import open_services

        try:
            self.services = await asyncio.to_thread(open_services, self.paths, self.settings, masker=self._masker)
        except HolychatError as error:
            self._status_at_end = int(error.exit_code)
            self.main.pane.show_trouble(str(error))
            self.main.history_failed(error)
            self.notify(str(error), severity="error", timeout=30)
            return
        await self.main.begin(self.services, self._start)
        jobs = await asyncio.to_thread(getattr, self.services, "jobs")  # loading them takes longer than a frame
        self.is_ready = True
        chats = self.services.chats
        self._watching = self._lasting(watch_history(chats, self.main.history_changed), "watch history")
        self._desk = Desk(jobs, self._jobs_changed, self._notices_of_jobs().tell)
        self._desk_running = self._lasting(self._desk.run(), "watch jobs")
        await self._warm()

    async def _warm(self) -> None:
        """Do ahead what the first message would otherwise wait for."""
        from holychat.tui.warm import warm_imports

        await asyncio.to_thread(warm_imports)
        services = self.services
        if services is not None:
            await services.chats.prepare()
            await services.jobs.sweep()
            try:
                await services.registry.get(self.main.conversation.options.provider).warm()
            except HolychatError as error:
                _LOG.info("not warmed: %s", error.title)

    def before_typing(self, event: Key | Paste) -> None:
        """The main screen may want it elsewhere."""
        if self.screen is self.main:
            self.main.take_typing(event)

    # Background jobs

    @property
    def jobs_shown(self) -> Sequence[Job]:
        """All jobs as they were last read."""
        return self._desk.shown if self._desk is not None else ()

    @property
    def jobs_known(self) -> bool:
        """Whether they were read at all."""
        return self._desk is not None and self._desk.is_read

    def poke_desk(self) -> None:
        """A job was changed here."""
        if self._desk is not None:
            self._desk.poke()

    def _jobs_changed(self, jobs: Sequence[Job]) -> None:
        for screen in self.screen_stack:
            # One that is being opened reads them when it is there.
            if (show := getattr(screen, "jobs_changed", None)) is not None and screen.is_mounted:
                show(jobs)

    def _notices_of_jobs(self) -> JobNotices:
        def write(sequence: str) -> None:
            if self._driver is not None:
                self._driver.write(sequence)

        def toast(text: str, warning: bool) -> None:
            severity: SeverityLevel = "warning" if warning else "information"
            self.notify(text, severity=severity, timeout=NOTICE_SECONDS, topic="jobs")

        return JobNotices(self.settings.jobs, write, toast)

    # The way out

    async def end(self, status: int) -> None:
        """Store everything, then close the app with an exit status."""
        with self.batch_update():
            await self.close_services()
        self.exit(return_code=status)

    async def close_services(self) -> None:
        """Store the draft and what is arriving, then close the services; later calls do nothing."""
        if self._opening is not None and not self._opening.done() and self.services is None:
            await asyncio.wait({self._opening}, timeout=5)
        for watching in (self._watching, self._desk_running):
            if watching is not None:
                watching.cancel()
        services, self.services = self.services, None
        if services is not None:
            try:
                self.main.drafts.chats = services.chats
                await self.main.drafts.flush()
            except HolychatError as error:
                _LOG.error("The draft could not be stored: %s", error)
            await services.close()

    async def action_quit(self) -> None:
        """Quit; everything is stored on the way out."""
        self.exit(return_code=self._status_at_end)

    # Copying

    def action_copy_or_stop(self) -> None:
        """Copy the selection, else stop the reply, else say how to quit."""
        focused = self.focused
        if getattr(focused, "password", False):
            self.notify("What is typed as dots is not copied.")
            return
        own = getattr(focused, "selected_text", "")  # of a text area or an input
        text = own if isinstance(own, str) and own else self.screen.get_selected_text() or ""
        if text:
            self.main.copy(text)
            self.screen.clear_selection()
        elif not self.main.conversation.stop():
            self.notify(f"{key_label(keys_in_force(self.settings.keys)['app.quit'][0])} quits holychat.")

    async def copy_text(self, text: str) -> None:
        """Copy with a native tool and through the terminal, and say how it went.

        Raises:
            UsageError: There is nothing to copy.
        """
        from holychat.tui.clipboard import copy

        if not text:
            raise UsageError("There is nothing to copy")
        sequences: list[str] = []
        copied = await asyncio.to_thread(copy, text, sequences.append, self.settings.ui.copy_command)
        if self._driver is not None:
            for sequence in sequences:
                self._driver.write(sequence)
        self.notify(str(copied))

    # Palette

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """What Ctrl+P offers; most of it works only on the main screen."""
        if screen is self.main:
            for title, help_text, action in _MAIN_COMMANDS:
                yield SystemCommand(title, help_text, partial(self.run_action, action, self.main))
        for theme in (DARK, LIGHT):
            if theme.name != self.theme:
                title = f"Theme: {theme.name}"
                yield SystemCommand(title, "Change the colours for this run", self._theme_setter(theme.name))
        yield SystemCommand("Theme…", "All themes", self.action_change_theme)
        yield SystemCommand("Quit", "Drafts and running replies are kept", self.action_quit)

    def _theme_setter(self, name: str) -> Callable[[], None]:
        return lambda: setattr(self, "theme", name)


_MAIN_COMMANDS = (
    ("New chat", "Start with an empty chat", "new_chat"),
    ("Chats", "Find and open an earlier chat", "chats"),
    ("Model", "Choose model and provider", "models"),
    ("Add a key", "Paste a key, use a local server, or go offline", "first_run"),
    ("Rename chat", "Give this chat another title", "rename"),
    ("Export chat", "Write this chat to a Markdown or JSON file", "export"),
    ("Ask again", "Ask for another answer", "retry"),
    ("Replaced messages", "Read what an edit or another answer took out of this chat", "replaced"),
    ("Ask later", "Ask what is typed in the background; its answer lands in this chat", "ask_later"),
    ("Which road?", "What is typed: live, on the desk, or through the provider's batch service", "roads"),
    ("Editor", "Write in $EDITOR", "edit_in_editor"),
    ("Side panel", "Show or hide background jobs", "toggle_panel"),
    ("New job", "Send a prompt over a folder of documents in the background", "new_job"),
    ("Job from this chat", "Make a template of what was asked here, to use it over documents", "batch"),
    ("Costs", "What was spent, by model and by day, and what is left of limits", "costs"),
    ("Help", "Keys, slash commands and how holychat works", "help"),
)


def run_app(paths: Paths, settings: Settings, start: StartWith, masker: Masker | None) -> int:
    """Run the app; see `holychat.tui.run`."""
    teach_alt_enter()
    return run(_run(paths, settings, start, masker))


async def _run(paths: Paths, settings: Settings, start: StartWith, masker: Masker | None) -> int:
    loop = asyncio.get_running_loop()
    lifecycle: Lifecycle
    driver_class = terminal_driver(lambda: loop.call_soon_threadsafe(lifecycle.terminal_lost))
    app = HolychatApp(paths, settings, start, masker, driver_class)
    lifecycle = Lifecycle(app.end)
    lifecycle.start()
    try:
        await app.run_async(mouse=settings.ui.mouse)
    finally:
        await app.close_services()
        lifecycle.stop()
    return lifecycle.status if lifecycle.status is not None else app.return_code or 0
