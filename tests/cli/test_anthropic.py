"""A shell whose `holychat` talks to Anthropic: questions, jobs, keys and settings."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import psutil
import pytest

from holychat.paths import Paths
from holychat.store import workers
from holychat.store.database import Database
from tests.cli.batch_shell import BatchShell, lines_of
from tests.cli.shell import KEY, Shell
from tests.providers.claudes import messages
from tests.support.loopback import RESET, Loopback, Pause, events_reply
from tests.support.message_batches import MessageBatches
from tests.support.messages import message_stream, opened, refusal, started, text, whole_message

if TYPE_CHECKING:
    from pathlib import Path


def to_anthropic(shell: Shell, loopback: Loopback) -> None:
    shell.set(ANTHROPIC_BASE_URL=loopback.url, ANTHROPIC_API_KEY=KEY)


@pytest.fixture
def claude(shell: Shell, loopback: Loopback) -> Shell:
    to_anthropic(shell, loopback)
    return shell


def test_a_question_is_streamed_priced_and_kept(claude: Shell, loopback: Loopback) -> None:
    messages(loopback, message_stream("Xin ", "chào", thoughts=["hm"]))
    done = claude.run("ask", "-p", "anthropic", "-s", "Be short.", "Hi")
    assert (done.status, done.out, done.err) == (0, "Xin chào".encode(), b"")
    sent = loopback.requests[0].json
    assert (sent["model"], sent["system"], sent["max_tokens"]) == ("claude-sonnet-5-5", "Be short.", 128_000)
    told = claude.run("ask", "-p", "anthropic", "--json", "--continue", "And now?").json
    assert (told["text"], told["reasoning"], told["finish_reason"]) == ("Xin chào", "hm", "stop")
    assert told["usage"] == {"input_tokens": 12, "output_tokens": 34}
    assert told["cost_usd"] == pytest.approx((12 * 2 + 34 * 10) / 1_000_000)
    assert [message["role"] for message in loopback.requests[1].json["messages"]] == ["user", "assistant", "user"]


def test_cached_tokens_are_priced_as_such(claude: Shell, loopback: Loopback) -> None:
    messages(loopback, whole_message("Hi", cache_read_input_tokens=1000))
    told = claude.run("ask", "-p", "anthropic", "-m", "claude-haiku-4-5", "--no-stream", "--json", "Hi").json
    assert told["usage"]["input_tokens"] == 1012
    assert told["cost_usd"] == pytest.approx((12 * 1 + 1000 * 0.1 + 34 * 5) / 1_000_000)
    assert loopback.requests[0].json["max_tokens"] == 21_333


def test_a_busy_provider_is_asked_again_and_a_break_keeps_what_came(claude: Shell, loopback: Loopback) -> None:
    busy = refusal(529, "overloaded_error", "Overloaded", headers={"retry-after": "0"})
    messages(loopback, busy, message_stream("Hi"))
    assert claude.run("ask", "-p", "anthropic", "Hi").text == "Hi"
    messages(loopback, events_reply([started(), opened(), text("Half"), Pause(0.05), RESET]))
    done = claude.run("ask", "-p", "anthropic", "Hi")
    assert (done.status, done.out) == (6, b"Half")


def test_a_temperature_that_a_model_does_not_take_is_said(claude: Shell, loopback: Loopback) -> None:
    messages(loopback, refusal(400, "invalid_request_error", "`temperature` is deprecated for this model."))
    done = claude.run("ask", "-p", "anthropic", "-t", "0.5", "Hi")
    assert (done.status, loopback.requests[0].json["temperature"]) == (4, 0.5)
    assert "leave it out" in done.error


def test_a_job_goes_over_the_desk(desk: BatchShell, loopback: Loopback) -> None:
    to_anthropic(desk, loopback)
    busy = refusal(429, "rate_limit_error", headers={"retry-after": "0"})
    messages(loopback, busy, whole_message("A summary."))
    done = desk.batch("summarize", str(desk.documents), "-p", "anthropic", "-m", "claude-haiku-4-5", "--yes", "--wait")
    assert done.status == 0, done.error
    rows = lines_of(desk.batch("export", "last", "-o", "-").text)
    assert [row["text"] for row in rows] == ["A summary."] * 3
    (job,) = desk.jobs()
    assert job["documents"]["done"] == 3
    bodies = [request.json for request in loopback.requests]
    assert {body["max_tokens"] for body in bodies} == {2048}
    assert all("stream" not in body and body["system"] for body in bodies)
    assert {request.headers["x-api-key"] for request in loopback.requests} == {KEY}


def test_ready_made_requests_without_a_length_get_one(desk: BatchShell, loopback: Loopback, tmp_path: Path) -> None:
    to_anthropic(desk, loopback)
    messages(loopback, whole_message("Answer."))
    lines = tmp_path / "requests.jsonl"
    body = '{"model":"claude-haiku-4-5","messages":[{"role":"user","content":"Hi"}],"stop":"END"}'
    lines.write_text(f'{{"custom_id":"a","body":{body}}}\n')
    done = desk.batch("submit", str(lines), "-p", "anthropic", "--yes", "--wait")
    assert done.status == 0, done.error
    (request,) = loopback.requests
    assert (request.json["max_tokens"], request.json["stop_sequences"]) == (21_333, ["END"])


QUICK = "[provider_batch]\npoll_seconds = 0.05\nlongest_poll_seconds = 0.2\ngrace_seconds = 0.5\n"


def kill_worker(desk: BatchShell) -> None:
    database = Database.open(Paths.resolve({"HOLYCHAT_HOME": str(desk.home)}).database)
    row = database.read_now(workers.current)
    database.close()
    assert row is not None
    worker = psutil.Process(row.pid)
    worker.kill()
    worker.wait(10)


def test_a_batch_whose_worker_was_killed_over_the_order_is_found_again(desk: BatchShell) -> None:
    with MessageBatches() as server:
        to_anthropic(desk, server)
        desk.configure(QUICK)
        assert "has a batch service" in desk.batch("remote", "probe", "-p", "anthropic").text
        server.silent, server.running = 1, True
        order = ("-p", "anthropic", "-m", "claude-haiku-4-5", "--priority", "low", "--yes")
        assert desk.batch("summarize", str(desk.documents), *order).status == 0
        deadline = time.monotonic() + 20
        while not server.created:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        kill_worker(desk)
        server.end()
        done = desk.batch("watch", "1")
        assert (done.status, server.created) == (0, 1), done.error
        job = desk.batch("show", "1", "--json").json
        assert job["documents"]["done"] == 3
        assert sorted(server.answered.values()) == [1, 1, 1]
        assert {request.headers["x-api-key"] for request in server.requests} == {KEY}


def test_where_everything_is_told(claude: Shell, loopback: Loopback) -> None:
    loopback.models("claude-sonnet-5-5")
    assert "anthropic" in claude.run("providers").text
    status = claude.run("keys", "status", "anthropic")
    assert (status.status, status.text.splitlines()[0]) == (0, "anthropic: key from environment")
    shown = claude.run("config", "show", "--json").json
    assert shown["providers.anthropic.kind"] == {"value": "anthropic", "source": "built in"}
    assert shown["providers.anthropic.base_url"] == {"value": loopback.url, "source": "ANTHROPIC_BASE_URL"}
    found = {finding["topic"]: finding for finding in claude.run("doctor", "--json").json}
    assert (found["anthropic"]["verdict"], found["anthropic"]["text"]) == ("ok", "answers; 1 model")
