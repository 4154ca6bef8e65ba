"""What the model gets to read: the conversation as a request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holychat.domain.chat import MessageState, Role
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holychat.domain.chat import ChatOptions, Message

CONTINUE = "Continue your last message exactly where it broke off. Do not repeat any of it and do not comment on this."
"""What is asked to get the rest of an answer; it is not stored and not shown."""

_CLOSING_TAG = re.compile(r"<(?=\s*/\s*file\b)", re.IGNORECASE)
_WITH_TEXT = frozenset({MessageState.COMPLETE, MessageState.STOPPED, MessageState.INTERRUPTED})


def build_request(
    options: ChatOptions, model: str, history: Iterable[Message], files: Mapping[str, str], partial: str = ""
) -> ReplyRequest:
    """The request for the next answer.

    Args:
        options: What the chat asks of the model.
        model: The model to ask.
        history: The conversation up to the answer that is wanted. Replaced, failed, empty and arriving answers are left
            out; partial ones that broke off or were stopped are the conversation as the person saw it and go along.
        files: Text by hash of the files in `history`.
        partial: The beginning of the wanted answer, where there is one: the rest is asked for.
    """
    turns = [PromptMessage(message.role, _text_of(message, files)) for message in history if _belongs(message)]
    if partial.strip():
        turns += [PromptMessage(Role.ASSISTANT, partial), PromptMessage(Role.USER, CONTINUE)]
    if options.system.strip():
        turns.insert(0, PromptMessage(Role.SYSTEM, options.system))
    return ReplyRequest(
        model=model, messages=_alternating(turns), temperature=options.temperature, max_tokens=options.max_tokens
    )


def file_block(name: str, text: str) -> str:
    """A file as the model reads it: `<file name="…">`, its text, `</file>`; a closing tag inside it is defused."""
    safe_name = clean_line(name).replace('"', "'").replace("<", "(").replace(">", ")")
    body = _CLOSING_TAG.sub(r"<\\", text)
    return f'<file name="{safe_name}">\n{body}{"" if body.endswith(chr(10)) else chr(10)}</file>\n'


def _belongs(message: Message) -> bool:
    if message.replaced:
        return False
    return message.role is not Role.ASSISTANT or (message.state in _WITH_TEXT and bool(message.text.strip()))


def _text_of(message: Message, files: Mapping[str, str]) -> str:
    blocks = [file_block(part.name, files.get(part.sha256, "")) for part in message.attachments]
    return "".join(blocks) + message.text


def _alternating(turns: list[PromptMessage]) -> tuple[PromptMessage, ...]:
    # A question whose answer failed is followed by the next question; many servers refuse two of one role in a row.
    joined: list[PromptMessage] = []
    for turn in turns:
        if joined and joined[-1].role is turn.role:
            joined[-1] = PromptMessage(turn.role, f"{joined[-1].text}\n\n{turn.text}")
        else:
            joined.append(turn)
    return tuple(joined)
