"""The one place that overrides private parts of Textual 8.2; a test fails when an upgrade changes one of them.

What is changed, and why:

* `_fatal_error`, `_handle_exception`, `panic` print a traceback with the values of local variables, keys among them;
  here it is one short message, and the traceback without values goes to the log.
* line filters: control characters are deleted from everything painted, and NO_COLOR means no colour at all.
* `notify` runs markup by default; never here.
* notices pile up until they cover what they tell of; here one takes the place of an older one about the same thing.
* Alt+Enter arrives as ESC CR from terminals without the extended keyboard protocol; Textual drops the Alt.
* keys that arrive before a widget has the focus are lost, or overtaken by later ones.
* an exported COLUMNS keeps the app from following resizes.
* every widget whose parent touches what is to be painted is rendered, whether anything of it can be seen or not.
* asking a new widget for its size after a scroll keeps all others from hearing that theirs has changed.
* Enter in the command palette runs what was found for an earlier text, as long as the search for this one goes on.
* a page up or down in a list of which no line can be seen, as it is new or the window low, is a KeyError.
* standard error is painted on, though it may lead into a file.
* the parts of a screen go before its work ends, which may look for them then; nothing says publicly that it is going.
* a terminal that went away makes the thread that writes to it die, and then its full queue blocks the loop for ever.
"""

from __future__ import annotations

import asyncio
import logging
import os
import select
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, TextIO

from textual import _ansi_sequences, events, on
from textual._compositor import Compositor
from textual.app import App
from textual.await_complete import AwaitComplete
from textual.command import CommandPalette
from textual.geometry import Region
from textual.notifications import Notification, Notify
from textual.screen import Screen
from textual.widgets import Input, OptionList
from textual.worker import WorkerError, WorkerFailed

from holychat.text import clean, clean_line
from holychat.tui.leaving import can_be_left
from holychat.tui.line_filter import NoColourFilter, UntrustedTextFilter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import RenderableType
    from textual._compositor import ReflowResult
    from textual.dom import DOMNode
    from textual.driver import Driver
    from textual.filter import LineFilter
    from textual.geometry import Size
    from textual.notifications import SeverityLevel
    from textual.strip import Strip
    from textual.widget import Widget

_LOG = logging.getLogger(__name__)


class _ExtraKey(Enum):
    ALT_ENTER = "alt+enter"


def teach_alt_enter() -> None:
    """Let ESC CR be Alt+Enter."""
    sequences: dict[str, object] = vars(_ansi_sequences)["ANSI_SEQUENCES_KEYS"]
    sequences["\x1b\r"] = (_ExtraKey.ALT_ENTER,)


class TerminalFile:
    """The terminal as a file for Textual's writer thread: writing to a terminal that went away is no error.

    Args:
        file: What to write to.
        on_lost: Called once, from the writer thread, when a write fails.
    """

    def __init__(self, file: TextIO, on_lost: Callable[[], object]) -> None:
        self._file = file
        self._on_lost = on_lost
        self._lost = False

    def write(self, text: str) -> int:
        """Write, or do nothing once the terminal is gone."""
        if not self._lost:
            try:
                return self._file.write(text)
            except (OSError, ValueError):
                self._lose()
        return len(text)

    def flush(self) -> None:
        """Flush, or do nothing once the terminal is gone."""
        if not self._lost:
            try:
                self._file.flush()
            except (OSError, ValueError):
                self._lose()

    def fileno(self) -> int:
        """Descriptor of the terminal."""
        return self._file.fileno()

    def _lose(self) -> None:
        self._lost = True
        self._on_lost()


def terminal_driver(on_lost: Callable[[], object]) -> type[Driver] | None:
    """A driver class that outlives its terminal, or None where Textual's own has to do (not a POSIX system)."""
    if os.name != "posix":
        return None
    from textual.drivers.linux_driver import LinuxDriver

    class TerminalDriver(LinuxDriver):
        def __init__(
            self, app: App[object], *, debug: bool = False, mouse: bool = True, size: tuple[int, int] | None = None
        ):
            super().__init__(app, debug=debug, mouse=mouse, size=size)
            self._file = TerminalFile(_painted_on(), on_lost)  # type: ignore[assignment]

        def _get_terminal_size(self) -> tuple[int, int]:
            # Textual asks shutil, which believes an exported COLUMNS and LINES for ever, whatever the window does.
            try:
                size = os.get_terminal_size(self.fileno)
            except OSError:
                return super()._get_terminal_size()
            return (size.columns, size.lines) if size.columns and size.lines else super()._get_terminal_size()

    return TerminalDriver


