"""Requests of a lane that never left, and the roads they would have taken."""

from __future__ import annotations

import socket
import ssl
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holychat.errors import (
    KeyRejected,
    Outcome,
    Unreachable,
)  # fmt: skip
from holychat.providers import aio
from tests.providers.lanes import error_of, send
from tests.providers.tools import KEY
from tests.support.loopback import (
    CUT,
    Loopback,
    Script,
    whole,
)
from tests.support.serving import serving

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
JSON = {"content-type": "application/json"}


# Nothing was sent


async def test_a_refused_connection_was_never_sent() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    error = await error_of(f"http://127.0.0.1:{port}/v1")
    assert isinstance(error, Unreachable)
    assert (error.outcome, error.retryable) == (Outcome.NEVER_SENT, True)
    assert error.title == "Cannot reach test at 127.0.0.1: Connection refused"


async def test_an_unknown_name_was_never_sent() -> None:
    error = await error_of("http://no-such-host.invalid/v1")
    assert error.outcome is Outcome.NEVER_SENT
    assert "no-such-host.invalid: the name cannot be resolved" in error.title


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_connection_that_does_not_come_about_was_never_sent(
    proxied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Something accepts and then says nothing, to a TLS greeting or to a CONNECT."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        port = silent.getsockname()[1]
        if proxied:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        address = "https://no-such-host.invalid/v1" if proxied else f"https://127.0.0.1:{port}/v1"
        begun = time.monotonic()
        error = await error_of(address, connect=0.5)
    assert error.outcome is Outcome.NEVER_SENT
    assert "no connection in time" in error.title
    assert 0.4 <= time.monotonic() - begun < 5


@pytest.fixture
def tls_address() -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with Loopback(context) as server:
        server.chat(whole("secret"))
        yield server.base_url


async def test_an_unknown_certificate_was_never_sent_to(tls_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = await error_of(tls_address)
    assert isinstance(error, Unreachable)
    assert error.outcome is Outcome.NEVER_SENT
    assert not error.retryable
    assert "certificate is not trusted" in error.title
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert b"secret" in (await send(tls_address)).body


async def test_tls_that_is_not_spoken_was_never_sent() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with serving(plain) as port:
        error = await error_of(f"https://127.0.0.1:{port}/v1")
    assert error.outcome is Outcome.NEVER_SENT
    assert "no secure connection" in error.title


async def test_a_key_that_cannot_be_sent_is_not_quoted(loopback: Loopback) -> None:
    error = await error_of(loopback.base_url, key=f"{KEY}\n")
    assert isinstance(error, KeyRejected)
    assert not loopback.requests


async def test_a_connection_found_closed_when_the_request_is_written_was_never_used(loopback: Loopback) -> None:
    """The pool hands out a connection that closes in the same moment: nothing was written, and the parcel knows."""

    class Writer:
        transport = None

    parcel = aio.Parcel(b"{}")
    with pytest.raises(OSError, match="before anything was written"):
        await parcel.write(Writer())  # type: ignore[arg-type]
    assert not parcel.left


# Proxies


async def test_another_host_is_asked_through_the_proxy(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", loopback.url.replace("http://", "http://me:pass%21word@"))
    loopback.on("http://model.invalid/v1/chat/completions", whole("by proxy"))
    assert b"by proxy" in (await send("http://model.invalid/v1")).body
    assert loopback.requests[0].headers["proxy-authorization"] == "Basic bWU6cGFzcyF3b3Jk"
    monkeypatch.setenv("NO_PROXY", "model.invalid")
    assert (await error_of("http://model.invalid/v1")).outcome is Outcome.NEVER_SENT
    assert len(loopback.requests) == 1


async def test_a_proxy_that_refuses_a_tunnel_never_sees_the_key(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", loopback.url.replace("http://", "http://me:secret@"))
    loopback.on("model.invalid:443", Script(407, {}, [], "length"), method="CONNECT")
    error = await error_of("https://model.invalid/v1")
    assert isinstance(error, Unreachable)
    assert error.outcome is Outcome.NEVER_SENT
    assert "the proxy refused: 407" in error.title
    headers = loopback.requests[0].headers
    assert headers["proxy-authorization"] == "Basic bWU6c2VjcmV0"
    assert KEY not in str(headers)


async def test_a_proxy_that_hangs_up_on_a_tunnel_was_sent_nothing(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", loopback.url)
    loopback.on("model.invalid:443", Script(pieces=[CUT], framing="raw"), method="CONNECT")
    assert (await error_of("https://model.invalid/v1")).outcome is Outcome.NEVER_SENT


async def test_a_proxy_that_is_not_there_was_sent_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{port}")
    assert (await error_of("http://model.invalid/v1")).outcome is Outcome.NEVER_SENT


@pytest.mark.parametrize("proxy", ["http://192.0.2.1:9", "socks5://192.0.2.1:9", "socks://nonsense"])
async def test_loopback_is_never_asked_through_a_proxy(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    loopback.chat(whole("direct"))
    assert b"direct" in (await send(loopback.base_url)).body


@pytest.mark.parametrize(
    ("proxy", "says"), [("socks5://127.0.0.1:9", "socksio"), ("socks://127.0.0.1:9", "not usable")]
)
async def test_a_proxy_that_cannot_be_used_gives_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, proxy: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)  # as on a machine without it
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = await error_of("http://model.invalid/v1")
    assert says in error.title
    assert error.outcome is Outcome.NEVER_SENT
