"""One request and its answer: everything between the client and the events, under the idle clock.

Whatever goes wrong leaves here as a `ProviderError` that is raised outside of any handler, so that no exception of
httpx, which may know the key, hangs on it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from holychat.errors import ProviderError
from holychat.providers.bodies import PIECE, BodyError, BodyReader, read_beginning, read_whole
from holychat.providers.clock import IdleClock
from holychat.providers.reader import Reader
from holychat.providers.sse import EventReader, media_type
from holychat.providers.whole import raw_reply
from holychat.providers.wire_types import WireError, decode_models

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping

    import httpx

    from holychat.domain.events import ReplyEvent
    from holychat.domain.request import RawReply
    from holychat.providers.failures import Translator
    from holychat.providers.http import HttpPool
    from holychat.providers.wire_types import ModelEntry

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")

REPLY_LIMIT = 64 * 1024 * 1024
"""Bytes of a stream at most, after decompression."""
WHOLE_LIMIT = 16 * 1024 * 1024
"""Bytes of a reply or a model list that comes in one piece."""
ERROR_LIMIT = 64 * 1024
"""Bytes read of an error body."""
_ERROR_SECONDS = 5.0
_AFTER_FINISH = 2.0
"""Seconds to wait for the token counts once the reply is whole."""
_BEHIND_HTTPX = 1.0
"""Seconds that httpx's own limits for connecting and for TLS go first: a cancelled greeting leaks its socket."""
_DRAIN_SECONDS = 0.5
_DRAIN_LIMIT = 64 * 1024


class Sink(Protocol):
    """What takes the pieces of an answer: a binary file, or somebody who stops when there is enough."""

    def writelines(self, pieces: Iterable[bytes], /) -> None:
        """Take these."""
        ...


