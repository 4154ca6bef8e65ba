"""Requests of a lane that left: when nobody knows what became of them, and what a status says."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from holychat.errors import (
    KeyRejected,
    Outcome,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    ReplyBroken,
    RequestRefused,
    ServerFault,
)  # fmt: skip
from holychat.log import Masker
from holychat.providers import aio
from holychat.providers.openai import OpenAIProvider
from tests.providers.lanes import error_of, laned, send
from tests.providers.tools import KEY, REQUEST, FakeSecret
from tests.support.loopback import (
    CUT,
    FOREVER,
    RESET,
    Loopback,
    Pause,
    Piece,
    Script,
    error_reply,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CERTIFICATE = Path(__file__).with_name("self_signed.pem")
JSON = {"content-type": "application/json"}


@pytest.fixture
async def asked(loopback: Loopback) -> AsyncIterator[OpenAIProvider]:
    made = laned(loopback.base_url)
    yield made
    await made.aclose()


# It was sent, and nobody knows what became of it


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param([CUT], id="closed without an answer"),
        pytest.param([RESET], id="reset without an answer"),
        pytest.param([Pause(0.05), RESET], id="reset a little later"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n", CUT], id="not HTTP"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-", CUT], id="cut inside the headers"),
        pytest.param([b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", CUT], id="a header that is none"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n", CUT], id="a length that is none"),
        pytest.param([b"HTTP/1.1 200 OK\r\nx: " + b"y" * 200_000 + b"\r\n\r\n", CUT], id="an over-long header"),
    ],
)
async def test_a_connection_that_breaks_after_sending_is_ambiguous_and_sent_once(
    loopback: Loopback, pieces: list[Piece]
) -> None:
    loopback.chat(Script(pieces=pieces, framing="raw"))
    error = await error_of(loopback.base_url)
    assert isinstance(error, ReplyBroken)
    assert error.outcome is Outcome.AMBIGUOUS
    await asyncio.sleep(0.05)
    assert len(loopback.requests) == 1


async def test_a_kept_connection_that_breaks_is_not_sent_over_another_one(
    loopback: Loopback, asked: OpenAIProvider
) -> None:
    """What a library may do for methods that can be repeated must never happen to a POST."""
    loopback.chat(whole("first"), Script(pieces=[RESET], framing="raw"), whole("never"))
    await asked.send(REQUEST)
    with pytest.raises(ReplyBroken) as broken:
        await asked.send(REQUEST)
    assert broken.value.outcome is Outcome.AMBIGUOUS
    first, second = loopback.requests
    assert first.connection == second.connection, "this shows nothing unless the connection was used again"


async def test_a_connection_that_the_server_closed_meanwhile_is_not_used(
    loopback: Loopback, asked: OpenAIProvider
) -> None:
    body = b"".join(piece for piece in whole("x").pieces if isinstance(piece, bytes))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    loopback.chat(Script(pieces=[head, body, Pause(0.05), CUT], framing="raw"))
    for count in (1, 2, 3):
        assert b"chatcmpl" in (await asked.send(REQUEST)).body
        await asyncio.sleep(0.2)
        assert loopback.connections == count
    assert len(loopback.requests) == 3


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(
            Script(
                200, pieces=[b"HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n", b'{"id": "half', CUT], framing="raw"
            ),
            id="shorter than its length",
        ),
        pytest.param(Script(200, JSON, [b'{"id": "half', CUT], "chunked"), id="chunks without an end"),
        pytest.param(Script(200, JSON, [b'{"id": "half', RESET], "chunked"), id="reset inside"),
        pytest.param(Script(200, JSON, [b'{"id": "half'], "close"), id="no length at all"),
        pytest.param(Script(200, JSON, [b'{"id": "half'], "length"), id="whole, and yet cut"),
    ],
)
async def test_a_cut_body_is_ambiguous_and_what_came_is_kept(loopback: Loopback, script: Script) -> None:
    loopback.chat(script)
    error = await error_of(loopback.base_url)
    assert isinstance(error, ReplyBroken)
    assert error.outcome is Outcome.AMBIGUOUS
    assert error.partial == b'{"id": "half'


@pytest.mark.parametrize("begin", [[], [b'{"id": "be']])
async def test_a_reply_that_takes_too_long_is_ambiguous(loopback: Loopback, begin: list[Piece]) -> None:
    loopback.chat(Script(200, {**JSON, "x-request-id": "req-7"}, [*begin, FOREVER]))
    error = await error_of(loopback.base_url, seconds=0.4)
    assert isinstance(error, ReplyBroken)
    assert (error.outcome, error.partial) == (Outcome.AMBIGUOUS, b"".join(p for p in begin if isinstance(p, bytes)))
    assert "for 0.4 s" in error.title
    assert loopback.requests[0].gone.wait(5), "the connection stayed open"


async def test_a_reply_within_its_time_is_waited_for(loopback: Loopback) -> None:
    loopback.chat(Script(200, JSON, [Pause(0.6), b'{"choices": []}']))
    assert (await send(loopback.base_url, connect=0.3)).status == 200


@pytest.mark.parametrize(
    ("media", "body", "says"),
    [
        ("text/html", b"<html><h1>Log in</h1>", "a web page"),
        ("application/json", b"\xef\xbb\xbf <html>", "a web page"),
        ("text/plain", b"OK", "text/plain"),
        ("application/json", b"", "an empty body"),
    ],
)
async def test_a_success_that_is_no_reply_is_ambiguous(loopback: Loopback, media: str, body: bytes, says: str) -> None:
    loopback.chat(Script(200, {"content-type": media, "x-request-id": "req-3"}, [body], "length"))
    error = await error_of(loopback.base_url)
    assert (error.outcome, error.status, error.request_id) == (Outcome.AMBIGUOUS, 200, "req-3")
    assert says in error.title
    assert error.partial == body


async def test_a_body_that_is_too_large_is_given_up(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aio, "WHOLE_LIMIT", 100_000)
    for encoding, piece in (("identity", b" " * 65536), ("gzip", gzip.compress(b" " * 1_000_000))):
        loopback.chat(Script(200, {**JSON, "content-encoding": encoding}, [b"", *[piece] * 400, FOREVER]))
        error = await error_of(loopback.base_url)
        assert error.outcome is Outcome.AMBIGUOUS
        assert "larger than" in error.title
        assert len(error.partial) < 400_000


# What a status means

SAID = '{"error": {"message": "what it says", "type": "test_error", "code": null}}'
PAGE = "<html><h1>Oops</h1>"


@pytest.mark.parametrize(
    ("status", "body", "kind", "outcome"),
    [
        (400, SAID, RequestRefused, Outcome.FATAL),
        (400, PAGE, RequestRefused, Outcome.FATAL),
        (401, SAID, KeyRejected, Outcome.AUTH),
        (402, SAID, OutOfCredit, Outcome.AUTH),
        (403, SAID, KeyRejected, Outcome.AUTH),
        (404, SAID, RequestRefused, Outcome.FATAL),
        (413, PAGE, RequestRefused, Outcome.FATAL),
        (422, SAID, RequestRefused, Outcome.FATAL),
        (429, SAID.replace("null", '"insufficient_quota"'), OutOfCredit, Outcome.AUTH),
        (429, SAID, RateLimited, Outcome.REFUSED),
        (429, PAGE, RateLimited, Outcome.REFUSED),
        (503, SAID, Overloaded, Outcome.REFUSED),
        (503, PAGE, Overloaded, Outcome.REFUSED),
        (529, SAID, Overloaded, Outcome.REFUSED),
        (500, SAID, ServerFault, Outcome.SERVER_FAULT),
        (500, PAGE, ServerFault, Outcome.AMBIGUOUS),
        (500, "", ServerFault, Outcome.AMBIGUOUS),
        (408, SAID, ServerFault, Outcome.AMBIGUOUS),
        (502, SAID, ServerFault, Outcome.AMBIGUOUS),
        (502, PAGE, ServerFault, Outcome.AMBIGUOUS),
        (504, SAID, ServerFault, Outcome.AMBIGUOUS),
        (504, PAGE, ServerFault, Outcome.AMBIGUOUS),
        (200, SAID.replace("null", "429"), RateLimited, Outcome.REFUSED),
        (200, SAID.replace("null", "500"), ServerFault, Outcome.SERVER_FAULT),
        (200, '{"object": "error", "message": "what it says", "code": 400}', RequestRefused, Outcome.FATAL),
    ],
)
async def test_a_status_means_the_same_as_over_the_ordinary_road(
    loopback: Loopback, asked: OpenAIProvider, status: int, body: str, kind: type[ProviderError], outcome: Outcome
) -> None:
    media = "text/html" if body == PAGE else "application/json"
    headers = {"content-type": media, "x-request-id": "req-5"}
    loopback.chat(Script(status, headers, [body.encode()], "length", reason="Some Words"))
    error = await error_of(loopback.base_url)
    assert (type(error), error.outcome, error.request_id) == (kind, outcome, "req-5")
    ordinary = OpenAIProvider(asked.info, key=FakeSecret(), masker=Masker())
    with pytest.raises(ProviderError) as caught:
        await ordinary.send(REQUEST)
    await ordinary.aclose()
    theirs = caught.value
    assert (error.title, error.hint, error.status, error.retryable) == (
        theirs.title, theirs.hint, theirs.status, theirs.retryable
    )  # fmt: skip


async def test_a_reply_that_only_speaks_of_errors_is_a_reply(loopback: Loopback, asked: OpenAIProvider) -> None:
    loopback.chat(whole('Write "error" in JSON'))
    assert "error" in asked.read(await asked.send(REQUEST)).text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_not_followed(loopback: Loopback, status: int) -> None:
    loopback.chat(Script(status, {"location": f"{loopback.url}/elsewhere"}, [], "length"))
    loopback.on("/elsewhere", whole("never"))
    error = await error_of(loopback.base_url)
    assert isinstance(error, RequestRefused)
    assert "/elsewhere" in error.title
    assert len(loopback.requests) == 1


async def test_an_error_whose_body_never_ends_is_still_reported(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aio, "_ERROR_SECONDS", 0.3)
    for body in ([SAID.encode(), FOREVER], [b" " * 65536] * 40, [SAID.encode(), RESET]):
        loopback.chat(Script(401, JSON, body))
        assert isinstance(await error_of(loopback.base_url), KeyRejected)


async def test_a_server_that_repeats_the_key_is_not_quoted_with_it(loopback: Loopback) -> None:
    loopback.chat(error_reply(400, f"Bearer {KEY} is odd", headers={"x-request-id": KEY}))
    error = await error_of(loopback.base_url)
    assert "odd" in error.title
    assert KEY not in error.request_id
    reply = whole("x", request_id=KEY)
    loopback.chat(reply)
    assert KEY not in (await send(loopback.base_url)).request_id
