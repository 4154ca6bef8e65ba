"""Chat completions, as OpenAI defined them and everyone else speaks them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from holychat.credentials.answer import key_missing
from holychat.domain.request import ModelInfo
from holychat.errors import KeyRejected, ReplyBroken, RequestRefused
from holychat.log import Masker
from holychat.providers.exchange import Exchange
from holychat.providers.failures import Translator
from holychat.providers.http import HttpPool, host_of, is_in_the_clear
from holychat.providers.lane import LanePool, Road
from holychat.providers.whole import read_reply
from holychat.providers.wire_types import Dialect, encode_request
from holychat.settings import NetworkSettings
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator, Mapping

    import httpx

    from holychat.domain.events import ReplyEvent
    from holychat.domain.request import ProviderInfo, RawReply, Reply, ReplyRequest
    from holychat.providers.batch_service import BatchService

_LOG = logging.getLogger(__name__)
_WHOLE_REPLY_SECONDS = 600.0
"""Without streaming nothing comes until the reply is whole, so the idle clock would stop every long one."""
_MODELS_SECONDS = 30.0
_KEY_SECONDS = 5.0
_USUAL = Dialect()


class Revealable(Protocol):
    """A key that shows itself only when asked to: `credentials.secret.Secret`."""

    def reveal(self) -> str:
        """The key itself."""
        ...


class _Letterhead(NamedTuple):
    """The headers of a lane, the key in them, and until when (time of the loop) they hold."""

    headers: Mapping[str, str]
    key: Revealable | None
    until: float


class OpenAIProvider:
    """One endpoint that speaks chat completions.

    Args:
        info: Name, address, default model.
        key: The key, or a function that finds it (called in a thread before each request), or None.
        network: Timeouts.
        masker: Learns the key, and masks everything a server or a library says.
        transport: What answers in place of the network, for the offline provider.
        on_rejected: Called with a key that the server does not know, or that cannot be sent.
        connections: For a lane of background jobs: how many requests there can be at once.
    """

    def __init__(
        self,
        info: ProviderInfo,
        *,
        key: Callable[[], Revealable | None] | Revealable | None = None,
        network: NetworkSettings | None = None,
        masker: Masker | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        on_rejected: Callable[[Any], None] | None = None,
        connections: int | None = None,
    ) -> None:
        self.info = info
        self._key = key
        self._network = NetworkSettings() if network is None else network
        self._masker = Masker() if masker is None else masker
        self._translator = Translator(info, self._masker)
        self._whole_seconds = max(_WHOLE_REPLY_SECONDS, self._network.idle_timeout)
        name = self._translator.name
        self._road: Road | None = None
        if connections is None or transport is not None:
            self._pool = HttpPool(name, info.base_url, self._network, transport)
        else:
            self._pool = lane = LanePool(name, info.base_url, self._network, connections)
            self._road = Road(lane, self._translator, self._whole_seconds)
        self._dialects: dict[str, Dialect] = {}
        self._on_rejected = on_rejected
        self._sent_key: Revealable | None = None
        self._carries_key = info.needs_key
        self._warned = False
        self._letter: _Letterhead | None = None
        self._writing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"OpenAIProvider({self.info.name!r})"

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """See `Provider.stream`."""
        with self._watching_key():
            exchange = await self._ask(request, stream=True, idle_seconds=self._network.idle_timeout)
            try:
                while events := await exchange.next_events():
                    for event in events:
                        yield event
                await exchange.drain()
            finally:
                await exchange.close()

    async def send(self, request: ReplyRequest) -> RawReply:
        """See `Provider.send`. Waits at least ten minutes, as the whole reply is made before a byte of it comes."""
        if self._road is not None and await self._road.is_open():
            return await self._send_over(self._road, request)
        with self._watching_key():
            exchange = await self._ask(request, stream=False, idle_seconds=self._whole_seconds)
            try:
                return await exchange.raw()
            finally:
                await exchange.close()

    def read(self, raw: RawReply) -> Reply:
        """See `Provider.read`."""
        return read_reply(self._translator, raw)

    async def complete(self, request: ReplyRequest) -> Reply:
        """See `Provider.complete`."""
        return self.read(await self.send(request))

    async def models(self) -> tuple[ModelInfo, ...]:
        """See `Provider.models`."""
        exchange = Exchange(self._pool, self._translator, min(_MODELS_SECONDS, self._network.idle_timeout))
        try:
            with self._watching_key():
                await exchange.open(await self._request("GET", "/models"))
                entries = await exchange.models()
        except ReplyBroken as broken:
            raise self._translator.no_list(broken) from None
        finally:
            await exchange.close()
        owners = {entry.id: entry.owned_by or "" for entry in entries if entry.id}
        return tuple(ModelInfo(name, owners[name]) for name in sorted(owners))

    def batches(self) -> BatchService:
        """The endpoint's batch service; whether it has one is found out by asking it."""
        from holychat.providers.batch_service import BatchService

        return BatchService(self._pool, self._translator, self._headers_of_no_reply)

    def warnings(self) -> tuple[str, ...]:
        """See `Provider.warnings`."""
        if self._carries_key and is_in_the_clear(self.info.base_url):
            host = clean_line(host_of(self.info.base_url), 100)
            return (f"The key of {self.info.name} goes to {host} over plain http: anyone on the way can read it.",)
        return ()

    async def warm(self) -> None:
        """See `Provider.warm`."""
        await self._pool.warm()

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        await self._pool.aclose()

    @contextlib.contextmanager
    def _watching_key(self) -> Iterator[None]:
        try:
            yield
        except KeyRejected as rejected:
            self._rejected(rejected, self._sent_key)
            raise

    def _rejected(self, rejected: KeyRejected, key: Revealable | None) -> None:
        # With 403 the key is known and lacks a right, or its owner is in the wrong place.
        if rejected.status in (None, 401) and self._on_rejected is not None and key is not None:
            self._on_rejected(key)

    async def _ask(self, request: ReplyRequest, *, stream: bool, idle_seconds: float) -> Exchange:
        """Send a request for a reply; once more, in other words, where a 400 says which parameter it does not know."""
        while True:
            dialect = self._dialects.get(request.model, _USUAL)
            body = encode_request(request, stream=stream, dialect=dialect)
            exchange = Exchange(self._pool, self._translator, idle_seconds)
            try:
                async with contextlib.AsyncExitStack() as stack:
                    stack.push_async_callback(exchange.close)
                    await exchange.open(await self._request("POST", "/chat/completions", body, stream=stream))
                    stack.pop_all()
                    return exchange
            except RequestRefused as refused:
                other = dialect.after_refusal(refused.title, body) if refused.status in (400, 422) else None
                if other is None:
                    raise
            self._dialects[request.model] = other

    async def _send_over(self, road: Road, request: ReplyRequest) -> RawReply:
        while True:
            dialect = self._dialects.get(request.model, _USUAL)
            body = encode_request(request, stream=False, dialect=dialect)
            letterhead = await self._letterhead()
            try:
                return await road.send("/chat/completions", letterhead.headers, body)
            except KeyRejected as rejected:
                # Of many requests under way some may still carry a key that was replaced meanwhile.
                self._rejected(rejected, letterhead.key)
                if self._letter is letterhead:
                    self._letter = None
                raise
            except RequestRefused as refused:
                other = dialect.after_refusal(refused.title, body) if refused.status in (400, 422) else None
                if other is None:
                    raise
            self._dialects[request.model] = other

    async def _letterhead(self) -> _Letterhead:
        """The headers of every request of a lane. Finding the key takes a thread, so it is kept for some seconds."""
        now = asyncio.get_running_loop().time()
        if self._letter is None or self._letter.until <= now:
            async with self._writing:
                if self._letter is None or self._letter.until <= now:
                    headers = await self._headers(stream=False)
                    self._letter = _Letterhead(headers, self._sent_key, now + _KEY_SECONDS)
        return self._letter

    async def _request(
        self, method: str, path: str, body: bytes | None = None, *, stream: bool = False
    ) -> httpx.Request:
        client = await self._pool.client()
        headers = await self._headers(stream=stream)
        return client.build_request(method, self._pool.url(path), headers=headers, content=body)

    async def _headers(self, *, stream: bool) -> Mapping[str, str]:
        for warning in () if self._warned else self.warnings():
            self._warned = True
            _LOG.warning("%s", warning)
        headers = {
            "Accept": "text/event-stream" if stream else "application/json",
            # A compressed stream is often held back until a block is full.
            "Accept-Encoding": "identity" if stream else "gzip, deflate",
            "Content-Type": "application/json",
            "Cache-Control": "no-store",
        }
        if secret := await self._secret():
            headers["Authorization"] = f"Bearer {secret}"
        return headers

    async def _headers_of_no_reply(self) -> Mapping[str, str]:
        """For requests whose body is no JSON, or that have none."""
        return {name: value for name, value in (await self._headers(stream=False)).items() if name != "Content-Type"}

    async def _secret(self) -> str:
        """The key, checked: h11 would quote a bad one in its error."""
        found = await asyncio.to_thread(self._key) if callable(self._key) else self._key
        if found is None:
            if self.info.needs_key:
                raise key_missing(self.info)
            return ""
        self._sent_key = found
        key = found.reveal()
        self._masker.add(key)
        self._carries_key = True
        if not (key.isascii() and key.isprintable()) or " " in key:
            raise self._translator.bad_key()
        return key