class Exchange:
    """Open it, read it in one way, close it.

    Args:
        pool: The connections.
        translator: Makes the errors.
        idle_seconds: How long to wait for a payload.
        reader: Reads the reply, where it is to be a stream; else nothing is read.
    """

    def __init__(
        self, pool: HttpPool, translator: Translator, idle_seconds: float, reader: Reader | None = None
    ) -> None:
        self._pool = pool
        self._translator = translator
        self._idle = idle_seconds
        self._clock = IdleClock(idle_seconds)
        self._response: httpx.Response | None = None
        self._raw: AsyncIterator[bytes] | None = None
        self._reader = Reader(translator, "") if reader is None else reader
        self._events: EventReader | None = None
        self._body: BodyReader | None = None
        self._pieces: Iterator[bytes] = iter(())
        self._sent = False
        self._over = False
        self._finished = False
        self._trouble: ProviderError | None = None

    async def open(self, request: httpx.Request) -> None:
        """Send the request and wait for the head of the answer.

        Raises:
            ProviderError: It could not be sent, or the status is no success.
        """
        client = await self._pool.client()
        connecting = self._pool.connect_seconds
        self._sent = connecting is None
        if connecting is not None:
            # Until the request is written nothing can be idle, done or billed: only connecting can take too long.
            request.extensions["trace"] = self._on_progress
            self._clock.change(connecting + _BEHIND_HTTPX)
        response = self._response = await self._run(client.send(request, stream=True))
        self._reader.request_id = self._translator.request_id(response.headers)
        if not response.is_success:
            body = await self._beginning(min(self._idle / 2, _ERROR_SECONDS))
            raise self._translator.refusal(response, body)

    async def _on_progress(self, step: str, details: Mapping[str, Any]) -> None:
        """Called by httpcore with each step it takes; a CONNECT to a proxy is a part of connecting."""
        if not self._sent and step.endswith("send_request_headers.started") and details["request"].method != b"CONNECT":
            self._sent = True
            self._clock.change(self._idle)
        if step.endswith("send_request_body.complete"):
            self._reader.sent_at = asyncio.get_running_loop().time()

    async def next_events(self) -> list[ReplyEvent]:
        """The next events of a streamed reply, at least one; an empty list behind the last one.

        Raises:
            ProviderError: The reply is an error or broke off; raised once everything that arrived was given.
        """
        if not self._over:
            try:
                await self._run(self._advance())
            except ProviderError as error:
                self._trouble = error
                self._over = True
            if events := self._reader.take():
                return events
        if rest := self._reader.rest():
            return rest
        if self._finished:
            return []
        self._finished = True
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            if not self._reader.complete:
                raise trouble
            _LOG.info("after the end of a reply: %s", trouble.title)
        return [self._reader.finish()]

    async def drain(self) -> None:
        """Read the little that may follow the last event, so that the connection can be used again."""
        if self._raw is None or not self._reader.done:
            return
        self._clock.stop()
        size = 0
        import httpx

        with contextlib.suppress(TimeoutError, httpx.HTTPError, httpx.StreamError):
            async with asyncio.timeout(_DRAIN_SECONDS):
                async for raw in self._raw:
                    size += len(raw)
                    if size > _DRAIN_LIMIT:
                        break

    async def raw(self) -> RawReply:
        """The answer to a request without streaming, whole and unread.

        Raises:
            ProviderError: It broke off, is an error, or cannot be a reply.
        """
        return await self._run(self._read_raw())

    async def save(self, file: Sink, limit: int) -> int:
        """Write the whole answer to a file, piece by piece, and give its size in bytes.

        Raises:
            ProviderError: It broke off, or is longer than `limit` bytes.
            OSError: The file takes no more.
        """
        response = self._response
        assert response is not None
        body = BodyReader(response.headers, limit)
        pieces = response.aiter_raw()

        async def more() -> list[bytes] | None:
            raw = await anext(pieces, None)
            return None if raw is None else list(body.feed(raw))

        while (inflated := await self._run(more())) is not None:
            file.writelines(inflated)
        return body.size

    async def models(self) -> list[ModelEntry]:
        """The model list that the answer holds.

        Raises:
            ProviderError: It broke off or is no model list.
        """
        return await self._run(self._read_models())

    async def close(self) -> None:
        """Let go of the connection: back to the pool when the answer was read to its end, else closed."""
        self._clock.stop()
        if self._response is not None:
            await self._response.aclose()

    async def _run(self, work: Awaitable[_T]) -> _T:
        import httpx

        reader = self._reader
        self._clock.restart(reader.patience)
        self._clock.watch()
        trouble: ProviderError
        try:
            return await work
        except asyncio.CancelledError:
            if not self._clock.was_it():
                raise
            if self._sent:
                waited = self._idle + reader.patience
                trouble = self._translator.idle(waited, begun=reader.begun, request_id=reader.request_id)
            else:
                trouble = self._translator.transport(httpx.ConnectTimeout(""), begun=False)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError) as error:
            trouble = self._translator.transport(error, begun=reader.begun, request_id=reader.request_id)
            if isinstance(error, httpx.PoolTimeout):
                await self._pool.aclose()
        except (BodyError, WireError) as error:
            trouble = self._translator.unreadable(str(error), reader.request_id)
        finally:
            self._clock.rest()
        raise trouble

    async def _beginning(self, seconds: float) -> bytes:
        import httpx

        assert self._response is not None
        body = bytearray()
        with contextlib.suppress(TimeoutError, httpx.HTTPError, httpx.StreamError, OSError):
            async with asyncio.timeout(seconds):
                await read_beginning(self._response, body, ERROR_LIMIT)
        return bytes(body)

    async def _advance(self) -> None:
        """Read until there are events to give, or the end."""
        if self._raw is None and not await self._begin():
            return
        assert self._raw is not None
        assert self._body is not None
        assert self._events is not None
        reader = self._reader
        while not reader.has_events:
            piece = next(self._pieces, None)
            if piece is None:
                try:
                    self._pieces = self._body.feed(await self._raw.__anext__())
                except StopAsyncIteration:
                    self._over = True
                    self._read_last()
                    return
                continue
            payload = False
            for name, data in self._events.feed(piece):
                payload |= reader.read(name, data)
            if reader.done:
                self._over = True
                return
            if reader.finish_reason is not None:
                self._clock.allow(_AFTER_FINISH)
            elif payload:
                self._clock.restart(reader.patience)
            elif len(piece) == PIECE:
                await asyncio.sleep(0)  # much data and nothing in it must not hold up everyone else

    async def _begin(self) -> bool:
        """Look at the media type; False when the answer is no stream and was read as a whole."""
        response = self._response
        assert response is not None
        media = media_type(response)
        if media == "text/event-stream":
            self._body = BodyReader(response.headers, REPLY_LIMIT)
            self._events = EventReader()
            self._raw = response.aiter_raw()
            return True
        self._over = True
        if "json" not in media:
            raise self._translator.not_a_reply(
                response, media, await self._beginning(min(self._idle / 2, _ERROR_SECONDS))
            )
        self._reader.read_whole(await self._json_body())
        return False

    async def _read_raw(self) -> RawReply:
        response = self._response
        assert response is not None
        body = await read_whole(response, WHOLE_LIMIT)
        return raw_reply(self._translator, response.status_code, response.headers, body, lambda: response)

    async def _read_models(self) -> list[ModelEntry]:
        return decode_models(await self._json_body())

    async def _json_body(self) -> bytes:
        assert self._response is not None
        body = await read_whole(self._response, WHOLE_LIMIT)
        if body.lstrip()[:1] not in (b"{", b"["):
            raise self._translator.not_a_reply(self._response, media_type(self._response), body)
        return body

    def _read_last(self) -> None:
        """An event without its blank line counts if it is whole; a cut one tells nothing."""
        assert self._events is not None
        for name, data in self._events.finish():
            try:
                self._reader.read(name, data)
            except WireError:
                return
