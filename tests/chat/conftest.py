"""Services over a loopback provider, for tests of what happens between Enter and the stored answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chat.tools import open_home

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from holychat.services import Services
    from tests.support.loopback import Loopback


@pytest.fixture
async def services(loopback: Loopback, private_environment: Path) -> AsyncIterator[Services]:
    """Services whose default provider is the loopback server; retries come at once."""
    services = open_home(private_environment, loopback.base_url)
    yield services
    await services.close()
