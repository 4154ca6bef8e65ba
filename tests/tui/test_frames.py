"""What a frame costs and in which order things happen, counted and without a clock."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from holychat.domain.chat import MessageState
from holychat.tui import conversation as conversation_module
from holychat.tui.widgets.footer import KeyFooter
from holychat.tui.widgets.status_line import StatusLine
from tests.support.script import Gate, stream_of
from tests.tui.driving import driving, gated, settings_for

if TYPE_CHECKING:
    import pytest

    from tests.support.loopback import Loopback
    from tests.tui.driving import Driver


def count_calls(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str) -> list[int]:
    """A list that grows with every call of a method."""
    calls: list[int] = []
    plain = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        return plain(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


async def test_a_frame_of_a_streaming_reply_renders_the_transcript_alone(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback.chat(gated(Gate(), ["begun"]))
    async with driving(settings_for(loopback)) as app:
        await app.send("Go")
        await app.shows("begun")
        main = app.app.main
        assert main._status_timer is not None
        main._status_timer.pause()
        await app.pilot.pause(0.1)
        others = [main, main.pane, main.query_one("#main"), main.query_one("#body"), main.query_one("#composer-box")]
        others += [main.composer, main.query_one(KeyFooter), main.query_one(StatusLine)]
        rendered = [count_calls(monkeypatch, widget, "render_lines") for widget in others]
        transcript = count_calls(monkeypatch, main.transcript, "render_lines")
        main.composer.cursor_blink = False
        await app.pilot.pause()
        for calls in rendered:
            calls.clear()
        for number in range(5):
            main.transcript.append_text(f" word{number}")
            await app.until(lambda number=number: f"word{number}" in _last_strip(app))
        assert len(transcript) >= 5
        assert [len(calls) for calls in rendered] == [0] * len(others)


def _last_strip(app: Driver) -> str:
    return "\n".join(strip.text for strip in app.app.main.transcript.render_lines(app.app.main.transcript.size.region))


async def test_the_status_line_is_painted_only_when_it_reads_differently(monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    async with driving(settings_for()) as app:
        line = app.app.main.query_one(StatusLine)
        line.facts = dataclasses.replace(line.facts, tokens_per_second=40.01)
        await app.pilot.pause()
        painted = count_calls(monkeypatch, line, "refresh")
        line.facts = dataclasses.replace(line.facts, tokens_per_second=40.02)
        assert painted == []
        line.facts = dataclasses.replace(line.facts, tokens_per_second=41.0)
        assert len(painted) == 1


async def test_the_welcome_gives_way_with_one_layout(monkeypatch: pytest.MonkeyPatch) -> None:
    async with driving(settings_for()) as app:
        await app.shows("Ask anything. Every word is kept.")
        laid_out = count_calls(monkeypatch, app.app.main, "_refresh_layout")
        app.app.main.pane.show_welcome(False)
        await app.until(lambda: "Every word is kept" not in app.text())
        await app.pilot.pause(0.1)
        assert len(laid_out) == 1


async def test_the_request_leaves_before_the_question_is_painted(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    loopback.chat(stream_of("ok"))
    monkeypatch.setattr(conversation_module, "_HEAD_START", 0.5)  # as long as a slow machine may need
    async with driving(settings_for(loopback)) as app:
        await app.asked("first")
        transcript, plain = app.app.main.transcript, app.app.main.transcript.add
        seen: list[int] = []

        def add(message: Any) -> None:
            # The event loop stands still here: what the server gets meanwhile was sent before.
            seen.append(len(loopback.wait_for(2, 5)))
            plain(message)

        monkeypatch.setattr(transcript, "add", add)
        await app.asked("second")
        assert seen == [2, 2]


async def test_a_reply_that_is_over_before_its_question_is_painted_is_shown_whole(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_module, "_HEAD_START", 0.5)
    loopback.chat(stream_of("one ", "two ", "three"))
    async with driving(settings_for(loopback)) as app:
        await app.send("Go")
        await app.shows("one two three")
        await app.until(lambda: not app.busy)
        assert app.text().count("three") == 1
        assert app.app.main.transcript.message_count == 2
        last = app.app.main.conversation.last
        assert last is not None
        assert last.state is MessageState.COMPLETE
        await app.shows("34 tokens")


async def test_leaving_the_chat_while_a_question_is_being_stored_paints_it_nowhere_else(
    loopback: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    loopback.chat(gated(gate, ["the answer"]))
    async with driving(settings_for(loopback)) as app:
        conversation = app.app.main.conversation
        chats, released = conversation.chats, asyncio.Event()
        plain = chats.send

        async def slow(*args: Any, **kwargs: Any) -> Any:
            turn = await plain(*args, **kwargs)
            await released.wait()
            return turn

        monkeypatch.setattr(chats, "send", slow)
        await app.send("the question")
        await app.until(lambda: conversation.chat is not None)
        chat = conversation.chat
        assert chat is not None
        await app.press("ctrl+n")
        await app.until(lambda: conversation.chat is None)
        released.set()
        await app.until(lambda: conversation._replies)
        await app.pilot.pause(0.05)
        assert "the question" not in app.text()
        app.app.main.attempt(app.app.main.show_chat, chat.id)
        await app.shows("the answer")
        gate.open()
        await app.until(lambda: not app.busy)
        assert app.app.main.transcript.message_count == 2
