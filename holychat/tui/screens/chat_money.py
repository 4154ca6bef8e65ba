"""The main screen where it touches money and tokens: costs, limits, how full the model's context is."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from holychat.errors import HolychatError, LimitReached
from holychat.tui.screens.chat_panel import ChatPanel
from holychat.tui.status import facts
from holychat.tui.unsent import Flight, Unsent
from holychat.tui.widgets.status_line import StatusLine
from holychat.tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from textual.timer import Timer

    from holychat.domain.usage import ContextUse

_PAUSE = 0.25
"""Seconds after the last key or change until the bar follows."""


class ChatMoney(ChatPanel):
    """Shows costs, asks before a limit is passed, warns of what will not fit."""

    _said: ContextUse | None = None
    """The next request without what is being typed; None where the model's context is of unknown size."""
    _typing: Timer | None = None
    _measuring: Timer | None = None
    _told: frozenset[tuple[object, ...]] = frozenset()
    """Limits that were warned of in this run."""

    def action_costs(self) -> None:
        """What was spent."""
        if (services := self._services_or_say()) is None:
            return
        from holychat.tui.screens.costs import CostScreen

        self.app.push_screen(CostScreen(services.costs))

    # Limits

    async def _attempt(self, work: Callable[[], Awaitable[None]]) -> None:
        async def held_by_limits() -> None:
            try:
                await work()
            except LimitReached as held:
                if not self._may_ask(work):
                    raise
                self._ask_over_limit(held, work)

        await super()._attempt(held_by_limits)

    def _may_ask(self, work: Callable[[], Awaitable[None]]) -> bool:
        """Whether what was held can be done again from here: a text that belongs to a chat that was left can not."""
        typed = [arg for arg in getattr(work, "args", ()) if isinstance(arg, Unsent)]
        return all(unsent is self.drafts.shown for unsent in typed) and self.app.screen is self

    def _ask_over_limit(self, held: LimitReached, work: Callable[[], Awaitable[None]]) -> None:
        from holychat.tui.screens.confirm import ConfirmScreen

        def answered(yes: bool | None) -> None:
            services = self.conversation.services
            if yes and services is not None:
                services.costs.allow_one()
                self._again(work)

        self.app.push_screen(ConfirmScreen("Send it all the same?", str(held), "Send"), answered)

    def _again(self, work: Callable[[], Awaitable[None]]) -> None:
        if not isinstance(work, partial):
            self.attempt(work)
            return
        # What was on its way is back in the composer: it leaves from there once more.
        args: list[Any] = [
            self.drafts.enter(self.composer.text, with_files=bool(arg.files)) if isinstance(arg, Flight) else arg
            for arg in work.args
        ]
        self.attempt(work.func, *args, **work.keywords)

    async def _tell_of_limits(self) -> None:
        services = self.conversation.services
        if services is None or not services.costs.has_limits:
            return
        try:
            limits = await services.costs.limits()
        except HolychatError:
            return  # it will be said where something has to be stored
        for limit in limits:
            sign = (limit.name, limit.since, limit.reached)
            if limit.near and sign not in self._told:
                self._told |= {sign}
                self.app.notify(f"{limit.text()}.", severity="warning", timeout=10)

    # Context

    def reply_changed(self) -> None:
        """A reply began or ended: the next request is longer now, and less is left to spend."""
        super().reply_changed()
        if self.conversation.reply is None:
            start_work(self, "limits", self._tell_of_limits)

    def unsent_changed(self, unsent: Unsent) -> None:
        """Other files go along, or another chat is shown."""
        super().unsent_changed(unsent)
        # Not at once: right after Enter everything belongs to the request.
        if self._measuring is not None:
            self._measuring.stop()
        self._measuring = self.set_timer(_PAUSE, partial(start_work, self, "context", self._measure))

    def typed(self) -> None:
        """Let the bar follow, when no other key comes soon."""
        if self._said is None:
            return
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(_PAUSE, self._show_status)

    async def _measure(self) -> None:
        services, conversation = self.conversation.services, self.conversation
        if services is None or conversation.reply is not None:
            return
        chat_id = conversation.chat.id if conversation.chat is not None else None
        try:
            self._said = await services.context.upcoming(
                chat_id, conversation.options, attachments=self.drafts.shown.files
            )
        except HolychatError:
            self._said = None
        self._show_status()

    def context_use(self, text: str) -> ContextUse | None:
        """How full the model's context is with a text to be sent; None where its size is not known."""
        services, said = self.conversation.services, self._said
        if said is None or services is None:
            return None
        tokens = said.tokens + services.costs.tokens.text(text, said.model)
        return replace(said, tokens=tokens) if tokens else None

    def warn_of_context(self, text: str) -> None:
        """Tell before it is sent that it will not fit."""
        use = self.context_use(text)
        if use is not None and use.too_long:
            self.app.notify(use.text(), severity="warning", timeout=15)

    def _show_status(self) -> None:
        now = facts(self.conversation, self.key_words, self.conversation.last)
        for line in self.query(StatusLine):  # none, where the app ended while the store was read
            line.facts = replace(now, context=self.context_use(self.composer.text))
