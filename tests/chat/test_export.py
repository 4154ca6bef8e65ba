"""A chat as a file: nothing left out, nothing that breaks out."""

from __future__ import annotations

import json
import re

from markdown_it import MarkdownIt

from holychat.chat.export import as_json, as_markdown
from holychat.domain.chat import (
    AttachmentPart,
    Chat,
    ChatOptions,
    Message,
    MessageState,
    Part,
    ReasoningPart,
    Role,
    TextPart,
)
from holychat.domain.failures import Failure
from holychat.domain.usage import Cost, Timing, Usage

CHAT = Chat(7, "A *bold* title\n# x", ChatOptions("test", "m", "Be brief.\n```\nx", 0.5, 9), "draft", 0, 1000, 2)
FILE = AttachmentPart("a`b.md", "/x/a`b.md", "1", 20)
FILES = {"1": "# In a file\n````\n<b>x</b>\n"}


def said(number: int, role: Role, *parts: Part, state: MessageState = MessageState.COMPLETE, **more: object) -> Message:
    return Message(number, 7, number, role, state, parts, number * 1000, **more)


MESSAGES = [
    said(1, Role.USER, FILE, TextPart("Why?")),
    said(2, Role.ASSISTANT, TextPart("old"), replaced=True, model="m"),
    said(
        3, Role.ASSISTANT, ReasoningPart("hm\n## not a heading"), TextPart("Because:\n```py\nprint(1)"),
        state=MessageState.INTERRUPTED, model="m", provider="test", usage=Usage(1, 2, estimated=True),
        cost=Cost(1500, estimated=True), timing=Timing(48, 2340, 2), request_id="req-1",
        failure=Failure("ReplyBroken", "The line broke", "Ask again."),
    ),
    said(4, Role.USER, TextPart("Go on")),
    said(5, Role.ASSISTANT, state=MessageState.FAILED, failure=Failure("Overloaded", "Too busy")),
]  # fmt: skip


def headings(markdown: str) -> list[str]:
    tokens = MarkdownIt().parse(markdown)
    return [tokens[i + 1].content for i, token in enumerate(tokens) if token.type == "heading_open"]


def test_markdown_has_one_heading_for_each_message_and_nothing_breaks_out_of_its_place() -> None:
    text = as_markdown(CHAT, MESSAGES, FILES)
    assert headings(text) == [
        r"A \*bold\* title \# x",
        "System",
        "You, 1970-01-01T00:00:01Z",
        "Answer (m, replaced), 1970-01-01T00:00:02Z",
        "Answer (m, interrupted), 1970-01-01T00:00:03Z",
        "You, 1970-01-01T00:00:04Z",
        "Answer (failed), 1970-01-01T00:00:05Z",
    ]
    fences = [token.content for token in MarkdownIt().parse(text) if token.type == "fence"]
    assert fences == ["Be brief.\n```\nx\n", FILES["1"], "hm\n## not a heading\n", "print(1)\n"]
    assert "> The line broke Ask again." in text
    assert "> Too busy" in text


def test_markdown_carries_nothing_that_could_steer_a_terminal() -> None:
    text = as_markdown(CHAT, [said(1, Role.USER, TextPart("a\x1b[31m\x9b\u202eb"))], {})
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", text)


def test_json_carries_everything_exactly() -> None:
    data = json.loads(as_json(CHAT, [*MESSAGES, said(6, Role.USER, TextPart("a\x1b[31m\u202e\n"))], FILES))
    assert (data["version"], data["id"], data["title"], data["system"]) == (1, 7, CHAT.title, CHAT.options.system)
    assert [message["replaced"] for message in data["messages"]] == [False, True, False, False, False, False]
    assert data["messages"][0]["attachments"] == [
        {"name": "a`b.md", "path": "/x/a`b.md", "sha256": "1", "size": 20, "text": FILES["1"]}
    ]
    answer = data["messages"][2]
    assert (answer["state"], answer["reasoning"]) == ("interrupted", "hm\n## not a heading")
    assert answer["usage"] == {
        "input_tokens": 1, "output_tokens": 2, "cached_input_tokens": None, "reasoning_tokens": None, "estimated": True,
    }  # fmt: skip
    assert (answer["cost_usd"], answer["cost_estimated"], answer["ttft_ms"], answer["attempts"]) == (
        0.0015,
        True,
        48,
        2,
    )
    assert answer["failure"]["title"] == "The line broke"
    assert data["messages"][4]["cost_usd"] is None
    assert data["messages"][5]["text"] == "a\x1b[31m\u202e\n"


def test_an_empty_chat_is_exported_too() -> None:
    empty = Chat(7, "", ChatOptions("test"), "", 0, 0, 0)
    assert as_markdown(empty, [], {}).startswith("# Chat 7\n")
    assert json.loads(as_json(empty, [], {}))["messages"] == []