def _painted_on() -> TextIO:
    """Standard output, which was seen to be a terminal, not Textual's standard error, which may go to a file."""
    out = sys.__stdout__ or sys.stdout
    return open(out.fileno(), "w", encoding=out.encoding, errors="backslashreplace", closefd=False)


class TightCompositor(Compositor):
    """Renders only what is painted: not the widgets beside it, nor the containers that lie wholly under it."""

    def __init__(self) -> None:
        super().__init__()
        self._told = self._full_map
        """Where everything was when widgets were last told of their sizes."""

    def reflow(self, parent: Widget, size: Size) -> ReflowResult:
        """Lay out; compared with what widgets know, and not with what was laid out ahead in the meantime."""
        self._full_map = self._told
        result = super().reflow(parent, size)
        self._told = self._full_map
        return result

    def _get_renders(self, crop: Region | None = None) -> Iterable[tuple[Region, Region, list[Strip]]]:
        if crop is None:
            yield from super()._get_renders(crop)
            return
        painted: list[Region] = []
        for widget, (region, clip) in self.visible_widgets.items():  # from front to back
            inside = region.intersection(clip)
            seen = inside.intersection(crop)
            if not seen or any(other.contains_region(seen) for other in painted):
                continue
            painted.append(seen)
            # Whole lines: a line is cut where widgets meet, which need not be where the crop does.
            lines = inside.intersection(Region(0, crop.y, self.size.width, crop.height))
            yield region, lines, widget.render_lines(lines.translate(-region.offset))


def hold_keys(node: Widget) -> None:
    """Keep what is typed from now on for what is being opened; `keys_held` follows, whatever happens."""
    if isinstance(node.app, FrameworkApp):
        node.app.hold_keys()


@contextmanager
def keys_held(node: Widget) -> Iterator[None]:
    """Something is being opened: it gets what is typed meanwhile, once it has the focus."""
    hold_keys(node)
    try:
        yield
    finally:
        if isinstance(node.app, FrameworkApp):
            node.app.release_keys_soon()


class FrameworkScreen(Screen[None]):
    """A screen whose frames cost what they show."""

    def __init__(self) -> None:
        super().__init__()
        self._compositor = TightCompositor()


class SteadyList(OptionList):
    """A list that stays where it is while there is no page to go by."""

    def _move_page(self, direction: Literal[-1, 1]) -> None:
        if self.scrollable_content_region:
            super()._move_page(direction)


class PatientPalette(CommandPalette):
    """A command palette whose Enter waits for what is found for the text that is seen, and counts once."""

    @on(Input.Submitted)
    async def _wait_for_what_is_found(self) -> None:
        searches = [worker for worker in self.workers if worker.group == self._GATHER_COMMANDS_GROUP]
        for search in searches:
            with suppress(WorkerError):  # one for an earlier text was given up
                await search.wait()

    def dismiss(self, result: None = None) -> AwaitComplete:
        """Leave the screen with an answer, once."""
        return super().dismiss(result) if can_be_left(self) else AwaitComplete()

    def _action_command_list(self, action: str) -> None:
        if self.query_one(OptionList).scrollable_content_region or not action.startswith("page"):
            super()._action_command_list(action)


