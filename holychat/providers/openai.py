"""Chat completions, as OpenAI defined them and everyone else speaks them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, TypeVar

from holychat.errors import RequestRefused
from holychat.providers.endpoint import Endpoint, may_be_worded_otherwise
from holychat.providers.reply import ReplyReader
from holychat.providers.wire_types import Dialect, encode_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holychat.domain.request import ReplyRequest
    from holychat.providers.batch_service import BatchService
    from holychat.providers.reader import Reader

_T = TypeVar("_T")
_USUAL = Dialect()


class OpenAIProvider(Endpoint):
    """One endpoint that speaks chat completions; its arguments are those of `Endpoint`."""

    wire: ClassVar[type[Reader]] = ReplyReader
    reply_path: ClassVar[str] = "/chat/completions"
    models_path: ClassVar[str] = "/models"

    def batches(self) -> BatchService:
        """The endpoint's batch service; whether it has one is found out by asking it."""
        from holychat.providers.batch_service import BatchService

        return BatchService(self._pool, self._translator, self._headers_of_no_reply)

    def _own_headers(self, key: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {key}"} if key else {}

    async def _put(self, request: ReplyRequest, stream: bool, attempt: Callable[[bytes], Awaitable[_T]]) -> _T:
        while True:
            dialect: Dialect = self._wordings.get(request.model, _USUAL)
            body = encode_request(request, stream=stream, dialect=dialect)
            try:
                return await attempt(body)
            except RequestRefused as refused:
                other = dialect.after_refusal(refused.title, body) if may_be_worded_otherwise(refused) else None
                if other is None:
                    raise
            self._wordings[request.model] = other
