"""What a job will take, before anything is sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Button, Static

from holychat.domain.jobs import Kind
from holychat.errors import HolychatError
from holychat.text import clean, clean_line
from holychat.tui.files import current_folder
from holychat.tui.job_steering import WAY_TO_A_KEY, missing_key
from holychat.tui.job_words import (
    PRIORITY_NAMES,
    compact,
    dollars,
    number,
    recipe_words,
    source_words,
)
from holychat.tui.keymap import bindings
from holychat.tui.road_words import ROAD_NAMES, reasons_of, short_words

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from holychat.domain.jobs import Job
    from holychat.domain.roads import Choice
    from holychat.domain.usage import Cost
    from holychat.jobs.estimate import Estimate
    from holychat.jobs.service import JobService

TRIAL = 3
"""Documents of a trial run."""


class JobReview(Vertical):
    """A draft with its estimate: send it, try a few, or go back. Nothing is sent from here without a button.

    The buttons are always seen, however much there is to say above them.

    Args:
        id: Id of the widget.
    """

    BINDINGS: ClassVar = bindings("job_review")

    class Answered(Message):
        """What is to be done: "send", "try" or "back"."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.job: Job | None = None
        self.roads: Choice | None = None
        """The roads for what is shown, once it is estimated."""
        self.estimate: Estimate | None = None
        self._ready = False

    def compose(self) -> ComposeResult:
        """What is ordered, what it takes, what may be done."""
        yield Static(Content("Review"), classes="panel-title")
        with VerticalScroll(id="review-text", can_focus=False):
            yield Static(Content(""), id="review-order")
            yield Static(Content(""), id="review-facts")
            yield Static(Content(""), id="review-roads")
            yield Static(Content(""), id="review-warnings")
        with Horizontal(id="review-buttons"):
            yield Button(Content("Send"), id="review-send", variant="primary", compact=True)
            yield Button(Content(f"Try {TRIAL} first"), id="review-try", compact=True)
            yield Button(Content("Back"), id="review-back", compact=True)
        yield Static(Content(""), id="review-hint")

    def show_job(self, job: Job) -> None:
        """Show what is ordered; its estimate comes later."""
        self.job, self._ready = job, False
        self.roads = self.estimate = None
        self.query_one("#review-roads", Static).update(Content(""))
        spec = job.spec
        where = [source_words(source, current_folder()) for source in spec.sources[:3]]
        if len(spec.sources) > 3:
            where.append(f"and {len(spec.sources) - 3} more")
        doing = recipe_words(spec.recipe) if spec.recipe.kind is not Kind.REQUESTS else "Requests as they stand there"
        who = f"{clean_line(spec.model, 60) or 'default model'} · {clean_line(spec.provider, 40)}"
        last = [Text(f"{who} · {PRIORITY_NAMES[spec.priority]}", "dim")]
        if spec.limits.concurrency is not None:
            last.append(Text(f"at most {number(spec.limits.concurrency)} at once", "dim"))
        if spec.out:
            last.append(Text(f"results to {clean_line(_short(spec.out), 400)}", "dim", overflow="fold"))
        lines = Text("\n").join([Text(doing, "bold"), *[Text(line, overflow="fold") for line in where], *last])
        self.query_one("#review-order", Static).update(lines)
        self.query_one("#review-facts", Static).update(Content("Looking at the documents…"))
        self._warn("")
        self.query_one("#review-hint", Static).update(Content(""))
        for name in ("send", "try"):
            self.query_one(f"#review-{name}", Button).disabled = True
        self.query_one("#review-text").scroll_home(animate=False)
        self.query_one("#review-back", Button).focus(scroll_visible=False)

    async def reckon(self, jobs: JobService, job_id: int) -> None:
        """Find out what a job will take and on which road, and show it."""
        try:
            estimate = await jobs.estimate(job_id, progress=self.show_progress)
            self.show_estimate(estimate, await jobs.roads(job_id, estimate))
            await self._look_for_key(jobs, estimate)
        except HolychatError as error:
            self.show_problem(str(error))

    def show_progress(self, documents: int) -> None:
        """So many documents were found until now."""
        if not self._ready:
            self.query_one("#review-facts", Static).update(Content(f"Looking at the documents… {number(documents)}"))

    def show_estimate(self, estimate: Estimate, roads: Choice) -> None:
        """Everything is known that will be: the job may be sent."""
        self._ready, self.estimate, self.roads = True, estimate, roads
        self.query_one("#review-roads", Static).update(roads_text(roads) if estimate.documents else Content(""))
        self.query_one("#review-facts", Static).update(facts_text(estimate, self.job))
        self._warn("\n".join(f"! {warning}" for warning in estimate.warnings))
        send, trial = self.query_one("#review-send", Button), self.query_one("#review-try", Button)
        sendable = estimate.documents > 0
        send.disabled = not sendable
        trial.disabled = estimate.documents <= TRIAL
        hint = "Nothing is sent yet. ← → and Enter." if sendable else "Esc goes back to the form."
        self.query_one("#review-hint", Static).update(Content(hint))
        if self.query_one("#review-back", Button).has_focus and sendable:
            send.focus(scroll_visible=False)

    async def _look_for_key(self, jobs: JobService, estimate: Estimate) -> None:
        """Say so where the job could not begin; asking a keyring may take its time."""
        missing = "" if self.job is None else await missing_key(jobs, self.job)
        if missing and self.estimate is estimate:
            wait = f"{missing}: the job would wait for one. {WAY_TO_A_KEY}"
            self._warn("\n".join(f"! {warning}" for warning in (wait, *estimate.warnings)))

    def show_problem(self, text: str) -> None:
        """It cannot be estimated."""
        self.query_one("#review-facts", Static).update(Content(""))
        self._warn(text)

    def _warn(self, text: str) -> None:
        warnings = self.query_one("#review-warnings", Static)
        warnings.set_class(bool(text), "-some")
        warnings.update(Content(clean(text)))

    def on_button_pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        event.stop()
        self.post_message(self.Answered((event.button.id or "").removeprefix("review-")))

    def action_next(self, delta: int) -> None:
        """Another button."""
        if delta > 0:
            self.screen.focus_next("#review-buttons Button")
        else:
            self.screen.focus_previous("#review-buttons Button")

    def action_page(self, direction: int) -> None:
        """Scroll what stands above the buttons."""
        text = self.query_one("#review-text")
        text.scroll_relative(y=direction * max(text.size.height - 2, 1), animate=False)

    def action_compare(self) -> None:
        """The roads side by side, with all they rest on."""
        if self.roads is None or self.estimate is None:
            return
        from holychat.tui.screens.roads import RoadsScreen

        estimate = self.estimate
        tokens = f"~{compact(estimate.input_tokens)} tokens in, ~{compact(estimate.output_tokens)} out"
        documents = f"{number(estimate.documents)} document{'s' * (estimate.documents != 1)}"
        self.app.push_screen(RoadsScreen(self.roads, f"{documents}: {tokens}"))

    def action_back(self) -> None:
        """Back to the form."""
        self.post_message(self.Answered("back"))


