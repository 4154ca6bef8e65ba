"""Sending, queueing, stopping, drafts, and what can be done with a message."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

from holychat.domain.chat import ChatOptions, MessageState
from holychat.tui.app import StartWith
from tests.support.script import CUT, Gate, error_reply, events_reply, reply_events, stream_of
from tests.tui.driving import driving, gated, settings_for

if TYPE_CHECKING:
    from tests.support.loopback import Loopback


def asked_texts(loopback: Loopback) -> list[str]:
    """The newest message of every request, in order."""
    chats = [request for request in loopback.requests if request.path.endswith("/chat/completions")]
    return [request.json["messages"][-1]["content"] for request in chats]


async def test_a_question_is_answered_token_by_token(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(gated(gate, ["The first ", "half"], [" and the rest."]))
    async with driving(settings_for(loopback)) as app:
        await app.send("Hello there")
        await app.shows("The first half")
        assert "and the rest" not in app.text()
        assert app.composer == ""
        gate.open()
        await app.shows("and the rest.")
        await app.until(lambda: not app.busy)
        await app.shows("12 in 34 out")
        assert asked_texts(loopback) == ["Hello there"]


async def test_keys_that_arrive_in_one_burst_are_taken_in_their_order(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.press("a", "b", "backspace", "c", "enter", "d", "left", "e")
        await app.until(lambda: app.composer == "ed")
        await app.until(lambda: asked_texts(loopback) == ["ac"])


async def test_what_a_cut_short_reply_says_to_press_works_beside_a_draft(loopback: Loopback) -> None:
    loopback.chat(gated(Gate(), ["half "]), stream_of("and the rest"))
    async with driving(settings_for(loopback)) as app:
        await app.send("Go")
        await app.shows("half")
        await app.press("escape")
        await app.shows("Stopped.")
        await app.type("a draft")
        note = next(line for line in app.lines() if "Stopped." in line)
        there, then = note.split("kept. ")[1].split(" continues")[0].split(" then ")
        await app.press({"↑": "up", "Alt+↑": "alt+up"}[there])
        await app.pilot.pause()
        await app.press(then)
        await app.until(lambda: len(loopback.requests) == 2 or app.composer != "a draft")
        assert app.composer == "a draft"
        await app.shows("and the rest")


async def test_escape_stops_the_reply_and_keeps_its_text(loopback: Loopback) -> None:
    loopback.chat(gated(Gate(), ["kept ", "words"]))
    async with driving(settings_for(loopback)) as app:
        await app.send("Go")
        await app.shows("kept words")
        assert "Esc stop" in app.text()
        await app.press("escape")
        await app.until(lambda: not app.busy)
        last = app.app.main.conversation.last
        assert last is not None
        assert (last.state, last.text) == (MessageState.STOPPED, "kept words")
        assert last.usage.estimated  # nobody reported it: said as such in both places
        await app.shows(f"~{last.usage.output_tokens} out")
        await app.shows(f"~{last.usage.output_tokens} tokens")
        assert loopback.requests[0].gone.wait(10)


async def test_ctrl_c_stops_a_reply_and_otherwise_says_how_to_quit(loopback: Loopback) -> None:
    loopback.chat(gated(Gate(), ["kept"]))
    async with driving(settings_for(loopback)) as app:
        await app.press("ctrl+c")
        await app.notified("Ctrl+Q quits")
        await app.send("Go")
        await app.shows("kept")
        await app.press("ctrl+c")
        await app.until(lambda: not app.busy)
        assert app.app.is_running


async def test_ctrl_c_copies_what_is_selected_in_the_composer() -> None:
    async with driving(settings_for()) as app:
        await app.type("copy me")
        await app.press("f7", "ctrl+c")
        await app.notified("Copied 7 characters with cat.")
        assert app.composer == "copy me"


async def test_a_text_sent_meanwhile_waits_and_is_sent_when_the_reply_ends(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(gated(gate, ["one"]), stream_of("two"))
    async with driving(settings_for(loopback)) as app:
        await app.send("first")
        await app.shows("one")
        await app.send("second")
        await app.shows("Next: second")
        assert asked_texts(loopback) == ["first"]
        gate.open()
        await app.until(lambda: asked_texts(loopback) == ["first", "second"])
        await app.until(lambda: "Next: second" not in app.text())


async def test_stopping_sends_what_waits_and_up_takes_it_back(loopback: Loopback) -> None:
    loopback.chat(gated(Gate(), ["one"]), gated(Gate(), ["two"]))
    async with driving(settings_for(loopback)) as app:
        await app.send("first")
        await app.shows("one")
        await app.send("second")
        await app.press("up")
        await app.until(lambda: app.composer == "second")
        assert "Next:" not in app.text()
        await app.press("enter", "escape")
        await app.until(lambda: asked_texts(loopback) == ["first", "second"])


async def test_what_waits_comes_back_when_the_reply_breaks(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(events_reply([*reply_events(["half"], finish=None, usage=None, done=False), gate, CUT]))
    async with driving(settings_for(loopback)) as app:
        await app.send("first")
        await app.shows("half")
        await app.send("second")
        await app.shows("Next: second")
        gate.open()
        await app.until(lambda: app.composer == "second")
        assert asked_texts(loopback) == ["first"]


async def test_what_is_typed_before_the_services_are_open_is_kept_and_sent(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback), wait=False) as app:
        await app.send("early bird")
        await app.until(lambda: asked_texts(loopback) == ["early bird"])


async def test_a_refusal_is_shown_with_what_to_do(loopback: Loopback) -> None:
    loopback.chat(error_reply(404, "no such model"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("Hello")
        last = app.app.main.conversation.last
        assert last is not None
        assert last.state is MessageState.FAILED
        await app.shows("failed")


async def test_the_draft_survives_leaving_the_chat_and_leaving_the_app() -> None:
    settings = settings_for()
    async with driving(settings) as app:
        await app.type("unsent thought")
        await app.press("ctrl+n")
        await app.until(lambda: app.composer == "")
        await app.type("another")
    async with driving(settings) as app:
        assert app.composer == "another"
        await app.notified("draft is back")
        await app.press("ctrl+s")
        await app.screen("ChatsScreen")
        await app.until(lambda: len(app.app.screen._entries) == 2)


async def test_a_given_chat_is_opened_and_a_finished_one_is_not_reopened_by_itself(loopback: Loopback) -> None:
    loopback.chat(stream_of("the answer"))
    settings = settings_for(loopback)
    async with driving(settings) as app:
        await app.asked("question one")
    async with driving(settings) as app:
        assert app.app.main.conversation.chat is None
        assert "Ask anything" in app.text()
    async with driving(settings, start=StartWith(chat=1)) as app:
        await app.shows("the answer")
    async with driving(settings, start=StartWith(resume=True)) as app:
        await app.shows("the answer")
    async with driving(settings, start=StartWith(chat=99)) as app:
        await app.notified("99")
        assert app.app.main.conversation.chat is None


async def test_a_given_provider_and_model_are_asked_by_the_chat_that_is_opened_and_by_new_ones(
    loopback: Loopback,
) -> None:
    loopback.chat(stream_of("the answer"))
    settings = settings_for(loopback)
    async with driving(settings) as app:
        await app.asked("question one")
        await app.press("ctrl+n")
        await app.type("an unsent draft")
    async with driving(settings, start=StartWith(provider="offline")) as app:
        assert app.app.main.conversation.options == ChatOptions("offline")
        assert app.composer == "", "a new chat is what was asked for"
    async with driving(settings) as app:
        await app.shows("an unsent draft")
    async with driving(settings, start=StartWith(model="other-model")) as app:
        await app.asked("question two")
        await app.press("ctrl+n")
        await app.asked("question three")
    async with driving(settings, start=StartWith(chat=1, model="third-model")) as app:
        await app.asked("question four")
    models = [request.json["model"] for request in loopback.requests if request.path.endswith("/chat/completions")]
    assert models[1:] == ["other-model", "other-model", "third-model"]


async def test_a_reply_goes_on_while_another_chat_is_shown(loopback: Loopback) -> None:
    gate = Gate()
    loopback.chat(gated(gate, ["begun "], ["and ended"]), stream_of("other"))
    async with driving(settings_for(loopback)) as app:
        await app.send("long one")
        await app.shows("begun")
        first = app.app.main.conversation.chat
        assert first is not None
        await app.press("ctrl+n")
        await app.asked("short one")
        await app.shows("other")
        app.app.main.attempt(app.app.main.show_chat, first.id)
        await app.shows("begun")
        assert app.busy
        gate.open()
        await app.shows("begun and ended")


async def test_quitting_while_a_reply_arrives_stores_it_and_goes_quietly(loopback: Loopback) -> None:
    import asyncio

    troubles: list[dict[str, object]] = []
    loopback.chat(gated(Gate(), ["half an answer"]))
    settings = settings_for(loopback)
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: troubles.append(context))
    async with driving(settings) as app:
        await app.send("question")
        await app.shows("half an answer")
        await app.press("ctrl+q")
    gc.collect()
    assert troubles == []
    async with driving(settings) as app:
        await app.shows("half an answer")
        await app.shows("Cut short")


async def test_up_from_an_empty_composer_marks_messages_and_letters_act_on_them(loopback: Loopback) -> None:
    loopback.chat(stream_of("Look:\n\n```python\nprint(1)\n```\n"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("show me")
        await app.press("up")
        await app.until(lambda: app.app.main.pane.has_focus)
        assert "y copy" in app.text()
        await app.press("y")
        await app.notified("Copied 30 characters")
        await app.press("u")
        await app.notified("Copied 8 characters")
        await app.press("escape")
        await app.until(lambda: app.app.main.composer.has_focus)
        await app.type("y")
        assert app.composer == "y"


async def test_g_and_shift_g_go_to_the_ends_and_down_leads_back(loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("one")
        await app.asked("two")
        await app.press("alt+up", "g")
        await app.until(lambda: app.app.main.transcript.cursor == 0)
        await app.press("G")
        await app.until(lambda: app.app.main.transcript.cursor == 3)
        await app.press("k", "j", "down")
        await app.until(lambda: app.app.main.composer.has_focus)
        assert app.app.main.transcript.cursor is None


async def test_edit_sends_another_text_and_the_draft_comes_back(loopback: Loopback) -> None:
    loopback.chat(stream_of("first answer"), stream_of("second answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("tpyo")
        await app.type("draft")
        await app.press("alt+up", "up", "e")
        await app.until(lambda: app.composer == "tpyo")
        await app.press("backspace", "backspace", "enter")
        await app.shows("second answer")
        await app.until(lambda: app.composer == "draft")
        assert asked_texts(loopback) == ["tpyo", "tp"]
        assert "first answer" not in app.text()


async def test_escape_leaves_a_message_as_it_is(loopback: Loopback) -> None:
    loopback.chat(stream_of("first answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up", "up", "e")
        await app.until(lambda: app.composer == "question")
        await app.press("escape")
        await app.until(lambda: app.composer == "")
        assert asked_texts(loopback) == ["question"]


async def test_r_asks_again_and_replaces_the_answer(loopback: Loopback) -> None:
    loopback.chat(stream_of("first answer"), stream_of("second answer"))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up", "r")
        await app.shows("second answer")
        assert "first answer" not in app.text()
        assert asked_texts(loopback) == ["question", "question"]


async def test_c_continues_a_stopped_answer_in_the_same_message(loopback: Loopback) -> None:
    loopback.chat(gated(Gate(), ["The begin"]), stream_of("ning and the end"))
    async with driving(settings_for(loopback)) as app:
        await app.send("question")
        await app.shows("The begin")
        await app.press("escape")
        await app.until(lambda: not app.busy)
        await app.press("up", "c")
        await app.shows("The beginning and the end")


async def test_enter_unfolds_the_reasoning(loopback: Loopback) -> None:
    loopback.chat(stream_of("result", reasoning=["secret ", "thoughts"]))
    async with driving(settings_for(loopback)) as app:
        await app.asked("question")
        await app.press("up")
        await app.until(lambda: app.app.main.pane.has_focus)
        before = "secret thoughts" in app.text()
        await app.press("enter")
        await app.until(lambda: ("secret thoughts" in app.text()) is not before)


async def test_three_ways_to_break_a_line() -> None:
    async with driving(settings_for()) as app:
        await app.press("a", "shift+enter", "b", "alt+enter", "c", "ctrl+j", "d")
        await app.until(lambda: app.composer == "a\nb\nc\nd")
        assert app.app.main.composer.size.height == 4


async def test_the_composer_grows_to_two_fifths_of_the_height_and_takes_a_large_paste_at_once() -> None:
    import time

    from textual.events import Paste

    async with driving(settings_for()) as app:
        started = time.perf_counter()
        app.app.main.composer.post_message(Paste("word " * 40 + "\n" + "line\n" * 20_000))
        await app.until(lambda: len(app.composer) > 100_000)
        assert time.perf_counter() - started < 3
        assert app.app.main.composer.size.height == 12


async def test_scrolling_up_offers_the_way_back_to_the_end(loopback: Loopback) -> None:
    loopback.chat(stream_of(*[f"line {number}\n\n" for number in range(60)]))
    async with driving(settings_for(loopback)) as app:
        await app.asked("many lines")
        await app.press("pageup")
        await app.shows("↓ latest")
        await app.press("ctrl+home")
        await app.shows("many lines")
        await app.press("ctrl+end")
        await app.shows("line 59")
        await app.until(lambda: "↓ latest" not in app.text())
