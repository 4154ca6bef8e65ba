"""What the ladder answers: a key or none, always with where it came from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from holychat.errors import KeyMissing

if TYPE_CHECKING:
    from holychat.credentials.secret import Secret
    from holychat.domain.request import ProviderInfo
    from holychat.errors import KeyringTrouble


class KeySource(StrEnum):
    """Rungs of the ladder, in the order they are asked, and the two answers without a rung."""

    ENVIRONMENT = "environment"
    KEYRING = "keyring"
    COMMAND = "command"
    MEMORY = "memory"
    NONE_NEEDED = "none needed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class KeyAnswer:
    """A key with its provenance, or why there is none. Everything but the secret may be shown."""

    secret: Secret | None
    source: KeySource
    detail: str = ""
    """"HOLYSHEEP_API_KEY", "SecretService keyring", "command `pass …`"; empty where there is nothing to name."""
    trouble: KeyringTrouble | None = None
    """Why the keyring could not be used, also when another rung then had a key."""
    problem: str = ""
    """What kept this rung, or a rung before it, from giving a key; one line, safe to show."""

    @property
    def usable(self) -> bool:
        """Whether a request can be sent: there is a key, or none is needed."""
        return self.secret is not None or self.source is KeySource.NONE_NEEDED


def three_ways(provider: str, variable: str) -> str:
    """The ways to give a key that need no keyring, as one sentence; `variable` is empty where there is none yet."""
    first = f"set {variable}" if variable else f"name a variable with key_env in [providers.{provider}] and set it"
    return (
        f"Without a keyring there are three ways: {first}; write a key_command such as"
        f' "pass show {provider}" in [providers.{provider}] of config.toml; or give the key to the running app,'
        " which keeps it in memory until it quits."
    )


def key_missing(info: ProviderInfo, answer: KeyAnswer | None = None, variable: str = "") -> KeyMissing:
    """The error for a provider whose key was not found: what went wrong, and every way that is open.

    Args:
        info: The provider.
        answer: What the ladder said; None where no ladder was asked.
        variable: The environment variable that would hold the key; empty where there is none.
    """
    answer = answer or KeyAnswer(None, KeySource.MISSING)
    if answer.trouble is not None:
        hint = f"{answer.problem}. {three_ways(info.name, variable)}"
    else:
        first = f"Set {variable}, or run" if variable else "Run"
        problem = f"{answer.problem}. " if answer.problem else ""
        hint = f"{problem}{first} `holychat keys set {info.name}`. `-p offline` needs no key."
    return KeyMissing(f"No key for {info.name}", hint)
