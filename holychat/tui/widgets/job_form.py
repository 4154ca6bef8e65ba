"""The form for a new job: a few lines that are filled in by keyboard, of which most may stay as they are."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from holychat.domain.jobs import Kind, Priority, Recipe
from holychat.jobs.names import KIND_NAMES
from holychat.text import clean
from holychat.tui.job_order import FieldProblem, Order, takes_column
from holychat.tui.keymap import bindings, keys_in_force
from holychat.tui.widgets.job_fields import Changed, Choice, LineField, Opener, PathField, PromptField, Submitted
from holychat.tui.widgets.job_form_rows import (
    FIELDS,
    KINDS,
    OPTIONS,
    PLACEHOLDERS,
    form_rows,
    hint_for,
    is_from,
    schema_line,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.widget import Widget
    from textual.widgets import TextArea

    from holychat.domain.jobs import Template
    from holychat.errors import HolychatError


class JobForm(VerticalScroll, can_focus=False):
    """Fields of a new job. What stands in them is an `Order`.

    Args:
        order: What stands in them at first.
        default_model: The model that a provider takes when none is named.
        remapped: The person's keymap.
        id: Id of the widget.
    """

    BINDINGS: ClassVar = bindings("job_form")

    class Wanted(Message):
        """The person wants to go on ("review"), away ("leave"), or another screen: "model", "folders", "editor"."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    class Edited(Message):
        """Something else stands in the fields."""

    def __init__(
        self,
        order: Order,
        default_model: Callable[[str], str],
        remapped: Mapping[str, str],
        *,
        id: str,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._keys = keys_in_force(remapped)
        self._order = order
        self._default_model = default_model
        self._templates: dict[str, Template] = {}
        self._filled_for = ""
        self._problem = ""  # id of the field whose problem is told

    def compose(self) -> ComposeResult:
        """A row per field; those that the kind does not use are not shown."""
        yield Static(Content("New job"), classes="panel-title")
        yield from form_rows()

    def on_mount(self) -> None:
        """Fill it in."""
        self.fill(self._order)

    def fill(self, order: Order) -> None:
        """Put an order into the fields."""
        self._order = order
        recipe = order.recipe
        self.query_one("#where", PathField).set_path(order.where)
        self.query_one("#schema", PathField).set_path(schema_line(recipe.schema))
        self.query_one("#out", PathField).set_path(order.out)
        for name, value in (
            ("column", order.column),
            ("length", recipe.length),
            ("language", recipe.language),
            ("labels", order.labels),
            ("budget", order.budget),
            ("concurrency", order.concurrency),
        ):
            self.query_one(f"#{name}", LineField).value = value
        self.query_one("#prompt", PromptField).load_text(recipe.prompt)
        doing = self.query_one("#doing", Choice)
        template = self._templates.get(doing.value)
        fits = is_from(recipe, template.recipe) if template is not None else recipe.kind is self._kind
        if recipe.kind in KINDS and not fits:
            doing.value = recipe.kind.value
        self._filled_for = doing.value
        self.set_class(bool(order.concurrency or order.out), "-more")
        self.query_one("#priority", Choice).value = order.priority.value
        self.use_model(order.provider, order.model)
        self._show_fields()

    def use_model(self, provider: str, model: str) -> None:
        """Ask this model of this provider."""
        self._order = dataclasses.replace(self._order, provider=provider, model=model)
        named = model or self._default_model(provider)
        self.query_one("#model", Opener).text = f"{named} · {provider}" if named else provider

    def use_templates(self, templates: Sequence[Template], chosen: str = "") -> None:
        """Offer these after the kinds, the person's own first; `chosen` is put into the form."""
        self._templates = {f"template:{template.name}": template for template in templates}
        kinds = [(kind.value, KIND_NAMES[kind]) for kind in KINDS]
        doing = self.query_one("#doing", Choice)
        doing.options = (*kinds, *((key, f"“{template.name}”") for key, template in self._templates.items()))
        if chosen and f"template:{chosen}" in self._templates:
            doing.value = f"template:{chosen}"
            self._doing_changed()

    @property
    def order(self) -> Order:
        """What stands in the fields."""

        def line(name: str) -> str:
            return self.query_one(f"#{name}", LineField).value

        used = FIELDS[kind := self._kind]
        template = self._templates.get(self.query_one("#doing", Choice).value)
        base = template.recipe if template is not None else self._order.recipe
        recipe = Recipe(
            kind,
            length=line("length").strip() if "length" in used else "",
            language=line("language").strip() if "language" in used else "",
            schema=line("schema") if "schema" in used else "",
            prompt=self.query_one("#prompt", PromptField).text if "prompt" in used else base.prompt,
            system=base.system,
            temperature=base.temperature,
            max_tokens=base.max_tokens,
        )
        return dataclasses.replace(
            self._order,
            where=line("where"),
            column=line("column") if takes_column(line("where")) else "",
            recipe=recipe,
            template="" if template is None else template.name,
            labels=line("labels"),
            priority=Priority(self.query_one("#priority", Choice).value),
            budget=line("budget"),
            concurrency=line("concurrency"),
            out=line("out"),
        )

    @property
    def _kind(self) -> Kind:
        doing = self.query_one("#doing", Choice).value
        template = self._templates.get(doing)
        return template.recipe.kind if template is not None else Kind(doing)

    def focus_first(self) -> None:
        """Begin, or go on, with the files."""
        self.query_one("#where").focus(scroll_visible=False)

    def complain(self, error: HolychatError) -> None:
        """Tell what is wrong, and go to the field that it is about."""
        self._problem = error.name if isinstance(error, FieldProblem) else ""
        self.say(str(error), problem=True)
        if self._problem:
            self.query_one(f"#{self._problem}").focus()

    def say(self, text: str, *, problem: bool = False) -> None:
        """A line below the fields."""
        hint = self.query_one("#form-hint", Static)
        hint.set_class(problem, "-problem")
        hint.update(Content(clean(text)))

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Say what the field takes, or what is wrong with it."""
        _mark_row(event.widget, focused=True)
        if event.widget.id != self._problem:
            self._say_hint(event.widget)

    def _say_hint(self, widget: Widget | None) -> None:
        self._problem = ""
        self.say(hint_for(widget.id if widget is not None else None, self._kind, self._keys))

    def on_descendant_blur(self, event: events.DescendantBlur) -> None:
        """Another field."""
        _mark_row(event.widget, focused=False)

    def on_changed(self, event: Changed) -> None:
        """Other fields may be needed."""
        event.stop()
        if self._filled_for and has_fields(self):  # not before it is filled in
            self._doing_changed()
            self._edited()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """The prompt, too."""
        event.stop()
        self._edited()

    def _edited(self) -> None:
        if self._problem:
            self._say_hint(self.screen.focused)
        self.post_message(self.Edited())

    def _doing_changed(self) -> None:
        doing = self.query_one("#doing", Choice).value
        if doing != self._filled_for:
            template = self._templates.get(doing)
            if template is not None:
                recipe = template.recipe
                order = dataclasses.replace(self.order, recipe=recipe, labels=", ".join(recipe.labels))
                if template.provider:
                    order = dataclasses.replace(order, provider=template.provider, model=template.model)
                self.fill(order)
            elif self._filled_for in self._templates:
                recipe = Recipe(Kind(doing), length="medium" if doing == Kind.SUMMARIZE else "")
                self.fill(dataclasses.replace(self.order, recipe=recipe))
            self._filled_for = doing
        self._show_fields()

    def _show_fields(self) -> None:
        unused = {name: name not in FIELDS[self._kind] for name in OPTIONS}
        unused["column"] = not takes_column(self.query_one("#where", LineField).value)
        for name, is_unused in unused.items():
            if (row := self.query_one(f"#{name}").parent) is not None:
                row.set_class(is_unused, "-unused")
        self.query_one("#language", LineField).placeholder = PLACEHOLDERS.get(self._kind, "as in the document")

    def on_submitted(self, event: Submitted) -> None:
        """Enter in any field."""
        event.stop()
        self.action_review()

    def on_opener_opened(self, event: Opener.Opened) -> None:
        """The list of models, or the fields that few need."""
        event.stop()
        if event.name == "more":
            self.add_class("-more")
            self.call_after_refresh(self.query_one("#concurrency").focus)
        else:
            self.post_message(self.Wanted("model"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        """The tree belongs to the files, the editor to the prompt."""
        focused = self.screen.focused if self.is_attached else None
        name = focused.id if focused is not None else None
        if action == "folders":
            return name in ("where", "schema", "out")
        if action == "editor":
            return name == "prompt"
        return True

    def action_review(self) -> None:
        """Go on."""
        self.post_message(self.Wanted("review"))

    def action_leave(self) -> None:
        """Back to the list."""
        self.post_message(self.Wanted("leave"))

    def action_folders(self) -> None:
        """Choose in the tree."""
        self.post_message(self.Wanted("folders"))

    def action_editor(self) -> None:
        """Write the prompt in the person's own editor."""
        self.post_message(self.Wanted("editor"))

    def action_next(self) -> None:
        """The field below."""
        self.screen.focus_next("#job-form .form-field")

    def action_previous(self) -> None:
        """The field above."""
        self.screen.focus_previous("#job-form .form-field")


def has_fields(form: JobForm) -> bool:
    """Whether its fields are there: not before it is composed, nor while the app ends."""
    return bool(form.query("#doing"))


def _mark_row(widget: Widget, *, focused: bool) -> None:
    if widget.parent is not None:
        for label in widget.parent.query(".form-label"):
            label.set_class(focused, "-focused")
