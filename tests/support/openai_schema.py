"""OpenAI's own description of its requests, as JSON schemas: see the comment in openai_schema.json for where from."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema

_FILE = Path(__file__).with_suffix(".json")


@lru_cache(maxsize=4)
def _validator(name: str) -> jsonschema.Draft202012Validator:
    document = json.loads(_FILE.read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator({**document, "$ref": f"#/$defs/{name}"})


def problems(name: str, value: Any) -> list[str]:
    """What is wrong with a request: `name` is "chat_completion", "batch_line" or "create_batch"."""
    return [f"{error.json_path}: {error.message}" for error in _validator(name).iter_errors(value)]
