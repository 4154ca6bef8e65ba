"""Chunks of a chat completion become the events of the domain."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.events import ReasoningDelta, TextDelta
from holychat.providers.reader import Reader, json_or_text
from holychat.providers.wire_types import WireError, decode_completion, texts_of, usage_of
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.providers.wire_types import Choice, Completion


class ReplyReader(Reader):
    """Reads chat completions."""

    def read(self, name: str, data: str) -> bool:
        """See `Reader.read`."""
        if self.done:
            return False
        if data[:1] in "[ " and data.strip() in ("[DONE]", ""):
            self.done = data.strip() == "[DONE]"
            return self.done
        if name == "error":
            raise self._error(json_or_text(data))
        return self.read_completion(decode_completion(data))

    def read_completion(self, completion: Completion) -> bool:
        """Read one chunk, or a whole reply that came in place of a stream. True when it was a payload."""
        if completion.error:
            raise self._error(completion.error)
        if completion.object == "error":
            raise self._error({"message": completion.message, "code": completion.code})
        if not self._started:
            self._start(completion.model, completion.id)
        choice = completion.first()
        if choice is not None:
            self._read_choice(choice)
        usage = completion.usage or (choice.usage if choice is not None else None)
        if usage is not None:
            self._report(usage_of(usage))
        return bool(completion.choices or usage)

    def read_whole(self, body: bytes) -> None:
        """See `Reader.read_whole`."""
        completion = decode_completion(body)
        self.read_completion(completion)
        if completion.first() is None:
            raise WireError("it holds no `choices`")
        self.done = True

    def _read_choice(self, choice: Choice) -> None:
        delta = choice.delta or choice.message
        if delta is not None:
            text, reasoning = texts_of(delta)
            if reasoning:
                self._add(ReasoningDelta, self._halves[ReasoningDelta].join(reasoning))
            if text:
                self._add(TextDelta, self._halves[TextDelta].join(text))
        if choice.finish_reason:
            if choice.finish_reason == "error":
                raise self._error(None)
            self.finish_reason = clean_line(choice.finish_reason, 60)
