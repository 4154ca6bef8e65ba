"""Everything that goes wrong with Anthropic messages: the error it becomes, and the text that is kept."""

from __future__ import annotations

import asyncio
import gzip
import logging
import traceback
from typing import TYPE_CHECKING, Any

import pytest

from holychat.domain.request import RateLimits
from holychat.errors import (
    KeyMissing,
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
from tests.providers.claudes import HI, ask_claude, claude, messages
from tests.providers.tools import KEY, outcome_of
from tests.support.loopback import (
    CUT,
    FOREVER,
    RESET,
    Loopback,
    Pause,
    Piece,
    Script,
    chunk,
    events_reply,
    json_reply,
    sse,
)  # fmt: skip
from tests.support.messages import (
    PING,
    closed,
    ended,
    message_stream,
    named,
    opened,
    other_delta,
    refusal,
    started,
    text,
    trouble,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024


async def error_of(loopback: Loopback, script: Script, *, idle: float = 20.0) -> ProviderError:
    messages(loopback, script)
    outcome = await ask_claude(loopback, idle=idle)
    assert outcome.error is not None
    assert outcome.error.__context__ is None, "an exception of httpx hangs on the error"
    assert outcome.error.provider == "test"
    return outcome.error


def failed(kind: str, message: str) -> bytes:
    return named("error", **trouble(kind, message))


# Messages that break off


@pytest.mark.parametrize(
    ("tail", "says"),
    [
        pytest.param([], "no finish reason", id="clean end without a reason"),
        pytest.param([closed(), ended(None)], "no finish reason", id="counts without a reason"),
        pytest.param([b'data: {"type":"content_block_de'], "no finish reason", id="end inside an event"),
        pytest.param([Pause(0.05), RESET], "broke off", id="reset"),
        pytest.param([Pause(0.05), CUT], "broke off", id="chunked body without its end"),
        pytest.param([FOREVER], "nothing more for 0.5 s", id="silence"),
        pytest.param([failed("overloaded_error", "Overloaded")], "broke the reply off: Overloaded", id="overloaded"),
        pytest.param([failed("api_error", "it died")], "it died", id="error event"),
        pytest.param(sse(trouble("api_error", "unnamed")), "unnamed", id="error by its type alone"),
        pytest.param([b"event: error\ndata: plain words\n\n"], "plain words", id="error that is no JSON"),
        pytest.param(sse("[1]"), "Expected `object`", id="JSON array"),
        pytest.param(sse("hello"), "not JSON", id="no JSON"),
        pytest.param([other_delta(type="text_delta", text=7)], "$.delta.text", id="text of a wrong type"),
        pytest.param([named("content_block_start", content_block=[])], "$.content_block", id="block of a wrong type"),
        pytest.param(sse('{"x":' + "[" * 100_000), "not JSON", id="deeply nested"),
    ],
)
async def test_text_that_arrived_is_kept_when_the_message_breaks(
    loopback: Loopback, tail: list[Piece], says: str
) -> None:
    head = [started(), opened(), text("Hel"), PING, text("lo")]
    messages(loopback, events_reply([*head, *tail], request_id="req-9"))
    outcome = await ask_claude(loopback, idle=0.5)
    assert outcome.text == "Hello"
    assert isinstance(outcome.error, ReplyBroken)
    assert outcome.finish is None
    assert says in outcome.error.title
    assert outcome.error.request_id == "req-9"
    assert outcome.error.__context__ is None


async def test_trouble_after_the_reason_does_not_spoil_the_message(loopback: Loopback) -> None:
    for tail in ([RESET], [CUT], [failed("api_error", "late")], sse("junk")):
        messages(loopback, events_reply([started(), opened(), text("Hi"), ended(), Pause(0.02), *tail]))
        outcome = await ask_claude(loopback)
        assert (outcome.text, outcome.finish, outcome.error) == ("Hi", "stop", None)


async def test_chat_completions_in_place_of_messages_are_no_reply(loopback: Loopback) -> None:
    error = await error_of(loopback, events_reply(sse(chunk("Hi", finish="stop"))))
    assert isinstance(error, ReplyBroken)
    assert "no finish reason" in error.title


# Errors in place of a reply


@pytest.mark.parametrize(
    ("kind", "message", "expected", "outcome"),
    [
        ("overloaded_error", "Overloaded", Overloaded, Outcome.REFUSED),
        ("rate_limit_error", "slow down", RateLimited, Outcome.REFUSED),
        ("authentication_error", "invalid x-api-key", KeyRejected, Outcome.AUTH),
        ("permission_error", "not yours", KeyRejected, Outcome.AUTH),
        ("billing_error", "pay", OutOfCredit, Outcome.AUTH),
        ("invalid_request_error", "bad", RequestRefused, Outcome.FATAL),
        ("not_found_error", "model: claude-9", RequestRefused, Outcome.FATAL),
        ("request_too_large", "big", RequestRefused, Outcome.FATAL),
        ("timeout_error", "late", ServerFault, Outcome.AMBIGUOUS),
        ("api_error", "it died", ServerFault, Outcome.SERVER_FAULT),
    ],
)
async def test_an_error_with_200_before_any_text_is_the_error_it_tells_of(
    loopback: Loopback, kind: str, message: str, expected: type[ProviderError], outcome: Outcome
) -> None:
    for script in (
        events_reply([failed(kind, message)]),
        events_reply([started(), PING, failed(kind, message)]),
        json_reply(trouble(kind, message)),
    ):
        error = await error_of(loopback, script)
        assert type(error) is expected
        assert (error.outcome, message in error.title) == (outcome, True)
        assert error.request_id in ("req-body", "msg_1")


async def test_an_error_once_the_model_works_is_a_message_that_broke(loopback: Loopback) -> None:
    head = [started(), opened(0, "thinking")]
    error = await error_of(loopback, events_reply([*head, failed("overloaded_error", "Overloaded")]))
    assert isinstance(error, ReplyBroken)
    assert error.outcome is Outcome.SERVER_FAULT


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(Script(200, {"content-type": "text/html"}, [b"<html>Welcome"]), id="web page"),
        pytest.param(Script(200, {"content-type": "application/json"}, [b"<html>Welcome"]), id="web page as JSON"),
        pytest.param(Script(200, {}, [], "length"), id="empty"),
    ],
)
async def test_a_success_that_is_no_message_says_what_came(loopback: Loopback, script: Script) -> None:
    error = await error_of(loopback, script)
    assert isinstance(error, ReplyBroken)
    assert "in place of a reply" in error.title
    assert "/v1/messages" in error.hint
    assert not error.retryable


