"""A provider with a batch service on 127.0.0.1: files in, answers out, in its own time and order.

    with BatchServer() as server:
        server.plan = Plan(outcome="expired", shuffle=True)
        ... point a provider at server.base_url ...
        assert server.created == 1

It keeps an account of what it took on: every file, every batch, and how often each request was answered and charged.
It runs in a thread, so that whoever talks to it can be killed without it.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.multipart import form_file
from tests.support.openai_schema import problems

_ENDED = ("failed", "completed", "expired", "cancelled")


@dataclass
class Plan:
    """How batches go, from the next one on."""

    offered: bool = True
    outcome: str = "completed"
    """"completed", "expired" (after half of the lines), or "failed" (the whole file is rejected)."""
    failed_code: str = "invalid_json_line"
    validating: float = 0.0
    """Seconds."""
    running: float = 0.05
    """Seconds from the end of validation until the end."""
    shuffle: bool = False
    bad_lines: frozenset[str] = frozenset()
    """custom_ids, or words of requests with a blank among them, that get a 400 and stand in the error file."""
    lost_lines: frozenset[str] = frozenset()
    """custom_ids, or words of requests with a blank among them, that stand in neither file."""
    busy_lines: frozenset[str] = frozenset()
    """Words of requests, with a blank among them, that get a 500 and stand in the error file, each time."""
    most_lines: int | None = None
    """A batch with more is rejected, because too many tokens would wait."""
    omit_error_file_id: bool = False
    torn: dict[str, int] = field(default_factory=dict)
    """"POST /files" -> how many requests are taken on and their answer never comes."""
    refused: dict[str, int] = field(default_factory=dict)
    """"POST /files" -> how many requests are refused with 503 before anything is taken on."""
    hold: frozenset[str] = frozenset()
    """"POST /files" -> such requests wait for `release` before they are taken on, and once more before the answer.

    Who waits there has perhaps no client any more.
    """
    faulty: dict[str, int] = field(default_factory=dict)
    """"POST /files" -> how many requests fail with 500, and nothing is taken on."""
    wrong: dict[str, int] = field(default_factory=dict)
    """"POST /batches" -> how many requests are refused with 400."""


@dataclass
class Batch:
    """A batch as the provider keeps it."""

    id: str
    input_file_id: str
    metadata: dict[str, str]
    plan: Plan
    created: float
    lines: list[dict[str, Any]]
    cancelled_at: float | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    settled: str = ""


class BatchServer:
    """The provider, for as long as the `with` lasts."""

    def __init__(self, seed: int = 0) -> None:
        self.plan = Plan()
        self.files: dict[str, tuple[str, str, bytes, int]] = {}
        """Id -> name, purpose, content, when it was made."""
        self.batches: dict[str, Batch] = {}
        self.answered: dict[str, int] = {}
        """How often each custom_id was answered, and charged, within batches."""
        self.answered_live: list[dict[str, Any]] = []
        """Requests for a single reply."""
        self.requests: list[str] = []
        """"POST /batches" and so on, in order."""
        self.bodies: list[dict[str, Any]] = []
        self.lock = threading.RLock()
        self._held = threading.Condition(self.lock)
        self._let_go = 0
        self._waiting = 0
        self._ids = itertools.count(1)
        self._random = random.Random(seed)
        handler = type("Handler", (_Handler,), {"provider": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def base_url(self) -> str:
        """For `base_url` in a provider's settings."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def created(self) -> int:
        """How many batches were created."""
        return len(self.batches)

    def __enter__(self) -> BatchServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def held(self) -> int:
        """Requests that wait to be let go."""
        with self.lock:
            return self._waiting

    def release(self) -> None:
        """Let go of what waits, up to where it waits next."""
        with self._held:
            self._let_go, self._waiting = self._let_go + 1, 0  # at once, whenever they wake up
            self._held.notify_all()

    def wait_for_release(self) -> None:
        """What a held request does."""
        with self._held:
            seen = self._let_go
            self._waiting += 1
            if not self._held.wait_for(lambda: self._let_go > seen, 30):
                self._waiting -= 1

    # What the handler calls, with the lock held

    def add_file(self, name: str, purpose: str, content: bytes) -> dict[str, Any]:
        """Keep a file."""
        file_id = f"file-{next(self._ids)}"
        self.files[file_id] = (name, purpose, content, int(time.time()))
        return self.file(file_id)

    def file(self, file_id: str) -> dict[str, Any]:
        """A file as the API tells of it."""
        name, purpose, content, made = self.files[file_id]
        return {
            "id": file_id, "object": "file", "bytes": len(content), "created_at": made, "filename": name,
            "purpose": purpose,
        }  # fmt: skip

    def create(self, order: dict[str, Any]) -> Batch:
        """Take a batch on."""
        content = self.files[order["input_file_id"]][2]
        lines = [json.loads(line) for line in content.splitlines()]
        for line in lines:
            assert problems("batch_line", line) == []
        batch = Batch(
            f"batch_{next(self._ids)}",
            order["input_file_id"],
            order.get("metadata") or {},
            self.plan,
            time.time(),
            lines,
        )
        self.batches[batch.id] = batch
        return batch

    def tell(self, batch: Batch) -> dict[str, Any]:
        """A batch as the API tells of it, as it stands now."""
        status = self._status(batch)
        if status in _ENDED and not batch.settled:
            self._settle(batch, status)
        told: dict[str, Any] = {
            "id": batch.id, "object": "batch", "endpoint": "/v1/chat/completions", "status": status,
            "input_file_id": batch.input_file_id, "completion_window": "24h", "created_at": int(batch.created),
            "expires_at": int(batch.created) + 86_400, "metadata": batch.metadata,
            "output_file_id": batch.output_file_id, "error_file_id": batch.error_file_id,
        }  # fmt: skip
        if batch.plan.omit_error_file_id and batch.error_file_id is None:
            del told["error_file_id"]
        if status == "failed":
            code = "token_limit_exceeded" if self._is_too_much(batch) else batch.plan.failed_code
            error = {"code": code, "message": "The file was rejected.", "line": 1, "param": None}
            told["errors"] = {"object": "list", "data": [error]}
        else:
            told["request_counts"] = {"total": len(batch.lines), "completed": 0, "failed": 0}
        return told

    def _status(self, batch: Batch) -> str:
        if batch.settled:
            return batch.settled
        plan, age = batch.plan, time.time() - batch.created
        if batch.cancelled_at is not None:
            return "cancelled" if time.time() - batch.cancelled_at > plan.running else "cancelling"
        if age < plan.validating:
            return "validating"
        if plan.outcome == "failed" or self._is_too_much(batch):
            return "failed"
        return plan.outcome if age >= plan.validating + plan.running else "in_progress"

    def _is_too_much(self, batch: Batch) -> bool:
        return batch.plan.most_lines is not None and len(batch.lines) > batch.plan.most_lines

    def _settle(self, batch: Batch, status: str) -> None:
        batch.settled = status
        if status == "failed":
            return
        lines = list(batch.lines)
        if batch.plan.shuffle:
            self._random.shuffle(lines)
        cut = len(lines) // 2 if status in ("expired", "cancelled") else len(lines)
        good, bad = [], []
        for line in lines[:cut]:
            name = line["custom_id"]
            words = line["body"]["messages"][-1]["content"]
            if name in batch.plan.lost_lines or _speaks_of(words, batch.plan.lost_lines):
                continue
            if _speaks_of(words, batch.plan.busy_lines):
                bad.append(_line(name, 500, {"error": {"message": "Something broke.", "type": "server_error"}}))
            elif name in batch.plan.bad_lines or _speaks_of(words, batch.plan.bad_lines):
                bad.append(
                    _line(name, 400, {"error": {"message": "This line is bad.", "type": "invalid_request_error"}})
                )
            else:
                self.answered[name] = self.answered.get(name, 0) + 1
                good.append(_line(name, 200, reply_to(line["body"])))
        bad += [
            {"id": "x", "custom_id": line["custom_id"], "response": None,
             "error": {"code": f"batch_{status}", "message": "This request could not be executed in time."}}
            for line in lines[cut:]
        ]  # fmt: skip
        if good:
            batch.output_file_id = self.add_file("output.jsonl", "batch_output", _jsonl(good))["id"]
        if bad:
            batch.error_file_id = self.add_file("errors.jsonl", "batch_output", _jsonl(bad))["id"]


