"""Choose provider and model."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from holychat.domain.chat import ChatOptions
from holychat.errors import HolychatError
from holychat.text import clean_line
from holychat.tui.framework import SteadyList
from holychat.tui.keymap import bindings
from holychat.tui.screens.dialog import Dialog
from holychat.tui.widgets.filter_input import FilterInput
from holychat.tui.widgets.footer import KeyFooter
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from holychat.domain.request import ProviderInfo
    from holychat.services import Services


class ModelsScreen(Dialog[ChatOptions]):
    """Answers with the chat's options under another model or provider.

    The provider's list is fetched in the background; any name can be typed, whether or not it is in the list.

    Args:
        services: Where providers are.
        options: What the chat asks for now.
    """

    BINDINGS: ClassVar = bindings("models")

    def __init__(self, services: Services, options: ChatOptions) -> None:
        super().__init__()
        self._services = services
        self._options = options
        self._infos: tuple[ProviderInfo, ...] = services.registry.infos()
        self._provider = options.provider
        self._models: tuple[str, ...] = ()
        self._shown: list[str] = []
        self._shown_for: str | None = None

    def compose(self) -> ComposeResult:
        """Provider, name, list."""
        with Vertical(classes="dialog wide"):
            yield Static(Content("Model"), classes="dialog-title")
            yield Static(Content(""), id="provider-line")
            yield FilterInput(placeholder="Type to filter, or any model name", id="model-name")
            yield SteadyList(markup=False, id="model-list")
            yield Static(Content(""), id="model-hint", classes="dialog-hint")
        yield KeyFooter()

    def on_mount(self) -> None:
        """Show the provider of the chat."""
        self.query_one(OptionList).can_focus = False
        self._show_provider()

    def _show_provider(self) -> None:
        line = Text(no_wrap=True)
        for info in self._infos:
            line.append(f" {clean_line(info.name, 24)} ", "reverse bold" if info.name == self._provider else "")
            line.append(" ")
        self.query_one("#provider-line", Static).update(line)
        self._models = (self._default_model,) if self._default_model else ()
        self._shown_for = None
        self._fill()
        start_work(self, "models", self._fetch, self._provider)

    @property
    def _default_model(self) -> str:
        return next((info.model for info in self._infos if info.name == self._provider), "")

    async def _fetch(self, provider: str) -> None:
        self._hint("Asking for the list of models…")
        try:
            models = await self._services.registry.get(provider).models()
        except HolychatError as error:
            self._hint(f"No list: {clean_line(error.title, 120)}. Any name can be typed.")
            return
        names = sorted({model.id for model in models}, key=str.lower)
        first = [self._default_model] if self._default_model else []
        self._models = (*first, *(name for name in names if name not in first))
        count = len(self._models)  # a default that the provider does not list is one of them
        self._hint(f"{count} model{'s' * (count != 1)}. Any other name can be typed, too.")
        self._fill()

    def _fill(self) -> None:
        wanted = self.query_one(Input).value.strip()
        marked_now = self.query_one(OptionList).highlighted
        kept = self._shown[marked_now] if marked_now is not None and wanted == self._shown_for else None
        self._shown_for = wanted
        words = wanted.lower().split()
        self._shown = [name for name in self._models if all(word in name.lower() for word in words)]
        if wanted and wanted not in self._shown:
            self._shown.append(wanted)
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([Option(self._prompt(name, wanted)) for name in self._shown])
        current = self._options.model or self._default_model
        marked = self._shown.index(current) if not wanted and current in self._shown else 0
        options.highlighted = marked if self._shown else None
        if kept is not None and kept in self._shown:
            options.highlighted = self._shown.index(kept)

    def _prompt(self, name: str, wanted: str) -> Text:
        text = Text(clean_line(name, 100), no_wrap=True, overflow="ellipsis")
        if name == self._default_model:
            text.append("  default", "dim")
        elif name == wanted and name not in self._models:
            text.append("  as typed", "dim")
        return text

    def _hint(self, text: str) -> None:
        self.query_one("#model-hint", Static).update(Content(text))

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter."""
        event.stop()
        self._fill()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Use it."""
        event.stop()
        self.action_choose()

    def on_filter_input_list_key(self, event: FilterInput.ListKey) -> None:
        """Move the mark; the filter keeps the focus."""
        event.stop()
        options = self.query_one(OptionList)
        match event.key:
            case "down":
                options.action_cursor_down()
            case "up":
                options.action_cursor_up()
            case "pagedown":
                options.action_page_down()  # type: ignore[no-untyped-call]
            case "pageup":
                options.action_page_up()  # type: ignore[no-untyped-call]

    def action_next_provider(self) -> None:
        """Look at the next provider."""
        names = [info.name for info in self._infos]
        at = names.index(self._provider) if self._provider in names else -1
        self._provider = names[(at + 1) % len(names)]
        self.query_one(Input).value = ""
        self._show_provider()

    def action_choose(self) -> None:
        """Use the marked model of the provider shown."""
        self._fill()
        marked = self.query_one(OptionList).highlighted
        model = self._shown[marked] if marked is not None and marked < len(self._shown) else ""
        self.dismiss(dataclasses.replace(self._options, provider=self._provider, model=model))