async def test_a_whole_message_of_a_wrong_shape_names_the_field(loopback: Loopback) -> None:
    asked = claude(loopback.url)
    for body, says in (({"content": 7}, "$.content"), ({"id": "x"}, "`content`")):
        messages(loopback, json_reply(body))
        with pytest.raises(ReplyBroken, match="cannot be read") as caught:
            await asked.complete(HI)
        assert says in caught.value.title
    await asked.aclose()


# Statuses


@pytest.mark.parametrize(
    ("status", "kind", "expected", "outcome", "retryable", "exit_code"),
    [
        (400, "invalid_request_error", RequestRefused, Outcome.FATAL, False, 4),
        (401, "authentication_error", KeyRejected, Outcome.AUTH, False, 3),
        (402, "billing_error", OutOfCredit, Outcome.AUTH, False, 4),
        (403, "permission_error", KeyRejected, Outcome.AUTH, False, 3),
        (404, "not_found_error", RequestRefused, Outcome.FATAL, False, 4),
        (413, "request_too_large", RequestRefused, Outcome.FATAL, False, 4),
        (429, "rate_limit_error", RateLimited, Outcome.REFUSED, True, 4),
        (500, "api_error", ServerFault, Outcome.SERVER_FAULT, True, 5),
        (504, "timeout_error", ServerFault, Outcome.AMBIGUOUS, True, 5),
        (529, "overloaded_error", Overloaded, Outcome.REFUSED, True, 5),
    ],
)
async def test_a_status_becomes_its_error(
    loopback: Loopback, status: int, kind: str, expected: type, outcome: Outcome, retryable: bool, exit_code: int
) -> None:
    error = await error_of(loopback, refusal(status, kind))
    assert type(error) is expected
    assert (error.status, error.outcome, error.retryable, error.exit_code) == (status, outcome, retryable, exit_code)
    assert "what it says" in error.title
    assert error.request_id == "req-7"
    assert error.hint


async def test_the_id_of_a_request_is_taken_from_the_body_where_no_header_has_it(loopback: Loopback) -> None:
    assert (await error_of(loopback, json_reply(trouble("api_error"), 500))).request_id == "req-body"


@pytest.mark.parametrize(
    "said",
    [
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade.",
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
    ],
)
async def test_an_empty_account_is_told_by_its_words_as_it_comes_with_400(loopback: Loopback, said: str) -> None:
    error = await error_of(loopback, refusal(400, "invalid_request_error", said))
    assert (type(error), error.outcome) == (OutOfCredit, Outcome.AUTH)


