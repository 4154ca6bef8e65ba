"""Chats in the command palette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Provider
from textual.content import Content

from holychat.errors import HolychatError
from holychat.text import clean_line
from holychat.tui.screens.chat import ChatScreen

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.command import Hits

    from holychat.domain.search import ChatEntry

_DISCOVERED = 5
_FOUND = 20


class ChatsProvider(Provider):
    """Opens a chat by words of its title or of what was said in it."""

    async def discover(self) -> Hits:
        """The newest chats."""
        for entry in await self._entries("", _DISCOVERED):
            yield DiscoveryHit(_title(entry), self._opener(entry), help="Open this chat")

    async def search(self, query: str) -> Hits:
        """Chats that match; the store ranks them."""
        for place, entry in enumerate(await self._entries(query, _FOUND)):
            yield Hit(0.5 - place / 100, _title(entry), self._opener(entry), help="Open this chat")

    async def _entries(self, text: str, limit: int) -> list[ChatEntry]:
        screen = self.screen
        if not isinstance(screen, ChatScreen) or screen.conversation.services is None:
            return []
        try:
            return await screen.conversation.chats.list(text, limit)
        except HolychatError:
            return []

    def _opener(self, entry: ChatEntry) -> Callable[[], None]:
        screen = self.screen
        assert isinstance(screen, ChatScreen)
        return lambda: screen.attempt(screen.show_chat, entry.chat.id, entry.message_id)


def _title(entry: ChatEntry) -> Content:
    # The palette reads plain strings as markup.
    return Content(clean_line(entry.chat.title, 80) or "Untitled")
