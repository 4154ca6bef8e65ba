"""The list of jobs in the side panel."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from holychat.tui.framework import hold_keys
from holychat.tui.keymap import bindings, key_label, keys_in_force
from holychat.tui.widgets.job_paint import COMPONENTS, job_rows, styles_of, wrapped

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from textual import events

    from holychat.domain.jobs import Job

_EDGE = 2
"""Cells to the left of a job's rows: the mark and a space."""


class JobList(ScrollView, can_focus=True):
    """Every job in a few rows of one widget; a change repaints the rows that read differently and nothing else.

    Args:
        remapped: The person's keymap.
    """

    BINDINGS: ClassVar = bindings("jobs")
    COMPONENT_CLASSES = COMPONENTS
    DEFAULT_CSS = "JobList { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"

    cursor: reactive[int] = reactive(0, repaint=False)

    class Act(Message):
        """Something is to be done with a job: "open", "pause", "cancel", "delete" or "new" (then `job` may be None)."""

        def __init__(self, deed: str, job: Job | None) -> None:
            super().__init__()
            self.deed = deed
            self.job = job

    class CursorMoved(Message):
        """Another job is marked, or its state has changed: keys may mean something else."""

    def __init__(self, remapped: Mapping[str, str], *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        keys = keys_in_force(remapped)
        self._keys = {"p": key_label(keys["jobs.pause"][0]), "enter": key_label(keys["jobs.open"][0])}
        self._new_key = key_label(keys["jobs.new"][0])
        self.jobs: Sequence[Job] = ()
        self._lines: list[tuple[int, Text]] = []
        """Every line: index of its job (-1 for what belongs to none), and what it says."""
        self._loaded = False
        self._live = self._rest = Style()

    @property
    def job(self) -> Job | None:
        """The marked job."""
        return self.jobs[self.cursor] if self.cursor < len(self.jobs) else None

    def show(self, jobs: Sequence[Job], marked: int | None = None) -> None:
        """Show these jobs; the mark stays on its job, or goes to the one with the number `marked`."""
        before = self.job
        wanted = marked if marked is not None else before.id if before is not None else None
        place = next((place for place, job in enumerate(jobs) if job.id == wanted), None)
        self.jobs, self._loaded = tuple(jobs), True
        self.set_reactive(JobList.cursor, min(self.cursor if place is None else place, max(len(jobs) - 1, 0)))
        self._lay_out()
        now = self.job
        if (before and (before.id, before.state)) != (now and (now.id, now.state)):
            self.post_message(self.CursorMoved())
        if marked is not None:
            self._reveal()

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width - _EDGE - 1
        if width <= 4:
            return
        styles = styles_of(self)
        self._live, self._rest = styles["live"], styles["rest"]
        lines: list[tuple[int, Text]] = []
        for place, job in enumerate(self.jobs):
            lines += [(place, row) for row in job_rows(job, width, styles, self._keys)]
            lines.append((-1, Text()))
        if not self.jobs and self._loaded:
            lines = [(-1, row) for row in _empty_rows(self._new_key, width, styles)]
        old, self._lines = self._lines, lines
        if len(old) != len(lines):
            self.virtual_size = Size(self.scrollable_content_region.width, len(lines))
        scroll = round(self.scroll_y)
        changed = [row for row, (a, b) in enumerate(zip(old, lines, strict=False)) if a != b]
        changed += range(min(len(old), len(lines)), max(len(old), len(lines)))
        for row in changed:
            if 0 <= row - scroll < self.size.height:
                self.refresh(Region(0, row - scroll, self.size.width, 1))

    def on_resize(self) -> None:
        """Other widths, other rows."""
        self._lines = []
        self._lay_out()
        self.refresh()

    def notify_style_update(self) -> None:
        """The theme has changed."""
        super().notify_style_update()
        if self.is_attached:
            self._lines = []
            self._lay_out()
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """A row of a job, with the mark before it."""
        width = self.scrollable_content_region.width
        row = y + round(self.scroll_y)
        base = self.rich_style
        if not 0 <= row < len(self._lines):
            return Strip.blank(width, base)
        place, text = self._lines[row]
        marked = place == self.cursor and place >= 0
        back = base
        if marked and self.has_focus:
            back = base + Style(bgcolor=self.get_component_rich_style("jobs--marked").bgcolor)
        edge = Segment("▌ " if marked else "  ", back + (self._live if self.has_focus else self._rest))
        pieces = list(text.render(self.app.console))
        line = Strip([edge, *(Segment(piece.text, back + (piece.style or Style())) for piece in pieces if piece.text)])
        return line.adjust_cell_length(width, back)

    def watch_has_focus(self, value: bool) -> None:
        """The mark looks different with the focus."""
        super().watch_has_focus(value)
        self.refresh()

    def watch_cursor(self) -> None:
        """Paint the mark, show the whole job."""
        self._reveal()
        self.refresh()
        self.post_message(self.CursorMoved())

    def _rows_of(self, place: int) -> tuple[int, int]:
        rows = [row for row, (other, _) in enumerate(self._lines) if other == place]
        return (rows[0], rows[-1] + 1) if rows else (0, 0)

    def _reveal(self) -> None:
        top, bottom = self._rows_of(self.cursor)
        view, height = round(self.scroll_y), self.size.height
        if top < view:
            self.scroll_to(y=top, animate=False, immediate=True)
        elif bottom > view + height:
            self.scroll_to(y=min(bottom - height, top), animate=False, immediate=True)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key that does nothing for the marked job is not offered."""
        if action == "act":
            return can(str(parameters[0]), self.job)
        return True

    def action_move(self, delta: int) -> None:
        """Mark another job."""
        self.cursor = min(max(self.cursor + delta, 0), max(len(self.jobs) - 1, 0))

    def action_act(self, deed: str) -> None:
        """Ask for something to be done with the marked job; what is typed after "new" is for the form."""
        if deed == "new":
            hold_keys(self)
        self.post_message(self.Act(deed, self.job))

    def action_leave(self) -> None:
        """Back to writing."""
        self.post_message(self.Act("leave", None))

    def on_click(self, event: events.Click) -> None:
        """Mark what is clicked; a second click opens it."""
        row = event.y + round(self.scroll_y)
        place = self._lines[row][0] if 0 <= row < len(self._lines) else -1
        if place >= 0:
            if place == self.cursor and event.chain > 1:
                self.action_act("open")
            self.cursor = place


def _empty_rows(key: str, width: int, styles: Mapping[str, Style]) -> list[Text]:
    what = "A job sends every document of a folder, a list or a table through a model, while you go on chatting."
    first = Text.assemble(("No jobs yet. ", styles["text"]), (key, styles["name2"]), (" makes one.", styles["text"]))
    return [first, Text(), *wrapped(what, width, styles["muted"], 4)]


def can(deed: str, job: Job | None) -> bool:
    """Whether something can be done with a job now."""
    from holychat.domain.jobs import ACTIVE_JOBS, ENDED_JOBS, JobState

    if deed == "new":
        return True
    if job is None:
        return False
    match deed:
        case "pause":
            return job.state in ACTIVE_JOBS - {JobState.FINISHING} or job.state is JobState.PAUSED
        case "cancel":
            return job.state in ACTIVE_JOBS or job.state is JobState.PAUSED
        case "delete":
            return job.state in ENDED_JOBS or job.state is JobState.DRAFT
    return True
