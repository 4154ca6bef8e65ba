"""Everything that goes wrong on the wire: the error it becomes, and the text that is kept."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

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
from holychat.providers.waits import retry_after
from tests.providers.tools import REQUEST, ask, outcome_of, provider
from tests.support.loopback import (
    CUT,
    FOREVER,
    RESET,
    Gate,
    Loopback,
    Pause,
    Piece,
    Script,
    chunk,
    error_reply,
    event,
    events_reply,
    json_reply,
    reply_events,
    sse,
    stream_of,
)  # fmt: skip


async def error_of(loopback: Loopback, script: Script, *, idle: float = 20.0) -> ProviderError:
    loopback.chat(script)
    outcome = await ask(loopback.base_url, idle=idle)
    assert outcome.error is not None
    assert outcome.error.__context__ is None, "an exception of httpx hangs on the error"
    assert outcome.error.provider == "test"
    return outcome.error


# Replies that break off


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        pytest.param([], "no finish reason", id="clean end without a finish reason"),
        pytest.param([b'data: {"choices":[{"delta":{"con'], "no finish reason", id="end inside an event"),
        pytest.param([Pause(0.05), RESET], "broke off", id="reset"),
        pytest.param([Pause(0.05), CUT], "broke off", id="chunked body without its end"),
        pytest.param([FOREVER], "nothing more for 0.5 s", id="silence"),
        pytest.param(sse({"error": {"message": "worker died", "code": 502}}), "worker died", id="error object"),
        pytest.param(sse({"error": "no memory"}), "no memory", id="error as a string"),
        pytest.param([b'event: error\ndata: {"message":"late failure"}\n\n'], "late failure", id="error event"),
        pytest.param([b'error: {"code":500,"message":"slot gone"}\n\n'], "slot gone", id="field named error"),
        pytest.param(sse(chunk(finish="error")), "no reason", id="finish reason error"),
        pytest.param(sse("[1]"), "Expected `object`", id="JSON array"),
        pytest.param(sse("null"), "Expected `object`", id="JSON null"),
        pytest.param(sse("7"), "Expected `object`", id="JSON number"),
        pytest.param(sse("hello"), "not JSON", id="no JSON"),
        pytest.param(sse(chunk(7)), "delta.content", id="content of a wrong type"),
        pytest.param(sse({"choices": {}}), "$.choices", id="choices of a wrong type"),
        pytest.param(sse('{"x":' + "[" * 100_000), "not JSON", id="deeply nested"),
        pytest.param(
            sse(r'{"choices":[{"delta":{"content":["\ud83d",7]}}]}'), "content", id="wrong type beside a half"
        ),
    ],
)
async def test_text_that_arrived_is_kept_when_the_reply_breaks(
    loopback: Loopback, tail: list[Piece], says: str
) -> None:
    loopback.chat(events_reply([*sse(chunk("Hel"), chunk("lo")), *tail], x_request_id="req-9"))
    outcome = await ask(loopback.base_url, idle=0.5)
    assert outcome.text == "Hello"
    assert isinstance(outcome.error, ReplyBroken)
    assert outcome.finish is None
    assert says in outcome.error.title
    assert outcome.error.request_id == "req-9"
    assert outcome.error.__context__ is None


async def test_a_body_shorter_than_its_length_is_broken(loopback: Loopback) -> None:
    body = event(chunk("Hi"))
    loopback.chat(Script(200, {"content-type": "text/event-stream", "content-length": "9999"}, [body, CUT], "length"))
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 9999\r\n\r\n"
    loopback.chat(Script(pieces=[head, body, CUT], framing="raw"))
    outcome = await ask(loopback.base_url)
    assert outcome.text == "Hi"
    assert isinstance(outcome.error, ReplyBroken)


async def test_trouble_after_the_finish_reason_does_not_spoil_the_reply(loopback: Loopback) -> None:
    for tail in ([RESET], [CUT], sse({"error": "late"}), sse("junk")):
        loopback.chat(events_reply([*sse(chunk("Hi", finish="stop")), Pause(0.02), *tail]))
        outcome = await ask(loopback.base_url)
        assert (outcome.text, outcome.finish, outcome.error) == ("Hi", "stop", None)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param([CUT], id="closed before an answer"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n", CUT], id="not HTTP"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-", CUT], id="cut inside the headers"),
        pytest.param([RESET], id="reset before an answer"),
    ],
)
async def test_no_answer_after_sending_is_ambiguous(loopback: Loopback, raw: list[Piece]) -> None:
    error = await error_of(loopback, Script(pieces=raw, framing="raw"))
    assert isinstance(error, ReplyBroken)
    assert (error.outcome, error.retryable) == (Outcome.AMBIGUOUS, True)


async def test_silence_before_the_answer_ends_with_the_idle_clock(loopback: Loopback) -> None:
    error = await error_of(loopback, Script(pieces=[FOREVER], framing="raw"), idle=0.3)
    assert isinstance(error, ReplyBroken)
    assert "nothing for 0.3 s" in error.title


# Errors in place of a reply


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "slow down", "code": 429}}, RateLimited),
        ({"error": {"message": "bad key", "code": "invalid_api_key"}}, KeyRejected),
        ({"error": {"message": "empty", "type": "insufficient_quota"}}, OutOfCredit),
        ({"error": {"message": "busy", "type": "overloaded_error"}}, Overloaded),
        ({"error": {"message": "broken"}}, ServerFault),
        ({"object": "error", "message": "too long", "code": 400}, RequestRefused),
    ],
)
async def test_an_error_object_with_200_is_the_error_it_tells_of(
    loopback: Loopback, body: dict[str, object], kind: type[ProviderError]
) -> None:
    for script in (events_reply(sse(body)), json_reply(body)):
        error = await error_of(loopback, script)
        assert type(error) is kind
        told = body.get("error", body)
        assert isinstance(told, dict)
        assert str(told["message"]) in error.title


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(Script(200, {"content-type": "text/html"}, [b"<html>Welcome"]), id="web page"),
        pytest.param(Script(200, {"content-type": "application/json"}, [b"<html>Welcome"]), id="web page as JSON"),
        pytest.param(Script(200, {"content-type": "text/plain"}, [b"fine"]), id="plain text"),
        pytest.param(Script(200, {}, [], "length"), id="empty"),
        pytest.param(Script(204, {}, [], "raw"), id="204"),
        pytest.param(Script(200, {"content-type": "text/html"}, [b"<html>", FOREVER]), id="web page without end"),
    ],
)
async def test_a_success_that_is_no_reply_says_what_came(loopback: Loopback, script: Script) -> None:
    if script.status == 204:
        script = Script(pieces=[b"HTTP/1.1 204 No Content\r\n\r\n"], framing="raw")
    error = await error_of(loopback, script, idle=1.0)
    assert isinstance(error, ReplyBroken)
    assert "in place of a reply" in error.title
    assert "Welcome" not in str(error)
    assert not error.retryable


async def test_html_and_nothing_labelled_as_events_are_cut_replies(loopback: Loopback) -> None:
    for body in (b"<html><body>Hi</body></html>\n\n", b""):
        error = await error_of(loopback, events_reply([body] if body else []))
        assert isinstance(error, ReplyBroken)
        assert "no finish reason" in error.title


async def test_a_whole_reply_of_a_wrong_shape_names_the_field(loopback: Loopback) -> None:
    asked = provider(loopback.base_url)
    for body, says in (({"choices": 7}, "$.choices"), ({"id": "x"}, "`choices`")):
        loopback.chat(json_reply(body))
        with pytest.raises(ReplyBroken, match="cannot be read") as caught:
            await asked.complete(REQUEST)
        assert says in caught.value.title
    await asked.aclose()


# Statuses


@pytest.mark.parametrize(
    ("status", "code", "kind", "outcome", "retryable", "exit_code"),
    [
        (400, None, RequestRefused, Outcome.FATAL, False, 4),
        (401, "invalid_api_key", KeyRejected, Outcome.AUTH, False, 3),
        (402, None, OutOfCredit, Outcome.AUTH, False, 4),
        (403, None, KeyRejected, Outcome.AUTH, False, 3),
        (403, "insufficient_user_quota", OutOfCredit, Outcome.AUTH, False, 4),
        (404, "model_not_found", RequestRefused, Outcome.FATAL, False, 4),
        (408, None, ServerFault, Outcome.AMBIGUOUS, True, 5),
        (409, None, RequestRefused, Outcome.FATAL, False, 4),
        (413, None, RequestRefused, Outcome.FATAL, False, 4),
        (418, None, RequestRefused, Outcome.FATAL, False, 4),
        (422, None, RequestRefused, Outcome.FATAL, False, 4),
        (429, None, RateLimited, Outcome.REFUSED, True, 4),
        (429, "insufficient_quota", OutOfCredit, Outcome.AUTH, False, 4),
        (500, None, ServerFault, Outcome.SERVER_FAULT, True, 5),
        (501, None, ServerFault, Outcome.SERVER_FAULT, False, 5),
        (502, None, ServerFault, Outcome.AMBIGUOUS, True, 5),
        (503, None, Overloaded, Outcome.REFUSED, True, 5),
        (504, None, ServerFault, Outcome.AMBIGUOUS, True, 5),
        (529, None, Overloaded, Outcome.REFUSED, True, 5),
    ],
)
async def test_a_status_becomes_its_error(
    loopback: Loopback, status: int, code: str | None, kind: type, outcome: Outcome, retryable: bool, exit_code: int
) -> None:
    reply = error_reply(status, "what it says", code=code, headers={"x-request-id": "req-7"})
    script = Script(status, reply.headers, reply.pieces, "length", reason="Because")
    error = await error_of(loopback, script)
    assert type(error) is kind
    assert (error.status, error.outcome, error.retryable, error.exit_code) == (status, outcome, retryable, exit_code)
    assert "what it says" in error.title
    assert error.request_id == "req-7"
    assert error.hint


async def test_hints_name_the_command_that_helps(loopback: Loopback) -> None:
    hint = (await error_of(loopback, error_reply(401))).hint
    assert "`holychat keys set test`" in hint
    assert "`holychat keys status`" in hint
    missing = error_reply(404, "The model `gpt-9` does not exist or you do not have access to it.")
    assert "`holychat models -p test`" in (await error_of(loopback, missing)).hint
    assert "`holychat models" in (await error_of(loopback, error_reply(503, "x", code="model_not_found"))).hint
    assert "base_url" in (await error_of(loopback, error_reply(404, "Not Found"))).hint
    assert "too long" in (await error_of(loopback, error_reply(400, "x", code="context_length_exceeded"))).hint


@pytest.mark.parametrize(
    ("media", "body", "title"),
    [
        ("text/html", b"<html><h1>Oops</h1>" + b"x" * 3000, "test failed: HTTP 502 Bad Gateway"),
        ("application/json", b"<html>Oops</html>", "test failed: HTTP 502 Bad Gateway"),
        ("application/json", b'{"error": {"mess', "test failed: HTTP 502 Bad Gateway"),
        ("text/plain", b"", "test failed: HTTP 502 Bad Gateway"),
        ("application/octet-stream", b"\x00\xff\x1b", "test failed: HTTP 502 Bad Gateway"),
        ("text/plain", b"upstream\x1b]0;x\x07 gone\nmore", "test failed (HTTP 502): upstream�]0;x� gone"),
        ("application/json", b'"quoted"', "test failed (HTTP 502): quoted"),
        ("application/json", b'{"detail": "Not here"}', "test failed (HTTP 502): Not here"),
        ("application/json", b'{"error": "no such thing"}', "test failed (HTTP 502): no such thing"),
        ("application/json", b'[{"error": {"message": "in a list"}}]', "test failed (HTTP 502): in a list"),
        (
            "application/json",
            b'{"error": {"message": "Provider error", "code": 502, "metadata": {"raw": "the cause"}}}',
            "test failed (HTTP 502): Provider error: the cause",
        ),
    ],
)
async def test_error_bodies_of_all_dialects_are_read_and_web_pages_never_quoted(
    loopback: Loopback, media: str, body: bytes, title: str
) -> None:
    error = await error_of(loopback, Script(502, {"content-type": media}, [body] if body else []))
    assert error.title == title


async def test_a_500_without_words_of_the_provider_is_ambiguous(loopback: Loopback) -> None:
    error = await error_of(loopback, Script(500, {"content-type": "text/html"}, [b"<html>"]))
    assert (type(error), error.outcome) == (ServerFault, Outcome.AMBIGUOUS)


async def test_the_provider_may_say_whether_a_retry_helps(loopback: Loopback) -> None:
    assert (await error_of(loopback, error_reply(409, headers={"x-should-retry": "true"}))).retryable
    assert not (await error_of(loopback, error_reply(500, headers={"x-should-retry": "false"}))).retryable
    assert not (await error_of(loopback, error_reply(401, headers={"x-should-retry": "true"}))).retryable


@pytest.mark.parametrize("begin", [b"", b'{"error":{"message":"never ', b'{"error":{"message":"whole"}}'])
async def test_an_error_whose_body_never_ends_is_still_reported(loopback: Loopback, begin: bytes) -> None:
    async with asyncio.timeout(15):
        error = await error_of(loopback, Script(401, {"content-type": "application/json"}, [begin, FOREVER]), idle=0.4)
    assert isinstance(error, KeyRejected)
    assert ("whole" in error.title) == begin.endswith(b"}}")


# How long to wait


NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "7"}, 0.25),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=30), usegmt=True)}, 30.0),
        ({"retry-after": format_datetime(NOW - timedelta(days=9), usegmt=True)}, 0.0),
        ({"retry-after": "Sun, 99 Foo 2026 99:99:99 GMT"}, None),
        ({"retry-after": "Sun, 01 Mar 2026 13:00:10 GMT", "date": "Sun, 01 Mar 2026 13:00:00 GMT"}, 10.0),
    ],
)
def test_the_wait_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


async def test_the_wait_is_part_of_the_error(loopback: Loopback) -> None:
    assert (await error_of(loopback, error_reply(429, headers={"retry-after": "7"}))).retry_after == 7.0
    google = {
        "error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "q", "details": [{"retryDelay": "34.4s"}]}
    }
    assert (await error_of(loopback, json_reply([google], 429))).retry_after == 34.4


async def test_several_streams_fail_and_succeed_side_by_side(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(events_reply([*sse(chunk("a")), gate, RESET]), events_reply([gate, *reply_events(["b"])]))
    asked = provider(loopback.base_url)
    running = [asyncio.create_task(outcome_of(asked)) for _ in range(2)]
    await asyncio.to_thread(loopback.wait_for, 2)
    gate.open()
    outcomes = await asyncio.gather(*running)
    assert sorted(outcome.text for outcome in outcomes) == ["a", "b"]
    loopback.chat(stream_of("after"))
    assert (await outcome_of(asked)).text == "after"
    await asked.aclose()
