"""Where a turn writes: the one row of the store that belongs to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.store import messages

if TYPE_CHECKING:
    from holychat.domain.chat import Message
    from holychat.store.database import Database


@dataclass(frozen=True, slots=True)
class Journal:
    """Keeps a reply while it arrives. Both methods hand the write over before they first wait."""

    database: Database
    message_id: int
    owner: str

    async def append(self, chunks: list[tuple[str, str]]) -> None:
        """Keep what arrived since the last time.

        Raises:
            StoreError: It is not kept.
        """
        await self.database.write(lambda c: messages.append_chunks(c, self.message_id, self.owner, chunks))

    async def finish(self, message: Message, *, unseen: bool) -> Message:
        """Store the reply whole and let go of it.

        Raises:
            StoreError: It is not stored; what was appended before still is.
        """
        return await self.database.write(lambda c: messages.finish_reply(c, message, self.owner, unseen=unseen))
