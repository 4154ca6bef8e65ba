"""The quota server keeps its word: what it counts, limits and breaks is what its rules say."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.quota_server import OUTCOMES, QuotaServer

if TYPE_CHECKING:
    from collections.abc import Iterator

_JSON_ERRORS = ("400", "401", "402", "403", "404", "413", "422", "429", "500", "503", "529")
_PAGES = {"502": 502, "504": 504, "408": 408, "200_html": 200}


@pytest.fixture(scope="module")
def one_server() -> Iterator[QuotaServer]:
    with QuotaServer(slow_ms=50) as server:
        yield server


def ask(server: QuotaServer, text: str, **more: object) -> httpx.Response:
    with httpx.Client(verify=False, base_url=server.base_url, timeout=5) as client:
        return client.post("/chat/completions", json={"messages": [{"role": "user", "content": text}], **more})


def test_an_answer_names_its_item_and_its_acceptance() -> None:
    with QuotaServer() as server:
        texts = [ask(server, "summarise item-000007").json()["choices"][0]["message"]["content"] for _ in range(2)]
        assert [text.split()[1] for text in texts] == ["item-000007.1", "item-000007.2"]
        ledger = server.ledger()
    assert ledger.accepted == {"item-000007": 2}
    assert ledger.unanswered == set()
    assert ledger.outcomes == {"ok": 2}


def test_a_streamed_answer_has_the_same_words() -> None:
    with QuotaServer() as server:
        lines = ask(server, "item-000001", stream=True).text.split("\n\n")
    events = [json.loads(line[6:]) for line in lines if line.startswith("data: {")]
    words = "".join(event["choices"][0]["delta"].get("content", "") for event in events if event["choices"])
    assert words.startswith("answer item-000001.1 word0")
    assert events[-1]["usage"]["completion_tokens"] == 8


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_a_request_can_ask_for_its_outcome(one_server: QuotaServer, outcome: str) -> None:
    broken = {"hang", "truncated", "reset_after", "reset_before"}
    one_server.reset()
    try:
        with httpx.Client(
            verify=False, base_url=one_server.base_url, timeout=0.3 if outcome == "hang" else 5
        ) as client:
            said = client.post("/chat/completions", json={"messages": f"item-000001 @@{outcome}*1@@"})
    except httpx.TransportError:
        assert outcome in broken
    else:
        assert outcome not in broken
        if outcome in _JSON_ERRORS:
            assert said.status_code == int(outcome)
            assert outcome in said.json()["error"]["message"]
        else:
            assert said.status_code == _PAGES.get(outcome, 200)
            assert said.text.startswith("<html>") == (outcome in _PAGES)
    assert ask(one_server, f"item-000001 @@{outcome}*1@@").status_code == 200
    ledger = one_server.ledger()
    first, second = ledger.items["item-000001"]
    assert (first[0], second[0]) == (outcome, "ok")
    accepted = outcome not in {*_JSON_ERRORS, "reset_before"}
    assert first[1] == accepted
    assert ledger.unanswered == ({"item-000001"} if accepted and outcome in broken else set())


async def crowd(server: QuotaServer, count: int, at_once: int) -> Counter[int]:
    """Statuses of many requests, sent as fast as they are answered."""
    statuses: Counter[int] = Counter()
    numbers = iter(range(count))

    async def sender(client: httpx.AsyncClient) -> None:
        for number in numbers:
            said = await client.post("/chat/completions", json={"messages": f"item-{number:06d}"})
            statuses[said.status_code] += 1

    async with httpx.AsyncClient(base_url=server.base_url) as client:
        await asyncio.gather(*(sender(client) for _ in range(at_once)))
    return statuses


async def test_a_quota_per_second_is_smoothed() -> None:
    with QuotaServer(per_second=20, burst_s=0.25, retry_after=True, limit_headers=True) as server:
        begun = time.monotonic()
        statuses = await crowd(server, 60, 4)
        allowed = 5 + (time.monotonic() - begun) * 20
        assert 5 <= statuses[200] <= allowed + 1
        assert statuses[429] == 60 - statuses[200]
        refused = ask(server, "item-000001")
        while refused.status_code == 200:
            refused = ask(server, "item-000001")
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["x-ratelimit-limit-requests"] == "1200"
    assert refused.headers["x-ratelimit-remaining-requests"] in {"0", "1"}


async def test_a_quota_per_minute_may_be_used_at_once_and_comes_back_whole() -> None:
    with QuotaServer(per_minute=10, minute_s=1.5) as server:
        statuses = await crowd(server, 20, 4)
        assert (statuses[200], statuses[429]) == (10, 10)
        deadline = time.monotonic() + 5
        while ask(server, "item-000001").status_code == 429:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        assert (await crowd(server, 9, 1))[200] == 9


async def test_more_requests_at_once_than_allowed_are_refused() -> None:
    with QuotaServer(concurrency=3, latency_ms=100) as server:
        statuses = await crowd(server, 6, 6)
        assert statuses == {200: 3, 429: 3}
        assert server.ledger().peak == 3
        server.set(concurrency=None)
        assert await crowd(server, 6, 6) == {200: 6}


def test_outcomes_by_chance_are_the_same_for_the_same_seed() -> None:
    def outcomes(seed: int) -> list[str]:
        with QuotaServer(rates={"500": 0.3, "429": 0.2}, seed=seed) as server:
            for number in range(30):
                ask(server, f"item-{number:06d}")
            return [rows[0][0] for rows in server.ledger().items.values()]

    first = outcomes(1)
    assert first == outcomes(1)
    assert set(first) == {"ok", "500", "429"}
    assert first != outcomes(2)


def test_a_client_that_went_before_the_answer_is_known() -> None:
    with QuotaServer(latency_ms=500) as server:
        with (
            pytest.raises(httpx.ReadTimeout),
            httpx.Client(verify=False, base_url=server.base_url, timeout=0.1) as client,
        ):
            client.post("/chat/completions", json={"messages": "item-000001"})
        deadline = time.monotonic() + 5
        while server.totals().in_flight:
            assert time.monotonic() < deadline
        ledger = server.ledger()
    assert ledger.accepted == {"item-000001": 1}
    assert ledger.unanswered == {"item-000001"}
