"""`holychat ask` when something goes wrong: exit statuses, what is said, and what is kept."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.cli.shell import DEADLINE, HOLYCHAT, KEY
from tests.support.loopback import (
    CUT,
    FOREVER,
    Gate,
    Loopback,
    Script,
    chunk,
    error_reply,
    events_reply,
    sse,
    stream_of,
)  # fmt: skip

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Done, Shell


@pytest.fixture(autouse=True)
def one_retry(private_environment: Path) -> None:
    """Fewer and quicker attempts than by default."""
    config = private_environment / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text("[network]\nretries = 1\nconnect_timeout = 5\n")


def answer_of(shell: Shell) -> dict[str, Any]:
    message: dict[str, Any] = shell.run("history", "show", "last", "--json").json["messages"][-1]
    return message


def told_in_short(done: Done) -> bool:
    """One or two lines and no traceback."""
    return 1 <= len(done.error.strip().splitlines()) <= 2 and "Traceback" not in done.error


def quick(status: int, message: str = "Something is wrong", code: str | None = None) -> Any:
    # 529 is not in the standard library's table of reasons.
    return replace(error_reply(status, message, code=code, headers={"retry-after-ms": "5"}), reason="Test")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to ask"),
        (["   "], "nothing to ask"),
        (["-p", "nosuch", "Hi"], "nosuch"),
        (["-f", "not-there.txt", "Hi"], "not-there.txt"),
        (["-t", "hot", "Hi"], "hot"),
        (["-t", "nan", "Hi"], "nan"),
        (["-t", "inf", "Hi"], "inf"),
        (["-t", "2.5", "Hi"], "0 to 2"),
        (["--max-tokens", "0", "Hi"], "0"),
        (["--max-tokens", "9" * 30, "Hi"], "9" * 30),
        (["--max-tokens", "10000001", "Hi"], "1 to 10000000"),
        (["--nonsense", "Hi"], "--nonsense"),
        (["--continue", "99", "Hi"], "99"),
        (["--continue", "Hi"], "no chat"),
        (["--continue", "word", "Hi"], "number"),
        (["--no-save", "--continue", "1", "Hi"], "--no-save"),
        (["one", "two"], "two"),
    ],
)
def test_a_request_that_is_off_is_2_and_sends_nothing(
    connected: Shell, loopback: Loopback, arguments: list[str], said: str
) -> None:
    done = connected.run("ask", *arguments)
    assert (done.status, done.out, len(loopback.requests)) == (2, b"", 0)
    assert said in done.error
    assert told_in_short(done)


def test_input_that_is_not_text_is_2(connected: Shell, loopback: Loopback) -> None:
    done = connected.run("ask", "Explain", stdin=b"\x89PNG\r\n\x1a\n\0\0")
    assert (done.status, len(loopback.requests)) == (2, 0)
    assert told_in_short(done)


def test_input_without_end_is_2_and_not_held_in_memory(connected: Shell, loopback: Loopback) -> None:
    done = in_shell(connected, 'yes | "$1" ask Count')
    assert (done.returncode, len(loopback.requests)) == (2, 0)
    assert b"larger than 4 MiB" in done.stderr


def test_a_missing_key_is_3_and_the_question_is_kept(shell: Shell) -> None:
    done = shell.run("ask", "Where are you?")
    assert (done.status, done.out) == (3, b"")
    assert "holychat keys set holysheep" in done.error or "HOLYSHEEP_API_KEY" in done.error
    assert shell.run("history", "show", "last", "--json").json["messages"][0]["text"] == "Where are you?"


@pytest.mark.parametrize(
    ("status", "exit_status"),
    [(401, 3), (403, 3), (400, 4), (404, 4), (402, 4), (422, 4), (429, 4), (500, 5), (503, 5), (529, 5)],
)
def test_a_refusal_has_the_status_of_its_kind(
    connected: Shell, loopback: Loopback, status: int, exit_status: int
) -> None:
    loopback.chat(quick(status, "The server explains itself"))
    done = connected.run("ask", "Hi")
    assert (done.status, done.out) == (exit_status, b"")
    assert "Traceback" not in done.error
    assert answer_of(connected)["state"] == "failed"


def test_a_server_that_is_not_there_is_5(connected: Shell) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        connected.set(HOLYSHEEP_BASE_URL=f"http://127.0.0.1:{unused.getsockname()[1]}/v1")
        done = connected.run("ask", "Hi")
    assert (done.status, done.out) == (5, b"")


def test_retries_are_told_on_stderr_and_counted(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(quick(503), stream_of("at last"))
    done = connected.run("ask", "--json", "Hi")
    assert (done.status, done.json["text"], done.json["attempts"]) == (0, "at last", 2)
    assert "trying again (2 of 2)" in done.error


def test_a_reply_cut_short_is_6_printed_and_kept(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(events_reply([*sse(chunk("half a ")), CUT]))
    done = connected.run("ask", "Hi")
    assert (done.status, done.out) == (6, b"half a ")
    assert told_in_short(done)
    kept = answer_of(connected)
    assert (kept["text"], kept["state"]) == ("half a ", "interrupted")


@pytest.mark.parametrize(
    "answer",
    [
        Script(200, [("Content-Type", "text/html")], [b"<html>Please log in</html>"]),
        Script(200, [("Content-Type", "text/event-stream")], [CUT]),
        events_reply(sse({"choices": [{"index": 0, "delta": {"content": 5}}]})),
    ],
)
def test_a_reply_of_which_nothing_arrived_is_a_failure_of_the_server(
    connected: Shell, loopback: Loopback, answer: Script
) -> None:
    loopback.chat(answer)
    done = connected.run("ask", "Hi")
    assert (done.status, done.out) == (5, b"")


def test_a_model_that_asks_for_tools_is_done_and_it_is_said(connected: Shell, loopback: Loopback) -> None:
    call = {"index": 0, "id": "c1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    loopback.chat(events_reply(sse(chunk(delta={"tool_calls": [call]}), chunk(finish="tool_calls"), "[DONE]")))
    done = connected.run("ask", "Hi")
    assert (done.status, done.out) == (0, b"")
    assert "asked for tools, which holychat does not offer" in done.error
    assert told_in_short(done)


def test_a_stream_that_just_ends_is_cut_short(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(events_reply(sse(chunk("half a "))))
    done = connected.run("ask", "--json", "Hi")
    assert (done.status, done.json["text"], done.json["finish_reason"]) == (6, "half a ", None)


@pytest.mark.parametrize(
    ("number", "status", "state"),
    [
        (signal.SIGINT, 130, "stopped"),
        (signal.SIGTERM, 143, "interrupted"),
        (signal.SIGHUP, 129, "interrupted"),
    ],
)
def test_a_signal_in_mid_stream_keeps_what_arrived(
    connected: Shell, loopback: Loopback, number: signal.Signals, status: int, state: str
) -> None:
    loopback.chat(events_reply([*sse(chunk("so far ")), FOREVER]))
    with connected.start("ask", "Hi") as running:
        running.read_until(b"so far ")
        running.send(number)
        done = running.end()
    assert (done.status, b"Traceback" in done.err) == (status, False)
    kept = answer_of(connected)
    assert (kept["text"], kept["state"]) == ("so far ", state)
    assert loopback.requests[0].gone.wait(10)


def test_a_signal_while_the_provider_thinks_ends_at_once(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(events_reply([FOREVER]))
    with connected.start("ask", "Hi") as running:
        loopback.wait_for(1)
        running.send(signal.SIGINT)
        assert running.end().status == 130
    assert answer_of(connected)["state"] == "stopped"


def test_a_signal_that_is_ignored_stays_ignored(connected: Shell, loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(events_reply([*sse(chunk("so far ")), gate, *sse(chunk("and on"), chunk(finish="stop"), "[DONE]")]))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does; the command inherits it
    try:
        with connected.start("ask", "Hi") as running:
            running.read_until(b"so far ")
            running.send(signal.SIGHUP)
            gate.open()
            running.read_until(b"and on")
            assert running.end().status == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_reader_that_does_not_read_stops_neither_the_reply_nor_a_signal(connected: Shell, loopback: Loopback) -> None:
    text = "long " * 2000
    loopback.chat(events_reply([*sse(*[chunk(text) for _ in range(100)]), FOREVER]))
    with connected.start("ask", "Hi") as running:
        running.read_until(b"long")
        # Nothing reads stdout from here on.
        assert _length_once_kept(connected, len(text) * 100) == len(text) * 100
        running.send(signal.SIGINT)
        assert running.end().status == 130


def _length_once_kept(shell: Shell, wanted: int) -> int:
    """Length of the answer in the history, as another process sees it, once it is all there or it is too late."""
    deadline = time.monotonic() + DEADLINE
    while (length := len(answer_of(shell)["text"])) < wanted and time.monotonic() < deadline:
        pass
    return length


def test_a_pipe_closed_by_its_reader_ends_quietly(connected: Shell, loopback: Loopback) -> None:
    pieces = sse(chunk("first line\n"), chunk("second line\n"))
    more = sse(*[chunk(f"line {number}\n") for number in range(20_000)])
    loopback.chat(events_reply([*pieces, *more, FOREVER]))
    with connected.start("ask", "Hi") as running:
        running.read_until(b"first line\n")
        assert running.process.stdout is not None
        running.process.stdout.close()
        done = running.end()
        running.process.stdout = None
    assert (done.status, done.err) == (141, b"")
    kept = answer_of(connected)
    assert kept["text"].startswith("first line\nsecond line\n")
    assert kept["state"] == "stopped"


def test_a_full_disk_behind_stdout_is_a_line_and_the_reply_is_kept_whole(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("kept ", "all the same"))
    with open("/dev/full", "wb") as full:
        done = connected.run("ask", "Hi", stdout=full.fileno())
    assert done.status == 1
    assert told_in_short(done)
    assert "No space left" in done.error
    assert "history show 1" in done.error
    kept = answer_of(connected)
    assert (kept["text"], kept["state"]) == ("kept all the same", "complete")


def test_a_key_that_the_server_repeats_is_masked(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(error_reply(401, f"Incorrect API key provided: {KEY}"))
    done = connected.run("ask", "Hi")
    assert done.status == 3
    assert KEY[-20:] not in done.error
    assert KEY not in connected.run("history", "show", "last", "--json").text


def test_a_question_in_a_damaged_history_is_an_error_of_two_lines(connected: Shell, private_environment: Path) -> None:
    database = private_environment / "data" / "holychat.db"
    database.parent.mkdir(parents=True, mode=0o700)
    database.write_bytes(b"this is no database at all, whatever its name says" * 100)
    done = connected.run("ask", "Hi")
    assert done.status == 1
    assert told_in_short(done)


def test_help_into_a_full_disk_is_an_error_and_not_a_traceback(shell: Shell) -> None:
    with open("/dev/full", "wb") as full:
        done = shell.run("ask", "--help", stdout=full.fileno())
    assert done.status == 1
    assert told_in_short(done)


def in_shell(shell: Shell, script: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of `sh`, with the command as `$1`."""
    return subprocess.run(
        ["sh", "-c", script, "sh", HOLYCHAT], capture_output=True, timeout=DEADLINE, check=False, env=shell.environ
    )


def test_without_input_and_errors_nothing_breaks(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    done = in_shell(connected, '"$1" ask Hi <&- 2>&-')
    assert (done.returncode, done.stdout) == (0, b"ok")


def test_a_closed_output_is_an_error_and_its_number_goes_to_no_file(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("where does this go?"))
    done = in_shell(connected, '"$1" ask Hi >&-')
    assert done.returncode == 1
    assert b"no output" in done.stderr
    assert b"Traceback" not in done.stderr
    assert answer_of(connected)["text"] == "where does this go?"
    assert in_shell(connected, '"$1" --version >&-').returncode in (0, 1)


def test_a_reader_that_went_before_the_first_word_ends_it_quietly(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    done = in_shell(connected, '{ "$1" ask Hi; echo $? >&2; } | true')
    assert done.stderr.strip() == b"141"
