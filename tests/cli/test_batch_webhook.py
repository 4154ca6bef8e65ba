"""A job tells an address of its end: ordered in the shell, delivered by the worker, seen and sent again."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from holychat.credentials.webhook_secret import new_webhook_secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.batch_shell import BatchShell

SECRET = new_webhook_secret()


class Receiver(ThreadingHTTPServer):
    """Keeps what comes, and answers 204."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.came: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_address[1]}/hook"

    def wait_for(self, count: int) -> None:
        """Until so many messages have come."""
        deadline = time.monotonic() + 30
        while len(self.came) < count:
            assert time.monotonic() < deadline, f"{len(self.came)} of {count} messages came"
            time.sleep(0.02)


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        self.server.came.append((dict(self.headers), self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(5)


def test_the_end_of_a_job_is_told_and_can_be_told_again(desk: BatchShell, receiver: Receiver) -> None:
    desk.configure("\n[webhooks]\nallow_loopback = true\n")
    desk.set(HOLYCHAT_WEBHOOK_SECRET=SECRET)
    done = desk.summarize("--yes", "--wait", "--callback", receiver.url)
    assert done.status == 0, done.error
    receiver.wait_for(1)
    headers, body = receiver.came[0]
    told = Verifier(SECRET).verify(body, headers)
    assert told["type"] == "job.finished"
    assert told["data"]["counts"] == {"done": 3}
    assert SECRET.encode() not in body
    deadline = time.monotonic() + 30
    while (shown := desk.batch("webhook", "last", "--json").json)[0]["state"] != "delivered":
        assert time.monotonic() < deadline, shown
    assert "delivered" in desk.batch("show", "last").text
    again = desk.batch("webhook", "last", "--resend")
    assert again.status == 0, again.error
    receiver.wait_for(2)
    assert [headers["webhook-id"] for headers, _ in receiver.came] == [shown[0]["id"]] * 2
    assert json.loads(receiver.came[1][1]) == told


def test_an_address_that_nothing_is_sent_to_is_refused_before_a_job_is_made(
    desk: BatchShell, receiver: Receiver
) -> None:
    desk.set(HOLYCHAT_WEBHOOK_SECRET=SECRET)
    done = desk.summarize("--yes", "--callback", receiver.url)
    assert (done.status, "allow_loopback" in done.error) == (2, True)
    assert desk.jobs() == []


def test_without_a_secret_the_way_to_one_is_told(desk: BatchShell) -> None:
    done = desk.summarize("--yes", "--callback", "https://example.com/hook")
    assert (done.status, "keys set webhook --new" in done.error) == (2, True)
    assert desk.jobs() == []
