"""The HTTP client of live chat: one pool for an endpoint, made when it is first needed.

httpx takes a tenth of a second to import and a TLS context another half of that, so both wait for the first request
or for `warm()`, and happen in a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import holychat
from holychat.errors import Outcome, ProviderError, RequestRefused, Unreachable

if TYPE_CHECKING:
    import ssl

    import httpx

    from holychat.settings import NetworkSettings

_KEEP_ALIVE = 90.0
"""Seconds an idle connection is kept: a person reads for a while before the next question."""
_CONNECTIONS = 32
_GENEROUS = 900.0
USER_AGENT = f"holychat/{holychat.__version__}"


def host_of(base_url: str) -> str:
    """The host of an address, "" where there is none."""
    try:
        return urlsplit(base_url).hostname or ""
    except ValueError:
        return ""


def is_loopback(base_url: str) -> bool:
    """Whether the address is on this machine: such a server is never asked through a proxy."""
    host = host_of(base_url).rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return address.is_loopback or address.is_unspecified or bool(mapped and mapped.is_loopback)


def is_in_the_clear(base_url: str) -> bool:
    """Whether anyone on the way can read what is sent there."""
    return base_url.strip().lower().startswith("http:") and not is_loopback(base_url)


class HttpPool:
    """A lazy httpx.AsyncClient for one endpoint.

    Args:
        name: The provider, for errors.
        base_url: Its address, with or without a trailing slash; a query is kept on every request.
        network: Timeouts.
        transport: What answers in place of the network.
        connections: How many at most.
    """

    def __init__(
        self,
        name: str,
        base_url: str,
        network: NetworkSettings,
        transport: httpx.AsyncBaseTransport | None = None,
        connections: int = _CONNECTIONS,
    ) -> None:
        self._name = name
        self._base_url = base_url.strip()
        self._network = network
        self._transport = transport
        self._connections = connections
        self._client: httpx.AsyncClient | None = None
        self._building = asyncio.Lock()

    @property
    def connect_seconds(self) -> float | None:
        """How long making a connection may take; None where no connection is made."""
        return self._network.connect_timeout if self._transport is None else None

    async def client(self) -> httpx.AsyncClient:
        """The client, made on first use.

        Raises:
            Unreachable: A proxy or certificate setting of this machine is unusable.
            RequestRefused: The provider's address is no http or https address.
        """
        if self._client is None:
            async with self._building:
                if self._client is None:
                    self._client = await asyncio.to_thread(self._build)
        return self._client

    async def warm(self) -> None:
        """Make the client ahead; trouble is left for the first request to report."""
        with contextlib.suppress(ProviderError):
            await self.client()

    async def aclose(self) -> None:
        """Close all connections; the next use makes a new client."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    def url(self, path: str) -> httpx.URL:
        """The address of `path`, which may have a query, under the base address. Only after `client()`."""
        import httpx

        base = httpx.URL(self._base_url)
        path, _, query = path.partition("?")
        url = base.copy_with(path=base.path.rstrip("/") + path)
        return url.copy_merge_params(dict(pair.split("=", 1) for pair in query.split("&"))) if query else url

    def _build(self) -> httpx.AsyncClient:
        from http.cookiejar import CookieJar, DefaultCookiePolicy

        import httpx

        scheme = self._scheme()
        importlib.import_module("httpx_sse")
        with contextlib.suppress(ImportError):
            # anyio loads its backend with the first connection; better here than in the way of the first token.
            importlib.import_module("anyio._backends._asyncio")
        tls = self._tls_context(scheme)
        # Reading is watched by the idle clock, which unlike a read timeout is not fooled by keep-alive comments.
        read = max(_GENEROUS, 2 * self._network.idle_timeout)
        most = self._connections
        limits = httpx.Limits(max_connections=most, max_keepalive_connections=most, keepalive_expiry=_KEEP_ALIVE)
        try:
            self._prepare(tls)
            return httpx.AsyncClient(
                headers={"User-Agent": USER_AGENT},
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                transport=self._transport,
                verify=tls,
                limits=limits,
                timeout=httpx.Timeout(read, connect=self._network.connect_timeout, pool=None),
                follow_redirects=False,
                trust_env=not is_loopback(self._base_url),
            )
        except ImportError:
            problem = "is a SOCKS proxy, and the package socksio is not installed"
        except (ValueError, httpx.InvalidURL):
            problem = "is not usable (known are http://, https:// and socks5://)"
        raise Unreachable(
            f"The proxy set for {self._name} {problem}",
            "Correct or unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or install holychat with socksio beside it.",
            provider=self._name,
            retryable=False,
        )

    def _prepare(self, tls: ssl.SSLContext) -> None:
        """What another road beside the client needs, made in the same thread; its errors are those of the client."""

    def _scheme(self) -> str:
        import httpx

        try:
            url = httpx.URL(self._base_url)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme in ("http", "https") and url.host:
            return url.scheme
        raise RequestRefused(
            f"The address of {self._name} is not an http or https address",
            f"Set base_url in [providers.{self._name}], for example https://api.example.com/v1.",
            provider=self._name,
            outcome=Outcome.NEVER_SENT,
        )

    def _tls_context(self, scheme: str) -> ssl.SSLContext:
        import ssl

        import httpx

        if scheme == "http" or self._transport is not None:
            # Loading certificates takes tens of milliseconds; this one trusts nobody, should it ever be used.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            return httpx.create_ssl_context()
        except OSError as error:
            reason = error.strerror or type(error).__name__
        raise Unreachable(
            f"The certificates of this machine cannot be loaded: {reason}",
            "SSL_CERT_FILE or SSL_CERT_DIR names something that cannot be read. Correct or unset it.",
            provider=self._name,
            retryable=False,
        )
