"""JSON that models write: found in whatever they write around it, and held against a JSON schema.

Nothing is ever fetched: a schema that refers to another document is refused before a job is made.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from holychat.errors import UsageError
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jsonschema.protocols import Validator

_FENCE = re.compile(r"```[ \t]*\w*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_MOST_STARTS = 50
"""Places where JSON might begin that are tried."""
_MOST_ERRORS = 5
_LARGEST_SCHEMA = 1024 * 1024


def check(schema: str) -> None:
    """See to it that a text is a JSON schema that can be used.

    Raises:
        UsageError: It is none, or it refers to something outside.
    """
    from jsonschema import SchemaError
    from referencing.exceptions import Unresolvable

    if not schema.strip():
        raise UsageError("There is no schema", "A JSON schema says which data are wanted: --schema FILE")
    if len(schema) > _LARGEST_SCHEMA:
        raise UsageError("The schema is larger than 1 MiB")
    try:
        value = json.loads(schema)
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"The schema is not JSON: {clean_line(str(error), 120)}", "A JSON schema is JSON itself."
        ) from None
    if not isinstance(value, dict):
        raise UsageError("The schema is no JSON object", 'For example: {"type": "object", "properties": {…}}')
    try:
        validator = _validator(schema)
        validator.check_schema(value)
        resolver = _registry(value).resolver("urn:schema")
        for reference in _references(value):
            resolver.lookup(reference)
    except SchemaError as error:
        raise UsageError(f"The schema is no JSON schema: {clean_line(error.message, 160)}", error.json_path) from None
    except (Unresolvable, ValueError) as error:
        title = f"The schema refers to something that is not in it: {clean_line(str(error), 120)}"
        raise UsageError(title, "Put it under $defs: nothing is fetched from the network.") from None


def json_in(text: str, schema: str) -> tuple[str | None, str | None]:
    """(JSON, problem) of an answer: the JSON in one line, and why it does not fit, where it does not.

    What fits the schema is taken wherever it stands; else the problem is about the first JSON in the answer. The JSON
    is None where there is none.
    """
    first: tuple[str, str] | None = None
    for value in _candidates(text):
        problem = _misfit(value, schema)
        if problem is None:
            return _line(value), None
        if first is None:
            first = (_line(value), problem)
    return first if first is not None else (None, "there is no complete JSON in it")


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _candidates(text: str) -> Iterator[Any]:
    """JSON values in an answer, the likeliest first."""
    whole = text.strip().removeprefix("\ufeff")
    for piece in (whole, *(match[1] for match in _FENCE.finditer(whole))):
        try:
            yield json.loads(piece, parse_constant=_refuse)
        except (ValueError, RecursionError):
            continue
    decoder = json.JSONDecoder(parse_constant=_refuse)
    place = 0
    for _ in range(_MOST_STARTS):
        start = re.compile(r"[{\[]").search(whole, place)
        if start is None:
            return
        try:
            value, place = decoder.raw_decode(whole, start.start())
        except (ValueError, RecursionError):
            place = start.end()
            continue
        yield value


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _misfit(value: Any, schema: str) -> str | None:
    """Why a value does not fit the schema, in words for a model; None where it fits."""
    from referencing.exceptions import Unresolvable

    try:
        errors = sorted(
            _validator(schema).iter_errors(value), key=lambda error: (len(error.absolute_path), str(error.path))
        )
    except Unresolvable as error:
        return f"the schema cannot be followed: {clean_line(str(error), 120)}"
    except RecursionError:
        return "it is nested too deeply"
    if not errors:
        return None
    told = [f"at {error.json_path}: {clean_line(error.message, 200)}" for error in errors[:_MOST_ERRORS]]
    more = f"; and {len(errors) - _MOST_ERRORS} more" if len(errors) > _MOST_ERRORS else ""
    return f"it does not fit the schema: {'; '.join(told)}{more}"


@lru_cache(maxsize=8)
def _validator(schema: str) -> Validator:
    from jsonschema import Draft202012Validator
    from jsonschema.validators import validator_for

    value = json.loads(schema)
    kind = validator_for(value, default=Draft202012Validator)
    return kind(value, registry=_registry(value), format_checker=kind.FORMAT_CHECKER)


def _registry(schema: dict[str, Any]) -> Any:
    """The schema itself and nothing else; a registry that is given fetches nothing."""
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    resource = Resource.from_contents(schema, default_specification=DRAFT202012)
    return Registry().with_resource("urn:schema", resource).crawl()


def _references(value: Any) -> Iterator[str]:
    waiting = [value]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            for name, inner in here.items():
                if name in ("$ref", "$dynamicRef", "$recursiveRef") and isinstance(inner, str):
                    yield inner
                elif name not in ("const", "enum", "default", "examples"):
                    waiting.append(inner)
        elif isinstance(here, list):
            waiting.extend(here)
