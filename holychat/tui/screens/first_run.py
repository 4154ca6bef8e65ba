"""No key yet: one screen, three ways on, Enter is enough."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING, ClassVar

from rich.text import Text
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from holychat.domain.chat import ChatOptions
from holychat.errors import CredentialError, HolychatError, KeyRejected, UsageError
from holychat.text import clean, clean_line
from holychat.tui.framework import SteadyList
from holychat.tui.screens.dialog import Dialog
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from holychat.services import Services

_CHOOSE = "↑↓ choose · Enter goes on · Esc decides later"
_PROPER_NAMES = {"holysheep": "HolySheep", "openai": "OpenAI", "anthropic": "Anthropic"}


class FirstRunScreen(Dialog[ChatOptions]):
    """Answers with what chats start with from now on in this run, or None to leave it as it is.

    Args:
        services: Where keys and providers are.
        options: What a chat would ask for now.
        key_words: Where the key in use comes from; "no key" or "" where there is none.
        problem: Why a key that should be there could not be had; may be empty.
    """

    AUTO_FOCUS: ClassVar[str] = "#ways"

    def __init__(self, services: Services, options: ChatOptions, key_words: str = "", problem: str = "") -> None:
        super().__init__()
        self._services = services
        self._options = options
        self._key_words = key_words
        self._problem = problem
        self._local: tuple[str, str] | None = None
        """Base address and model of the local server that was found."""
        self._checking = False

    @property
    def _provider(self) -> str:
        return _PROPER_NAMES.get(self._options.provider, clean_line(self._options.provider, 24))

    def compose(self) -> ComposeResult:
        """What is missing, three ways, a place for the key."""
        with Vertical(classes="dialog wide", id="first-run"):
            yield Static(Content("Welcome to holychat"), classes="dialog-title")
            yield Static(Content(self._intro()), classes="dialog-text")
            yield SteadyList(*self._ways(), markup=False, id="ways")
            yield Input(password=True, placeholder=f"{self._provider} key", id="key")
            yield Static(Content(_CHOOSE), classes="dialog-hint", id="first-run-hint")

    def _intro(self) -> str:
        if self._key_words.startswith("key: "):
            source = clean_line(self._key_words.removeprefix("key: "), 60)
            return f"The {self._provider} key in use comes from: {source}. One that is pasted here takes its place."
        found = f"No usable {self._provider} key: {clean_line(self._problem, 200)}."
        return f"{found if self._problem else f'No {self._provider} key was found.'} How would you like to begin?"

    def _ways(self) -> list[Option]:
        local = "looking for Ollama, llama.cpp, LM Studio and vLLM…"
        if self._local is not None:
            local = clean_line(f"{self._local[0]}, {self._local[1]}" if self._local[1] else self._local[0], 80)
        paste = f"Paste {'an' if self._provider.startswith(('A', 'O')) else 'a'} {self._provider} key"
        return [
            Option(
                _way(
                    "Go offline" if self._key_words.startswith("key: ") else "Start offline",
                    "no key, no network: summaries of texts and files, help",
                ),
                id="offline",
            ),
            Option(_way("Use a local server", local), id="local", disabled=self._local is None),
            Option(_way(paste, "checked with a real call before it is kept"), id="key"),
        ]

    def on_mount(self) -> None:
        """Offline is marked; look for a local server meanwhile."""
        ways = self.query_one(OptionList)
        ways.highlighted = 0
        start_work(self, "local", self._find_local)

    async def _find_local(self) -> None:
        servers = await self._services.registry.find_local()
        ways = self.query_one(OptionList)
        if not servers:
            ways.replace_option_prompt("local", _way("Use a local server", "none found on this machine"))
            return
        first = next((server for server in servers if server.models), servers[0])
        self._local = (f"{first.name} at {first.base_url}", first.chat_model)
        ways.replace_option_prompt("local", self._ways()[1].prompt)
        ways.enable_option("local")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        """Go that way."""
        event.stop()
        match event.option_id:
            case "offline":
                self.dismiss(dataclasses.replace(self._options, provider="offline", model=""))
            case "local" if self._local is not None:
                self.dismiss(dataclasses.replace(self._options, provider="local", model=self._local[1]))
            case "key":
                box = self.query_one("#key", Input)
                box.add_class("-asked")
                box.focus()
                self._hint("Paste the key, then Enter. It is shown as dots and never written to a file. Esc goes back.")

    def action_close(self) -> None:
        """From the key back to the choice; from the choice, out."""
        box = self.query_one("#key", Input)
        if box.has_class("-asked"):
            box.remove_class("-asked")
            box.value = ""
            self.query_one(OptionList).focus()
            self._hint(_CHOOSE)
        else:
            self.dismiss(None)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Check the key and keep it."""
        event.stop()
        if event.value.strip() and not self._checking:
            self._checking = True
            start_work(self, "key", self._take_key, event.value.strip())

    async def _take_key(self, key: str) -> None:
        name, keychain = self._options.provider, self._services.keychain
        self._hint("Checking the key…")
        try:
            told = await self._check(name, key)
            # In a thread, because looking for another key may be waiting for a person.
            await asyncio.to_thread(keychain.use, name, key)
        except (UsageError, KeyRejected) as error:
            self._rejected(error)
            return
        self._hint("Putting it into the keyring…")
        self.app.notify(f"{told} {await self._keep(name, key)}", timeout=10)
        self.dismiss(self._options)

    def _rejected(self, error: HolychatError) -> None:
        self._checking = False
        box = self.query_one("#key", Input)
        box.value = ""
        box.focus()
        self._hint(f"{error.title}; it was forgotten again. Paste another one, or Esc to go back.")

    async def _keep(self, name: str, key: str) -> str:
        keychain = self._services.keychain
        try:
            kept = await asyncio.to_thread(keychain.store, name, key)
        except CredentialError as error:
            return f"It is kept for this run only: {error.title}."
        found = await keychain.find(self._services.registry.info(name))
        if found.source is kept.source:
            return f"It is kept in the {kept.detail}."
        await asyncio.to_thread(keychain.use, name, key)
        return f"It is kept in the {kept.detail}, but at the next start {clean_line(found.detail, 60)} goes first."

    async def _check(self, name: str, key: str) -> str:
        try:
            await self._services.check_key(name, key)
        except (UsageError, KeyRejected):
            raise
        except HolychatError as error:
            return f"The key could not be checked: {error.title}."
        return "The key works."

    def _hint(self, text: str) -> None:
        self.query_one("#first-run-hint", Static).update(Content(clean(text)))


def _way(title: str, detail: str) -> Text:
    return Text.assemble((title, "bold"), "\n", (f"  {detail}", "dim"))
