"""Doing what a slash command says."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from holychat.chat.attachments import load_file
from holychat.errors import UsageError
from holychat.settings import MAX_TEMPERATURE, MAX_TOKENS
from holychat.text import clean_line
from holychat.tui.files import absolute, existing_path, path_from

if TYPE_CHECKING:
    from holychat.tui.screens.chat import ChatScreen
    from holychat.tui.slash import Invocation


class SlashRunner:
    """Runs commands for a chat screen.

    Args:
        screen: The screen they were typed in.
    """

    def __init__(self, screen: ChatScreen) -> None:
        self._screen = screen

    async def run(self, invocation: Invocation) -> None:
        """Do it.

        Raises:
            HolychatError: It cannot be done, with the reason.
        """
        screen, argument = self._screen, invocation.argument
        match invocation.name:
            case "new":
                await screen.show_new()
            case "model":
                await self._model(argument)
            case "system":
                await self._system(argument)
            case "temp":
                await self._temperature(argument)
            case "max":
                await self._max_tokens(argument)
            case "attach":
                await self._attach(argument)
            case "title":
                await self._title(argument)
            case "retry":
                await screen.conversation.regenerate()
            case "export":
                await self._export(argument)
            case "batch":
                await self._batch(argument)
            case _:
                self._at_once(invocation.name)

    def _at_once(self, name: str) -> None:
        if name == "cost":
            self._screen.action_costs()
        elif name == "help":
            self._screen.action_help()
        elif name == "quit":
            self._screen.app.exit()

    async def _model(self, argument: str) -> None:
        if not argument:
            self._screen.action_models()
            return
        options = self._screen.conversation.options
        await self._screen.conversation.set_options(dataclasses.replace(options, model=argument))
        self._screen.say(f"This chat now asks {clean_line(argument, 80)}.")

    async def _system(self, argument: str) -> None:
        options = self._screen.conversation.options
        if not argument:
            self._screen.say(
                f"System prompt: {clean_line(options.system, 400)}" if options.system else "No system prompt."
            )
            return
        system = "" if argument == "-" else argument
        await self._screen.conversation.set_options(dataclasses.replace(options, system=system))
        self._screen.say("System prompt set." if system else "System prompt cleared.")

    async def _temperature(self, argument: str) -> None:
        options = self._screen.conversation.options
        if not argument:
            value = options.temperature
            self._screen.say("The provider chooses the temperature." if value is None else f"Temperature {value:g}.")
            return
        temperature = None if argument == "-" else _number(argument, "temperature", 0, MAX_TEMPERATURE)
        await self._screen.conversation.set_options(dataclasses.replace(options, temperature=temperature))
        self._screen.say("Temperature cleared." if temperature is None else f"Temperature {temperature:g}.")

    async def _max_tokens(self, argument: str) -> None:
        options = self._screen.conversation.options
        if not argument:
            limit = options.max_tokens
            self._screen.say("No limit on the reply." if limit is None else f"Replies end after {limit:,} tokens.")
            return
        limit = None if argument == "-" else int(_number(argument, "number of tokens", 1, MAX_TOKENS, whole=True))
        await self._screen.conversation.set_options(dataclasses.replace(options, max_tokens=limit))
        self._screen.say("No limit on the reply." if limit is None else f"Replies end after {limit:,} tokens.")

    async def _attach(self, argument: str) -> None:
        drafts = self._screen.drafts
        if argument == "-":
            drafts.attach(())
            return
        if not argument:
            raise UsageError("Which file?", "/attach README.md")
        path = absolute(await asyncio.to_thread(existing_path, argument))
        await asyncio.to_thread(load_file, path)  # says now, not when sending, that it cannot be read
        if path not in drafts.shown.files:
            drafts.attach((*drafts.shown.files, path))

    async def _title(self, argument: str) -> None:
        if not argument:
            self._screen.action_rename()
            return
        await self._screen.rename(argument)

    async def _export(self, argument: str) -> None:
        if not argument:
            self._screen.action_export()
            return
        await self._screen.export_to(path_from(argument), overwrite=False)

    async def _batch(self, argument: str) -> None:
        if not argument:
            self._screen.action_batch()
            return
        await self._screen.make_template(argument)


def _number(text: str, what: str, least: float, most: float, *, whole: bool = False) -> float:
    try:
        value = float(int(text)) if whole else float(text.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not least <= value <= most:
        raise UsageError(f"“{clean_line(text, 40)}” is no {what}", f"It goes from {least:,} to {most:,}; - clears it.")
    return value
