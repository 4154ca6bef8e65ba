"""One endpoint, whichever wire it speaks: keys, connections, and putting a request otherwise where a refusal says how.

A wire adds what is its own: paths, headers, bodies and a reader. See `openai.py` and `anthropic.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar

from holychat.credentials.answer import key_missing
from holychat.domain.request import ModelInfo
from holychat.errors import KeyRejected, ReplyBroken, RequestRefused
from holychat.log import Masker
from holychat.providers.exchange import Exchange
from holychat.providers.failures import Translator
from holychat.providers.http import HttpPool, host_of, is_in_the_clear
from holychat.providers.lane import LanePool, Road
from holychat.providers.whole import read_reply
from holychat.settings import NetworkSettings
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping

    import httpx

    from holychat.domain.events import ReplyEvent
    from holychat.domain.request import ProviderInfo, RawReply, Reply, ReplyRequest
    from holychat.providers.batch_service import BatchService
    from holychat.providers.reader import Reader

_T = TypeVar("_T")
_LOG = logging.getLogger(__name__)
_WHOLE_REPLY_SECONDS = 600.0
"""Without streaming nothing comes until the reply is whole, so the idle clock would stop every long one."""
_MODELS_SECONDS = 30.0
_KEY_SECONDS = 5.0


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


class Endpoint:
    """One endpoint. What a wire has of its own stands at the end of the class.

    Args:
        info: Name, address, default model.
        key: The key, or a function that finds it (called in a thread before each request), or None.
        network: Timeouts.
        masker: Learns the key, and masks everything a server or a library says.
        transport: What answers in place of the network, for the offline provider.
        on_rejected: Called with a key that the server does not know, or that cannot be sent.
        connections: For a lane of background jobs: how many requests there can be at once.
    """

    wire: ClassVar[type[Reader]]
    """Reads the replies."""
    reply_path: ClassVar[str]
    models_path: ClassVar[str]

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
        name, address = self._translator.name, self._address(info.base_url)
        self._road: Road | None = None
        if connections is None or transport is not None:
            self._pool = HttpPool(name, address, self._network, transport)
        else:
            self._pool = lane = LanePool(name, address, self._network, connections)
            self._road = Road(lane, self._translator, self._whole_seconds)
        self._wordings: dict[str, Any] = {}
        """By model: how its requests are put, where that was found to differ from the usual."""
        self._on_rejected = on_rejected
        self._sent_key: Revealable | None = None
        self._carries_key = info.needs_key
        self._warned = False
        self._letter: _Letterhead | None = None
        self._writing = asyncio.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.info.name!r})"

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
        return read_reply(self._translator, raw, self.wire)

    async def complete(self, request: ReplyRequest) -> Reply:
        """See `Provider.complete`."""
        return self.read(await self.send(request))

    async def models(self) -> tuple[ModelInfo, ...]:
        """See `Provider.models`."""
        exchange = Exchange(self._pool, self._translator, min(_MODELS_SECONDS, self._network.idle_timeout))
        try:
            with self._watching_key():
                await exchange.open(await self._request("GET", self.models_path))
                entries = await exchange.models()
        except ReplyBroken as broken:
            raise self._translator.no_list(broken) from None
        finally:
            await exchange.close()
        owners = {entry.id: entry.owned_by or "" for entry in entries if entry.id}
        return tuple(ModelInfo(name, owners[name]) for name in sorted(owners))

    def batches(self) -> BatchService | None:
        """The endpoint's batch service, where its wire has one; whether this endpoint has it is found out by asking."""
        return None

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
        """Send a request for a reply, on the ordinary road."""

        async def attempt(body: bytes) -> Exchange:
            exchange = Exchange(self._pool, self._translator, idle_seconds, self.wire(self._translator, ""))
            async with contextlib.AsyncExitStack() as stack:
                stack.push_async_callback(exchange.close)
                await exchange.open(await self._request("POST", self.reply_path, body, stream=stream))
                stack.pop_all()
                return exchange

        return await self._put(request, stream, attempt)

    async def _send_over(self, road: Road, request: ReplyRequest) -> RawReply:
        """Send a request for a whole reply, over the lane."""

        async def attempt(body: bytes) -> RawReply:
            letterhead = await self._letterhead()
            try:
                return await road.send(self.reply_path, letterhead.headers, body)
            except KeyRejected as rejected:
                # Of many requests under way some may still carry a key that was replaced meanwhile.
                self._rejected(rejected, letterhead.key)
                if self._letter is letterhead:
                    self._letter = None
                raise

        return await self._put(request, False, attempt)

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
        return {**headers, **self._own_headers(await self._secret())}

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

    # What a wire has of its own

    def _address(self, base_url: str) -> str:
        """What its paths stand under."""
        return base_url

    def _own_headers(self, key: str) -> Mapping[str, str]:
        """Its headers, with the key where there is one."""
        raise NotImplementedError

    async def _put(self, request: ReplyRequest, stream: bool, attempt: Callable[[bytes], Awaitable[_T]]) -> _T:
        """Attempt it with the body of the request; again, in other words, where a 400 says which ones it wants."""
        raise NotImplementedError


def may_be_worded_otherwise(refused: RequestRefused) -> bool:
    """Whether the words of a request may be the reason of a refusal."""
    return refused.status in (400, 422)
