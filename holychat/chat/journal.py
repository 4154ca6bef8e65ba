"""Where a turn writes: the one row of the store that belongs to it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.store import messages

if TYPE_CHECKING:
    from holychat.domain.calibration import Sample
    from holychat.domain.chat import Message
    from holychat.money.costs import Costs
    from holychat.store.database import Connection, Database


@dataclass(frozen=True, slots=True)
class Journal:
    """Keeps a reply while it arrives. Both methods hand the write over before they first wait."""

    database: Database
    message_id: int
    owner: str
    costs: Costs

    async def append(self, chunks: list[tuple[str, str]]) -> None:
        """Keep what arrived since the last time.

        Raises:
            StoreError: It is not kept.
        """
        await self.database.write(lambda c: messages.append_chunks(c, self.message_id, self.owner, chunks))

    async def finish(self, message: Message, *, unseen: bool, sample: Sample | None = None) -> Message:
        """Store the reply whole and let go of it, and learn from it how its model counts tokens.

        Raises:
            StoreError: It is not stored; what was appended before still is.
        """

        def work(connection: Connection) -> Message:
            stored = messages.finish_reply(connection, message, self.owner, unseen=unseen)
            if sample is not None:
                self.costs.learn(connection, sample, time.time_ns() // 1_000_000)
            return stored

        return await self.database.write(work)
