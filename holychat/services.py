"""The composition root: Paths -> Settings -> Database -> KeyChain -> registry -> services."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from holychat.chat.context import ContextMeter
    from holychat.chat.later import LaterQuestions
    from holychat.chat.service import ChatService
    from holychat.credentials.chain import KeyChain
    from holychat.errors import HolychatError
    from holychat.jobs.service import JobService
    from holychat.log import Masker
    from holychat.money.costs import Costs
    from holychat.paths import Paths
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings
    from holychat.store.database import Database
    from holychat.store.owners import Owners


@dataclass(frozen=True, slots=True)
class Services:
    """Everything a front end works with."""

    paths: Paths
    settings: Settings
    masker: Masker
    database: Database
    keychain: KeyChain
    registry: ProviderRegistry
    costs: Costs
    context: ContextMeter
    chats: ChatService
    _jobs: list[JobService] = field(default_factory=list, init=False, repr=False)

    @property
    def later(self) -> LaterQuestions:
        """Questions of chats that are asked for later."""
        from holychat.chat.later import LaterQuestions

        jobs = self.jobs
        return LaterQuestions(self.database, self.registry, self.costs, jobs.advise, jobs.ensure_worker)

    @property
    def jobs(self) -> JobService:
        """Background jobs; made when they are first wanted, because loading them costs a chat 10 ms."""
        if not self._jobs:
            from holychat.jobs.service import JobService

            self._jobs.append(
                JobService(self.database, self.registry, self.keychain, self.settings, self.paths, self.costs)
            )
        return self._jobs[0]

    @property
    def worker_trouble(self) -> HolychatError | None:
        """Why a worker that was wanted here could not be started; None: it could, or none was wanted."""
        return self._jobs[0].worker_trouble if self._jobs else None

    async def check_key(self, provider: str, value: str) -> None:
        """Try a key that was typed with a call that costs nothing; it is not kept, and no other key is used.

        Raises:
            UsageError: The value cannot be a key.
            KeyRejected: The provider does not accept it.
            ProviderError: It could not be checked.
        """
        from holychat.credentials.secret import checked_secret

        self.masker.add(value.strip())
        await self.registry.check_key(provider, checked_secret(value, "What was given"))

    async def close(self) -> None:
        """Store what is arriving, close connections and the database. A second call does nothing."""
        for jobs in self._jobs:
            await jobs.close()
        await self.chats.close()
        await self.registry.aclose()


def open_services(
    paths: Paths,
    settings: Settings,
    environ: Mapping[str, str] = os.environ,
    *,
    masker: Masker | None = None,
    in_memory: bool = False,
) -> Services:
    """Build the services. Blocking (it opens and perhaps migrates the database): an app calls it in a thread.

    Neither the network nor the keyring is touched here.

    Args:
        paths: Where things live.
        settings: The person's settings.
        environ: The environment, for keys.
        masker: What masks keys in the log, so that it learns those found here; made where there is none.
        in_memory: Keep the history in memory, for a question that shall leave no trace.

    Raises:
        StoreError: The database cannot be opened; see its subclasses.
    """
    from holychat.chat.context import ContextMeter
    from holychat.chat.service import ChatService
    from holychat.credentials.chain import KeyChain
    from holychat.log import Masker
    from holychat.money.costs import Costs
    from holychat.providers.registry import ProviderRegistry

    masker = masker or Masker()
    keychain = KeyChain(settings, masker, environ)
    registry = ProviderRegistry(settings, keychain, masker, environ)
    database, owners = _open_store(None if in_memory else paths.database, None if in_memory else paths.locks)
    costs = Costs(database, settings)
    _tidy(database, owners, costs)
    chats = ChatService(database, owners, registry, keychain, settings, costs)
    context = ContextMeter(database, registry, costs)
    return Services(paths, settings, masker, database, keychain, registry, costs, context, chats)


def _open_store(path: Path | None, locks: Path | None) -> tuple[Database, Owners]:
    from holychat.store.database import Database
    from holychat.store.owners import Owners

    return Database.open(path), Owners(locks)


def _tidy(database: Database, owners: Owners, costs: Costs) -> None:
    """Replies of processes that died meanwhile become interrupted ones, and answers that wait go into their chats."""
    from holychat.chat.left import interrupt_left
    from holychat.store.later_answers import any_due, deliver
    from holychat.store.messages import streaming_owners

    if database.read_now(streaming_owners):
        database.write_now(lambda connection: interrupt_left(connection, owners.is_dead, costs.accounting))
    if database.read_now(any_due):
        # The worker has left while a reply was arriving in that chat.
        database.write_now(lambda connection: deliver(connection, time.time_ns() // 1_000_000))
