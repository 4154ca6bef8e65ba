"""The main screen and questions that are asked for later."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holychat.domain.jobs import Priority
from holychat.errors import HolychatError
from holychat.tui.elsewhere import take_answers
from holychat.tui.job_words import number
from holychat.tui.later_words import asked_words
from holychat.tui.screens.chat_money import ChatMoney
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from holychat.chat.later import Asked
    from holychat.services import Services
    from holychat.tui.unsent import Flight, Unsent

_PRIORITIES = {"low": Priority.LOW, "medium": Priority.MEDIUM}


class ChatLater(ChatMoney):
    """Asks what is typed on another road than the live one."""

    async def history_changed(self) -> None:
        """Another process has written: the worker has an answer, perhaps."""
        if self.conversation.services is not None:
            await take_answers(self.conversation.services)
        await super().history_changed()

    def reply_changed(self) -> None:
        """A reply ended: an answer that was asked for later may have waited for that."""
        super().reply_changed()
        if self.conversation.reply is None and self.conversation.services is not None:
            start_work(self, "answers", self._take_answers, self.conversation.services)

    async def _take_answers(self, services: Services) -> None:
        if await take_answers(services):
            await self._attempt(super().history_changed)

    def action_ask_later(self) -> None:
        """Ask what stands in the composer for later, on the desk."""
        text = self.composer.text
        self.ask_later(text, text, Priority.MEDIUM)

    def action_roads(self) -> None:
        """What the order under review, or else what is typed, would take on each road."""
        panel = self.panel
        if panel is not None and panel.display and panel.compare_roads():
            return
        if self._services_or_say() is not None:
            self.attempt(self._compare)

    async def _compare(self) -> None:
        services, conversation = self.conversation.services, self.conversation
        assert services is not None
        chat_id = conversation.chat.id if conversation.chat is not None else None
        unsent = self.drafts.shown
        work, choice = await services.later.compare(chat_id, conversation.options, unsent.typed, unsent.files)
        from holychat.tui.screens.roads import RoadsScreen

        tokens = f"~{number(work.input_tokens)} tokens in, ~{number(work.output_tokens)} out"
        self.app.push_screen(RoadsScreen(choice, f"the next question: {tokens}"))

    def command_later(self, typed: str, argument: str) -> None:
        """`/later [low|medium] QUESTION`."""
        word, _, rest = argument.partition(" ")
        priority = _PRIORITIES.get(word.lower())
        if priority is None:
            self.ask_later(typed, argument, Priority.MEDIUM)
        else:
            self.ask_later(typed, rest, priority)

    def ask_later(self, typed: str, question: str, priority: Priority) -> None:
        """Ask a question for later; what was typed stays where that cannot be."""
        unsent = self.drafts.shown
        if not question.strip() and not unsent.files:
            self.say("Type the question first: /later What is …?", error=True)
        elif unsent.editing is not None:
            self.say("A message is being edited. Send it, or Esc leaves it as it is.", error=True)
        elif self.conversation.reply is not None:
            self.say("A reply is arriving. Esc stops it.", error=True)
        elif self._services_or_say() is not None:
            flight = self.drafts.enter(typed, with_files=True)
            self.attempt(self._ask_later, unsent, flight, question.strip(), priority)

    async def _ask_later(self, unsent: Unsent, flight: Flight, question: str, priority: Priority) -> None:
        services = self.conversation.services
        assert services is not None
        if not await self.key_is_there():
            self.drafts.give_back(unsent, flight)
            self.show_first_run()
            return
        self.warn_before_sending()

        async def begin(chat_id: int, draft: tuple[str, str]) -> Asked:
            return await services.later.ask(chat_id, question, flight.files, priority, draft=draft)

        # Done to its end even when the one who waits for it is dropped.
        sending = asyncio.create_task(self.drafts.send(unsent, flight, begin))
        try:
            asked = await asyncio.shield(sending)
        except HolychatError:
            self.drafts.give_back(unsent, flight)
            raise
        self.app.poke_desk()
        chat = self.conversation.chat
        if chat is not None and chat.id == asked.question.chat_id:
            await self.conversation.refresh()
            self.transcript.jump_latest()
        self.say(asked_words(asked))