def terminal_is_gone(descriptor: int) -> bool:
    """Whether the other side of a terminal was closed."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _fd, event in poll.poll(0))


@dataclass
class _Notice(Notification):
    """A notice that knows what it is about."""

    topic: str = ""


def is_leaving(node: DOMNode) -> bool:
    """Whether a widget or screen is being taken away, or the app ends: parts of it may be gone already."""
    return node._pruning or node._closing or not node.is_attached  # noqa: SLF001


class FrameworkApp(App[int]):
    """A Textual app without the habits listed above.

    Args:
        log_file: Where the log is, told in the message of a crash.
        driver_class: Driver of the terminal; None for Textual's own choice.
    """

    def __init__(self, log_file: Path, driver_class: type[Driver] | None = None) -> None:
        super().__init__(driver_class=driver_class)
        self._log_file = log_file
        self._net = UntrustedTextFilter()
        self._no_colour = NoColourFilter()
        self.crashed = False
        self._early_keys: list[events.Key | events.Paste] | None = []
        """What was typed before the widget it is for could take it; None while nothing is being opened."""
        self._starting = True

    async def on_event(self, event: events.Event) -> None:
        """Hold keys back until something can take them; Textual would lose them, or let later ones overtake them."""
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded and self._held_back(event):
            return
        if isinstance(event, (events.Key, events.Paste)) and not event.is_forwarded:
            self.before_typing(event)
        await super().on_event(event)

    def action_command_palette(self) -> None:
        """Open the command palette, without the id of Textual's: an older one with it may be on its way out."""
        if not isinstance(self.screen, PatientPalette):
            self.push_screen(PatientPalette())

    def before_typing(self, event: events.Key | events.Paste) -> None:
        """Hook: a key or a paste is about to go to the widget that has the focus."""

    def hold_keys(self) -> None:
        """Something is being opened that what is typed from now on is for; a key that does so has to have priority."""
        if self._early_keys is None:
            self._early_keys = []

    def release_keys_soon(self) -> None:
        """It is open: let the keys go once it is shown and has the focus."""
        self.call_after_refresh(self.call_later, self.release_early_keys)

    def _held_back(self, event: events.Key | events.Paste) -> bool:
        if self._early_keys is None and not self.screen.is_mounted:
            self.hold_keys()  # it was opened just now, and what it consists of is on its way
            self.release_keys_soon()
        if self._early_keys is not None:
            self._early_keys.append(event)
        return self._early_keys is not None

    async def release_early_keys(self) -> None:
        """Let the keys that were held back through, in their order; call it in the app's own message loop."""
        early, self._early_keys = self._early_keys or [], None
        starting, self._starting = self._starting, False
        for event in early:
            if self._held_back(event):
                continue  # one of them opens something else, which the rest is for
            # The terminal still turned Enter into a line feed when this was typed.
            enter = starting and isinstance(event, events.Key) and event.key == "ctrl+j"
            await super().on_event(events.Key("enter", "\r") if enter else event)

    def hold_painting(self, seconds: float) -> None:
        """Paint nothing for a moment, then everything that has changed in one frame."""
        self._begin_batch()
        asyncio.get_running_loop().call_later(seconds, self._paint_again)

    def _paint_again(self) -> None:
        self._end_batch()
        if self._running and not self._batch_count:
            self.screen._on_timer_update()  # noqa: SLF001  at once: the next tick of the timer would be another wait

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's filters, then ours; under NO_COLOR only ours."""
        if self.no_color:
            return (self._net, self._no_colour)
        return (*super().get_line_filters(), self._net)

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,  # noqa: ARG002
        topic: str = "",
    ) -> None:
        """Show a notice: cleaned, short, and never markup, whatever is asked for.

        It takes the place of an older one on the same topic; without a topic, of one that said the same.
        """
        text = clean(message)
        text = text if len(text) <= 600 else text[:599] + "…"
        seconds = self.NOTIFICATION_TIMEOUT if timeout is None else timeout
        notice = _Notice(text, clean_line(title), severity, seconds, markup=False, topic=topic or text)
        self.post_message(Notify(notice))

    def _on_notify(self, event: Notify) -> None:
        """Before Textual's own: make room."""
        topic = getattr(event.notification, "topic", "")
        for old in [notice for notice in self._notifications if getattr(notice, "topic", None) == topic]:
            self._unnotify(old, refresh=False)
            self.screen.query(f"#--textual-toast-{old.identity}").remove()

    def _handle_exception(self, error: Exception) -> None:
        while isinstance(error, WorkerFailed) and isinstance(error.error, Exception):
            error = error.error  # Textual wraps what a worker raised and forgets its traceback
        _LOG.error("The app ends because of an unhandled error", exc_info=error)
        super()._handle_exception(error)

    def _fatal_error(self) -> None:
        self._say_goodbye()

    def panic(self, *renderables: RenderableType) -> None:
        """End the app with a short message; what Textual would have shown goes to the log."""
        for renderable in renderables:
            _LOG.error("The app ends: %s", renderable)
        self._say_goodbye()

    def _say_goodbye(self) -> None:
        from rich.text import Text

        if not self.crashed:
            self.crashed = True
            self._return_code = 1
            lines = [
                "holychat ended because of an error of its own. What you typed and what had arrived is kept.",
                f"The log says more: {self._log_file}",
            ]
            if isinstance(self._exception, Exception):
                lines.insert(1, f"Error: {type(self._exception).__name__}")
            self._exit_renderables.append(Text(clean("\n".join(lines)), overflow="fold"))
        self._close_messages_no_wait()
