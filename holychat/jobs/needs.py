"""What a worker needs of the services: they are put together above this room, which cannot know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from holychat.credentials.chain import KeyChain
    from holychat.money.costs import Costs
    from holychat.paths import Paths
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings
    from holychat.store.database import Database


class Services(Protocol):
    """A part of `holychat.services.Services`."""

    @property
    def paths(self) -> Paths:
        """Where things live."""

    @property
    def settings(self) -> Settings:
        """The person's settings."""

    @property
    def database(self) -> Database:
        """Chats and jobs."""

    @property
    def keychain(self) -> KeyChain:
        """Where keys come from."""

    @property
    def registry(self) -> ProviderRegistry:
        """The providers."""

    @property
    def costs(self) -> Costs:
        """Prices and token counts."""
