"""The JSON of Anthropic Messages: what is sent, and what is answered.

https://platform.claude.com/docs/en/api/messages. Fields that holychat does not use are not declared, so they may hold
anything; a declared field of a wrong type is a `WireError` that names it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from holychat.domain.chat import Role
from holychat.domain.usage import Usage
from holychat.providers.wire_types import WireError, decode, token_count, value_at
from holychat.text import replace_surrogates
from holychat.typed import decoder

if TYPE_CHECKING:
    from holychat.domain.request import PromptMessage, ReplyRequest

WHOLE_DEFAULT = 21_333
"""Longest answer, in tokens, that is asked for without streaming where nobody said how long it may be: what Anthropic
reckons a model writes within ten minutes (128,000 an hour), which is as long as a whole reply is waited for."""
UNKNOWN_DEFAULT = 32_000
"""Longest answer that is asked of a model of which nothing is known."""

_TOO_LONG = re.compile(r"max_tokens`?: (\d+) > (\d+)")
_NO_ROOM = re.compile(r"exceed context limit: (\d+) \+ (\d+) > (\d+)")


# What is sent


class MessageBody(msgspec.Struct):
    """One message of the prompt."""

    role: str
    content: str


class MessagesRequest(msgspec.Struct, omit_defaults=True):
    """Body of POST /v1/messages; what is None is left out."""

    model: str
    max_tokens: int
    messages: list[MessageBody]
    system: str | None = None
    stream: bool = False
    temperature: float | None = None


class Wording(msgspec.Struct, frozen=True):
    """How long an answer is asked for of a model where the person leaves it open, as far as refusals have told.

    What the person asked for is never changed: a refusal of that is shown.
    """

    longest: int | None = None
    """Most that the endpoint allows for the model; None: not told."""
    room: int | None = None
    """What one request leaves of the context; holds for no other one."""

    def after_refusal(self, message: str, body: bytes, *, chosen: bool) -> Wording | None:
        """The wording to try after a 400 with this message, or None where the wording of `body` is not to blame.

        Args:
            message: What was said.
            body: What was sent.
            chosen: The person said how long the answer may be.
        """
        if chosen:
            return None
        if (found := _TOO_LONG.search(message)) is not None:
            most = int(found[2])
            fewer = 0 < most < int(found[1]) and re.search(rb'"max_tokens":%d\b' % int(found[1]), body)
            return Wording(longest=most, room=self.room) if fewer else None
        if (found := _NO_ROOM.search(message)) is not None and self.room is None:
            left = int(found[3]) - int(found[1])
            return Wording(longest=self.longest, room=left) if left > 0 else None
        return None

    def answer(self, most: int) -> int:
        """`max_tokens` where `most` would be asked for."""
        return min(bound for bound in (most, self.longest, self.room) if bound is not None)


def usual_answer(longest: int | None, window: int | None, *, stream: bool) -> int:
    """`max_tokens` where the person leaves it open, which Anthropic does not allow.

    The longest answer of the model, as far as it is known, so that nothing is cut that the model would have written; of
    an unknown model 32,000 tokens, or half of its context where that is less. Without streaming at most 21,333: what
    can be made within the ten minutes that a whole reply is waited for. An answer that is cut all the same says so.

    Args:
        longest: Tokens that the model writes at most in one answer; None: unknown.
        window: Tokens that it reads and writes at most; None: unknown.
        stream: Whether the answer is streamed.
    """
    most = longest
    if most is None:
        most = UNKNOWN_DEFAULT if window is None else max(1, min(UNKNOWN_DEFAULT, window // 2))
    return most if stream else min(most, WHOLE_DEFAULT)


def encode_message_request(request: ReplyRequest, *, stream: bool, max_tokens: int) -> bytes:
    """The body of a request, UTF-8 JSON.

    System messages become the field of that name, joined in order. Messages of one role that follow each other become
    one, and blank ones are left out, as the interface takes neither.
    """
    body = MessagesRequest(
        model=replace_surrogates(request.model),
        max_tokens=max_tokens,
        messages=_turns(request.messages),
        system="\n\n".join(part.text for part in request.messages if part.role is Role.SYSTEM and part.text.strip()),
        stream=stream,
        temperature=request.temperature,
    )
    body.system = replace_surrogates(body.system or "") or None
    if not request.parameters:
        return msgspec.json.encode(body)
    further = {name: msgspec.Raw(value.encode()) for name, value in request.parameters}
    if (stop := further.pop("stop", None)) is not None:
        # What chat completions call it: one text or a list of them.
        further["stop_sequences"] = stop if bytes(stop).startswith(b"[") else msgspec.Raw(b"[%b]" % bytes(stop))
    return msgspec.json.encode(further | msgspec.to_builtins(body))


def _turns(prompt: tuple[PromptMessage, ...]) -> list[MessageBody]:
    turns: list[MessageBody] = []
    for part in prompt:
        if part.role is Role.SYSTEM or not part.text.strip():
            continue
        text = replace_surrogates(part.text)
        if turns and turns[-1].role == part.role.value:
            turns[-1].content += f"\n\n{text}"
        else:
            turns.append(MessageBody(part.role.value, text))
    if turns and turns[-1].role == Role.ASSISTANT.value:
        # The beginning of the wanted answer: it may not end in white space.
        turns[-1].content = turns[-1].content.rstrip()
    return turns


# What comes back


class Block(msgspec.Struct):
    """A content block: text, thinking, or something that holychat does not show."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None


