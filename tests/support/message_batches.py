"""A provider with Message Batches on loopback: requests in, results out in any order, and an account of both.

Point a provider of kind "anthropic" at the `url` of `with MessageBatches() as server:`, or what is in it.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tests.support.loopback import FOREVER, RESET, Loopback, Request, Script, json_reply
from tests.support.message_schema import check
from tests.support.messages import MODEL, USAGE, refusal, trouble

_ROOT = "/v1/messages/batches"
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@dataclass
class Batch:
    """A batch as the provider keeps it."""

    id: str
    requests: list[dict[str, Any]]
    running: bool
    created: float = field(default_factory=time.time)
    cancelled: bool = False
    has_results: bool = True
    answered: bool = False
    late: int = 0
    """How many lists show it without its results although it has ended."""
    hidden: int = 0
    """How often it is not found by its name."""


class MessageBatches(Loopback):
    """The provider, for as long as the `with` lasts."""

    def __init__(self) -> None:
        super().__init__()
        self.offered = True
        self.running = False
        """Whether the next batches stay at work until they are ended."""
        self.torn = 0
        """How many orders are taken on and their answer never comes."""
        self.silent = 0
        """How many orders are taken on and never answered."""
        self.unheard = 0
        """How many orders break off before anything is taken on."""
        self.busy = 0
        """How many orders are refused with 529."""
        self.fates: dict[str, dict[str, Any]] = {}
        """Word of a request -> its result, where that is no message; "lost": it has no line."""
        self.batches: dict[str, Batch] = {}
        self.answered: Counter[str] = Counter()
        """How often each custom_id was answered, and charged."""
        self.created = 0
        """How many batches there ever were."""

    def end(self) -> None:
        """All batches are through."""
        for batch in list(self.batches.values()):
            batch.running = False

    def order(self, requests: list[dict[str, Any]]) -> Batch:
        """Take a batch on, from whoever it is."""
        names = [request["custom_id"] for request in requests]
        assert len(set(names)) == len(names)
        assert all(_NAME.fullmatch(name) for name in names), names
        self.created += 1
        batch = Batch(f"msgbatch_{self.created}", requests, self.running)
        self.batches[batch.id] = batch
        return batch

    def take(self, request: Request) -> Script:
        """Record a request and choose its answer (called on the server's thread)."""
        if not request.path.startswith(_ROOT):
            return super().take(request)
        with self._arrived:
            self.requests.append(request)
            self._arrived.notify_all()
        if request.headers["user-agent"].startswith("holychat/"):
            assert request.headers["anthropic-version"] == "2023-06-01"
        if not self.offered:
            return refusal(404, "not_found_error", "Not found")
        _, _, rest = request.path.partition(_ROOT)
        _, _, name = rest.partition("/")
        if not name:
            return self._ordered(request) if request.method == "POST" else self._listed(request)
        return self._one(request.method, *name.partition("/")[::2])

    def _ordered(self, request: Request) -> Script:
        if self.busy:
            self.busy -= 1
            return refusal(529, "overloaded_error", "Overloaded")
        if self.unheard:
            self.unheard -= 1
            return Script(pieces=[RESET], framing="raw")
        assert request.headers["content-type"] == "application/json"
        requests = request.json["requests"]
        for one in requests:
            assert set(one) == {"custom_id", "params"}
            check(one["params"])
        batch = self.order(requests)
        if self.silent:
            self.silent -= 1
            return Script(pieces=[FOREVER], framing="raw")
        if self.torn:
            self.torn -= 1
            return Script(pieces=[RESET], framing="raw")
        return json_reply(self._body(batch))

    def _listed(self, request: Request) -> Script:
        query = dict(pair.split("=") for pair in request.query.split("&") if pair)
        newest = sorted(self.batches.values(), key=lambda batch: int(batch.id.rpartition("_")[2]), reverse=True)
        if "after_id" in query:
            newest = newest[[batch.id for batch in newest].index(query["after_id"]) + 1 :]
        most = int(query.get("limit", 20))
        page = [self._body(batch) | self._without_results(batch) for batch in newest[:most]]
        return json_reply({"data": page, "has_more": len(newest) > most, "first_id": None, "last_id": None})

    def _without_results(self, batch: Batch) -> dict[str, Any]:
        if batch.running or not batch.late:
            return {}
        batch.late -= 1
        return {"results_url": None}

    def _one(self, method: str, name: str, what: str) -> Script:
        batch = self.batches.get(name)
        if batch is None:
            return refusal(404, "not_found_error", "Not found")
        if method == "GET" and not what and batch.hidden:
            batch.hidden -= 1
            return refusal(404, "not_found_error", "Not found")
        if method == "DELETE":
            if batch.running:
                return refusal(400, "invalid_request_error", "still processing")
            del self.batches[name]
            return json_reply({"id": name, "type": "message_batch_deleted"})
        if what == "cancel":
            batch.cancelled = True
            return json_reply(self._body(batch))
        if what == "results":
            return self._results(batch) if batch.has_results else refusal(404, "not_found_error", "No results")
        return json_reply(self._body(batch))

    def _body(self, batch: Batch) -> dict[str, Any]:
        ended = not batch.running
        counts = Counter(self._result(batch, request)["type"] for request in batch.requests) if ended else Counter()
        names = ("succeeded", "errored", "canceled", "expired")
        status = "ended" if ended else "canceling" if batch.cancelled else "in_progress"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {
                "processing": 0 if ended else len(batch.requests),
                **{name: counts[name] for name in names},
            },
            "created_at": _moment(batch.created),
            "expires_at": _moment(batch.created + 86_400),
            "ended_at": _moment(time.time()) if ended else None,
            "cancel_initiated_at": None,
            "archived_at": None,
            # Somebody else's address: nobody may go there with a key.
            "results_url": "https://elsewhere.invalid/results" if ended and batch.has_results else None,
        }

    def _results(self, batch: Batch) -> Script:
        results = [(request["custom_id"], self._result(batch, request)) for request in reversed(batch.requests)]
        if not batch.answered:
            batch.answered = True
            self.answered.update(name for name, result in results if result["type"] == "succeeded")
        lines = [json.dumps({"custom_id": name, "result": result}) for name, result in results if "lost" not in result]
        return Script(200, {"content-type": "application/x-jsonl"}, ["".join(f"{line}\n" for line in lines).encode()])

    def _result(self, batch: Batch, request: dict[str, Any]) -> dict[str, Any]:
        said = request["params"]["messages"][-1]["content"]
        for word, fate in self.fates.items():
            if word in said:
                return fate
        if batch.cancelled:
            return {"type": "canceled"}
        message = {
            "id": "msg_1", "type": "message", "role": "assistant", "model": MODEL, "stop_reason": "end_turn",
            "content": [{"type": "text", "text": f"about {said}"}], "stop_sequence": None,
            "usage": {**USAGE, "input_tokens": 10, "output_tokens": 5},
        }  # fmt: skip
        return {"type": "succeeded", "message": message}


def errored(kind: str, message: str) -> dict[str, Any]:
    """A result that is an error."""
    return {"type": "errored", "error": trouble(kind, message)}


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
