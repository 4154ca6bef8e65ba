"""aiohttp, as the lanes of background jobs use it. Slow to import, so only a lane that sends imports this.

What became of a request is not read off the class of an exception: a `Parcel` watches itself being written.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from aiohttp.payload import Payload
from httpx._utils import URLPattern, get_environment_proxies
from yarl import URL

from holychat.providers.bodies import BodyError, BodyReader
from holychat.providers.exchange import ERROR_LIMIT, WHOLE_LIMIT
from holychat.providers.http import USER_AGENT

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from aiohttp.abc import AbstractStreamWriter

FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError)
"""What `post` may raise besides `BodyError`; a ValueError is a header that cannot be written."""

_KEEP_ALIVE = 1.5
"""Seconds an unused connection is kept. Servers close theirs after 2 s and more (gunicorn 2, node and uvicorn 5), and a
request that meets such a closing leaves an item in doubt. A busy lane uses a connection again at once."""
_DNS_SECONDS = 10
_ERROR_SECONDS = 5.0


class Parcel(Payload):
    """The body of one request, and what came back for it."""

    def __init__(self, body: bytes) -> None:
        super().__init__(body, content_type="application/json")
        self._size = len(body)
        self.left = False
        """The body, and with it the head, was given to an open connection: from here on the request may be done and
        billed. Before that not a byte of it left."""
        self.response: aiohttp.ClientResponse | None = None
        self.received: list[bytes] = []

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The body as text, which aiohttp wants of every payload."""
        return str(self._value, encoding, errors)

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Give everything to the connection."""
        # aiohttp keeps the head back until the first byte of the body, and looks at the connection in the same way.
        transport = getattr(writer, "transport", None)
        if transport is None or transport.is_closing():
            raise aiohttp.ClientConnectionResetError("the connection was closed before anything was written")
        self.left = True
        await writer.write(self._value)

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:  # noqa: ARG002
        """Give everything to the connection; the length is always that of the whole body."""
        await self.write(writer)

    def head(self) -> httpx.Response:
        """The head of the answer, as httpx knows it."""
        assert self.response is not None
        reason = (self.response.reason or "").encode("ascii", "ignore")
        return httpx.Response(
            self.response.status, headers=list(self.response.raw_headers), extensions={"reason_phrase": reason}
        )


def proxy_of(url: httpx.URL) -> httpx.Proxy | None:
    """The proxy that httpx would ask for this address by the variables of the environment.

    Raises:
        ValueError: It is not a proxy address.
    """
    patterns = sorted((URLPattern(pattern), proxy) for pattern, proxy in get_environment_proxies().items())
    for pattern, proxy in patterns:
        if pattern.matches(url):
            return None if proxy is None else httpx.Proxy(proxy)
    return None


def open_session(tls: ssl.SSLContext, proxy: httpx.Proxy | None, connect_seconds: float) -> aiohttp.ClientSession:
    """A session that does nothing by itself: no cookies, no .netrc, no limits of time or number, no decompression."""
    connector = aiohttp.TCPConnector(
        limit=0,  # the lane's window limits; a limit here would be one more place to wait in
        ssl=tls,
        keepalive_timeout=_KEEP_ALIVE,
        ttl_dns_cache=_DNS_SECONDS,
        resolver=aiohttp.ThreadedResolver(),
    )
    return aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": USER_AGENT},
        cookie_jar=aiohttp.DummyCookieJar(),
        # Reading has no limit here: without streaming nothing comes until the whole reply is made.
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_seconds, sock_connect=connect_seconds),
        auto_decompress=False,
        trust_env=False,
        proxy=None if proxy is None else URL(str(proxy.url)),
    )


def proxy_authorization(proxy: httpx.Proxy | None) -> dict[str, str]:
    """The header that a proxy with a password wants."""
    if proxy is None or proxy.auth is None:
        return {}
    return {"Proxy-Authorization": "Basic " + base64.b64encode(":".join(proxy.auth).encode()).decode()}


async def post(
    session: aiohttp.ClientSession,
    url: URL,
    headers: Mapping[str, str],
    parcel: Parcel,
    proxy_headers: Mapping[str, str],
) -> bytes:
    """Send the parcel once and read the whole answer; of an error status only the beginning.

    Raises:
        BodyError: The answer is too large or badly compressed.
        Exception: One of `FAILURES`; the parcel tells whether it left and what came.
    """
    # A POST is not among the methods that aiohttp sends again over a fresh connection.
    response = parcel.response = await session.post(
        url, data=parcel, headers=headers, allow_redirects=False, proxy_headers=proxy_headers or None
    )
    try:
        if 200 <= response.status < 300:
            return await _whole(response, parcel.received)
        with contextlib.suppress(BodyError, *FAILURES):
            async with asyncio.timeout(_ERROR_SECONDS):
                await _beginning(response, parcel.received)
        return b"".join(parcel.received)[:ERROR_LIMIT]
    finally:
        # At the end of a body aiohttp has let go of the connection already; anything else must not be used again.
        response.close()


async def _whole(response: aiohttp.ClientResponse, into: list[bytes]) -> bytes:
    readany = response.content.readany
    if "Content-Encoding" in response.headers:
        reader = BodyReader(response.headers, WHOLE_LIMIT)
        while piece := await readany():
            into.extend(reader.feed(piece))
        return b"".join(into)
    size = 0
    while piece := await readany():
        into.append(piece)
        size += len(piece)
        if size > WHOLE_LIMIT:
            raise BodyError(f"it is larger than {WHOLE_LIMIT // (1024 * 1024)} MiB")
    return into[0] if len(into) == 1 else b"".join(into)


async def _beginning(response: aiohttp.ClientResponse, into: list[bytes]) -> None:
    reader = BodyReader(response.headers, 2 * ERROR_LIMIT)
    while reader.size < ERROR_LIMIT and (piece := await response.content.readany()):
        into.extend(reader.feed(piece))


def as_httpx(error: Exception, parcel: Parcel) -> Exception:
    """The same trouble as an exception of httpx, which is what errors of providers are made of; its cause is kept."""
    text = ""
    kind: Any
    if parcel.left:
        kind = httpx.ReadError
        if isinstance(error, aiohttp.ServerDisconnectedError):
            kind, text = httpx.RemoteProtocolError, "the server closed the connection without an answer"
        elif isinstance(error, aiohttp.ClientPayloadError):
            kind, text = httpx.RemoteProtocolError, "the body was cut"
        elif isinstance(error, aiohttp.ClientResponseError):
            kind, text = httpx.RemoteProtocolError, "what came is not HTTP"
    elif isinstance(error, aiohttp.ClientHttpProxyError):
        kind, text = httpx.ProxyError, f"{error.status} {error.message}"
    elif isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError):
        kind = httpx.UnsupportedProtocol
    elif isinstance(error, TimeoutError):
        kind = httpx.ConnectTimeout
    elif isinstance(error, aiohttp.ClientError | OSError):
        kind = httpx.ConnectError
    else:
        kind = httpx.LocalProtocolError
    found: Exception = kind(text)
    # aiohttp's own TLS errors are OSErrors and SSLErrors in name only; what they hold tells the reason.
    inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
    found.__cause__ = inner if isinstance(inner, Exception) else error
    return found
