"""Chunks of a chat completion become the events of the domain."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from holychat.domain.events import ReasoningDelta, ReplyStarted, TextDelta, TurnFinished, UsageReported
from holychat.domain.request import Reply
from holychat.domain.usage import Usage
from holychat.providers.wire_types import Completion, HalfJoiner, WireError, decode_completion, texts_of, usage_of
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.domain.events import ReplyEvent
    from holychat.providers.failures import Translator
    from holychat.providers.wire_types import Choice

_LOG = logging.getLogger(__name__)


class ReplyReader:
    """Reads the events of one stream in order and keeps what is to be passed on.

    Text that arrives together is passed on together: one `TextDelta` for all tokens of one network read.
    """

    def __init__(self, translator: Translator, request_id: str) -> None:
        self._translator = translator
        self.request_id = request_id
        self.sent_at: float | None = None
        """When the last byte of the request was written, by the clock of the loop."""
        self.model = ""
        self.finish_reason: str | None = None
        self.done = False
        """[DONE] was read; nothing after it counts."""
        self.begun = False
        """Text or reasoning has arrived."""
        self._started = False
        self._events: list[ReplyEvent] = []
        self._pending: list[str] = []
        self._kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._halves: dict[type[TextDelta | ReasoningDelta], HalfJoiner] = {
            TextDelta: HalfJoiner(),
            ReasoningDelta: HalfJoiner(),
        }
        self._usage: Usage | None = None

    @property
    def complete(self) -> bool:
        """The provider said that the reply is whole."""
        return self.done or self.finish_reason is not None

    @property
    def has_events(self) -> bool:
        """Whether `take` would give something."""
        return bool(self._events or self._pending)

    def read(self, name: str, data: str) -> bool:
        """Read one server-sent event. True when it was a payload: something of the reply, not only a sign of life.

        Raises:
            WireError: The data makes no sense.
            ProviderError: It is an error of the provider.
        """
        if self.done:
            return False
        if data[0] in "[ " and data.strip() in ("[DONE]", ""):
            self.done = data.strip() == "[DONE]"
            return self.done
        if name == "error":
            raise self._translator.error_object(_json_or_text(data), request_id=self.request_id, begun=self.begun)
        return self.read_completion(decode_completion(data))

    def read_completion(self, completion: Completion) -> bool:
        """Read one chunk, or a whole reply that came in place of a stream. True when it was a payload."""
        if completion.error:
            raise self._error(completion.error)
        if completion.object == "error":
            raise self._error({"message": completion.message, "code": completion.code})
        if not self._started:
            self._start(completion)
        choice = completion.first()
        if choice is not None:
            self._read_choice(choice)
        usage = completion.usage or (choice.usage if choice is not None else None)
        if usage is not None:
            self._report(usage)
        return bool(completion.choices or usage)

    def read_at_once(self, completion: Completion) -> None:
        """Read a whole reply that came in one piece; it is complete whether it gives a finish reason or not.

        Raises:
            WireError: It holds no reply.
            ProviderError: It is an error of the provider.
        """
        self.read_completion(completion)
        if completion.first() is None:
            raise WireError("it holds no `choices`")
        self.done = True

    def reply(self) -> Reply:
        """What was read, as one reply."""
        events = [*self.take(), *self.rest()]
        return Reply(
            text="".join(event.text for event in events if isinstance(event, TextDelta)),
            reasoning="".join(event.text for event in events if isinstance(event, ReasoningDelta)),
            finish_reason=self.finish_reason or "",
            model=self.model,
            request_id=self.request_id,
            usage=self._usage or Usage(),
        )

    def take(self) -> list[ReplyEvent]:
        """The events read since the last call."""
        self._flush()
        events, self._events = self._events, []
        return events

    def rest(self) -> list[ReplyEvent]:
        """What only the end brings out: halves of surrogate pairs that stayed alone."""
        for kind, joiner in self._halves.items():
            self._add(kind, joiner.rest())
        return self.take()

    def finish(self) -> TurnFinished:
        """The last event of a complete reply.

        Raises:
            ReplyBroken: The stream ended without saying that the reply is whole.
        """
        if not self.complete:
            raise self._translator.cut(self.request_id)
        if self.finish_reason is None:
            _LOG.warning("a reply ended with [DONE] and no finish reason (request %s)", self.request_id)
        return TurnFinished(self.finish_reason or "")

    def _error(self, value: object) -> Exception:
        return self._translator.error_object(value, request_id=self.request_id, begun=self.begun)

    def _start(self, completion: Completion) -> None:
        self._started = True
        self.model = clean_line(completion.model or "", 200)
        if not self.request_id and completion.id is not None:
            self.request_id = self._translator.say(str(completion.id), 120)
        self._events.append(ReplyStarted(self.request_id, self.model, self.sent_at))

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

    def _add(self, kind: type[TextDelta | ReasoningDelta], text: str) -> None:
        if not text:
            return
        self.begun = True
        if kind is not self._kind:
            self._flush()
            self._kind = kind
        self._pending.append(text)

    def _flush(self) -> None:
        if self._pending:
            self._events.append(self._kind("".join(self._pending)))
            self._pending = []

    def _report(self, body: object) -> None:
        usage = usage_of(body)
        if usage not in (self._usage, Usage()):
            self._usage = usage
            self._flush()
            self._events.append(UsageReported(usage))


def _json_or_text(data: str) -> object:
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return data
    return value
