"""Getting a connection: addresses, names, TLS, proxies, the pool, and what is loaded when."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from holychat.domain.request import ProviderInfo
from holychat.errors import Outcome, RequestRefused, Unreachable
from holychat.providers.failures import words_of
from holychat.providers.http import is_in_the_clear, is_loopback
from holychat.providers.openai import OpenAIProvider
from tests.providers.tools import KEY, ask, outcome_of, provider
from tests.support.loopback import Loopback, Script, json_reply, stream_of
from tests.support.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
"""A self-signed certificate for localhost with its key, made for these tests and good for nothing else."""


# No connection


async def test_a_refused_connection_was_never_sent() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    outcome = await ask(f"http://127.0.0.1:{port}/v1")
    error = outcome.error
    assert isinstance(error, Unreachable)
    assert (error.outcome, error.retryable) == (Outcome.NEVER_SENT, True)
    assert error.title == "Cannot reach test at 127.0.0.1: Connection refused"
    assert "Is the server running" in error.hint


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connect call failed ('127.0.0.1', 1)"), "Connection refused"),
        (OSError("nothing known"), "nothing known"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
    ],
)
def test_the_words_of_an_error_are_those_of_the_system(error: OSError, words: str) -> None:
    assert words_of(error) == words


async def test_an_unknown_name_was_never_sent() -> None:
    outcome = await ask("http://no-such-host.invalid/v1")
    assert isinstance(outcome.error, Unreachable)
    assert "no-such-host.invalid" in outcome.error.title


async def test_a_connection_that_does_not_come_about_ends_with_the_connect_timeout() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = [socket.socket() for _ in range(8)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        asked = provider(f"http://127.0.0.1:{full.getsockname()[1]}/v1", connect=0.4)
        outcome = await outcome_of(asked)
        await asked.aclose()
        for filler in fillers:
            filler.close()
    assert isinstance(outcome.error, Unreachable)
    assert "no connection in time" in outcome.error.title


@pytest.mark.parametrize("proxied", [False, True])
async def test_a_connection_is_never_judged_by_the_idle_time(proxied: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Something accepts and then says nothing, to a TLS greeting or to a CONNECT: nothing of the request was sent."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        port = silent.getsockname()[1]
        if proxied:
            monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{port}")
        address = "https://no-such-host.invalid/v1" if proxied else f"https://127.0.0.1:{port}/v1"
        asked = provider(address, idle=0.2, connect=0.6)
        begun = time.monotonic()
        outcome = await outcome_of(asked)
        await asked.aclose()
    assert isinstance(outcome.error, Unreachable)
    assert outcome.error.outcome is Outcome.NEVER_SENT
    assert "no connection in time" in outcome.error.title
    assert time.monotonic() - begun >= 0.5


@pytest.mark.parametrize("address", ["", "ftp://x/v1", "no address", "http://", "http://[::1"])
async def test_an_address_that_is_none_is_refused_with_the_setting_to_mend(address: str) -> None:
    outcome = await ask(address)
    assert isinstance(outcome.error, RequestRefused)
    assert "base_url" in outcome.error.hint


async def test_tls_that_is_not_spoken_names_the_setting_for_certificates() -> None:
    left = asyncio.Event()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()
        writer.close()
        await writer.wait_closed()
        left.set()

    async with serving(plain) as port:
        outcome = await ask(f"https://127.0.0.1:{port}/v1")
        await asyncio.wait_for(left.wait(), 10)
    assert isinstance(outcome.error, Unreachable)
    assert "no secure connection" in outcome.error.title
    assert "SSL_CERT_FILE" in outcome.error.hint


@pytest.fixture
def tls_address() -> Iterator[str]:
    """The address of a server whose certificate nobody knows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    with Loopback(context) as server:
        server.chat(stream_of("secret"))
        yield server.base_url


async def test_an_unknown_certificate_is_refused_and_names_the_variable(tls_address: str) -> None:
    outcome = await ask(tls_address)
    assert isinstance(outcome.error, Unreachable)
    assert "certificate is not trusted" in outcome.error.title
    assert "SSL_CERT_FILE" in outcome.error.hint
    assert outcome.error.outcome is Outcome.NEVER_SENT


