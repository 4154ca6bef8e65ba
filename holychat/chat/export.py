"""A chat as a file: Markdown for people, JSON for programs. Derived on demand; holds no key and needs no network."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from holychat.catalog.money import usd
from holychat.domain.chat import AttachmentPart, MessageState, ReasoningPart, Role
from holychat.domain.markdown import closed, fenced, inline
from holychat.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holychat.domain.chat import Chat, Message, Part

JSON_VERSION = 1

_STATES = {
    MessageState.STREAMING: "still arriving",
    MessageState.STOPPED: "stopped",
    MessageState.INTERRUPTED: "interrupted",
    MessageState.FAILED: "failed",
}
_WHO = {Role.USER: "You", Role.ASSISTANT: "Answer", Role.SYSTEM: "System"}


def as_markdown(chat: Chat, messages: Iterable[Message], files: Mapping[str, str]) -> str:
    """The chat as Markdown: answers as they are, everything that is not Markdown fenced.

    Args:
        chat: The chat.
        messages: Its messages in the order of writing, replaced ones included.
        files: Text by hash of the attached files.
    """
    options = chat.options
    lines = [f"# {inline(chat.title) or f'Chat {chat.id}'}", ""]
    lines += [f"- Started: {_time(chat.created_ms)}", f"- Provider: {inline(options.provider)}"]
    if options.model:
        lines.append(f"- Model: {inline(options.model)}")
    for name, value in (("Temperature", options.temperature), ("Max tokens", options.max_tokens)):
        if value is not None:
            lines.append(f"- {name}: {value}")
    if options.system:
        lines += ["", "## System", "", fenced(options.system)]
    for message in messages:
        lines += ["", _heading(message), ""]
        for part in message.parts:
            lines += [_part(part, files), ""]
        if message.failure is not None:
            lines += [f"> {inline(f'{message.failure.title} {message.failure.hint}', 2000)}", ""]
        lines.pop()
    return clean("\n".join(lines)).rstrip("\n") + "\n"


def as_json(chat: Chat, messages: Iterable[Message], files: Mapping[str, str]) -> str:
    """The chat as one JSON object, text exactly as stored."""
    options = chat.options
    return json.dumps(
        {
            "version": JSON_VERSION,
            "id": chat.id,
            "title": chat.title,
            "created": _time(chat.created_ms),
            "updated": _time(chat.updated_ms),
            "provider": options.provider,
            "model": options.model,
            "system": options.system,
            "temperature": options.temperature,
            "max_tokens": options.max_tokens,
            "messages": [_json_message(message, files) for message in messages],
        },
        ensure_ascii=False,
        indent=2,
    )


def _json_message(message: Message, files: Mapping[str, str]) -> dict[str, Any]:
    usage, timing, cost = message.usage, message.timing, message.cost
    fields: dict[str, Any] = {
        "id": message.id,
        "role": message.role.value,
        "state": message.state.value,
        "replaced": message.replaced,
        "created": _time(message.created_ms),
        "text": message.text,
    }
    if message.attachments:
        fields["attachments"] = [_json_file(part, files) for part in message.attachments]
    if message.later is not None:
        fields["later"] = {"job": message.later.job_id, "road": message.later.road.value}
    if message.role is Role.ASSISTANT:
        fields |= {
            "reasoning": message.reasoning,
            "provider": message.provider,
            "model": message.model,
            "finish_reason": message.finish_reason,
            "request_id": message.request_id,
            "usage": {
                "input_tokens": usage.input_tokens,
                "output_tokens": usage.output_tokens,
                "cached_input_tokens": usage.cached_input_tokens,
                "reasoning_tokens": usage.reasoning_tokens,
                "estimated": usage.estimated,
            },
            "cost_usd": usd(cost),
            "cost_estimated": cost is not None and cost.estimated,
            "ttft_ms": timing.first_token_ms,
            "elapsed_ms": timing.elapsed_ms,
            "attempts": timing.attempts,
            "failure": None if message.failure is None else message.failure.to_dict(),
        }
    return fields


def _json_file(part: AttachmentPart, files: Mapping[str, str]) -> dict[str, Any]:
    text = files.get(part.sha256, "")
    return {"name": part.name, "path": part.path, "sha256": part.sha256, "size": part.size, "text": text}


def _heading(message: Message) -> str:
    marks = [_STATES[message.state]] if message.state in _STATES else []
    if message.replaced:
        marks.append("replaced")
    if message.role is Role.ASSISTANT and message.model:
        marks.insert(0, inline(message.model))
    if message.later is not None:
        said = "answered later by" if message.later.is_answer else "asked for later:"
        marks.append(f"{said} job {message.later.job_id}")
    suffix = f" ({', '.join(marks)})" if marks else ""
    return f"## {_WHO[message.role]}{suffix}, {_time(message.created_ms)}"


def _part(part: Part, files: Mapping[str, str]) -> str:
    if isinstance(part, AttachmentPart):
        return f"File {inline(part.name)}, {part.size} bytes:\n\n{fenced(files.get(part.sha256, ''))}"
    if isinstance(part, ReasoningPart):
        return f"Reasoning:\n\n{fenced(part.text)}"
    return closed(part.text.rstrip())


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
