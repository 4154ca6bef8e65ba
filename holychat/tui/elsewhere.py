"""What other processes write into the same history: another window, `holychat ask`."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from holychat.errors import HolychatError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from holychat.chat.service import ChatService
    from holychat.domain.chat import Message
    from holychat.tui.widgets.transcript import Transcript

_LOG = logging.getLogger(__name__)


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


async def watch_history(chats: ChatService, refresh: Callable[[], Awaitable[None]]) -> None:
    """Call `refresh` whenever another process has written, until the service is closed."""
    try:
        async for _ in chats.changes():
            await refresh()
    except HolychatError as error:
        _LOG.warning("changes of other processes are no longer shown: %s", error.title)
