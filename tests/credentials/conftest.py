"""What the credential tests share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyring.core
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from keyring.backend import KeyringBackend


@pytest.fixture
def use_backend(monkeypatch: pytest.MonkeyPatch) -> Callable[[KeyringBackend | None], None]:
    """Makes keyring use a backend for this test; None lets it choose one by its own rules."""

    def use(backend: KeyringBackend | None) -> None:
        monkeypatch.setattr(keyring.core, "_keyring_backend", backend)

    return use
