"""Finding: any script, words as they are typed, whatever people type."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holychat.domain.chat import AttachmentPart
from holychat.store import chats, messages, search
from holychat.store.folding import fold, storable, words
from holychat.store.messages import FileText
from tests.store.tools import NOW, answer, ask, is_sound, new_chat, talk

if TYPE_CHECKING:
    from holychat.domain.search import Hit
    from holychat.store.database import Database


def found(database: Database, query: str, limit: int = 20) -> list[Hit]:
    return database.read_now(lambda c: search.find(c, query, limit))


def listed(database: Database, query: str, limit: int = 50, offset: int = 0) -> list[int]:
    return [entry.chat.id for entry in database.read_now(lambda c: chats.entries(c, query, limit, offset))]


def marked(hit: Hit) -> list[str]:
    return [text for text, is_hit in hit.pieces if is_hit]


@pytest.mark.parametrize(
    ("text", "query", "hits"),
    [
        ("The quick brown Fox", "fox", ["Fox"]),
        ("The quick brown Fox", "qui", ["qui"]),
        ("The quick brown Fox", "fox quick", ["quick", "Fox"]),
        ("The quick brown Fox", '"quick brown"', ["quick brown"]),
        ("Tôi đi trên đường phố Hà Nội", "duong pho", ["đường", "phố"]),
        ("Tôi đi trên đường phố Hà Nội", "ĐƯỜNG", ["đường"]),
        ("Tôi đi trên đường phố Hà Nội", unicodedata.normalize("NFD", "đường"), ["đường"]),
        ("我们在北京学习中文搜索", "中文", ["中文"]),
        ("我们在北京学习中文搜索", "京", ["京"]),
        ("我们在北京学习中文搜索", "北京 搜索", ["北京", "搜索"]),
        ("東京タワーへ行く", "タワー", ["タワー"]),
        ("ภาษาไทยไม่มีช่องว่าง", "ไทย", ["ไทย"]),
        ("한국어 검색은 됩니다", "검색", ["검색"]),
        ("Привет, Мир", "мир", ["Мир"]),
        ("def parse_html(text): ...", "parse_html", ["parse_html"]),
        ("C++ and C#", "c++", []),
        ("see https://example.com/a?b=c", "example.com", ["example.com"]),
        ("a\nnew\tline", "new line", ["new", "line"]),
        ("naïve Straße", "naive strase", ["naïve"]),
    ],
)
def test_a_message_is_found(database: Database, text: str, query: str, hits: list[str]) -> None:
    talk(database, ("something else entirely", text))
    (hit,) = found(database, query)
    assert hit.snippet.translate(str.maketrans("\n\t", "  ")) == text.translate(str.maketrans("\n\t", "  "))
    assert marked(hit)[: len(hits)] == hits


@pytest.mark.parametrize("query", ["文北", "quick fox cat", '"brown quick"', "ox", "zebra", "", " ", "+++", '"', "***"])
def test_a_message_is_not_found(database: Database, query: str) -> None:
    talk(database, ("我们在北京学习中文搜索", "The quick brown Fox"))
    assert found(database, query) == []


@pytest.mark.parametrize(
    "query",
    [
        '"', '""', "'", "a AND", "NOT", "a OR b", "NEAR(a b)", "col:x", "words:x", "^a", "a*", "-a", "(", ")", "a + b",
        "{x}:y", "\\", "\0", "a\0b", "\ud800", "%", "_", ";--", '" OR 1=1', "🐑", "\u202e", "a" * 10_000, "a " * 2_000,
    ],
)  # fmt: skip
def test_nothing_that_people_type_is_a_syntax_error(database: Database, query: str) -> None:
    talk(database, ("AND or not near (x) 🐑", "a b"))
    found(database, query)
    listed(database, query)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=st.text(max_size=30))
def test_no_text_is_a_syntax_error(database: Database, query: str) -> None:
    found(database, query)
    listed(database, query)


@settings(max_examples=200)
@given(text=st.text(max_size=60))
def test_folding_keeps_the_length(text: str) -> None:
    assert len(fold(storable(text))) == len(storable(text))
    assert isinstance(words(storable(text)), str)


@settings(max_examples=100)
@given(text=st.text(max_size=400), terms=st.lists(st.text(min_size=1, max_size=5), max_size=3))
def test_the_pieces_of_a_snippet_are_a_line_of_the_text(text: str, terms: list[str]) -> None:
    text = storable(text)
    pieces = search.snippet(text, [fold(storable(term)) for term in terms])
    line = "".join(piece for piece, _ in pieces).removeprefix("…").removesuffix("…")
    assert line in text.replace("\n", " ").replace("\r", " ").replace("\t", " ") or "…" in text


def test_a_snippet_shows_the_place_and_not_the_whole(database: Database) -> None:
    talk(database, ("x", "lorem ipsum " * 500 + "the needle lies here " + "dolor sit " * 500))
    (hit,) = found(database, "needle")
    assert marked(hit) == ["needle"]
    assert hit.snippet.startswith("…")
    assert hit.snippet.endswith("…")
    assert len(hit.snippet) < 200


def test_hits_come_newest_first_and_say_where_they_are(database: Database) -> None:
    first = talk(database, ("apple one", "-"), now_ms=NOW)
    second = talk(database, ("apple two", "apple three"), now_ms=NOW + 1)
    hits = found(database, "apple")
    assert [hit.snippet for hit in hits] == ["apple three", "apple two", "apple one"]
    assert [hit.chat_id for hit in hits] == [second.id, second.id, first.id]
    assert (hits[0].role, hits[0].title, hits[0].created_ms) == ("assistant", "apple two", NOW + 1)
    assert len(found(database, "apple", limit=2)) == 2


def test_replaced_messages_are_found_and_marked(database: Database) -> None:
    chat = talk(database, ("apple", "pear"))
    database.write_now(lambda c: messages.replace_from(c, chat.id, 0))
    assert [hit.replaced for hit in found(database, "pear")] == [True]


def test_an_answer_is_found_by_its_new_text_and_no_longer_by_its_old_one(database: Database) -> None:
    chat = talk(database, ("q", "apple"))
    reply = database.read_now(lambda c: messages.page(c, chat.id, 1, 1))[0]
    new = messages.NewReply("me", "t", "m", NOW)
    again = database.write_now(lambda c: messages.reopen_reply(c, reply, new))
    database.write_now(lambda c: answer(c, again, "pear"))
    assert len(found(database, "pear")) == 1
    assert found(database, "apple") == []
    assert is_sound(database)


def test_reasoning_is_not_searched_and_names_of_files_are(database: Database) -> None:
    chat = new_chat(database)
    file = FileText(AttachmentPart("budget-2026.csv", "/x/budget-2026.csv", "1" * 64, 1), "secret contents")
    database.write_now(lambda c: messages.add_question(c, chat.id, "sum it up", [file], NOW))
    database.write_now(lambda c: answer(c, ask(c, chat.id, "and?")[1], "fine", reasoning="cogitation"))
    assert found(database, "cogitation") == []
    assert found(database, "contents") == []
    assert [hit.message_id for hit in found(database, "budget")] == [1]


# The list of chats


def test_the_list_filters_titles_first_and_then_messages(database: Database) -> None:
    in_text = talk(database, ("first", "talks of sheep"), now_ms=NOW + 9)
    in_title = talk(database, ("Sheep", "baa"), now_ms=NOW)
    talk(database, ("goats", "meh"), now_ms=NOW + 5)
    entries = database.read_now(lambda c: chats.entries(c, "shee", 50, 0))
    assert [entry.chat.id for entry in entries] == [in_title.id, in_text.id]
    assert entries[0].message_id is None
    assert entries[1].snippet == "talks of sheep"
    assert entries[1].message_id == 2


def test_a_title_is_found_by_any_part_of_its_words(database: Database) -> None:
    chat = talk(database, ("Dockerfiles für Đường", "-"))
    assert listed(database, "kerf") == [chat.id]
    assert listed(database, "fur DUONG") == [chat.id]
    database.write_now(lambda c: chats.rename(c, chat.id, "Kaffee"))
    assert listed(database, "kaff") == [chat.id]


def test_a_chat_is_listed_once_however_often_it_matches(database: Database) -> None:
    chat = talk(database, *((f"q{n}", "sheep and sheep") for n in range(50)))
    other = talk(database, ("x", "sheep"), now_ms=NOW - 1)
    assert sorted(listed(database, "sheep")) == sorted([chat.id, other.id])


def test_pages_of_the_list_follow_each_other(database: Database) -> None:
    made = [talk(database, (f"chat {n}", "sheep"), now_ms=NOW + n).id for n in range(7)]
    for query in ("", "sheep", "chat"):
        pages = [listed(database, query, 3, offset) for offset in (0, 3, 6, 9)]
        assert [len(page) for page in pages] == [3, 3, 1, 0]
        assert [chat_id for page in pages for chat_id in page] == made[::-1]


def test_the_filter_is_satisfied_by_one_message_and_not_by_two(database: Database) -> None:
    talk(database, ("apple", "pear"))
    assert listed(database, "apple pear") == []