class Message(msgspec.Struct):
    """A whole reply, or what a stream begins with."""

    id: str | None = None
    type: str = ""
    model: str | None = None
    content: list[Block] | None = None
    stop_reason: str | None = None
    usage: Any = None
    """See `usage_of_message`."""
    error: Any = None
    request_id: Any = None


class Delta(msgspec.Struct):
    """What an event adds to a block, or to the message."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    stop_reason: str | None = None


class StreamEvent(msgspec.Struct):
    """One event of a stream."""

    type: str = ""
    message: Message | None = None
    content_block: Block | None = None
    delta: Delta | None = None
    usage: Any = None
    """Cumulative; see `usage_of_message`."""
    error: Any = None
    request_id: Any = None


class _Kind(msgspec.Struct):
    type: Any = None


_EVENT: msgspec.json.Decoder[StreamEvent] = decoder(StreamEvent)
_MESSAGE: msgspec.json.Decoder[Message] = decoder(Message)
_KIND: msgspec.json.Decoder[_Kind] = decoder(_Kind)
_KNOWN = frozenset((
    "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
    "message_stop", "error",
))  # fmt: skip


def decode_event(data: str) -> StreamEvent:
    """One event of a stream; of one that is not known nothing but its type is looked at.

    Raises:
        WireError: It is not JSON, not an object, or a field has a wrong type.
    """
    try:
        return decode(_EVENT, data)
    except WireError:
        kind = decode(_KIND, data).type
        if isinstance(kind, str) and kind not in _KNOWN:
            return StreamEvent(kind)
        raise


def decode_message(data: bytes) -> Message:
    """A whole reply.

    Raises:
        WireError: It is not JSON, not an object, or a field has a wrong type.
    """
    return decode(_MESSAGE, data)


_INPUT = (("input_tokens",), ("cache_creation_input_tokens",), ("cache_read_input_tokens",))
"""What was neither read from the cache nor written to it, and what was."""
_MADE = (("output_tokens",), ("output_tokens_details", "thinking_tokens"))


def usage_of_message(told: dict[str, Any]) -> Usage:
    """The token counts of a reply: what the cache had, or took, is a part of the input.

    One that cannot be true is left out, and the rest is marked as an estimate.

    Args:
        told: All that stood under `usage` so far.
    """
    found = [value_at(told, path) for path in (*_INPUT, *_MADE)]
    *given, made, thought = (token_count(value) for value in found)
    known = [count for count in given if count is not None]
    odd = any(value is not None and token_count(value) is None for value in found)
    return Usage(sum(known) if known else None, made, given[2], thought, estimated=odd)
