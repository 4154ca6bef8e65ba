"""Conversations to show in tests of the transcript."""

from __future__ import annotations

from holychat.domain.chat import Message, MessageState, Part, ReasoningPart, Role, TextPart
from holychat.domain.usage import Cost, Timing, Usage


def message(
    number: int, text: str, role: Role | None = None, state: MessageState = MessageState.COMPLETE, reasoning: str = ""
) -> Message:
    """Message `number` (from 1 on): odd ones are questions, even ones answers."""
    role = role or (Role.USER if number % 2 else Role.ASSISTANT)
    parts: tuple[Part, ...] = (ReasoningPart(reasoning),) if reasoning else ()
    return Message(
        id=number,
        chat_id=1,
        seq=number,
        role=role,
        state=state,
        parts=(*parts, TextPart(text)),
        created_ms=0,
        model="bench-model" if role is Role.ASSISTANT else "",
        usage=Usage(10, 80),
        timing=Timing(400, 2000),
        cost=Cost(131),
    )


def conversation(count: int) -> list[Message]:
    """Questions and answers of varying length, each with its number in it."""
    return [
        message(number, f"question {number} " + "word " * (number * 7 % 50))
        if number % 2
        else message(
            number, f"answer {number}\n\n- item\n- item\n\n```python\nx = {number}\n```\n\n" + "text " * (number % 90)
        )
        for number in range(1, count + 1)
    ]


class Source:
    """Messages by position, and which ones were asked for."""

    def __init__(self, messages: list[Message]) -> None:
        self.all = messages
        self.asked: list[tuple[int, int]] = []

    async def messages(self, first: int, count: int) -> list[Message]:
        """A run of messages."""
        self.asked.append((first, count))
        return self.all[first : first + count]
