"""What other processes write into the same history: another window, `holychat ask`."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from holychat.errors import HolychatError, StoreDamaged, StoreError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holychat.chat.service import ChatService
    from holychat.domain.chat import Message
    from holychat.services import Services
    from holychat.tui.widgets.transcript import Transcript

_LOG = logging.getLogger(__name__)

_AGAIN_SECONDS = 1.0


def show_changes(transcript: Transcript, first: int, messages: Sequence[Message]) -> bool:
    """Let a transcript show the newest messages of its chat as they are now; what is unchanged stays where it is.

    Args:
        transcript: Shows the chat as it was.
        first: Position of the first of `messages`.
        messages: The end of the chat as it is.

    Returns:
        Whether anything had changed.
    """
    known = transcript.message_count
    same = 0
    while same < len(messages) and first + same < known and _is_shown(transcript, first + same, messages[same]):
        _retell(transcript, first + same, messages[same])
        same += 1
    if same == len(messages) and first + same == known:
        return False
    transcript.replace_from(first + same)
    for message in messages[same:]:
        transcript.add(message)
    return True


def _is_shown(transcript: Transcript, position: int, message: Message) -> bool:
    entry = transcript.document.entry(position)
    if entry is None:
        return True  # not loaded: it is read when it is looked at
    shown = entry.message
    return (shown.id, shown.state, shown.text) == (message.id, message.state, message.text)


def _retell(transcript: Transcript, position: int, message: Message) -> None:
    """How far the job is that answers a question is said at the question."""
    entry = transcript.document.entry(position)
    if entry is not None and entry.message.later != message.later:
        transcript.retell(position, message)


async def take_answers(services: Services) -> bool:
    """Put answers that were asked for later into their chats, where they are there; whether there were any."""
    try:
        return await services.later.deliver() > 0
    except HolychatError as error:
        _LOG.warning("answers wait to be put into their chats: %s", error.title)
        return False


async def watch_history(chats: ChatService, refresh: Callable[[], Awaitable[None]]) -> None:
    """Call `refresh` whenever another process has written, until the service is closed."""
    try:
        async for _ in chats.changes():
            if not await _is_refreshed(refresh):
                # Who held the history for too long has written by then, or the next change is shown with this one.
                await asyncio.sleep(_AGAIN_SECONDS)
                await _is_refreshed(refresh)
    except HolychatError as error:
        _LOG.warning("changes of other processes are no longer shown: %s", error.title)


async def _is_refreshed(refresh: Callable[[], Awaitable[None]]) -> bool:
    try:
        await refresh()
    except StoreDamaged:
        raise
    except StoreError as error:
        _LOG.info("changes of other processes cannot be shown now: %s", error.title)
        return False
    return True
