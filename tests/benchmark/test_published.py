"""`holychat bench` against a provider with the published latencies, and one with a quota: in true time.

Published are a first token after 48 and 32 ms, live replies of 2,340 and 1,120 ms, batch replies of 1,890 and 920 ms,
and 180 and 250 requests a minute.
"""

from __future__ import annotations

import json
import re
import socket
import time
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.cli.shell import HOLYCHAT, Shell
from tests.support.quota_server import QuotaServer

if TYPE_CHECKING:
    from pathlib import Path

PACES = {"alpha": (48.0, 2340.0, 1890.0), "beta": (32.0, 1120.0, 920.0)}
PUBLISHED_RATES = {"alpha": 180, "beta": 250}
CLOSE = 0.05
TRIES = 4
"""A first token of 32 ms is known to 1.6 ms: a machine that does other things besides gets more than one try."""
PROMPTS = 25


def bench(home: Path, server: QuotaServer, *arguments: str) -> dict[str, Any]:
    (home / "config").mkdir(parents=True, exist_ok=True)
    (home / "config" / "config.toml").write_text(
        f'[providers.here]\nkind = "openai"\nbase_url = "{server.base_url}"\nmodel = "alpha"\nneeds_key = false\n'
    )
    done = Shell().run("bench", "-p", "here", "--yes", "--json", *arguments)
    assert done.status == 0, (HOLYCHAT, done.error)
    found: dict[str, Any] = {model["model"]: model for model in done.json["models"]}
    return found


@pytest.fixture
def home(private_environment: Path) -> Path:
    return private_environment


@pytest.mark.parametrize("model", ["alpha", "beta"])
def test_published_latencies_are_reported_and_the_batch_is_ten_times_as_fast_as_published(
    home: Path, model: str
) -> None:
    _, live_ms, batch_ms = PACES[model]
    with QuotaServer(paces=PACES, reply_words=40) as server:
        found = bench(home, server, "-m", model, "--live-n", "4")[model]
        ledger = server.ledger()
    live, batch = found["live"], found["batch"]
    assert live["end_to_end"]["p50"] == pytest.approx(live_ms, rel=CLOSE)
    assert batch["end_to_end"]["p50"] == pytest.approx(batch_ms, rel=CLOSE)
    assert (batch["answered"], batch["errors"]) == (200, 0)
    assert batch["per_minute"] >= 10 * PUBLISHED_RATES[model]
    assert ledger.outcomes == {"ok": 204}


@pytest.mark.parametrize("model", ["alpha", "beta"])
def test_published_first_tokens_are_reported(home: Path, model: str) -> None:
    first_ms = PACES[model][0]
    seen = []
    with QuotaServer(paces={model: (first_ms, 100.0, 10.0)}, reply_words=10) as server:
        for _ in range(TRIES):
            found = bench(home, server, "-m", model, "-n", str(PROMPTS))
            reported = found[model]["live"]["first_token"]["p50"]
            bare = median(first_token_ms(server, model) for _ in range(PROMPTS))
            seen.append((reported, bare))
            # Only where a bare socket cannot see it either, because the machine is late, it is held to that one.
            in_time = bare == pytest.approx(first_ms, rel=CLOSE)
            if reported == pytest.approx(first_ms if in_time else bare, rel=CLOSE):
                return
    raise AssertionError(seen)


def first_token_ms(server: QuotaServer, model: str) -> float:
    """From a request on a new connection to the first word of its answer, with nothing but a socket."""
    message = {"role": "user", "content": "item-999999"}
    body = json.dumps({"model": model, "stream": True, "messages": [message]}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Length: {len(body)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(server.base_url).port or 0)) as line:
        begun, got = time.monotonic(), b""
        line.sendall(head.encode() + body)
        while not re.search(rb'"content": ?"[^"]', got):
            got += line.recv(65536)
        return (time.monotonic() - begun) * 1000


@pytest.mark.parametrize("told", [False, True])
def test_ninety_five_per_cent_of_a_quota_are_used_and_nothing_is_lost(home: Path, tmp_path: Path, told: bool) -> None:
    """A thousand a minute, and headers tell or nobody does; held for the part of a minute that tells."""
    count, per_minute = 300, 1000
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("".join(f"item-{number:06d}\n" for number in range(count)))
    rates = []
    for _ in range(TRIES):
        with QuotaServer(latency_ms=300, per_second=per_minute / 60, limit_headers=told) as server:
            found = bench(home, server, "-n", str(count), "--live-n", "1", "--prompts", str(prompts))
            ledger = server.ledger()
        batch = found["alpha"]["batch"]
        assert (batch["answered"], batch["errors"]) == (count, 0)
        assert set(ledger.accepted) == {f"item-{number:06d}" for number in range(count)}
        assert sum(ledger.accepted.values()) == count + 1
        assert not (told and ledger.refused)
        rates.append(min(batch["up_to_speed_per_minute"], batch["per_minute"]))
        if rates[-1] >= 0.95 * per_minute:
            return
    raise AssertionError(rates)