@pytest.mark.parametrize(
    ("status", "kind", "said", "hint"),
    [
        (401, "authentication_error", "invalid x-api-key", "`holychat keys set test`"),
        (404, "not_found_error", "model: claude-9", "`holychat models -p test`"),
        (404, "not_found_error", "Not Found", "base_url"),
        (400, "invalid_request_error", "prompt is too long: 208310 tokens > 200000 maximum", "too long"),
        (413, "request_too_large", "Request exceeds the maximum size", "too long"),
        (400, "invalid_request_error", "`temperature` is deprecated for this model.", "leave it out"),
    ],
)
async def test_hints_say_what_helps(loopback: Loopback, status: int, kind: str, said: str, hint: str) -> None:
    assert hint in (await error_of(loopback, refusal(status, kind, said))).hint


async def test_waits_and_limits_come_with_a_refusal(loopback: Loopback) -> None:
    headers = {
        "retry-after": "7",
        "date": "Sun, 01 Mar 2026 12:00:00 GMT",
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-03-01T12:00:07Z",
        "anthropic-ratelimit-tokens-limit": "40000",
        "anthropic-ratelimit-tokens-remaining": "12000",
        "anthropic-ratelimit-tokens-reset": "2026-03-01T12:00:30Z",
    }
    error = await error_of(loopback, refusal(429, "rate_limit_error", headers=headers))
    assert (error.retry_after, error.limits) == (7.0, RateLimits(50.0, 0.0, 7.0, 40_000.0, 12_000.0, 30.0))
    busy = refusal(529, "overloaded_error", "Overloaded", headers={"x-should-retry": "true", "retry-after": "2"})
    assert (await error_of(loopback, busy)).retry_after == 2.0


# Bounds


@pytest.mark.parametrize(
    ("unit", "begin", "says"),
    [
        pytest.param(b"x" * MIB, b"data: ", "one event", id="one endless line"),
        pytest.param(b": " + b"x" * 254 + b"\n\n", b"", "64 MiB", id="endless comments"),
    ],
)
async def test_what_a_server_sends_is_bounded(loopback: Loopback, unit: bytes, begin: bytes, says: str) -> None:
    block = unit * (MIB // len(unit))

    def endless() -> Iterator[Piece]:
        packer = gzip.compress
        yield packer(b"".join([started(), opened(), text("kept")]))
        yield packer(begin + block * 80)

    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    messages(loopback, Script(200, headers, endless()))
    outcome = await ask_claude(loopback)
    assert outcome.text == "kept"
    assert isinstance(outcome.error, ReplyBroken)
    assert says in outcome.error.title


# Keys


def everything_said(error: ProviderError | None) -> str:
    assert error is not None
    chain = traceback.TracebackException.from_exception(error, capture_locals=False)
    return "\n".join([*chain.format(), repr(error), repr(vars(error)), repr(error.__context__)])


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(refusal(401, "authentication_error", f"invalid x-api-key: {KEY}"), id="error message"),
        pytest.param(refusal(500, "api_error", headers={"request-id": KEY}), id="request id"),
        pytest.param(Script(302, {"location": f"https://x.example/?key={KEY}"}), id="redirect"),
        pytest.param(events_reply([started(), opened(), text("a"), failed("api_error", KEY)]), id="error event"),
        pytest.param(events_reply([named("error", error={KEY: [KEY]})]), id="error of no known shape"),
    ],
)
async def test_a_key_that_a_server_echoes_is_masked(
    loopback: Loopback, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "holychat")
    messages(loopback, script)
    outcome = await ask_claude(loopback)
    for part in (KEY, KEY[:12], KEY[-12:]):
        assert part not in everything_said(outcome.error)
        assert part not in caplog.text


async def test_without_a_key_nothing_is_sent(loopback: Loopback) -> None:
    asked = claude(loopback.url, key=None)
    with pytest.raises(KeyMissing):
        await asked.complete(HI)
    await asked.aclose()
    assert not loopback.requests


async def test_several_streams_fail_and_succeed_side_by_side(loopback: Loopback) -> None:
    broken: Any = events_reply([started(), opened(), text("a"), Pause(0.1), RESET])
    messages(loopback, broken, message_stream("b"))
    asked = claude(loopback.url)
    outcomes = await asyncio.gather(outcome_of(asked, HI), outcome_of(asked, HI))
    assert sorted(outcome.text for outcome in outcomes) == ["a", "b"]
    await asked.aclose()
