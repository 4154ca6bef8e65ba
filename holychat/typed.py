"""Typed decoding of JSON and of plain values, from any thread.

msgspec works out what a type looks like when it is first used, and puts what it has of it so far where every thread
finds it: two threads that meet a type at the same moment end the process with a segmentation fault (msgspec 0.22, seen
in workers that began). Here each type is worked out once, under a lock; nothing that is shared changes after that.
"""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

_lock = threading.Lock()
_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder(form: Any) -> msgspec.json.Decoder[Any]:
    """The decoder of a type: a struct, a dataclass, or any that msgspec knows, unions as well."""
    known = _decoders.get(form)
    if known is None:
        with _lock:
            known = _decoders.get(form) or msgspec.json.Decoder(form)
            _decoders[form] = known
    return known


def decode(data: bytes | bytearray | str, form: type[T]) -> T:
    """What JSON says, as a value of this type.

    Raises:
        msgspec.DecodeError: It is not JSON, or (a ValidationError) not of this type.
        UnicodeDecodeError: It is not UTF-8.
    """
    value: T = decoder(form).decode(data)
    return value


def convert(value: Any, form: type[T]) -> T:
    """Dictionaries and lists, as TOML or JSON give them, as a value of this type.

    Raises:
        msgspec.ValidationError: They are not of this type.
    """
    decoder(form)
    return msgspec.convert(value, form)