class _Handler(BaseHTTPRequestHandler):
    provider: BatchServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def _serve(self) -> None:
        size = int(self.headers.get("content-length") or 0)
        if len(body := self.rfile.read(size)) < size:  # no server takes half a request for one
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        path = parts.path.removeprefix("/v1")
        name = f"{self.command} {re.sub(r'/(file-|batch_)[^/]+', '/ID', path)}"
        with self.provider.lock:
            plan = self.provider.plan
            self.provider.requests.append(name)
            hold = name in plan.hold
        if hold:
            self.provider.wait_for_release()
        with self.provider.lock:
            if plan.faulty.get(name, 0) > 0:
                plan.faulty[name] -= 1
                self._answer(500, {"error": {"message": "Something broke.", "type": "server_error"}})
                return
            if plan.wrong.get(name, 0) > 0:
                plan.wrong[name] -= 1
                self._answer(400, {"error": {"message": "This is not allowed.", "type": "invalid_request_error"}})
                return
            if plan.refused.get(name, 0) > 0:
                plan.refused[name] -= 1
                self._answer(503, {"error": {"message": "Come back later."}})
                return
            status, answer = self._route(path, parse_qs(parts.query), body)
            if plan.torn.get(name, 0) > 0:
                plan.torn[name] -= 1
                self._tear()
                return
        if hold:
            self.provider.wait_for_release()
        with contextlib.suppress(OSError):
            self._answer(status, answer)

    def _route(self, path: str, query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        provider = self.provider
        if path == "/chat/completions":
            asked = json.loads(body)
            provider.answered_live.append(asked)
            return 200, reply_to(asked)
        if not provider.plan.offered:
            return 404, {"error": {"message": "Unknown path."}}
        steps = path.strip("/").split("/")
        if steps[0] == "files":
            return self._files(steps[1:], query, body)
        if steps[0] == "batches":
            return self._batches(steps[1:], query, body)
        return 404, {"error": {"message": "Unknown path."}}

    def _files(self, steps: list[str], query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        provider = self.provider
        if self.command == "POST":
            name, purpose, content = form_file(self.headers["content-type"], body)
            return 200, provider.add_file(name, purpose, content)
        if not steps:
            purpose = query.get("purpose", [""])[0]
            ids = [file_id for file_id, file in provider.files.items() if purpose in ("", file[1])]
            return 200, _page([provider.file(file_id) for file_id in reversed(ids)], query)
        if steps[0] not in provider.files:
            return 404, {"error": {"message": "No such file."}}
        if self.command == "DELETE":
            del provider.files[steps[0]]
            return 200, {"id": steps[0], "object": "file", "deleted": True}
        return 200, provider.files[steps[0]][2] if steps[1:] == ["content"] else provider.file(steps[0])

    def _batches(self, steps: list[str], query: dict[str, list[str]], body: bytes) -> tuple[int, Any]:
        provider = self.provider
        if not steps and self.command == "POST":
            order = json.loads(body)
            assert problems("create_batch", order) == []
            provider.bodies.append(order)
            if order["input_file_id"] not in provider.files:
                return 400, {"error": {"message": "No such File object", "code": "invalid_request"}}
            return 200, provider.tell(provider.create(order))
        if not steps:
            return 200, _page([provider.tell(batch) for batch in reversed(provider.batches.values())], query)
        batch = provider.batches.get(steps[0])
        if batch is None:
            return 404, {"error": {"message": "No such batch."}}
        if steps[1:] == ["cancel"] and not batch.settled and batch.cancelled_at is None:
            batch.cancelled_at = time.time()
        return 200, provider.tell(batch)

    def _answer(self, status: int, answer: Any) -> None:
        content = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json" if not isinstance(answer, bytes) else "application/jsonl")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _tear(self) -> None:
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True
        self.connection.close()


def reply_to(body: dict[str, Any]) -> dict[str, Any]:
    """The answer to a request: its last words, so that a test can tell whose it is."""
    said = f"Read: {body['messages'][-1]['content']}"
    return {
        "id": "chatcmpl-1", "object": "chat.completion", "model": body["model"],
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": said}}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }  # fmt: skip


def _line(custom_id: str, status: int, body: dict[str, Any]) -> dict[str, Any]:
    response = {"status_code": status, "request_id": f"req-{custom_id}", "body": body}
    return {"id": f"line-{custom_id}", "custom_id": custom_id, "response": response, "error": None}


def _speaks_of(words: str, wanted: frozenset[str]) -> bool:
    return any(" " in one and one in words for one in wanted)


def _jsonl(lines: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def _page(entries: list[dict[str, Any]], query: dict[str, list[str]]) -> dict[str, Any]:
    limit = int(query.get("limit", ["20"])[0])
    after = query.get("after", [""])[0]
    start = next((place + 1 for place, entry in enumerate(entries) if entry["id"] == after), 0)
    some = entries[start : start + limit]
    return {"object": "list", "data": some, "has_more": start + limit < len(entries)}
