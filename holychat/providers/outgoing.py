"""Posting to an address that belongs to no provider: the receiver of a webhook.

The name is resolved once, every address it stands for is looked at, and the connection goes to one that was looked at:
a name that changes its mind in between changes nothing. No redirect is followed, no proxy is asked, nothing of the
answer is read but its head.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

import holychat
from holychat.errors import HolychatError, UsageError
from holychat.providers.waits import retry_after
from holychat.text import clean_line

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_SECONDS = 20.0
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOW_32_BITS = 0xFFFFFFFF


class DeliveryFailed(HolychatError):
    """The message did not arrive, or nobody knows whether it did; receivers drop doubles, so it may go again."""


class AddressRefused(UsageError):
    """Nothing is ever sent to this address."""


@dataclass(frozen=True, slots=True)
class Reach:
    """Where a message may go besides https on the internet."""

    loopback: bool = False
    """This machine, over http as well."""
    private: bool = False
    """Private networks, over https."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of what a receiver answered."""

    status: int
    retry_after: float | None
    """Seconds it asks to wait."""


def check_address(url: str, reach: Reach) -> None:
    """Refuse what can be refused without asking for the name.

    Raises:
        AddressRefused: It is no https address, holds a password, or names an address that nothing is sent to.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    shown = clean_line(url, 80)
    usable = url.isprintable() and not any(map(str.isspace, url)) and _can_be_asked_for(host)
    if parts.scheme not in ("http", "https") or not usable or port == 0:
        raise _no_address(shown)
    if parts.username or parts.password:
        raise AddressRefused("A webhook's address holds a user name or password", "Messages are signed instead.")
    literal = _literal(host)
    if literal is not None:
        _check(literal, parts.scheme, reach)
    elif parts.scheme == "http" and not (reach.loopback and _is_localhost(host)):
        raise _in_the_clear()


async def post(url: str, body: bytes, headers: Mapping[str, str], reach: Reach, *, seconds: float = _SECONDS) -> Answer:
    """Post `body` once.

    Args:
        url: Where to.
        body: Exactly what is sent.
        headers: Besides Host, User-Agent, Content-Type and Content-Length.
        reach: Where messages may go.
        seconds: For everything together.

    Raises:
        AddressRefused: The name stands for addresses that nothing is sent to.
        DeliveryFailed: No answer.
    """
    check_address(url, reach)
    parts = urlsplit(url)
    host = parts.hostname or ""
    trouble = f"no answer within {seconds:g} seconds"
    try:
        async with asyncio.timeout(seconds):
            address = await _resolve(host, parts.port or (443 if parts.scheme == "https" else 80), parts.scheme, reach)
            return await _post_to(address, url, body, headers, seconds)
    except TimeoutError:
        pass
    except OSError as error:
        trouble = error.strerror or type(error).__name__
    raise DeliveryFailed(f"{clean_line(host, 80)}: {clean_line(trouble, 200)}")


async def _post_to(address: Address, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> Answer:
    import httpx

    try:
        target = httpx.URL(url)
    except httpx.InvalidURL:
        raise _no_address(clean_line(url, 80)) from None
    sent = {
        "Host": target.netloc.decode("ascii"),
        "User-Agent": f"holychat/{holychat.__version__}",
        "Content-Type": "application/json",
        **headers,
    }
    tls = await asyncio.to_thread(_tls, target.scheme)
    async with httpx.AsyncClient(trust_env=False, follow_redirects=False, timeout=seconds, verify=tls) as client:
        request = client.build_request("POST", target.copy_with(host=str(address)), headers=sent, content=body)
        # The certificate is that of the name, whatever address was connected to.
        request.extensions["sni_hostname"] = target.host
        try:
            response = await client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise DeliveryFailed(
                f"{clean_line(target.host, 80)}: {clean_line(str(error) or type(error).__name__, 200)}"
            ) from None
        await response.aclose()
        return Answer(response.status_code, retry_after(response.headers))


def _tls(scheme: str) -> ssl.SSLContext | bool:
    import httpx

    return httpx.create_ssl_context(trust_env=False) if scheme == "https" else False


async def _resolve(host: str, port: int, scheme: str, reach: Reach) -> Address:
    """An address of the host, where nothing is wrong with any of them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    for address in addresses:
        _check(address, scheme, reach)
    if not addresses:
        raise DeliveryFailed(f"{clean_line(host, 80)} has no address")
    return addresses[0]


def _check(address: Address, scheme: str, reach: Reach) -> None:
    meant = _meant(address)
    if meant.is_loopback:
        if not reach.loopback:
            raise _forbidden(address, "this machine", "allow_loopback")
        return
    if meant.is_multicast or meant.is_unspecified or meant.is_link_local or meant.is_reserved:
        raise AddressRefused(f"A webhook's address leads to {address}, which is no place to send anything")
    if (not meant.is_global or _is_site_local(meant)) and not reach.private:
        raise _forbidden(address, "a private network", "allow_private")
    if scheme == "http":
        raise _in_the_clear()


def _is_site_local(address: Address) -> bool:
    """Private networks of IPv6 as they were before fc00::/7; virtual machines reach their host there."""
    return isinstance(address, ipaddress.IPv6Address) and address.is_site_local


def _meant(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one: a mapped address reaches the same machine as the plain one."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & _LOW_32_BITS)
    return address


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _can_be_asked_for(host: str) -> bool:
    """Whether a resolver takes the name: one with an empty or too long label it cannot even be asked for."""
    try:
        return bool(host.encode("idna"))
    except UnicodeError:
        return False


def _is_localhost(host: str) -> bool:
    host = host.rstrip(".").lower()
    return host == "localhost" or host.endswith(".localhost")


def _no_address(shown: str) -> AddressRefused:
    return AddressRefused(f'"{shown}" is no https address', "For example https://example.com/hooks/holychat.")


def _in_the_clear() -> AddressRefused:
    return AddressRefused(
        "A webhook goes over https only", "http is for this machine, with allow_loopback in [webhooks]."
    )


def _forbidden(address: Address, what: str, setting: str) -> AddressRefused:
    return AddressRefused(
        f"A webhook's address leads to {address}, which is {what}",
        f"If that is meant, set {setting} = true in [webhooks] of config.toml.",
    )
