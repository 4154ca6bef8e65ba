"""A key goes to its own provider only, and is never shown."""

from __future__ import annotations

import logging
import traceback

import pytest

from holychat.domain.request import ProviderInfo
from holychat.errors import HolychatError, KeyMissing, KeyRejected, ProviderError, RequestRefused
from holychat.providers.openai import OpenAIProvider
from tests.providers.tools import KEY, REQUEST, FakeSecret, Outcome, ask, outcome_of, provider
from tests.support.loopback import (
    Loopback,
    Script,
    chunk,
    error_reply,
    events_reply,
    json_reply,
    sse,
    stream_of,
    whole,
)  # fmt: skip


def everything_said(error: HolychatError | None) -> str:
    assert error is not None
    chain = traceback.TracebackException.from_exception(error, capture_locals=False)
    return "\n".join([*chain.format(), repr(error), repr(vars(error)), repr(error.__context__), repr(error.__cause__)])


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(error_reply(401, f"Incorrect API key provided: {KEY}."), id="error message"),
        pytest.param(error_reply(401, f"key ending in {KEY[-20:]}"), id="last characters"),
        pytest.param(error_reply(400, f"{'x' * 280} {KEY}"), id="at the cut"),
        pytest.param(Script(403, {"content-type": "text/plain"}, [KEY.encode()]), id="plain text"),
        pytest.param(error_reply(500, "x", headers={"x-request-id": KEY}), id="request id"),
        pytest.param(Script(302, {"location": f"https://x.example/?key={KEY}"}), id="redirect"),
        pytest.param(Script(200, {"content-type": f"text/{KEY}"}, [b"x"]), id="media type"),
        pytest.param(
            Script(200, {"content-type": "text/event-stream", "content-encoding": KEY}, [b"x"]), id="encoding"
        ),
        pytest.param(events_reply(sse(chunk("a"), {"error": {"message": KEY}})), id="error in the stream"),
        pytest.param(events_reply(sse(chunk("a"), {"error": {KEY: [KEY]}})), id="error of no known shape"),
        pytest.param(Script(pieces=[f"HTTP/1.1 200 {KEY}\x00\r\n\r\n".encode()], framing="raw"), id="status line"),
        pytest.param(Script(pieces=[f"{KEY}\r\n\r\n".encode()], framing="raw"), id="no HTTP"),
    ],
)
async def test_a_key_that_a_server_echoes_is_masked(
    loopback: Loopback, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "holychat")
    loopback.chat(script)
    outcome = await ask(loopback.base_url)
    assert isinstance(outcome.error, ProviderError)
    for part in (KEY, KEY[:12], KEY[-12:]):
        assert part not in everything_said(outcome.error)
        assert part not in caplog.text


@pytest.mark.parametrize("bad", [f"{KEY}\n", f"{KEY}\r\nX: y", f"{KEY}\0", f" {KEY}", f"{KEY}é", f"Bearer {KEY}"])
async def test_a_key_that_no_header_can_carry_is_refused_without_being_quoted(loopback: Loopback, bad: str) -> None:
    asked = provider(loopback.base_url, key=bad)
    outcome = await outcome_of(asked)
    await asked.aclose()
    assert isinstance(outcome.error, KeyRejected)
    assert "holychat keys set test" in outcome.error.hint
    assert KEY not in everything_said(outcome.error)
    assert not loopback.requests


async def test_a_header_that_h11_refuses_is_not_quoted(loopback: Loopback) -> None:
    asked = provider(loopback.base_url)
    client = await asked._pool.client()
    client.headers["x-bad"] = f"{KEY}\n"
    outcome = await outcome_of(asked)
    await asked.aclose()
    assert isinstance(outcome.error, RequestRefused)
    assert KEY not in everything_said(outcome.error)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed_and_says_where_it_pointed(loopback: Loopback, status: int) -> None:
    with Loopback() as other:
        other.chat(stream_of("the answer of a stranger"))
        target = f"{other.base_url}/chat/completions"
        loopback.chat(Script(status, {"location": target}, [], "length"))
        outcome = await ask(loopback.base_url)
        assert not other.requests
    assert outcome.text == ""
    assert isinstance(outcome.error, RequestRefused)
    assert target in outcome.error.title
    assert outcome.error.status == status


@pytest.mark.parametrize("location", ["", "http://[bad", "\x80\xff", "//", "x" * 5000])
async def test_a_redirect_to_nowhere_is_an_error_too(loopback: Loopback, location: str) -> None:
    loopback.chat(Script(307, {"location": location}, [], "length"))
    outcome = await ask(loopback.base_url)
    assert isinstance(outcome.error, ProviderError)
    assert len(outcome.error.title) < 600


async def test_nothing_that_holds_a_key_shows_it(loopback: Loopback) -> None:
    loopback.chat(stream_of("Hi"))
    asked = provider(loopback.base_url)
    await outcome_of(asked)
    exchange = await asked._ask(REQUEST, stream=True, idle_seconds=5)
    shown = [repr(asked), repr(exchange), repr(vars(asked)), repr(vars(exchange)), repr(vars(asked._pool))]
    await exchange.close()
    await asked.aclose()
    assert KEY not in "".join(shown)


async def test_the_key_is_looked_up_for_each_request_and_may_be_a_function(loopback: Loopback) -> None:
    keys = iter(["first-key-000", "second-key-00"])
    info = ProviderInfo("test", "openai", loopback.base_url, "m", True)
    asked = OpenAIProvider(info, key=lambda: FakeSecret(next(keys)))
    loopback.chat(whole("Hi"))
    for _ in range(2):
        await asked.complete(REQUEST)
    await asked.aclose()
    assert [request.headers["authorization"] for request in loopback.requests] == [
        "Bearer first-key-000",
        "Bearer second-key-00",
    ]


async def test_without_a_key_nothing_is_sent_where_one_is_needed(loopback: Loopback) -> None:
    asked = provider(loopback.base_url, key=None)
    with pytest.raises(KeyMissing) as caught:
        await asked.complete(REQUEST)
    await asked.aclose()
    assert "holychat keys set test" in caught.value.hint
    assert not loopback.requests


async def test_plain_http_to_another_machine_warns_before_a_key_goes_out(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("HTTP_PROXY", loopback.url)
    seen: list[str] = []

    def answer(request: object) -> Script:
        seen.append(caplog.text)
        return stream_of("Hi")

    loopback.on("http://model.invalid/v1/chat/completions", answer)
    asked = provider("http://model.invalid/v1")
    assert "model.invalid over plain http" in asked.warnings()[0]
    outcomes: list[Outcome] = [await outcome_of(asked) for _ in range(2)]
    await asked.aclose()
    assert [outcome.text for outcome in outcomes] == ["Hi", "Hi"]
    assert "plain http" in seen[0]
    assert caplog.text.count("plain http") == 1


@pytest.mark.parametrize(
    ("address", "needs_key"),
    [("http://127.0.0.1:1/v1", True), ("https://model.invalid/v1", True), ("http://192.168.1.5/v1", False)],
)
def test_there_is_no_warning_where_no_key_is_at_risk(address: str, needs_key: bool) -> None:
    assert provider(address, needs_key=needs_key).warnings() == ()


async def test_cookies_of_a_server_are_not_kept(loopback: Loopback) -> None:
    loopback.on("/v1/models", json_reply({"data": []}, headers={"set-cookie": "a=b"}), method="GET")
    asked = provider(loopback.base_url)
    for _ in range(2):
        await asked.models()
    await asked.aclose()
    assert "cookie" not in loopback.requests[1].headers
