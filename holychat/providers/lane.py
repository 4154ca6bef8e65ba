"""The short road of background jobs: many whole replies at once, over aiohttp.

httpx goes through its whole pool for every request, and an aiohttp transport under httpx spends as long on building and
translating objects as aiohttp does on the request. Only whole replies go this way; streams and lists of models of the
same provider take the ordinary one, and everything above sees the exceptions and answers of httpx.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holychat.providers.bodies import BodyError
from holychat.providers.clock import IdleClock
from holychat.providers.http import HttpPool, is_loopback
from holychat.providers.whole import raw_reply

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    import aiohttp
    import httpx
    from yarl import URL

    from holychat.domain.request import RawReply
    from holychat.errors import ProviderError
    from holychat.providers.aio import Parcel
    from holychat.providers.failures import Translator
    from holychat.settings import NetworkSettings


class LanePool(HttpPool):
    """The pool of a lane: beside the client of httpx an aiohttp session.

    Args:
        name: The provider, for errors.
        base_url: Its address.
        network: Timeouts.
        connections: How many requests there can be at once.
    """

    def __init__(self, name: str, base_url: str, network: NetworkSettings, connections: int) -> None:
        super().__init__(name, base_url, network, connections=connections)
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None
        self._proxy: httpx.Proxy | None = None
        self.proxy_headers: Mapping[str, str] = {}
        """What the proxy wants to know, beside the request."""

    async def session(self) -> aiohttp.ClientSession | None:
        """The session, made on first use; None where only httpx knows the way (a SOCKS proxy).

        Raises:
            ProviderError: As for `client`.
        """
        if self._session is not None:
            return self._session
        await self.client()
        from holychat.providers.aio import open_session

        if self._proxy is not None and self._proxy.url.scheme not in ("http", "https"):
            return None
        if self._session is None:
            assert self._tls is not None
            self._session = open_session(self._tls, self._proxy, self._network.connect_timeout)
        return self._session

    @property
    def is_tunnel(self) -> bool:
        """Requests go through a proxy that only sees the name of the host."""
        return self._proxy is not None and self._base_url.lower().startswith("https:")

    async def aclose(self) -> None:
        """Close all connections; the next use makes new ones."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        await super().aclose()

    def _prepare(self, tls: ssl.SSLContext) -> None:
        import httpx

        from holychat.providers.aio import proxy_authorization, proxy_of

        self._tls = tls
        self._proxy = None if is_loopback(self._base_url) else proxy_of(httpx.URL(self._base_url))
        self.proxy_headers = proxy_authorization(self._proxy)


class Road:
    """Sends requests of one provider over its lane.

    Args:
        pool: Its connections.
        translator: Makes the errors.
        seconds: How long a whole reply may take.
    """

    def __init__(self, pool: LanePool, translator: Translator, seconds: float) -> None:
        self._pool = pool
        self._translator = translator
        self._seconds = seconds
        self._urls: dict[str, URL] = {}

    async def is_open(self) -> bool:
        """Whether requests can go this way; through a SOCKS proxy only httpx knows one.

        Raises:
            ProviderError: As for `HttpPool.client`.
        """
        return await self._pool.session() is not None

    async def send(self, path: str, headers: Mapping[str, str], body: bytes) -> RawReply:
        """One POST, sent once, and its whole answer. Only where the pool has a session.

        Raises:
            ProviderError: It could not be sent, was refused, or the answer broke off or is no reply.
        """
        from holychat.providers import aio

        session = await self._pool.session()
        assert session is not None
        parcel = aio.Parcel(body)
        to_proxy = self._pool.proxy_headers
        if to_proxy and not self._pool.is_tunnel:
            headers, to_proxy = {**headers, **to_proxy}, {}
        clock = IdleClock(self._seconds)
        clock.watch()
        trouble: ProviderError
        try:
            answer = await aio.post(session, self._url(path), headers, parcel, to_proxy)
        except asyncio.CancelledError:
            if not clock.was_it():
                raise
            trouble = self._too_late(parcel)
        except BodyError as error:
            trouble = self._translator.unreadable(str(error), self._request_id(parcel))
        except aio.FAILURES as error:
            begun = bool(parcel.received)
            request_id = self._request_id(parcel)
            trouble = self._translator.transport(aio.as_httpx(error, parcel), begun=begun, request_id=request_id)
        else:
            return self._judge(parcel, answer)
        finally:
            clock.stop()
        trouble.partial = b"".join(parcel.received)
        raise trouble

    def _judge(self, parcel: Parcel, body: bytes) -> RawReply:
        response = parcel.response
        assert response is not None
        if 200 <= response.status < 300:
            return raw_reply(self._translator, response.status, response.headers, body, parcel.head)
        raise self._translator.refusal(parcel.head(), body)

    def _too_late(self, parcel: Parcel) -> ProviderError:
        import httpx

        if not parcel.left:
            return self._translator.transport(httpx.ConnectTimeout(""), begun=False)
        return self._translator.idle(self._seconds, begun=bool(parcel.received), request_id=self._request_id(parcel))

    def _request_id(self, parcel: Parcel) -> str:
        return "" if parcel.response is None else self._translator.request_id(parcel.response.headers)

    def _url(self, path: str) -> URL:
        if path not in self._urls:
            from yarl import URL

            # httpx has quoted it already, in the same way as for everything else that is sent there.
            self._urls[path] = URL(str(self._pool.url(path)), encoded=True)
        return self._urls[path]
