"""The conversation pane in a running app."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.geometry import Offset, Region
from textual.selection import Selection

from holychat.domain.chat import MessageState, Role
from holychat.tui.widgets.transcript import Transcript
from holychat.tui.widgets.transcript_entry import Entry
from tests.tui.transcript.conversations import Source, conversation, message

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot


class Pane(App[None]):
    CSS = "Screen { layout: vertical; } Transcript { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.events: list[object] = []

    def compose(self) -> ComposeResult:
        yield Transcript()

    def on_transcript_follow_changed(self, event: Transcript.FollowChanged) -> None:
        self.events.append(event)

    def on_transcript_link_activated(self, event: Transcript.LinkActivated) -> None:
        self.events.append(event)

    def on_transcript_cursor_moved(self, event: Transcript.CursorMoved) -> None:
        self.events.append(event)

    @property
    def pane(self) -> Transcript:
        return self.query_one(Transcript)

    def painted(self) -> list[str]:
        return [self.pane.render_line(y).text.rstrip() for y in range(self.pane.rows)]


async def until(pilot: Pilot[None], condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "the condition was not met in time"
        await pilot.pause(0.01)


async def show(app: Pane, count: int, at_hand: int = 60) -> Source:
    source = Source(conversation(count))
    first = max(count - at_hand, 0)
    await app.pane.show(source, count, first, source.all[first:])
    return source


async def test_a_chat_opens_at_its_end():
    app = Pane()
    async with app.run_test(size=(80, 24)):
        await show(app, 400)
        assert any("bench-model" in line for line in app.painted())
        assert app.pane.following
        assert app.pane.scroll_y == app.pane.max_scroll_y


async def test_opening_reads_the_end_only_whatever_the_length_of_the_chat():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        source = await show(app, 10_000)
        await pilot.pause()
        assert sum(count for _, count in source.asked) <= 150


async def test_text_appears_while_it_streams_and_the_end_is_followed():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, 10)
        app.pane.add(message(11, "go on"))
        app.pane.add(message(12, "", Role.ASSISTANT, MessageState.STREAMING))
        for number in range(200):
            app.pane.append_text(f"line {number}\n\n")
        await until(pilot, lambda: any("line 199" in line for line in app.painted()))
        app.pane.finish(message(12, "".join(f"line {number}\n\n" for number in range(200))))
        assert "bench-model · first token 0.40 s" in app.painted()[-2]


@pytest.mark.parametrize("size", [(80, 24), (40, 9)])
async def test_a_frame_paints_every_row_that_has_changed(size, monkeypatch):
    app = Pane()
    async with app.run_test(size=size) as pilot:
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(1, "a question"))
        app.pane.add(message(2, "", Role.ASSISTANT, MessageState.STREAMING))
        refreshed: list[Region] = []
        monkeypatch.setattr(app.pane, "refresh", lambda *regions: refreshed.extend(regions or [app.pane.size.region]))
        before, partly = app.painted(), 0
        reply = (
            "word " * 30 + "\n\n- item\n- item\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx = 1\n```\n\nTitle\n---\n"
        )
        for position in range(0, len(reply * 2), 3):
            app.pane.append_text((reply * 2)[position : position + 3])
            app.pane._frame_handle.cancel()
            app.pane._frame()
            after = app.painted()
            changed = {row for row, (old, new) in enumerate(zip(before, after, strict=True)) if old != new}
            rows = {row for region in refreshed for row in region.line_range}
            assert changed <= rows
            partly += len(rows) < app.pane.rows
            refreshed.clear()
            before = after
        await pilot.pause()
        assert partly > 50


async def test_the_first_word_comes_where_a_mark_was_waiting():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(1, "a question"))
        app.pane.add(message(2, "", Role.ASSISTANT, MessageState.STREAMING))
        assert app.painted()[2].strip() == "…"
        app.pane.append_text("first")
        await until(pilot, lambda: app.painted()[2].strip() == "first")
        assert not any("…" in line for line in app.painted())


async def test_scrolling_up_releases_the_end_and_jump_latest_takes_it_back():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, 100)
        app.pane.add(message(102, "", Role.ASSISTANT, MessageState.STREAMING))
        app.pane.page_up()
        assert not app.pane.following
        before = app.painted()
        for number in range(300):
            app.pane.append_text(f"word{number} ")
        await until(pilot, lambda: not app.pane.document.last._text.waiting)
        assert app.painted() == before
        app.pane.jump_latest()
        assert app.pane.following
        assert any("word299" in line for line in app.painted())
        await pilot.pause()
        assert [event.following for event in app.events if isinstance(event, Transcript.FollowChanged)][-2:] == [
            False,
            True,
        ]


async def test_scrolling_down_to_the_end_follows_again():
    app = Pane()
    async with app.run_test(size=(80, 24)):
        await show(app, 30)
        app.pane.page_up()
        for _ in range(3):
            app.pane.page_down()
        assert app.pane.following


async def test_earlier_pages_come_when_they_are_scrolled_to():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, 300)
        app.pane.scroll_to(y=0, animate=False, immediate=True)
        await until(pilot, lambda: any("question 1 " in line for line in app.painted()))


async def test_jumping_to_a_hit_loads_it_marks_it_and_shows_it_at_the_top():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, 1000)
        await app.pane.jump_to(400)
        await pilot.pause()
        assert "question 401" in app.painted()[0]
        assert app.pane.cursor_message is not None
        assert app.pane.cursor_message.id == 401


async def test_the_cursor_moves_over_messages_and_stays_visible():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, 40)
        app.pane.move_cursor(-1)
        assert app.pane.cursor == 39
        for _ in range(20):
            app.pane.move_cursor(-1)
            top = app.pane.document.top_of(app.pane.cursor)
            assert app.pane.scroll_y <= top < app.pane.scroll_y + app.pane.rows
        assert app.pane.cursor == 19
        assert any(line.startswith("▌") for line in app.painted())
        await pilot.pause()
        assert isinstance(app.events[-1], Transcript.CursorMoved)


async def test_next_code_block_gives_sources_in_turn():
    app = Pane()
    async with app.run_test(size=(80, 24)):
        await show(app, 2)
        app.pane.add(message(3, "x"))
        app.pane.add(message(4, "```py\na = 1\n```\n\ntext\n\n```\nb\n```\n"))
        sources = [app.pane.next_code_block().source for _ in range(3)]
        assert sources == ["a = 1", "b", "a = 1"]


async def test_reasoning_folds_and_unfolds():
    app = Pane()
    async with app.run_test(size=(80, 24)):
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(2, "the answer", reasoning="deep thoughts"))
        assert not any("deep thoughts" in line for line in app.painted())
        app.pane.move_cursor(0)
        assert app.pane.fold_cursor()
        assert any("deep thoughts" in line for line in app.painted())
        assert app.pane.fold_cursor()
        assert not any("deep thoughts" in line for line in app.painted())


async def test_reasoning_is_seen_while_it_streams_and_folds_when_the_answer_begins():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(2, "", state=MessageState.STREAMING))
        app.pane.append_reasoning("thinking aloud")
        await until(pilot, lambda: any("thinking aloud" in line for line in app.painted()))
        app.pane.append_text("answer")
        await until(pilot, lambda: any("answer" in line for line in app.painted()))
        assert not any("thinking aloud" in line for line in app.painted())


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (MessageState.STOPPED, "Stopped"),
        (MessageState.INTERRUPTED, "Cut short"),
        (MessageState.FAILED, "No answer came"),
    ],
)
async def test_how_a_message_ended_is_said_below_its_text_not_in_it(state, words):
    app = Pane()
    async with app.run_test(size=(80, 24)):
        await app.pane.show(Source([]), 0, 0, [])
        shown = message(2, "partial text", state=state)
        app.pane.add(shown)
        painted = app.painted()
        assert painted[0].strip() == "partial text"
        assert any(words in line for line in painted)
        assert shown.text == "partial text"


@pytest.mark.parametrize("state", [MessageState.STOPPED, MessageState.INTERRUPTED])
async def test_where_nothing_arrived_there_is_nothing_to_continue(state):
    app = Pane()
    async with app.run_test(size=(80, 24)):
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(2, "", state=state))
        painted = " ".join(app.painted())
        assert [words in painted for words in ("r asks again", "c continues", "is kept")] == [True, False, False]


async def test_a_notice_stands_below_the_streaming_text_and_goes_away():
    app = Pane()
    async with app.run_test(size=(80, 24)):
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(2, "", state=MessageState.STREAMING))
        app.pane.note("retry 2 of 3 in 1.5 s")
        assert any("retry 2 of 3" in line for line in app.painted())
        app.pane.note("")
        assert not any("retry" in line for line in app.painted())


async def test_resizing_keeps_the_end_when_it_is_followed_and_else_the_message():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, 200)
        for size in ((60, 15), (120, 40), (33, 9)):
            await pilot.resize_terminal(*size)
            await until(pilot, lambda size=size: app.pane.size.height == size[1])
            assert app.pane.scroll_y == app.pane.max_scroll_y
        await app.pane.jump_to(150)
        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: "question 151" in app.painted()[0])


async def test_selected_text_has_no_gutter_and_wrapped_lines_are_joined():
    app = Pane()
    async with app.run_test(size=(40, 24)):
        text = "a paragraph that is certainly longer than one line of this narrow pane"
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(2, text + "\n\nsecond"))
        selected, _ = app.pane.get_selection(Selection(Offset(2, 0), None))
        assert selected.startswith(text + "\n\nsecond")
        part, _ = app.pane.get_selection(Selection(Offset(4, 0), Offset(13, 0)))
        assert part == "paragraph"


async def test_dragging_selects_across_messages():
    app = Pane()
    async with app.run_test(size=(60, 24)) as pilot:
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(1, "the question"))
        app.pane.add(message(2, "the answer"))
        await pilot.mouse_down(Transcript, offset=(2, 0))
        await pilot.hover(Transcript, offset=(8, 2))
        await pilot.mouse_up(Transcript, offset=(12, 2))
        selected = app.screen.get_selected_text() or ""
        assert "the question" in selected
        assert "the answ" in selected


async def test_a_clicked_link_is_told_and_not_opened():
    app = Pane()
    async with app.run_test(size=(60, 24)) as pilot:
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(2, "[click](https://example.com/x)"))
        await pilot.click(Transcript, offset=(4, 0))
        await pilot.pause()
        assert [event.url for event in app.events if isinstance(event, Transcript.LinkActivated)] == [
            "https://example.com/x"
        ]


async def test_hostile_text_stays_inert():
    app = Pane()
    hostile = "\x1b]52;c;aGk=\x07 [@click=app.quit]x[/] [/INST] \x9b31m \u202eabc `\x1b[2J`\n\n```\n\x1b]0;t\x07\n```\n"
    async with app.run_test(size=(60, 24)) as pilot:
        await app.pane.show(Source([]), 0, 0, [])
        app.pane.add(message(1, hostile))
        app.pane.add(message(2, hostile))
        await pilot.click(Transcript, offset=(8, 0))
        joined = "".join(app.painted())
        assert "[@click=app.quit]x[/] [/INST]" in joined
        assert not any(ord(character) < 32 or 0x7F <= ord(character) < 0xA0 for character in joined)
        assert "\u202e" not in joined


async def test_switching_the_theme_paints_in_its_colours():
    app = Pane()
    async with app.run_test(size=(60, 24)) as pilot:
        await show(app, 4)
        before = app.pane.document.look.palette
        app.theme = "textual-light"
        await until(pilot, lambda: app.pane.document.look.palette != before)
        assert not app.pane.document.look.palette.dark


async def test_the_wheel_scrolls():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, 100)
        before = app.pane.scroll_y
        await pilot._post_mouse_events([events.MouseScrollUp], Transcript, offset=(5, 5), button=0)
        await until(pilot, lambda: app.pane.scroll_y < before)
        assert not app.pane.following


async def test_the_scroll_bar_can_be_dragged():
    app = Pane()
    async with app.run_test(size=(80, 24)) as pilot:
        await show(app, 300)
        assert any(row.rstrip().endswith("▐") for row in app.painted())
        await pilot.mouse_down(Transcript, offset=(79, 23))
        await pilot.hover(Transcript, offset=(79, 0))
        await pilot.mouse_up(Transcript, offset=(79, 0))
        await until(pilot, lambda: any("question 1 " in line for line in app.painted()))
        assert not app.pane.following


async def test_a_reply_in_a_long_chat_costs_no_more_than_in_a_short_one():
    entries_asked = []
    for count in (10, 10_000):
        app = Pane()
        async with app.run_test(size=(80, 24)) as pilot:
            await show(app, count)
            app.pane.add(message(count + 2, "", Role.ASSISTANT, MessageState.STREAMING))
            heights = 0
            original = Entry.height

            def counted(self: Entry, width: int, original=original) -> int:
                nonlocal heights
                heights += 1
                return original(self, width)

            Entry.height = counted
            try:
                app.pane.append_text("more text\n\n")
                await until(pilot, lambda app=app: any("more text" in line for line in app.painted()))
            finally:
                Entry.height = original
            entries_asked.append(heights)
    assert entries_asked[1] < 3 * entries_asked[0]
