"""The events of an Anthropic message become the events of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holychat.domain.events import ReasoningDelta, TextDelta
from holychat.providers.message_types import Block, Message, decode_event, decode_message, usage_of_message
from holychat.providers.reader import Reader, json_or_text
from holychat.providers.wire_types import WireError
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.providers.failures import Translator
    from holychat.providers.message_types import StreamEvent

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
"""Why a reply ended, in the words of the domain; others are kept as they come."""
_THINKING = ("thinking", "redacted_thinking")
_UNHEARD_SECONDS = 600.0
"""Models may think for minutes of which nothing is sent but pings. To give up on that is to pay for it, and to send the
request again is to pay once more, so it is waited for as long as for a whole reply."""

_NO_BLOCK = Block()
_NO_MESSAGE = Message()


class MessageReader(Reader):
    """Reads Anthropic messages."""

    def __init__(self, translator: Translator, request_id: str) -> None:
        super().__init__(translator, request_id)
        self._told: dict[str, Any] = {}
        """Counts of tokens; those of a stream are cumulative, and what a later report leaves out stays."""

    def read(self, name: str, data: str) -> bool:
        """See `Reader.read`. A ping is a sign of life; so is whatever is not known."""
        if self.done:
            return False
        if name == "error":
            raise self._error(json_or_text(data))
        if data[:1] in "[ " and data.strip() in ("[DONE]", ""):
            # Not of this wire, but some gateways end every stream like that.
            self.done = data.strip() == "[DONE]"
            return self.done
        return self._read_event(decode_event(data))

    def read_whole(self, body: bytes) -> None:
        """See `Reader.read_whole`."""
        message = decode_message(body)
        if message.error or message.type == "error":
            raise self._error({"error": message.error or {}, "request_id": message.request_id})
        if message.content is None:
            raise WireError("it holds no `content`")
        self._read_start(message)
        self._end(message.stop_reason)
        self.done = True

    def _read_event(self, event: StreamEvent) -> bool:
        kind, delta = event.type, event.delta
        if kind == "content_block_delta":
            self.begun = True
            if delta is not None:
                self._read_delta(delta.type, delta.text, delta.thinking)
        elif kind == "message_delta":
            self._count(event.usage)
            self._end(None if delta is None else delta.stop_reason)
        elif kind == "content_block_start":
            self._open(event.content_block or _NO_BLOCK)
        elif kind == "message_start":
            self._read_start(event.message or _NO_MESSAGE)
        elif kind == "content_block_stop":
            self.patience = 0.0
        elif kind == "message_stop":
            self.done = True
        elif kind == "error" or event.error:
            raise self._error({"error": event.error or {}, "request_id": event.request_id})
        else:
            return False
        return True

    def _read_start(self, message: Message) -> None:
        if not self._started:
            self._start(message.model, message.id)
        for block in message.content or ():
            self._read_block(block)
        self._count(message.usage)

    def _open(self, block: Block) -> None:
        self.begun = True
        if block.type in _THINKING:
            self.patience = _UNHEARD_SECONDS
        self._read_block(block)

    def _read_block(self, block: Block) -> None:
        if block.type == "text" and block.text:
            self._add(TextDelta, self._halves[TextDelta].join(block.text))
        elif block.type == "thinking" and block.thinking:
            self._add(ReasoningDelta, self._halves[ReasoningDelta].join(block.thinking))

    def _read_delta(self, kind: str, text: str | None, thinking: str | None) -> None:
        if kind == "text_delta" and text:
            self._add(TextDelta, self._halves[TextDelta].join(text))
        elif kind == "thinking_delta" and thinking:
            self.patience = 0.0
            self._add(ReasoningDelta, self._halves[ReasoningDelta].join(thinking))

    def _count(self, counts: object) -> None:
        if not isinstance(counts, dict):
            return
        self._told.update((name, value) for name, value in counts.items() if value is not None)
        self._report(usage_of_message(self._told))

    def _end(self, reason: str | None) -> None:
        if reason:
            self.finish_reason = _REASONS.get(reason) or clean_line(reason, 60)
