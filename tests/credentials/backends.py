"""Keyring backends that misbehave in the ways real ones do."""

from __future__ import annotations

import threading

from keyring.backend import KeyringBackend


class Working(KeyringBackend):
    """Keeps what it is given, and counts how often it is asked."""

    priority = -9  # type: ignore[assignment]

    def __init__(self, **passwords: str) -> None:
        super().__init__()
        self.passwords = dict(passwords)
        self.asked = 0

    def get_password(self, service: str, username: str) -> str | None:
        assert service == "holychat"
        self.asked += 1
        return self.passwords.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.passwords[username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.passwords[username]


class Hanging(Working):
    """Never answers until it is released, like a collection whose prompt nobody sees."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.asked += 1
        self.released.wait(30)
        return None


class Forgetting(Working):
    """Takes a key and keeps another one."""

    def set_password(self, service: str, username: str, password: str) -> None:
        self.passwords[username] = password[:-1]


class Quoting(Working):
    """Fails with the key in its message."""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise OSError(f"cannot store {password!r}")


class PlaintextKeyring(Working):
    """Named like the one of keyrings.alt that writes to a file anyone can read."""
