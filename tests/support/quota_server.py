"""A provider on loopback with quotas and faults, in a process of its own, that keeps account of what it took on.

    with QuotaServer(latency_ms=20, per_second=50, limit_headers=True) as server:
        ... point an OpenAI-compatible provider at server.base_url, send documents that carry a marker `item-000123` ...
        ledger = server.ledger()
        assert ledger.accepted == {"item-000001": 1, ...}
        server.set(latency_ms=5, concurrency=8)      # new rules for what arrives from now on; the rest stays

It is written on bare asyncio protocols and takes well over 10,000 requests per second, so that it is not what is
measured. `python -m tests.support.quota_server '{"latency_ms": 5}'` runs it by hand: it prints {"port": …} and serves
until standard input ends.

Rules: see `Rules`. A request can ask for its own outcome: `@@hang@@` anywhere in its body, or `@@500*2@@` for the first
two requests of its item only. `rates` gives outcomes by chance. Outcomes (`OUTCOMES`):

    ok slow close          answered; slow: later by `slow_ms`; close: the idle connection is closed right after
    429 503 529            refused (beside what the quotas refuse)
    400 401 402 403 404 413 422      refused for good, JSON error
    500                    the provider's own JSON error
    502 504                accepted, then the HTML page of a gateway; 408 likewise
    200_html               accepted, then a page with status 200
    hang                   accepted, never answered
    truncated              accepted, half of the answer, then the end
    reset_after            accepted, then a TCP reset
    reset_before           TCP reset when the request arrives; not accepted

The account (`GET /ledger`): for each item, in order of arrival, [outcome, accepted, arrived, answered]. Accepted means
that the request was read wholly and not refused: a provider would bill it. `answered` is when the whole answer was
handed to the socket of a client that was still there. Times are seconds of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import asyncio
import json
import math
import random
import re
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import asdict, replace
from typing import Any

from tests.support.quota_handle import Ledger, QuotaServer
from tests.support.quota_rules import Quota, Rules

__all__ = ["OUTCOMES", "Ledger", "QuotaServer", "Rules"]

_REFUSED = {"429", "503", "529", "400", "401", "402", "403", "404", "413", "422"}
_ANSWERED = {"ok", "slow", "close"}
_GATEWAY = {"502", "504", "408", "200_html"}
_ACCEPTED = _ANSWERED | _GATEWAY | {"hang", "truncated", "reset_after"}
OUTCOMES = sorted(_REFUSED | _ACCEPTED | {"500", "reset_before"})

_CODES = {"401": "invalid_api_key", "402": "insufficient_quota", "404": "model_not_found", "429": "rate_limit_exceeded"}
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_ITEM = re.compile(rb"item-\d{6}")
_ORDER = re.compile(rb"@@([a-z_0-9]+?)(?:\*(\d+))?@@")
_MODEL = re.compile(rb'"model": ?"([^"]+)"')
_TIMER_SECONDS = 0.0015
"""How late a timer may be."""
_STREAM = re.compile(rb'"stream": ?true')
_PAGE = b"<html><head><title>Gateway</title></head><body>The upstream said nothing.</body></html>"
_MODELS = b'{"object":"list","data":[{"id":"quota-model","object":"model","owned_by":"tests"}]}'


class Account:
    """Everything that arrived, by item."""

    def __init__(self) -> None:
        self.items: dict[str, list[list[Any]]] = {}
        self.accepted: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()
        self.arrived = 0
        self.in_flight = 0
        self.peak = 0
        self.connections = 0

    def arrive(self, item: str, outcome: str) -> list[Any]:
        """Write a request down."""
        self.arrived += 1
        self.outcomes[outcome] += 1
        row: list[Any] = [outcome, outcome in _ACCEPTED, time.monotonic(), None]
        if row[1]:
            self.accepted[item] += 1
        self.items.setdefault(item, []).append(row)
        return row

    def begin(self) -> None:
        """One more is under way."""
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)


class Server:
    """Rules, quota and account of one port."""

    def __init__(self, rules: Rules) -> None:
        self.account = Account()
        self.apply(rules)

    def apply(self, rules: Rules) -> None:
        """Treat what arrives from now on like this."""
        self.rules = rules
        self.quota = Quota(rules)
        self._random = random.Random(rules.seed)
        self._outcomes, self._weights = [*rules.rates, "ok"], [*rules.rates.values()]
        self._weights.append(max(0.0, 1 - sum(self._weights)))
        words = " ".join(f"word{number}" for number in range(max(0, rules.reply_words - 2)))
        self._words = words.encode()

    def outcome(self, item: str, body: bytes) -> str:
        """What becomes of a request that is within the limits."""
        if (order := _ORDER.search(body)) is not None:
            named, times = order[1].decode(), int(order[2] or 0)
            before = sum(row[0] == named for row in self.account.items.get(item, ()))
            return named if named in OUTCOMES and (not times or before < times) else "ok"
        if not self.rules.rates:
            return "ok"
        return self._random.choices(self._outcomes, self._weights)[0]

    def pace(self, body: bytes) -> tuple[float, float, float] | None:
        """Milliseconds of the model that a request is for, if it has a pace of its own."""
        found = _MODEL.search(body) if self.rules.paces else None
        return None if found is None else self.rules.paces.get(found[1].decode())

    def latency(self, pace: tuple[float, float, float] | None = None) -> float:
        """Seconds until a whole answer."""
        given = self.rules.latency_ms if pace is None else pace[2]
        if isinstance(given, int | float):
            return given / 1000
        return given[0] / 1000 * math.exp(self._random.gauss(0, given[1]))

    def text(self, item: str) -> bytes:
        """The answer: it names the item and which acceptance of it this is, from 1."""
        return b"answer %s.%d %s" % (item.encode(), self.account.accepted[item], self._words)

    def control(self, method: bytes, path: bytes, body: bytes) -> tuple[bytes, bytes]:
        """What the test asks for; status and JSON."""
        if path == b"/v1/models":
            return b"200 OK", _MODELS
        if path == b"/rules" and method == b"POST":
            self.apply(replace(self.rules, **json.loads(body)))
            return b"200 OK", json.dumps(asdict(self.rules)).encode()
        if path == b"/reset" and method == b"POST":
            under_way, self.account = self.account.in_flight, Account()
            self.account.in_flight = under_way
            return b"200 OK", b"{}"
        if path in (b"/ledger", b"/totals"):
            account = self.account
            told: dict[str, Any] = {
                "outcomes": account.outcomes, "in_flight": account.in_flight, "peak": account.peak,
                "connections": account.connections,
            }  # fmt: skip
            if path == b"/ledger":
                told["items"] = account.items
            return b"200 OK", json.dumps(told).encode()
        return b"404 Not Found", b'{"error":{"message":"no such path","type":"not_found","code":null}}'


class Connection(asyncio.Protocol):
    """One client; its requests are answered one after the other."""

    transport: asyncio.Transport

    def __init__(self, server: Server) -> None:
        self._server = server
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._server.account.connections += 1

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._busy:
            self._server.account.in_flight -= 1
            self._busy = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        while not self._busy and (request := self._next()) is not None:
            head, body = request
            method, path, _ = head.split(b" ", 2)
            if method == b"POST" and path.endswith(b"/chat/completions"):
                self._chat(body)
            else:
                status, told = self._server.control(method, path, body)
                self._write(status, told)

    def _next(self) -> tuple[bytes, bytes] | None:
        end = self._received.find(b"\r\n\r\n")
        if end < 0:
            return None
        found = _LENGTH.search(self._received, 0, end)
        stop = end + 4 + (int(found[1]) if found else 0)
        if len(self._received) < stop:
            return None
        head, body = self._received[:end], self._received[end + 4 : stop]
        self._received = self._received[stop:]
        return head, body

    def _chat(self, body: bytes) -> None:
        server = self._server
        item = found[0].decode() if (found := _ITEM.search(body)) else "unmarked"
        if (wait := server.quota.take(server.account.in_flight)) is not None:
            server.account.arrive(item, "429")
            self._error("429", wait)
            return
        outcome = server.outcome(item, body)
        row = server.account.arrive(item, outcome)
        if outcome == "reset_before":
            self._reset()
        elif outcome in _REFUSED:
            self._error(outcome, 1.0 if outcome in ("429", "503", "529") else None)
        else:
            self._busy = True
            server.account.begin()
            streamed = _STREAM.search(body) is not None
            answer = self._answer(item, outcome, len(body), streamed=streamed)
            pace = server.pace(body)
            if streamed and pace is not None and outcome == "ok":
                self._stream(row, answer, pace[0] / 1000, pace[1] / 1000)
                return
            delay = server.latency(pace) + (server.rules.slow_ms / 1000 if outcome == "slow" else 0)
            if outcome == "hang":
                return
            if delay > 0:
                self._timer = asyncio.get_running_loop().call_later(delay, self._finish, outcome, row, answer)
            else:
                self._finish(outcome, row, answer)

    def _stream(self, row: list[Any], answer: bytes, first: float, last: float) -> None:
        """Send the events of an answer one by one, the first and the last when they are due."""
        loop = asyncio.get_running_loop()
        head, _, body = answer.partition(b"\r\n\r\n")
        events = [event + b"\n\n" for event in body.split(b"\n\n") if event]
        # What ends a reply (finish reason, usage, [DONE]) comes together.
        pieces = [*events[:-3], b"".join(events[-3:])]
        self.transport.write(head + b"\r\n\r\n")
        now, step = loop.time(), (last - first) / max(1, len(pieces) - 1)

        def send(number: int) -> None:
            if number == len(pieces) - 1:
                self._finish("ok", row, pieces[number])
                return
            self.transport.write(pieces[number])
            self._timer = loop.call_at(now + first + step * (number + 1), send, number + 1)

        def begin() -> None:
            # A timer of asyncio is up to a millisecond late, which of a first token after 32 ms is three per cent.
            if loop.time() < now + first:
                loop.call_soon(begin)
            elif not self.transport.is_closing():
                send(0)

        self._timer = loop.call_at(now + first - _TIMER_SECONDS, begin)

    def _finish(self, outcome: str, row: list[Any], answer: bytes) -> None:
        self._timer = None
        if outcome in ("reset_after", "truncated"):
            if outcome == "reset_after":
                self._reset()
            else:
                self.transport.write(answer[: -len(answer) // 3])
                self.transport.close()
            return
        self.transport.write(answer)
        row[3] = time.monotonic()
        self._busy = False
        self._server.account.in_flight -= 1
        if outcome == "close":
            self.transport.close()
        elif self._received:
            self.data_received(b"")

    def _answer(self, item: str, outcome: str, size: int, *, streamed: bool) -> bytes:
        """The whole answer as it goes over the wire."""
        if outcome == "500":
            return self._packed(b"500 Internal Server Error", _error_body("500"))
        if outcome in _GATEWAY:
            status = b"200 OK" if outcome == "200_html" else outcome.encode() + b" Gateway"
            return self._packed(status, _PAGE, b"text/html")
        text = self._server.text(item)
        usage = b"null"
        if self._server.rules.usage:
            given, made = max(1, size // 4), self._server.rules.reply_words
            usage = b'{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}' % (given, made, given + made)
        if streamed:
            return self._packed(b"200 OK", _events(text, usage), b"text/event-stream")
        body = (
            b'{"id":"chatcmpl-%s","object":"chat.completion","created":1,"model":"quota-model","choices":[{"index":0,'
            b'"message":{"role":"assistant","content":"%s"},"finish_reason":"stop"}],"usage":%s}'
        ) % (item.encode(), text, usage)
        return self._packed(b"200 OK", body)

    def _packed(self, status: bytes, body: bytes, kind: bytes = b"application/json", more: bytes = b"") -> bytes:
        if self._server.rules.limit_headers:
            more += self._server.quota.headers()
        return b"HTTP/1.1 %s\r\ncontent-type: %s\r\nx-request-id: req-%d\r\n%scontent-length: %d\r\n\r\n%s" % (
            status, kind, self._server.account.arrived, more, len(body), body,
        )  # fmt: skip

    def _write(self, status: bytes, body: bytes) -> None:
        self.transport.write(self._packed(status, body))

    def _error(self, code: str, wait: float | None) -> None:
        more = b""
        if wait is not None and self._server.rules.retry_after:
            more = b"retry-after: %d\r\n" % math.ceil(wait)
        self.transport.write(self._packed(code.encode() + b" No", _error_body(code), more=more))

    def _reset(self) -> None:
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


def _error_body(code: str) -> bytes:
    error = {"message": f"refused with {code}", "type": "error", "code": _CODES.get(code), "param": None}
    return json.dumps({"error": error}).encode()


def _events(text: bytes, usage: bytes) -> bytes:
    """A streamed reply, one event per word."""
    head = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"quota-model","choices":['
    words = [b'%s{"index":0,"delta":{"content":"%s "},"finish_reason":null}]}\n\n' % (head, w) for w in text.split()]
    end = head + b'{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n' + head + b'],"usage":%s}\n\n' % usage
    return b"".join(words) + end + b"data: [DONE]\n\n"


async def serve(rules: Rules) -> None:
    """Until standard input ends."""
    server = Server(rules)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(lambda: Connection(server), "127.0.0.1", 0, backlog=1024)
    sys.stdout.write(json.dumps({"port": listening.sockets[0].getsockname()[1]}) + "\n")
    sys.stdout.flush()
    ended = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(ended), sys.stdin)
    await ended.read()


if __name__ == "__main__":
    asyncio.run(serve(Rules(**(json.loads(sys.argv[1]) if len(sys.argv) > 1 else {}))))