async def test_ssl_cert_file_makes_a_certificate_known(tls_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert (await ask(tls_address)).text == "secret"


async def test_an_ssl_cert_file_that_is_not_there_is_named(tls_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    outcome = await ask(tls_address)
    assert isinstance(outcome.error, Unreachable)
    assert "SSL_CERT_FILE" in outcome.error.hint


# Proxies


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"])
@pytest.mark.parametrize("proxy", ["http://192.0.2.1:9", "socks5://192.0.2.1:9", "socks://nonsense"])
async def test_loopback_is_never_asked_through_a_proxy(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch, variable: str, proxy: str
) -> None:
    monkeypatch.setenv(variable, proxy)
    loopback.chat(stream_of("direct"))
    assert (await ask(loopback.base_url)).text == "direct"


async def test_another_host_is_asked_through_the_proxy(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", loopback.url)
    loopback.on("http://model.invalid/v1/chat/completions", stream_of("by proxy"))
    assert (await ask("http://model.invalid/v1")).text == "by proxy"
    monkeypatch.setenv("NO_PROXY", "model.invalid")
    assert isinstance((await ask("http://model.invalid/v1")).error, Unreachable)


async def test_a_proxy_that_refuses_is_named(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", loopback.url)
    loopback.on("model.invalid:443", Script(407, {}, [], "length"), method="CONNECT")
    error = (await ask("https://model.invalid/v1")).error
    assert isinstance(error, Unreachable)
    assert "proxy refused" in error.title
    assert error.outcome is Outcome.NEVER_SENT


@pytest.mark.parametrize(
    ("proxy", "says"), [("socks5://127.0.0.1:9", "socksio"), ("socks://127.0.0.1:9", "not usable")]
)
async def test_a_proxy_that_cannot_be_used_gives_a_clear_error(
    monkeypatch: pytest.MonkeyPatch, proxy: str, says: str
) -> None:
    monkeypatch.setitem(sys.modules, "socksio", None)  # as on a machine without it
    monkeypatch.setenv("ALL_PROXY", proxy)
    error = (await ask("http://model.invalid/v1")).error
    assert isinstance(error, Unreachable)
    assert says in error.title
    assert not error.retryable


# Addresses


@pytest.mark.parametrize(
    ("address", "loopback_too"),
    [
        ("http://127.0.0.1:11434/v1", True),
        ("http://localhost/v1", True),
        ("http://LOCALHOST./v1", True),
        ("http://api.localhost/v1", True),
        ("http://[::1]:8080", True),
        ("http://[::ffff:127.0.0.1]/", True),
        ("http://127.8.9.1", True),
        ("http://0.0.0.0:8000/v1", True),
        ("https://api.example.com/v1", False),
        ("http://192.168.1.5/v1", False),
        ("http://localhost.example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("nonsense", False),
        ("http://[::1", False),
    ],
)
def test_loopback_is_told_from_everything_else(address: str, loopback_too: bool) -> None:
    assert is_loopback(address) is loopback_too


def test_only_plain_http_to_another_machine_is_in_the_clear() -> None:
    assert is_in_the_clear(" HTTP://192.168.1.5/v1")
    assert not is_in_the_clear("http://localhost/v1")
    assert not is_in_the_clear("https://192.168.1.5/v1")


async def test_a_slash_and_a_query_of_the_address_are_kept_in_order(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    assert (await ask(f"{loopback.base_url}/?api-version=1")).text == "ok"
    assert (loopback.requests[0].path, loopback.requests[0].query) == ("/v1/chat/completions", "api-version=1")


# The pool and the lazy start


async def test_a_pool_without_a_free_connection_is_made_anew() -> None:
    class Full(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            raise httpx.PoolTimeout("full")

    asked = OpenAIProvider(ProviderInfo("test", "openai", "http://x.invalid/v1", "m", False), transport=Full())
    first = await asked._pool.client()
    outcome = await outcome_of(asked)
    assert isinstance(outcome.error, Unreachable)
    assert outcome.error.outcome is Outcome.NEVER_SENT
    assert await asked._pool.client() is not first
    await asked.aclose()


async def test_a_closed_provider_can_be_used_again(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    asked = provider(loopback.base_url)
    for _ in range(2):
        assert (await outcome_of(asked)).text == "ok"
        await asked.aclose()


async def test_warming_up_makes_one_client_and_never_fails(loopback: Loopback) -> None:
    asked = provider(loopback.base_url)
    await asyncio.gather(asked.warm(), asked.warm(), asked.warm())
    client = await asked._pool.client()
    await asked.warm()
    assert await asked._pool.client() is client
    await asked.aclose()
    await provider("no address").warm()
    assert not loopback.requests


def test_nothing_heavy_is_loaded_before_the_first_request() -> None:
    code = """
import asyncio, sys
from holychat.domain.request import ProviderInfo
from holychat.providers.openai import OpenAIProvider
asked = OpenAIProvider(ProviderInfo("t", "openai", "http://127.0.0.1:9/v1", "m", False))
heavy = {"httpx", "httpx_sse", "httpcore", "h11", "anyio", "certifi"} & set(sys.modules)
assert not heavy, heavy
asyncio.run(asked.warm())
assert {"httpx", "httpx_sse", "anyio._backends._asyncio"} <= set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


async def test_no_request_carries_a_key_that_was_not_given(loopback: Loopback) -> None:
    loopback.on("/v1/models", json_reply({"data": []}), method="GET")
    asked = provider(loopback.base_url, key=None, needs_key=False)
    assert await asked.models() == ()
    await asked.aclose()
    assert "authorization" not in loopback.requests[0].headers
    assert KEY.encode() not in loopback.requests[0].body
