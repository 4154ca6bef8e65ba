"""A key that does not show itself by accident."""

from __future__ import annotations

import hmac
import re
from typing import NoReturn

from holychat.errors import UsageError
from holychat.log import MASK

_LONGEST = 8192
_UNUSABLE = re.compile(r"[^\x21-\x7e]")


class Secret:
    """A key. Printing, formatting, logging and pickling never give its value; only `reveal()` does.

    There is no hash, so that a key never ends up as the key of a dictionary, which printing would show.
    """

    __slots__ = ("__value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """The key itself, for the one place that sends it."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, specification: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key cannot be pickled")


def checked_secret(value: str, where: str) -> Secret:
    """The key in `value`, without white space around it.

    Args:
        value: What was typed, read or found.
        where: Where it came from, for the message: "HOLYSHEEP_API_KEY", "the keyring".

    Raises:
        UsageError: Nothing is left, it is longer than 8 KiB, or a character cannot be part of an HTTP header: white
            space inside, a control character, anything outside ASCII. The message tells the place, never the text.
    """
    value = value.strip()
    if not value:
        raise UsageError(f"{where} holds no key", "Copy the key again from the provider's site.")
    if len(value) > _LONGEST:
        raise UsageError(f"{where} holds {len(value)} characters, which is too long for a key")
    if bad := _UNUSABLE.search(value):
        kind = "white space" if bad[0].isspace() else "a control character" if bad[0] < "\x80" else "not plain ASCII"
        raise UsageError(
            f"{where} holds something that cannot be a key: character {bad.start() + 1} is {kind}",
            "Copy the key again from the provider's site; take care to take the key alone.",
        )
    return Secret(value)
