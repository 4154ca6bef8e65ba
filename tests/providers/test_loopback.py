"""The test server itself: what it says it sent is what a client gets."""

from __future__ import annotations

import httpx
import pytest

from tests.support.loopback import CUT, FOREVER, RESET, Gate, Loopback, Script, events_reply, sse, stream_of


def test_it_streams_a_scripted_reply_and_records_the_request(loopback: Loopback) -> None:
    loopback.chat(stream_of("Hel", "lo"))
    response = httpx.post(f"{loopback.base_url}/chat/completions", json={"model": "m"}, headers={"X-Thing": "1"})
    assert response.status_code == 200
    assert response.text.count("data: ") == 6
    assert response.text.endswith("data: [DONE]\n\n")
    assert loopback.requests[0].json == {"model": "m"}
    assert loopback.requests[0].headers["x-thing"] == "1"


def test_answers_are_given_in_turn_and_the_last_one_again(loopback: Loopback) -> None:
    loopback.on("/x", Script(500), Script(204, framing="length"), method="GET")
    assert [httpx.get(f"{loopback.url}/x").status_code for _ in range(3)] == [500, 204, 204]


def test_connections_are_kept_alive(loopback: Loopback) -> None:
    loopback.models("a")
    with httpx.Client() as client:
        for _ in range(3):
            client.get(f"{loopback.base_url}/models")
    assert loopback.connections == 1


def test_a_gate_holds_the_reply_until_it_is_opened(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(events_reply([*sse("one"), gate, *sse("two")]))
    with httpx.stream("POST", f"{loopback.base_url}/chat/completions") as response:
        pieces = response.iter_raw()
        assert next(pieces) == b"data: one\n\n"
        gate.wait_reached()
        gate.open()
        assert next(pieces) == b"data: two\n\n"


@pytest.mark.parametrize(("mark", "error"), [(RESET, httpx.ReadError), (CUT, httpx.RemoteProtocolError)])
def test_a_connection_can_break_off(loopback: Loopback, mark: object, error: type[Exception]) -> None:
    loopback.chat(events_reply([*sse("one"), mark]))
    with httpx.stream("POST", f"{loopback.base_url}/chat/completions") as response, pytest.raises(error):
        list(response.iter_raw())


def test_a_client_that_goes_away_is_noticed(loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse("one"), FOREVER]))
    with httpx.stream("POST", f"{loopback.base_url}/chat/completions") as response:
        next(response.iter_raw())
    assert loopback.requests[0].gone.wait(10)
