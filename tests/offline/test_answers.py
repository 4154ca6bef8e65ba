"""What the offline provider makes of a conversation."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holychat.providers.offline import answers
from holychat.providers.offline.answers import answer
from holychat.providers.offline.prompt import Turn, read_question
from holychat.tui.keymap import KEYS, key_label

ANIMALS = "Cats sleep for most of the day. Dogs bark loudly at night. Birds sing early in the morning. Fish are silent."
STARS = "Stars are made of hydrogen. They shine for billions of years. The sun is a star of middle age."


def file(name: str, text: str) -> str:
    return f'<file name="{name}">\n{text}\n</file>\n'


def ask(*texts: str) -> str:
    """The answer to the last of some messages, with the real answers in between."""
    turns: list[Turn] = []
    for text in texts:
        turns.append(Turn("user", text))
        turns.append(Turn("assistant", answer(turns)))
    return turns[-1].text


def quoted(reply: str) -> list[str]:
    return re.findall(r"^- (.*)$", reply, flags=re.MULTILINE)


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        "How do I quit?",
        "What is holychat?",
        file("a.txt", ANIMALS),
        file("a.txt", ""),
        f"Summarise:\n\n{ANIMALS}",
        "What is the capital of France?",
        "",
        "   ",
        "Write a poem about keys",
    ],
)
def test_every_answer_says_first_that_it_is_extractive_and_no_language_model(text: str) -> None:
    first_line = answer([Turn("user", text)]).partition("\n")[0]
    assert "Extractive" in first_line
    assert "not a language model" in first_line


def test_each_attached_file_is_summarised_under_its_name() -> None:
    reply = ask(file("animals.txt", ANIMALS) + file("stars.txt", STARS) + "Summarise in one sentence")
    assert re.findall(r"^### `(.*)`$", reply, flags=re.MULTILINE) == ["animals.txt", "stars.txt"]
    first, second = quoted(reply)
    assert first in ANIMALS
    assert second in STARS


@pytest.mark.parametrize(
    "instruction", ["", "Summarise this", "Tóm tắt giúp tôi", "总结一下", "What is this about, in summary?"]
)
def test_a_file_with_any_such_instruction_is_summarised(instruction: str) -> None:
    sentences = quoted(ask(file("animals.txt", ANIMALS) + instruction))
    assert sentences
    assert all(sentence in ANIMALS for sentence in sentences)


@pytest.mark.parametrize(
    "text",
    [
        f"Summarise this:\n\n{ANIMALS} {STARS}",
        f"Summarise: {ANIMALS} {STARS}",
        f"{ANIMALS} {STARS}\n\nSummarise the above.",
        f"Tóm tắt:\n{ANIMALS} {STARS}",
        f"{ANIMALS}\n\n{STARS} " * 3,
    ],
)
def test_a_pasted_text_is_summarised_without_its_instruction(text: str) -> None:
    sentences = quoted(ask(text))
    assert sentences
    assert all(sentence in f"{ANIMALS} {STARS}" for sentence in sentences)


def test_a_question_about_a_file_is_answered_with_the_sentences_that_match() -> None:
    assert quoted(ask(file("animals.txt", ANIMALS) + "What do dogs do at night?")) == ["Dogs bark loudly at night."]


def test_a_follow_up_question_is_answered_from_the_earlier_file() -> None:
    given_before = file("animals.txt", ANIMALS) + "Summarise"
    reply = ask(given_before, "And when do the birds sing?")
    assert quoted(reply) == ["Birds sing early in the morning."]
    assert "`animals.txt`" in reply


def test_a_follow_up_may_ask_for_another_length() -> None:
    text = file("stars.txt", STARS) + "Summarise in detail"
    assert len(quoted(ask(text, "shorter, please"))) < len(quoted(ask(text)))
    assert len(quoted(ask(text, "in 1 sentence"))) == 1


def test_a_follow_up_that_nothing_matches_is_told_so() -> None:
    reply = ask(file("stars.txt", STARS) + "Summarise", "What about elephants?")
    assert quoted(reply) == []
    assert "No sentence of `stars.txt`" in reply


def test_the_latest_file_is_the_one_that_is_meant() -> None:
    first, second = file("animals.txt", ANIMALS), file("stars.txt", STARS)
    assert "`stars.txt`" in ask(first, second, "Summarise it again")


def test_holychat_can_be_asked_about_while_a_file_is_there() -> None:
    assert "Ctrl+Q" in ask(file("stars.txt", STARS) + "Summarise", "What are the shortcuts of holychat?")


@pytest.mark.parametrize(
    ("question", "told"),
    [
        ("How do I quit?", "Ctrl+Q"),
        ("keyboard shortcuts", "Ctrl+N"),
        ("How do I add an API key?", "holychat keys set"),
        ("What can I do without a keyring?", "key_command"),
        ("Where is the config file?", "holychat config path"),
        ("Does it do batch processing?", "holychat batch summarize"),
        ("How can I use Ollama?", "11434"),
        ("How do I export a chat to Markdown?", "/export"),
        ("Which slash commands are there?", "/temp"),
        ("What is holychat?", "terminal chat"),
        ("Phím tắt của holychat là gì?", "Ctrl+N"),
        ("如何退出？", "Ctrl+Q"),
    ],
)
def test_questions_about_holychat_are_answered_from_the_help(question: str, told: str) -> None:
    reply = ask(question)
    assert told in reply
    assert "holychat's own help" in reply


@pytest.mark.parametrize("text", ["hello", "What is the capital of France?", "Write a poem about the sea", "2+2"])
def test_anything_else_is_told_what_can_be_done_and_how_to_add_a_key(text: str) -> None:
    reply = ask(text)
    assert reply == answers.ABILITIES
    assert "holychat keys set holysheep" in reply


def test_every_key_of_the_app_is_explained_in_the_help() -> None:
    page = files("holychat").joinpath("help/2-keys.md").read_text(encoding="utf-8").lower()
    unexplained = {
        key.id for key in KEYS if key.show and not any(key_label(name).lower() in page for name in key.keys.split(","))
    }
    assert unexplained == set()


@given(st.integers(0, 2000))
def test_an_answer_that_was_cut_short_is_continued_where_it_broke_off(place: int) -> None:
    question = Turn("user", file("animals.txt", ANIMALS) + file("stars.txt", STARS))
    whole = answer([question])
    said = whole[: 1 + place % len(whole)]
    for words in ("Continue your last message exactly where it broke off. Do not repeat any of it.", "continue"):
        rest = answer([question, Turn("assistant", said), Turn("user", words)])
        assert rest == whole[len(said) :] or (said == whole and "all of it" in rest)


def test_a_very_long_document_is_read_to_a_limit_and_the_answer_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LONGEST_DOCUMENT", 60)
    assert "only the first 60 characters" in ask(file("animals.txt", ANIMALS))


def test_file_blocks_are_taken_apart_and_unclosed_ones_are_text() -> None:
    read = read_question(file("a.md", "One.") + file("b.md", "Two.") + "And now?")
    assert [(document.name, document.text.strip()) for document in read.documents] == [
        ("a.md", "One."),
        ("b.md", "Two."),
    ]
    assert read.typed == "And now?"
    assert read_question('<file name="a.md">\nOne.').documents == ()


@given(st.lists(st.tuples(st.sampled_from(["user", "assistant", "system", "tool"]), st.text(max_size=200)), max_size=6))
def test_any_conversation_gets_an_answer(turns: list[tuple[str, str]]) -> None:
    assert answer([Turn(role, text) for role, text in turns])
