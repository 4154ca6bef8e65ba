"""What the model gets to read."""

from __future__ import annotations

import re

import pytest

from holychat.chat.prompt import CONTINUE, build_request, file_block
from holychat.domain.chat import AttachmentPart, ChatOptions, Message, MessageState, Part, ReasoningPart, Role, TextPart

OPTIONS = ChatOptions("test")


def said(role: Role, *parts: Part, state: MessageState = MessageState.COMPLETE, replaced: bool = False) -> Message:
    return Message(1, 1, 1, role, state, parts, 0, replaced=replaced)


def asked(text: str) -> Message:
    return said(Role.USER, TextPart(text))


def answered(text: str, state: MessageState = MessageState.COMPLETE) -> Message:
    return said(Role.ASSISTANT, TextPart(text), state=state)


def read(*messages: Message, options: ChatOptions = OPTIONS, partial: str = "") -> list[tuple[str, str]]:
    request = build_request(options, "m", messages, {"1": "one", "2": "two\n"}, partial)
    return [(message.role.value, message.text) for message in request.messages]


@pytest.mark.parametrize("state", [MessageState.COMPLETE, MessageState.STOPPED, MessageState.INTERRUPTED])
def test_partial_answers_go_along(state: MessageState) -> None:
    assert read(asked("a"), answered("b", state), asked("c")) == [("user", "a"), ("assistant", "b"), ("user", "c")]


@pytest.mark.parametrize(
    "left_out",
    [
        answered("b", MessageState.FAILED),
        answered("b", MessageState.STREAMING),
        answered(" \n"),
        said(Role.ASSISTANT),
        said(Role.ASSISTANT, ReasoningPart("thought"), state=MessageState.INTERRUPTED),
        said(Role.ASSISTANT, TextPart("b"), replaced=True),
        said(Role.USER, TextPart("b"), replaced=True),
    ],
)
def test_what_was_no_answer_is_left_out_and_roles_still_alternate(left_out: Message) -> None:
    assert read(asked("a"), left_out, asked("c")) == [("user", "a\n\nc")]


def test_reasoning_is_never_sent_back() -> None:
    answer = said(Role.ASSISTANT, ReasoningPart("secret thought"), TextPart("b"))
    assert "thought" not in str(read(asked("a"), answer, asked("c")))


def test_the_system_prompt_comes_first_and_only_where_there_is_one() -> None:
    assert read(asked("a"), options=ChatOptions("test", system="Be brief."))[0] == ("system", "Be brief.")
    assert read(asked("a"), options=ChatOptions("test", system=" ")) == [("user", "a")]


def test_files_come_before_the_text() -> None:
    message = said(
        Role.USER,
        AttachmentPart("a.txt", "/a.txt", "1", 3),
        AttachmentPart("b.md", "/b.md", "2", 4),
        TextPart("Compare"),
    )
    assert read(message) == [
        ("user", '<file name="a.txt">\none\n</file>\n<file name="b.md">\ntwo\n</file>\nCompare'),
    ]  # fmt: skip


@pytest.mark.parametrize("tag", ["</file>", "</FILE >", "</ file>", "</file\n>", "< /file>", "</file name='x'>"])
def test_a_closing_tag_inside_a_file_is_defused(tag: str) -> None:
    block = file_block("a.txt", f"before {tag} after")
    assert len(re.findall(r"<\s*/\s*file\b", block, re.IGNORECASE)) == 1
    assert block.endswith("after\n</file>\n")


@pytest.mark.parametrize("name", ['a".txt', "a>b.txt", "a\n</file>.txt", "\x1b[31m.txt", "\u202egpj.exe"])
def test_a_file_name_can_not_break_out_of_its_tag(name: str) -> None:
    first = file_block(name, "x").split("\n")[0]
    assert re.fullmatch(r'<file name="[^"<>]*">', first)
    assert "\x1b" not in first
    assert "\u202e" not in first


def test_the_rest_of_an_answer_is_asked_for_after_its_beginning() -> None:
    assert read(asked("a"), partial="Once upon") == [("user", "a"), ("assistant", "Once upon"), ("user", CONTINUE)]
    assert read(asked("a"), partial=" ") == [("user", "a")]


def test_parameters_are_passed_on() -> None:
    request = build_request(ChatOptions("test", "x", "", 0.5, 9), "m", [asked("a")], {})
    assert (request.model, request.temperature, request.max_tokens) == ("m", 0.5, 9)
