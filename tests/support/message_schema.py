"""Anthropic's own types of its requests, out of the official package, as a judge of ours."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic import TypeAdapter


@lru_cache(maxsize=1)
def _types() -> TypeAdapter[Any]:
    from anthropic.types import message_create_params
    from pydantic import ConfigDict, TypeAdapter, with_config

    @with_config(ConfigDict(extra="forbid"))
    class Body(message_create_params.MessageCreateParamsBase, total=False):
        stream: bool

    return TypeAdapter(Body)


def check(body: Mapping[str, Any]) -> None:
    """Hold the body of a request against the types. They have no temperature any more; version 2023-06-01 has.

    Raises:
        ValidationError: Of pydantic: it is none.
    """
    checked = _types().validate_python({name: value for name, value in body.items() if name != "temperature"})
    list(checked["messages"])  # looked at no sooner than it is gone through
