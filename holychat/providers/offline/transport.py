"""The offline provider as an HTTP transport: the whole road of a reply is the same as to a server, but nothing leaves.

This module is loaded when the provider is chosen, so it does not import httpx, which takes a tenth of a second; that
waits for the first request, when the client has loaded it anyway.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from holychat.errors import SettingsError
from holychat.providers.offline.wire import Answer, Question, error_body, model_list
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    import httpx

PACE_VARIABLE = "HOLYCHAT_OFFLINE_PACE"
READABLE_PACE = 50.0
"""Tokens per second: about as fast as people skim."""


class OfflineTransport:
    """Answers POST …/chat/completions and GET …/models in this process. Has the shape of `httpx.AsyncBaseTransport`.

    Args:
        pace: Tokens per second of a stream; 0 sends everything at once.
    """

    def __init__(self, pace: float = READABLE_PACE) -> None:
        self._pace = pace

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> OfflineTransport:
        """A transport at the pace of HOLYCHAT_OFFLINE_PACE, or the readable one.

        Raises:
            SettingsError: The variable holds something else than a number from 0 on.
        """
        value = environ.get(PACE_VARIABLE, "").strip()
        if not value:
            return cls()
        try:
            pace = float(value)
        except ValueError:
            pace = -1.0
        if not 0 <= pace <= 1_000_000:
            raise SettingsError(
                f"{PACE_VARIABLE} must be a number of tokens per second", "0 means as fast as possible."
            )
        return cls(pace)

    async def __aenter__(self) -> OfflineTransport:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Nothing is open."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The response to a request; what is wrong with it becomes a status, as from any server."""
        match request.method, request.url.path.rpartition("/v1")[2]:
            case "POST", "/chat/completions":
                return await self._complete(await request.aread())
            case "GET", "/models":
                return _json(200, model_list())
            case "POST" | "GET", path:
                return _json(404, error_body(f"There is no {path} here"))
            case _:
                return _json(405, error_body("Only GET and POST are known here"))

    async def _complete(self, body: bytes) -> httpx.Response:
        import httpx

        from holychat.providers.offline.answers import answer
        from holychat.providers.offline.body import PacedBody

        try:
            question = decode(body, Question)
        except msgspec.MsgspecError as error:
            return _json(400, error_body(str(error)))
        text = await asyncio.to_thread(answer, question.turns)
        made = Answer(body, question, text)
        if not question.stream:
            return _json(200, made.whole(), made.id)
        headers = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
        return httpx.Response(200, headers=headers | {"X-Request-Id": made.id}, stream=PacedBody(made, self._pace))


def _json(status: int, body: bytes, request_id: str = "") -> httpx.Response:
    import httpx

    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    if request_id:
        headers["X-Request-Id"] = request_id
    # As a stream, because a response made from its content counts as read and cannot be streamed any more.
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
