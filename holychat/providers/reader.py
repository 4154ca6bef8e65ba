"""What arrives of one reply becomes the events of the domain, whichever wire it comes over.

A wire has a reader of its own: `reply.ReplyReader` for chat completions, `messages.MessageReader` for Anthropic.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from holychat.domain.events import ReasoningDelta, ReplyStarted, TextDelta, TurnFinished, UsageReported
from holychat.domain.request import Reply
from holychat.domain.usage import Usage
from holychat.providers.wire_types import HalfJoiner
from holychat.text import clean_line

if TYPE_CHECKING:
    from holychat.domain.events import ReplyEvent
    from holychat.providers.failures import Translator

_LOG = logging.getLogger(__name__)


class Reader:
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
        """The last event was read; nothing after it counts."""
        self.begun = False
        """Something the model made has arrived."""
        self.patience = 0.0
        """Seconds that the next payload may take beyond the usual: the model thinks, and is not heard."""
        self._started = False
        self._events: list[ReplyEvent] = []
        self._pending: list[str] = []
        self._kind: type[TextDelta | ReasoningDelta] = TextDelta
        self._halves: dict[type[TextDelta | ReasoningDelta], HalfJoiner] = {
            TextDelta: HalfJoiner(),
            ReasoningDelta: HalfJoiner(),
        }
        self._usage: Usage | None = None

    def read(self, name: str, data: str) -> bool:
        """Read one server-sent event. True when it was a payload: something of the reply, not only a sign of life.

        Raises:
            WireError: The data makes no sense.
            ProviderError: It is an error of the provider.
        """
        raise NotImplementedError

    def read_whole(self, body: bytes) -> None:
        """Read a whole reply that came in one piece; it is complete whether it gives a finish reason or not.

        Raises:
            WireError: It holds no reply.
            ProviderError: It is an error of the provider.
        """
        raise NotImplementedError

    @property
    def complete(self) -> bool:
        """The provider said that the reply is whole."""
        return self.done or self.finish_reason is not None

    @property
    def has_events(self) -> bool:
        """Whether `take` would give something."""
        return bool(self._events or self._pending)

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

    # For the wires

    def _error(self, value: object) -> Exception:
        return self._translator.error_object(value, request_id=self.request_id, begun=self.begun)

    def _start(self, model: str | None, body_id: str | int | None) -> None:
        self._started = True
        self.model = clean_line(model or "", 200)
        if not self.request_id and body_id is not None:
            self.request_id = self._translator.say(str(body_id), 120)
        self._events.append(ReplyStarted(self.request_id, self.model, self.sent_at))

    def _add(self, kind: type[TextDelta | ReasoningDelta], text: str) -> None:
        """More text or reasoning, its halves joined."""
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

    def _report(self, usage: Usage) -> None:
        if usage not in (self._usage, Usage()):
            self._usage = usage
            self._flush()
            self._events.append(UsageReported(usage))


def json_or_text(data: str) -> object:
    """The data of an error event, which may be anything."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError):
        return data
    return value
