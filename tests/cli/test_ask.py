"""`holychat ask`: what goes in, what comes out, and what is kept."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.loopback import Gate, Loopback, chunk, events_reply, reply_events, sse, stream_of, whole

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell

HARMFUL = "a\x1b]52;c;ZXZpbA==\x07b\u202ec\x9b2Jd\u2028e"
FIELDS = {
    "text", "reasoning", "model", "provider", "finish_reason", "usage", "cost_usd", "ttft_ms", "elapsed_ms", "attempts",
    "request_id", "chat_id",
}  # fmt: skip


def last_message(loopback: Loopback) -> str:
    content: str = loopback.requests[-1].json["messages"][-1]["content"]
    return content


def test_nothing_but_the_reply_goes_to_stdout(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("Xin ", "chào", " 你好", reasoning=["thinking"]))
    done = connected.run("ask", "Hi")
    assert (done.status, done.out, done.err) == (0, "Xin chào 你好".encode(), b"")


def test_a_redirected_stdout_gets_the_bytes_as_they_came(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of(HARMFUL[:2], HARMFUL[2:]))
    assert connected.run("ask", "Hi").out == HARMFUL.encode()


@pytest.mark.pty
def test_a_terminal_gets_clean_text_that_ends_with_a_line(connected: Shell, loopback: Loopback) -> None:
    # The escape sequence and the line end are cut in two by the deltas.
    loopback.chat(stream_of("a\x1b", "]52;c;x\x07b\u202e\r", "\nc\x9bd"))
    done = connected.run_in_terminal("ask", "Hi")
    assert (done.status, done.text) == (0, "a\ufffd]52;c;x\ufffdb\ufffd\nc\ufffdd\n")


def test_what_comes_in_on_a_pipe_is_appended(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    assert connected.run("ask", "Explain", stdin="dòng một\ndòng hai\n".encode()).status == 0
    assert last_message(loopback) == "Explain\n\ndòng một\ndòng hai"


def test_a_prompt_is_utf_8_whatever_the_locale_says(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("chào"))
    connected.set(LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0")
    done = connected.run("ask", "-s", "ngắn", "xin chào")
    assert (done.status, done.text) == (0, "chào")
    assert [message["content"] for message in loopback.requests[0].json["messages"]] == ["ngắn", "xin chào"]


def test_bytes_that_are_no_text_become_marks(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    assert connected.run("ask", os.fsdecode(b"a\xffb")).status == 0
    assert last_message(loopback) == "a\ufffdb"


def test_a_pipe_alone_is_a_question(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    assert connected.run("ask", stdin=b"Why?").status == 0
    assert last_message(loopback) == "Why?"


def test_files_go_along(connected: Shell, loopback: Loopback, tmp_path: Path) -> None:
    loopback.chat(stream_of("ok"))
    for name in ("one.md", "two.txt"):
        (tmp_path / name).write_text(f"text of {name}\n")
    assert connected.run("ask", "-f", str(tmp_path / "one.md"), "-f", str(tmp_path / "two.txt"), "Compare").status == 0
    assert last_message(loopback) == (
        '<file name="one.md">\ntext of one.md\n</file>\n<file name="two.txt">\ntext of two.txt\n</file>\nCompare'
    )


def test_options_reach_the_provider(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    options = ["-m", "any/model:name", "-s", "Be brief", "-t", "0.3", "--max-tokens", "77"]
    assert connected.run("ask", *options, "Hi").status == 0
    sent = loopback.requests[0].json
    assert (sent["model"], sent["temperature"], sent["max_tokens"]) == ("any/model:name", 0.3, 77)
    assert sent["messages"] == [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}]
    assert sent["stream"] is True


def test_a_system_prompt_of_the_settings_can_be_left_out(connected: Shell, loopback: Loopback, tmp_path: Path) -> None:
    config = tmp_path / "holychat-home" / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[chat]\nsystem = "Speak like a pirate"\n')
    loopback.chat(stream_of("ok"))
    connected.run("ask", "Hi")
    connected.run("ask", "-s", "", "Hi")
    assert [len(request.json["messages"]) for request in loopback.requests] == [2, 1]


def test_without_streaming_the_reply_is_asked_for_in_one_piece(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(whole("In one piece"))
    done = connected.run("ask", "--no-stream", "Hi")
    assert (done.status, done.out) == (0, b"In one piece")
    assert not loopback.requests[0].json.get("stream")


def test_json_is_one_object_with_the_documented_fields(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("Hel", "lo", reasoning=["hm"], usage=(5, 2), request_id="req-9"))
    done = connected.run("ask", "--json", "Hi")
    reply = done.json
    assert (done.status, done.err, set(reply)) == (0, b"", FIELDS)
    assert (reply["text"], reply["reasoning"], reply["finish_reason"]) == ("Hello", "hm", "stop")
    assert (reply["model"], reply["provider"]) == ("deepseek-v3.2", "holysheep")
    assert reply["usage"] == {"input_tokens": 5, "output_tokens": 2}
    assert (reply["attempts"], reply["request_id"], reply["chat_id"]) == (1, "req-9", 1)
    assert 0 <= reply["ttft_ms"] <= reply["elapsed_ms"]
    assert isinstance(reply["cost_usd"], float)


def test_a_cost_that_is_not_known_is_null(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    assert connected.run("ask", "--json", "-m", "nobody-knows-it", "Hi").json["cost_usd"] is None


def test_json_holds_harmful_characters_only_as_escapes(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of(HARMFUL))
    done = connected.run("ask", "--json", "Hi")
    assert done.json["text"] == HARMFUL
    assert not set(done.text) & set("\x1b\x07\u202e\x9b\u2028")


def test_nothing_is_left_of_an_unsaved_question(
    connected: Shell, loopback: Loopback, private_environment: Path
) -> None:
    loopback.chat(stream_of("unheard-of answer"))
    done = connected.run("ask", "--no-save", "--json", "unheard-of question")
    assert (done.status, done.json["chat_id"]) == (0, None)
    left = [path for path in private_environment.rglob("*") if path.is_file() and b"unheard" in path.read_bytes()]
    assert left == []
    assert connected.run("history", "list").out == b""


def test_the_last_chat_goes_on(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("4"), stream_of("8"), stream_of("16"))
    connected.run("ask", "2+2?")
    connected.run("ask", "--continue", "And twice that?")
    assert connected.run("ask", "--json", "And again?", "--continue").json["chat_id"] == 1
    said = [message["content"] for message in loopback.requests[-1].json["messages"]]
    assert said == ["2+2?", "4", "And twice that?", "8", "And again?"]


def test_a_chat_goes_on_by_its_number(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    connected.run("ask", "first")
    connected.run("ask", "second")
    assert connected.run("ask", "--continue", "1", "--json", "more").json["chat_id"] == 1
    assert [message["content"] for message in loopback.requests[-1].json["messages"]] == ["first", "ok", "more"]


def test_a_chat_that_goes_on_keeps_its_options(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    connected.run("ask", "-m", "one", "-s", "Be brief", "Hi")
    connected.run("ask", "--continue", "-m", "two", "Hi")
    connected.run("ask", "--continue", "Hi")
    assert [request.json["model"] for request in loopback.requests] == ["one", "two", "two"]
    assert loopback.requests[-1].json["messages"][0] == {"role": "system", "content": "Be brief"}


def test_text_is_written_while_it_arrives(connected: Shell, loopback: Loopback) -> None:
    gate = Gate()
    first, *rest = sse(chunk("early "), chunk("late"), chunk(finish="stop"), "[DONE]")
    loopback.chat(events_reply([first, gate, *rest]))
    with connected.start("ask", "Hi") as running:
        assert running.read_until(b"early ") == b"early "
        gate.open()
        assert running.read_until(b"late") == b"late"
        assert running.end().status == 0


def test_a_reply_that_reached_its_limit_says_so(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(events_reply(reply_events(["so far"], finish="length")))
    done = connected.run("ask", "Hi")
    assert (done.status, done.out) == (0, b"so far")
    assert "limit of its length" in done.error


def test_the_offline_provider_summarises_a_file(shell: Shell, tmp_path: Path) -> None:
    sentences = [f"Sentence number {number} tells of sheep and grass." for number in range(30)]
    (tmp_path / "sheep.txt").write_text(" ".join(sentences))
    done = shell.run("ask", "-p", "offline", "-f", str(tmp_path / "sheep.txt"), "Summarise this")
    assert (done.status, done.err) == (0, b"")
    assert any(sentence in done.text for sentence in sentences)


def test_a_stored_reply_is_the_one_that_was_printed(connected: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("# Title\n", "text **bold**\n"))
    printed = connected.run("ask", "Hi").text
    stored: dict[str, Any] = json.loads(connected.run("history", "show", "last", "--json").out)
    assert [message["text"] for message in stored["messages"]] == ["Hi", printed]
