"""The keyring of the operating system, at arm's length.

A keyring can hang for ever (a locked collection whose prompt nobody answers), can pretend to store (the null backend),
and can raise anything (a damaged keyringrc.cfg raises from configparser). So every call runs in a daemon thread with a
time limit, every write is read back, and whatever happens comes out as a `KeyringError` that says which case it is.
The thread of a call that timed out cannot be ended; it is left behind and the keyring is not asked again in this run.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, TypeVar

from holychat.errors import KeyringError, KeyringTrouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyring.backend import KeyringBackend

T = TypeVar("T")

SERVICE = "holychat"
"""Name under which the keys are filed; the user name is the provider's name."""
LIMIT = 5.0
"""Seconds that one call may take."""

_log = logging.getLogger(__name__)

_LOCKED = {"KeyringLocked", "InitError", "LockedException", "PromptDismissedException"}
_ABSENT = {"NoKeyringError", "SecretServiceNotAvailableException"}

_TITLES = {
    KeyringTrouble.NO_BACKEND: "This system has no keyring that holychat can use",
    KeyringTrouble.LOCKED: "The keyring is locked or not set up, and nobody could be asked to unlock it",
    KeyringTrouble.TIMED_OUT: "The keyring did not answer in time and is left alone for the rest of this run",
    KeyringTrouble.NULL_BACKEND: "The keyring is switched off (null backend): it would forget every key",
    KeyringTrouble.NOT_KEPT: "The keyring took the key but did not give it back",
    KeyringTrouble.NO_SUCH_KEY: "The keyring has no such key",
    KeyringTrouble.BROKEN: "The keyring failed",
}
_HINTS = {
    KeyringTrouble.LOCKED: "Unlock it (log in to the desktop, or answer its window) and try again.",
    KeyringTrouble.TIMED_OUT: "A window may be waiting for the keyring's password: answer it, then start again.",
    KeyringTrouble.NULL_BACKEND: "Look at PYTHON_KEYRING_BACKEND and at keyringrc.cfg.",
    KeyringTrouble.BROKEN: "The log has the details; `keyring diagnose` shows what it is set up with.",
}


def trouble_error(trouble: KeyringTrouble, extra: str = "") -> KeyringError:
    """The error for a trouble, with the standard wording and an optional addition in brackets."""
    title = f"{_TITLES[trouble]} ({extra})" if extra else _TITLES[trouble]
    return KeyringError(trouble, title, _HINTS.get(trouble, ""))


class KeyringAccess:
    """Reads, writes and deletes keys in the keyring; every method blocks for at most `limit` seconds.

    `import keyring` takes some 50 ms and looking for a backend may talk to D-Bus, so both wait for the first call
    and happen in its thread.
    """

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._given_up = threading.Event()

    def get(self, name: str) -> str | None:
        """The key filed under `name`, or None where the keyring works and has none.

        Raises:
            KeyringError: It could not answer; `trouble` tells why.
        """
        return self._call("read", lambda: _usable_backend().get_password(SERVICE, name))

    def set(self, name: str, value: str) -> None:
        """File a key, then read it back.

        Raises:
            KeyringError: It is not there now; `trouble` tells why.
        """

        def write() -> str | None:
            backend = _usable_backend()
            _refuse_plain_text(backend)
            backend.set_password(SERVICE, name, value)
            return backend.get_password(SERVICE, name)

        if self._call("write", write) != value:
            raise trouble_error(KeyringTrouble.NOT_KEPT)

    def delete(self, name: str) -> None:
        """Delete the key filed under `name`.

        Raises:
            KeyringError: There is none (NO_SUCH_KEY), or the keyring could not answer.
        """

        def remove() -> bool:
            backend = _usable_backend()
            if backend.get_password(SERVICE, name) is None:
                return False
            backend.delete_password(SERVICE, name)
            return True

        if not self._call("delete", remove):
            raise trouble_error(KeyringTrouble.NO_SUCH_KEY)

    def describe(self) -> str:
        """The backend's name for a person, for example "SecretService keyring".

        Raises:
            KeyringError: There is none that can be used.
        """
        return self._call("describe", lambda: _describe(_usable_backend()))

    def _call(self, verb: str, work: Callable[[], T]) -> T:
        if self._given_up.is_set():
            raise trouble_error(KeyringTrouble.TIMED_OUT)
        result: list[T] = []
        failure: list[KeyringError] = []

        def run() -> None:
            try:
                result.append(work())
            except KeyringError as error:
                failure.append(error)
            except Exception as error:  # noqa: BLE001  # the keyring boundary: backends raise anything
                failure.append(_translate(error))
                broken = failure[0].trouble is KeyringTrouble.BROKEN
                level = logging.WARNING if broken else logging.INFO
                _log.log(level, "keyring: cannot %s: %s", verb, type(error).__name__, exc_info=broken)

        thread = threading.Thread(target=run, name=f"keyring-{verb}", daemon=True)
        thread.start()
        thread.join(self._limit)
        if failure:
            raise failure[0]
        if not result:
            self._given_up.set()
            _log.warning("keyring: no answer to %s within %g s", verb, self._limit)
            raise trouble_error(KeyringTrouble.TIMED_OUT)
        return result[0]


def _translate(error: Exception) -> KeyringError:
    names = {base.__name__ for base in type(error).__mro__}
    if names & _LOCKED:
        return trouble_error(KeyringTrouble.LOCKED)
    if names & _ABSENT:
        return trouble_error(KeyringTrouble.NO_BACKEND)
    # The text of the exception is left to the log, which masks keys: a backend may quote what it was given.
    return trouble_error(KeyringTrouble.BROKEN, type(error).__name__)


def _usable_backend() -> KeyringBackend:
    """The backend that keyring chose, unless it is one that cannot keep anything."""
    import keyring
    from keyring.backends import chainer, fail, null

    backend = keyring.get_keyring()
    if isinstance(backend, null.Keyring):
        raise trouble_error(KeyringTrouble.NULL_BACKEND)
    if isinstance(backend, fail.Keyring):
        raise trouble_error(KeyringTrouble.NO_BACKEND)
    if isinstance(backend, chainer.ChainerBackend) and not _chained(backend):
        raise trouble_error(KeyringTrouble.NULL_BACKEND, "a chain without a single usable backend")
    return backend


def _chained(backend: KeyringBackend) -> list[KeyringBackend]:
    from keyring.backends import fail, null

    members: list[KeyringBackend] = list(getattr(backend, "backends", ()))
    return [member for member in members if not isinstance(member, null.Keyring | fail.Keyring)]


def _refuse_plain_text(backend: KeyringBackend) -> None:
    """Writing goes to the first backend of a chain; `keyrings.alt` brings one that writes plain text to a file."""
    target = next(iter(_chained(backend)), backend)
    if "plaintext" in type(target).__name__.lower():
        raise trouble_error(KeyringTrouble.NO_BACKEND, f"{type(target).__name__} would keep keys in plain text")


def _describe(backend: KeyringBackend) -> str:
    members = _chained(backend) or [backend]
    names = []
    for member in members:
        module = type(member).__module__.rpartition(".")[2]
        known = type(member).__name__ in ("Keyring", "DBusKeyring", "WinVaultKeyring")
        names.append(module if known else type(member).__name__)
    return f"{', '.join(names)} keyring"
