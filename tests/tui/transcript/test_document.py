"""Which lines are where in a long chat, while guesses become exact."""

import random

from holychat.domain.chat import MessageState
from holychat.tui.markdown.look import Look
from holychat.tui.widgets.transcript_document import Document
from holychat.tui.widgets.transcript_page import PAGE
from tests.tui.transcript.conversations import conversation, message


def loaded(count: int) -> Document:
    document = Document(Look())
    messages = conversation(count)
    document.reset(count)
    document.load(0, messages)
    return document


def text_at(document: Document, y: int) -> str:
    line = document.line(y)[1]
    return "" if line is None else line.text


def screen(document: Document, top: int, rows: int = 20) -> list[str]:
    return [text_at(document, y) for y in range(top, top + rows)]


def test_everything_is_there_once_and_in_order():
    document = loaded(120)
    document.settle(0, 10**6)
    text = "\n".join(screen(document, 0, document.height))
    numbers = [f"question {n} " if n % 2 else f"answer {n}\n" for n in range(1, 121)]
    positions = [text.find(number) for number in numbers]
    assert positions == sorted(positions)
    assert min(positions) >= 0


def test_what_is_seen_stays_in_place_while_guesses_above_it_become_exact():
    sizes = random.Random(3)
    document = loaded(300)
    top = document.settle_end(30)
    for _ in range(60):
        before = screen(document, top, 30)
        wanted = max(top - sizes.randint(1, 40), 0)
        overlap = top - wanted
        settled = document.settle(top, 30, 60)
        assert screen(document, settled, 30) == before
        top = document.settle(settled - overlap, 30, 20)


def test_positions_and_lines_agree():
    document = loaded(90)
    document.settle(0, 10**6)
    for position in range(90):
        top = document.top_of(position)
        assert document.position_at(top) == position
        assert f" {position + 1}" in text_at(document, top)


def test_only_what_is_near_the_viewport_is_laid_out():
    document = loaded(1000)
    document.settle_end(40)
    laid_out = sum(1 for position in range(1000) if not document.entry(position).is_guessed)
    assert laid_out < 60


def test_a_page_that_was_not_loaded_is_asked_for_and_keeps_the_view():
    document, messages = Document(Look()), conversation(500)
    document.reset(500)
    document.load(450, messages[450:])
    top = document.settle_end(30)
    before = screen(document, top, 30)
    assert document.missing(top, top + 30) is None
    first, count = document.missing(top - 500, top + 30)
    assert first % PAGE == 0
    top = document.load_in_place(first, messages[first : first + count], top)
    assert screen(document, top, 30) == before


def test_a_streaming_message_at_the_end_changes_nothing_above_it():
    document = loaded(20)
    document.settle(0, 10**6)
    before = screen(document, 0, document.top_of(19))
    entry = document.add(message(21, "", state=MessageState.STREAMING, role=None))
    for _ in range(50):
        entry.append_text("more **text** here, \n\n")
        entry.advance()
        document.grown()
        document.settle_end(20)
    assert screen(document, 0, len(before)) == before
    assert document.height == sum(document.entry(position).height(document.width) for position in range(21))


def test_removing_from_the_middle_forgets_the_rest():
    document = loaded(120)
    document.remove_from(70)
    assert len(document) == 70
    assert document.entry(70) is None
    assert document.last is document.entry(69)
    document.add(message(71, "new"))
    document.settle(0, 10**6)
    assert text_at(document, document.top_of(70)) == "new"


def test_an_empty_document_has_no_lines():
    document = Document(Look())
    assert document.settle_end(20) == 0
    assert document.height == 0
    assert document.line(0) == (None, None, None, 0)


def test_a_new_width_keeps_all_text():
    document = loaded(60)
    document.settle(0, 10**6)
    for width in (20, 110, 8, 61):
        document.width = width
        document.changed()
        document.settle(0, 10**6)
        text = " ".join("".join(screen(document, 0, document.height)).split())
        assert all(f"question {number}" in text for number in range(1, 60, 2)) or width < 14
