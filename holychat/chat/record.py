"""What a turn knows of its reply: what arrived, when, and how the message looks that is made of it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.chat import accounting
from holychat.chat.buffer import ReplyBuffer
from holychat.domain.chat import MessageState
from holychat.domain.events import ReplyStarted, UsageReported
from holychat.domain.usage import Timing

if TYPE_CHECKING:
    from holychat.domain.calibration import Sample
    from holychat.domain.chat import Message, Part
    from holychat.domain.events import ReplyEvent
    from holychat.domain.failures import Failure
    from holychat.domain.request import ReplyRequest
    from holychat.domain.usage import Usage
    from holychat.money.accounting import Accounting


class TurnRecord:
    """Facts of one turn, gathered while it runs.

    Attributes:
        buffer: Text and reasoning that arrived in this turn.
        request: What was sent, once it was.
        attempt: Which attempt is under way, from 1.
        sample: What the reply teaches about the tokens of its model, once it is accounted for.
        first_token: When the first text or reasoning arrived, on the clock of `time.perf_counter`, or None.
    """

    def __init__(self, answer: Message, money: Accounting) -> None:
        self._before = answer
        self._money = money
        self.buffer = ReplyBuffer()
        self.request: ReplyRequest | None = None
        self.attempt = 1
        self.sample: Sample | None = None
        self.first_token: float | None = None
        self._began: float | None = None
        self._accepted = False
        self._request_id = ""
        self._model = ""
        self._usage: Usage | None = None

    @property
    def has_text(self) -> bool:
        """Whether there is anything to keep, from this turn or from before it."""
        return self.buffer.visible or bool(self._before.parts)

    def begin(self) -> None:
        """The person pressed Enter: the clock of first token and end runs from here, waits for retries included."""
        self._began = time.perf_counter()

    def note(self, event: ReplyEvent) -> None:
        """Remember what an event other than a delta says."""
        if isinstance(event, ReplyStarted):
            self._accepted = True
            self._request_id, self._model = event.request_id, event.model
        elif isinstance(event, UsageReported):
            self._usage = event.usage

    def parts(self) -> tuple[Part, ...]:
        """The answer up to now, what was there before the turn included."""
        return self._before.parts + self.buffer.parts()

    def message(self, state: MessageState, failure: Failure | None, finish_reason: str) -> Message:
        """The answer as it ends, without its usage and cost."""
        before = self._before
        now = time.perf_counter()
        began = now if self._began is None else self._began
        first = None if self.first_token is None else round((self.first_token - began) * 1000)
        asked = "" if self.request is None else self.request.model
        timing = Timing(first, round((now - began) * 1000), self.attempt)
        return replace(
            before,
            state=state,
            parts=self.parts(),
            model=before.model or asked or self._model,
            finish_reason=finish_reason,
            request_id=(failure.request_id if failure else "") or self._request_id,
            timing=accounting.add_timing(before.timing, timing) if before.parts else timing,
            failure=failure,
        )

    def accounted(self, message: Message) -> Message:
        """The ended answer with usage and cost; unchanged where the provider never took the request on."""
        if self.request is None or not self._accepted:
            return message
        reply = self.buffer.everything()
        whole = message.state is MessageState.COMPLETE
        prompt = self.request.messages
        if whole:
            self.sample = self._money.sample(message.provider, message.model, self._usage, prompt)
        usage = self._money.settle(message.model, self._usage, prompt, reply, whole=whole)
        cost = self._money.price(message.provider, message.model, usage)
        if self._before.parts:
            usage = accounting.add_usage(self._before.usage, usage)
            cost = accounting.add_cost(self._before.cost, cost)
        return replace(message, usage=usage, cost=cost)
