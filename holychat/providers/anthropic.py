"""Anthropic Messages, as Anthropic and hosts that follow it speak them.

The version that is asked for is 2023-06-01: the one that hosts of others know, and the last one that takes a
temperature. A later one takes the same requests otherwise and answers in the same way.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, ClassVar, TypeVar

from holychat.catalog import prices
from holychat.catalog.tokens import estimate_tokens
from holychat.domain.request import ReplyRequest
from holychat.errors import RequestRefused
from holychat.providers.endpoint import Endpoint, may_be_worded_otherwise
from holychat.providers.message_types import Wording, encode_message_request, usual_answer
from holychat.providers.messages import MessageReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from typing import Any

    from holychat.domain.request import ProviderInfo
    from holychat.providers.batch_service import BatchService
    from holychat.providers.reader import Reader

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)
_USUAL = Wording()
VERSION = "2023-06-01"
_ESTIMATE_MARGIN = 1.25
"""How far an estimate of tokens may be off."""


class AnthropicProvider(Endpoint):
    """One endpoint that speaks Anthropic Messages.

    Every request has to say how long the answer may be. Where the person does not (`max_tokens` of the settings, the
    chat or the job), it is the longest that the model gives; `message_types.usual_answer` has the figures. Should the
    endpoint refuse that as too long, it is asked for what the refusal allows; a refusal is not billed.

    Args:
        info: As for `Endpoint`; `base_url` with or without /v1 at its end.
        context_window: How many tokens a model reads and writes at most, where the settings know more than the
            catalogue.
        more: As for `Endpoint`.
    """

    wire: ClassVar[type[Reader]] = MessageReader
    reply_path: ClassVar[str] = "/v1/messages"
    models_path: ClassVar[str] = "/v1/models?limit=1000"

    def __init__(
        self, info: ProviderInfo, *, context_window: Callable[[str], int | None] = prices.context_window, **more: Any
    ) -> None:
        super().__init__(info, **more)
        self._context_window = context_window
        self._refused: dict[str, set[int]] = {}
        """Lengths of ours that lines of batches were refused for, by model."""

    def _address(self, base_url: str) -> str:
        bare, mark, query = base_url.strip().partition("?")
        return bare.rstrip("/").removesuffix("/v1") + mark + query

    def _own_headers(self, key: str) -> Mapping[str, str]:
        headers = {"anthropic-version": VERSION}
        return headers | {"x-api-key": key} if key else headers

    def batches(self) -> BatchService:
        """The endpoint's Message Batches; whether it has them is found out by asking it."""
        from holychat.providers.message_batches import MessageBatches

        return MessageBatches(self._pool, self._translator, self._headers_of_no_reply, self._batch_body, self._learn)

    def _most(self, request: ReplyRequest, *, stream: bool) -> int:
        """How long an answer is asked for, as far as refusals have not said otherwise."""
        if request.max_tokens:
            return request.max_tokens
        model = request.model
        return usual_answer(prices.longest_answer(model), self._context_window(model), stream=stream)

    def _wording(self, request: ReplyRequest) -> Wording:
        wording: Wording = _USUAL if request.max_tokens else self._wordings.get(request.model, _USUAL)
        return wording

    def _batch_body(self, request: ReplyRequest) -> bytes:
        # A batch has a day; nothing waits for one of its replies.
        most = self._wording(request).answer(self._most(request, stream=True))
        return encode_message_request(request, stream=False, max_tokens=self._within_context(request, most))

    def _within_context(self, request: ReplyRequest, most: int) -> int:
        """Less than `most` where a prompt is likely to leave less: what a batch refuses is not put otherwise."""
        window = None if request.max_tokens else self._context_window(request.model)
        # No tokenizer makes more tokens than bytes, of which a character has four at most.
        if window is None or 4 * sum(len(part.text) for part in request.messages) + most <= window:
            return most
        given = sum(estimate_tokens(part.text) for part in request.messages)
        left = window - math.ceil(given * _ESTIMATE_MARGIN)
        return min(most, left) if left > 0 else most

    def _learn(self, model: str, said: str) -> bool:
        """Whether a refusal within a batch was of a length that we chose; it is asked for less from now on.

        The lines of a batch are all refused alike, most of them after the first one has taught what there is to learn.
        """
        request = ReplyRequest(model, ())
        wording, most = self._wording(request), self._most(request, stream=True)
        asked = {most, wording.answer(most)} | self._refused.get(model, set())
        for length in asked:
            other = Wording().after_refusal(said, b'"max_tokens":%d' % length, chosen=False)
            if other is not None and other.longest is not None:
                self._refused.setdefault(model, set()).add(length)
                self._wordings[model] = Wording(other.answer(wording.answer(most)))
                return True
        return False

    async def _put(self, request: ReplyRequest, stream: bool, attempt: Callable[[bytes], Awaitable[_T]]) -> _T:
        wording, most = self._wording(request), self._most(request, stream=stream)
        while True:
            body = encode_message_request(request, stream=stream, max_tokens=wording.answer(most))
            try:
                return await attempt(body)
            except RequestRefused as refused:
                other = None
                if may_be_worded_otherwise(refused):
                    other = wording.after_refusal(refused.title, body, chosen=bool(request.max_tokens))
                if other is None:
                    raise
            _LOG.info("%s takes an answer of %d tokens at most", self.info.name, other.answer(most))
            wording = other
            if other.longest is not None:
                self._wordings[request.model] = Wording(other.longest)
