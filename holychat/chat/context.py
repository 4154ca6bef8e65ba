"""How full a model's context would be with the next request."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.chat.attachments import load_file
from holychat.chat.prompt import build_request, file_block
from holychat.domain.chat import MessageState, Role
from holychat.domain.request import PromptMessage
from holychat.domain.usage import ContextUse
from holychat.errors import UsageError
from holychat.store import later, messages

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from holychat.catalog.calibration import TokenEstimator
    from holychat.domain.chat import ChatOptions, Message
    from holychat.money.costs import Costs
    from holychat.providers.registry import ProviderRegistry
    from holychat.store.database import Connection, Database
    from holychat.store.messages import FileText


class ContextMeter:
    """Tells how full a model's context would be. One per process."""

    def __init__(self, database: Database, registry: ProviderRegistry, costs: Costs) -> None:
        self._database = database
        self._registry = registry
        self._costs = costs

    async def upcoming(
        self, chat_id: int | None, options: ChatOptions, text: str = "", attachments: Sequence[Path | str] = ()
    ) -> ContextUse | None:
        """How full the model's context would be with the next request of a chat; None where its size is not known.

        A file that cannot be read is left out: sending says so.

        Args:
            chat_id: The chat; None: one that is not stored yet.
            options: What it asks of the model.
            text: What is to be sent.
            attachments: Files that are to go along.

        Raises:
            StoreError: The conversation cannot be read.
        """
        model = options.model
        with contextlib.suppress(UsageError):
            model = model or self._registry.info(options.provider).model
        window = self._costs.prices.context_window(model, options.provider)
        if window is None:
            return None
        files = []
        for path in attachments:
            with contextlib.suppress(UsageError):
                files.append(await asyncio.to_thread(load_file, path))
        request = Upcoming(options, model, window, self._costs.tokens)
        said = await self._database.read(lambda c: request.said(c, chat_id))
        return await asyncio.to_thread(request.use, said, text, files)


@dataclass(frozen=True, slots=True)
class Upcoming:
    """The next request of a conversation, before it is written down.

    Attributes:
        options: What the chat asks of the model.
        model: The model that is asked.
        window: Tokens that it reads and writes at most.
        tokens: Counts the way the model does.
    """

    options: ChatOptions
    model: str
    window: int
    tokens: TokenEstimator

    def said(self, connection: Connection, chat_id: int | None) -> int:
        """Tokens of the conversation so far: as the provider reported them with its last answer, else estimated."""
        if chat_id is None:
            return self.tokens.text(self.options.system, self.model)
        count = messages.count(connection, chat_id)
        last = messages.page(connection, chat_id, count - 1, 1) if count else []
        if last and (reported := _reported(last[0], self.model)) is not None:
            return reported
        history = later.as_read(connection, chat_id, messages.page(connection, chat_id, 0, count), None)
        files = messages.attachment_texts(connection, history)
        return self.tokens.prompt(build_request(self.options, self.model, history, files).messages, self.model)

    def use(self, said: int, text: str, files: Sequence[FileText] = ()) -> ContextUse:
        """The whole request: what was said, what is to be sent, and the answer that was asked for."""
        blocks = "".join(file_block(file.part.name, file.text) for file in files)
        new = self.tokens.prompt([PromptMessage(Role.USER, blocks + text)], self.model) if blocks or text else 0
        return ContextUse(said + new, self.window, self.options.max_tokens or 0, self.model)


def _reported(last: Message, model: str) -> int | None:
    """Tokens of all that was said, from a whole answer of the same model; reasoning is not sent back."""
    usage = last.usage
    whole = last.role is Role.ASSISTANT and last.state is MessageState.COMPLETE and not usage.estimated
    if not whole or last.model != model or usage.input_tokens is None or usage.output_tokens is None:
        return None
    return usage.input_tokens + max(0, usage.output_tokens - (usage.reasoning_tokens or 0))
