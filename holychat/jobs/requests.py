"""Requests that come ready-made, as the body of a chat completion: what holychat can carry, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

from holychat.domain.chat import Role
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.errors import UsageError
from holychat.settings import MAX_TEMPERATURE, MAX_TOKENS
from holychat.text import clean_line

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,  # what newer models of OpenAI call it; they take both
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
}
_OWN = frozenset(
    ("model", "messages", "temperature", "max_tokens", "max_completion_tokens", "stream", "stream_options")
)
_REFUSED = frozenset((
    "tools", "tool_choice", "parallel_tool_calls", "functions", "function_call", "audio", "modalities", "logprobs",
    "top_logprobs", "web_search_options",
))  # fmt: skip
"""Parameters whose answer is not text, or not all of it: it would be paid for and lost."""
_LONGEST_NAME = 64
_MOST_MESSAGES = 100_000


def body_request(body_json: str) -> ReplyRequest:
    """The request that a body describes. Parameters that holychat has no name for go along as they are.

    Args:
        body_json: Body of POST /v1/chat/completions, a JSON object. Without a model that of the job is meant.

    Raises:
        UsageError: It is none, or asks for something whose answer could not be kept; the title names the field.
    """
    try:
        body = json.loads(body_json)
    except (ValueError, RecursionError):
        raise _refusal("The body is not JSON") from None
    if not isinstance(body, dict):
        raise _refusal("The body is no JSON object")
    _check_parameters(body)
    model = body.get("model") or ""
    if not isinstance(model, str):
        raise _refusal("model is no text")
    listed = body.get("messages")
    if not isinstance(listed, list) or not listed or len(listed) > _MOST_MESSAGES:
        raise _refusal("messages must be a list with at least one message")
    return ReplyRequest(
        model=model,
        messages=tuple(_message(place, message) for place, message in enumerate(listed)),
        temperature=_number(body, "temperature", MAX_TEMPERATURE),
        max_tokens=_limit(body),
        parameters=tuple(
            (name, json.dumps(value))
            for name, value in body.items()
            if name not in _OWN and name not in _REFUSED and value is not None
        ),
    )


def _refusal(title: str, hint: str = "Each body is that of a chat completion.") -> UsageError:
    return UsageError(title, hint)


def _check_parameters(body: dict[str, Any]) -> None:
    for name, value in body.items():
        if len(name) > _LONGEST_NAME:
            raise _refusal(f"There is no parameter {clean_line(name, 40)}")
        if name in _REFUSED and value not in (None, [], False, "none"):
            raise _refusal(f"{name} is not supported", "Answers are kept as text: leave it out.")
    if body.get("n") not in (None, 1):
        raise _refusal("n must be 1", "Write the line several times, each with a custom_id of its own.")


def _message(place: int, message: Any) -> PromptMessage:
    if not isinstance(message, dict):
        raise _refusal(f"messages[{place}] is no object")
    role = _ROLES.get(str(message.get("role")))
    if role is None:
        raise _refusal(
            f"messages[{place}].role is {clean_line(str(message.get('role')), 40)!r}",
            "It is system, user or assistant.",
        )
    if message.get("tool_calls") or message.get("function_call"):
        raise _refusal(f"messages[{place}] calls a tool", "Answers are kept as text: leave it out.")
    return PromptMessage(role, _text(place, message.get("content")))


def _text(place: int, content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise _refusal(f"messages[{place}].content is no text")
    pieces: list[str] = []
    for part in content:
        kind = part.get("type") if isinstance(part, dict) else None
        if kind != "text" or not isinstance(part.get("text"), str):
            raise _refusal(
                f"messages[{place}].content holds {clean_line(str(kind), 40)!r}",
                "Only text is sent, no pictures or files.",
            )
        pieces.append(part["text"])
    return "".join(pieces)


def _number(body: dict[str, Any], name: str, most: float) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise _refusal(f"{name} must be a number from 0 to {most:g}")
    return float(value)


def _limit(body: dict[str, Any]) -> int | None:
    value = body.get("max_completion_tokens")
    if value is None:
        value = body.get("max_tokens")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= MAX_TOKENS:
        raise _refusal(f"max_tokens must be a whole number from 1 to {MAX_TOKENS}")
    return value
