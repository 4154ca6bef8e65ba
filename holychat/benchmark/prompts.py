"""The prompts of a benchmark: a few built-in ones, or those of a file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from holychat.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_MOST_BYTES = 32 * 1024 * 1024

BUILT_IN = (
    "Explain in three sentences why the sky is blue.",
    "Summarise: The river rises in the hills, feeds two lakes and three mills, and reaches the sea after forty miles.",
    "Name five uses of a paper clip, one per line.",
    "Write a polite reply to a customer whose parcel is a week late.",
    "What is the difference between a list and a tuple in Python?",
    "Turn this into a title: a study of how bees find their way home in the rain.",
    "Which of these is not a fruit, and why: apple, pear, carrot, plum?",
    "Give three reasons for writing tests before the code.",
)
"""Short and of different kinds, so that neither a cache nor one odd question makes the figures."""


def read(path: Path) -> tuple[str, ...]:
    """The prompts of a file, one per line; lines of a .jsonl file are texts or objects with `prompt`. Blocking.

    Raises:
        UsageError: It cannot be read, or holds none.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        text = data.decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text") from None
    if len(data) > _MOST_BYTES:
        raise UsageError(f"{path} is larger than {_MOST_BYTES // 2**20} MiB")
    found = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if not found:
        raise UsageError(f"There are no prompts in {path}", "One per line is expected.")
    if path.suffix.lower() != ".jsonl":
        return tuple(line for _, line in found)
    return tuple(_prompt(path, number, line) for number, line in found)


def _prompt(path: Path, number: int, line: str) -> str:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise UsageError(f"{path}, line {number} is not JSON") from None
    text = value.get("prompt") if isinstance(value, dict) else value
    if not isinstance(text, str) or not text.strip():
        raise UsageError(f"{path}, line {number} holds no prompt", 'Expected: "a text", or {"prompt": "a text"}.')
    return text
