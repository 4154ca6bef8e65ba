"""A keyring that keeps its keys in a file named by TEST_KEYRING_FILE, for commands that run as processes of their own.

Use it with PYTHON_KEYRING_BACKEND=tests.support.file_keyring.FileKeyring and the repository on PYTHONPATH.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend
from keyring.errors import PasswordDeleteError


class FileKeyring(KeyringBackend):
    """Works like a keyring that is unlocked."""

    priority = -9  # type: ignore[assignment]  # never chosen unless it is named

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service}/{username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._write(self._read() | {f"{service}/{username}": password})

    def delete_password(self, service: str, username: str) -> None:
        kept = self._read()
        if kept.pop(f"{service}/{username}", None) is None:
            raise PasswordDeleteError("not found")
        self._write(kept)

    def _file(self) -> Path:
        return Path(os.environ["TEST_KEYRING_FILE"])

    def _read(self) -> dict[str, str]:
        return dict(json.loads(self._file().read_text())) if self._file().exists() else {}

    def _write(self, kept: dict[str, str]) -> None:
        self._file().write_text(json.dumps(kept))