def facts_text(estimate: Estimate, job: Job | None) -> Text:
    """Documents, tokens and price, a line each; what is not known is said to be unknown.

    How long it takes stands with the roads.
    """
    about = "~" if estimate.sampled < estimate.documents else ""
    documents = number(estimate.documents)
    if estimate.unreadable:
        documents += f", {number(estimate.unreadable)} more cannot be read"
    if estimate.parts:
        documents += f", in {number(estimate.parts)} parts"
    rows = [
        ("Documents", documents),
        ("Tokens", f"{about}{compact(estimate.input_tokens)} in, ~{compact(estimate.output_tokens)} out"),
        ("Price", _price(estimate.live)),
    ]
    if estimate.batch is not None:
        rows.append(("As batch", f"{_price(estimate.batch)} at the provider"))
    if job is not None and job.spec.limits.budget_micros is not None:
        rows.append(("Budget", dollars(job.spec.limits.budget_micros)))
    text = Text()
    for place, (name, value) in enumerate(rows):
        text.append(f"{name:<11}", "dim")
        text.append(value)
        if place < len(rows) - 1:
            text.append("\n")
    return text


def _short(path: str) -> str:
    folder = current_folder().rstrip("/") + "/"
    return path.removeprefix(folder) if folder != "/" else path


def roads_text(choice: Choice) -> Text:
    """The roads, a line each, the one that is taken marked, and why it is."""
    text = Text()
    for offer in choice.offers:
        taken = offer.road is choice.road
        text.append(f"{'▸' if taken else ' '} {ROAD_NAMES[offer.road]:<9}", "bold" if taken else "dim")
        text.append(f"{short_words(offer)}\n", "" if offer.available else "dim")
    text.append(reasons_of(choice)[-1], "dim")
    return text


def _price(cost: Cost | None) -> str:
    return "unknown" if cost is None else dollars(cost.micros, about=cost.micros > 0)
