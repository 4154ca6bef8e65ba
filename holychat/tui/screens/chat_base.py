"""The ground of the main screen: beginning, showing chats, finding keys, and telling what went wrong."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import TYPE_CHECKING, ParamSpec

from holychat.errors import HolychatError
from holychat.tui.framework import FrameworkScreen
from holychat.tui.keymap import key_label, keys_in_force
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holychat.domain.chat import ChatOptions
    from holychat.services import Services
    from holychat.tui.app import HolychatApp, StartWith
    from holychat.tui.conversation import Conversation
    from holychat.tui.drafts import Drafts
    from holychat.tui.unsent import Flight, Unsent
    from holychat.tui.widgets.composer import Composer
    from holychat.tui.widgets.transcript import Transcript


P = ParamSpec("P")


class ChatBase(FrameworkScreen):
    """What the parts of the chat screen share: chats to show, keys to find, deeds that may fail."""

    app: HolychatApp
    remapped: Mapping[str, str]
    conversation: Conversation
    composer: Composer
    transcript: Transcript
    key_words: str = ""
    """Where the key comes from, for the status line."""
    _key_problem: str = ""
    _warned: frozenset[str] = frozenset()

    def focus_composer(self) -> None:
        """Write again."""
        raise NotImplementedError

    @property
    def drafts(self) -> Drafts:
        """Everything typed and not sent."""
        return self.conversation.drafts

    def chat_changed(self) -> None:
        """Another chat, title or model."""
        raise NotImplementedError

    def say(self, text: str, error: bool = False) -> None:
        """A short notice."""
        self.app.notify(text, severity="error" if error else "information", timeout=8 if error else 5)

    def say_done(self, told: str | None) -> None:
        """A notice from a dialog that may have been left."""
        if told:
            self.say(told)

    def attempt(self, deed: Callable[P, Awaitable[None]], *args: P.args, **kwargs: P.kwargs) -> None:
        """Do something that may fail in a way the person should read."""
        start_work(self, "", self._attempt, partial(deed, *args, **kwargs))

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        except HolychatError as error:
            self.say(str(error), error=True)

    async def carry_out(self, unsent: Unsent, flight: Flight, deed: Callable[[], Awaitable[None]]) -> None:
        """Do what a text in flight says, which returns to the composer when it fails."""
        try:
            await deed()
        except HolychatError:
            self.drafts.give_back(unsent, flight)
            raise
        unsent.landed(flight)
        self.drafts.changed()

    def copy(self, text: str) -> None:
        """Copy and say how it went."""
        self.attempt(self.app.copy_text, text)

    async def show_new(self) -> None:
        """An empty chat; the draft of this one is kept."""
        old = self.conversation.new()
        self.focus_composer()
        await self.drafts.leave(old)

    async def show_chat(self, chat_id: int, message_id: int | None = None, *, keep_typed: bool = False) -> None:
        """A stored chat with its draft, before what was typed meanwhile where that is to be kept."""
        await self.conversation.open(chat_id, message_id, keep_typed=keep_typed)
        if not keep_typed:  # else the app has just started, and somebody may be in the side panel already
            self.focus_composer()

    async def begin(self, services: Services, start: StartWith) -> None:
        """The services are there: show the chat to begin with, send what was entered meanwhile, look for a key."""
        self.conversation.services = services
        try:
            await self._show_first(start)
            if start.asks:
                await self._adopt(self.conversation.options.asking(start.provider, start.model))
        except HolychatError as error:
            self.say(str(error), error=True)
        self.drafts.chats = services.chats
        self.drafts.changed()
        self.chat_changed()
        if await self.key_is_there():
            await self._attempt(self.conversation.release_queue)
        elif (self.drafts.shown.queued or not self.drafts.shown.draft) and self.app.screen is self:
            self.show_first_run()

    def history_failed(self, error: HolychatError) -> None:
        """There will be no history in this run: say so, and let what was entered be copied at least."""
        self.conversation.trouble = error
        self.drafts.take_back()

    def chat_lost(self) -> None:
        """The chat shown was deleted: what is typed stays."""
        if not self.app.is_running:
            return  # nothing is shown any more
        self.conversation.lose_chat()
        self.say("This chat was deleted in another window.")

    async def history_changed(self) -> None:
        """Another process has written: show it in the chat and in the list of chats; what is typed here stays."""
        if not await self.conversation.refresh():
            self.chat_lost()
        screen = self.app.screen
        refresh = getattr(screen, "history_changed", None)
        if refresh is not None and screen is not self and screen.is_mounted:  # else it reads when it opens
            start_work(screen, "history", refresh)

    async def _show_first(self, start: StartWith) -> None:
        chats = self.conversation.chats
        if start.chat is not None:
            await self.show_chat(start.chat, keep_typed=True)
        elif start.resume:
            if (chat := await chats.last()) is not None:
                await self.show_chat(chat.id, keep_typed=True)
        elif not self.drafts.shown.draft and not start.asks and (chat := await chats.unfinished()) is not None:
            await self.show_chat(chat.id, keep_typed=True)
            what = "Your unsent draft is back." if chat.draft else "The last answer broke off; Up, then c continues it."
            self.say(f"{what} {key_label(keys_in_force(self.remapped)['chat.new'][0])} starts a new chat.")

    def _use(self, options: ChatOptions | None) -> None:
        if options is not None:
            self.attempt(self._adopt, options)

    async def _adopt(self, options: ChatOptions) -> None:
        """Ask this provider and model in this chat, and in the new ones of this run."""
        self.conversation.default_options = dataclasses.replace(
            self.conversation.default_options, provider=options.provider, model=options.model
        )
        await self.conversation.set_options(options)

    def _services_or_say(self) -> Services | None:
        if self.conversation.services is None:
            trouble = self.conversation.trouble
            self.say(trouble.title if trouble is not None else "Your history is still being opened.")
        return self.conversation.services

    def watch_key(self) -> None:
        """Look up where the key of the chat's provider comes from, off the loop."""
        start_work(self, "key", self._find_key)

    async def key_is_there(self) -> bool:
        """Whether the chat's provider can be asked; an unknown provider is left to the sending to complain about."""
        try:
            return await self._find_key()
        except HolychatError:
            return True

    def warn_before_sending(self) -> None:
        """Tell once what a person should know of the provider, for example that a key travels in the clear."""
        services = self.conversation.services
        name = self.conversation.options.provider
        if services is None or name in self._warned:
            return
        self._warned = self._warned | {name}
        for warning in services.registry.get(name).warnings():
            self.app.notify(warning, severity="warning", timeout=15)

    async def _find_key(self) -> bool:
        services = self.conversation.services
        if services is None:
            return True
        try:
            info = services.registry.info(self.conversation.options.provider)
        except HolychatError as error:
            self.say(str(error), error=True)
            return True
        answer = await services.keychain.find(info)
        found = _key_words(answer.source.value, answer.detail) if answer.usable else "no key"
        self.key_words = found if info.needs_key else ""
        self._key_problem = answer.problem
        self.call_later(self._show_status)
        return answer.usable

    def _show_status(self) -> None:
        raise NotImplementedError

    def show_first_run(self) -> None:
        """Offer the ways on without a key, once at a time."""
        if (services := self._services_or_say()) is None:
            return
        from holychat.tui.screens.first_run import FirstRunScreen

        if any(isinstance(screen, FirstRunScreen) for screen in self.app.screen_stack):
            return

        self.app.push_screen(
            FirstRunScreen(services, self.conversation.options, self.key_words, self._key_problem), self._began
        )

    def _began(self, options: ChatOptions | None) -> None:
        self.attempt(self._after_first_run, options)

    async def _after_first_run(self, options: ChatOptions | None) -> None:
        self.watch_key()
        if options is not None:
            await self._adopt(options)
            await self.conversation.release_queue()
        else:
            self.drafts.take_back()


def _key_words(source: str, detail: str) -> str:
    if source == "environment":
        return f"key: {detail}"
    return "key: this run" if source == "memory" else f"key: {source}"
