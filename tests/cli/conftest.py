"""A shell whose `holychat` talks to the loopback server as if it were HolySheep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.batch_shell import SEA, STARS, TEA, BatchShell
from tests.cli.shell import KEY, Shell

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.loopback import Loopback


@pytest.fixture
def shell() -> Shell:
    """Nothing but the private environment of the test."""
    shell = Shell()
    shell.set(HOLYCHAT_OFFLINE_PACE="0")
    return shell


@pytest.fixture
def connected(shell: Shell, loopback: Loopback) -> Shell:
    """With a key and an address that leads to the loopback server."""
    shell.set(HOLYSHEEP_BASE_URL=loopback.base_url, HOLYSHEEP_API_KEY=KEY)
    return shell


@pytest.fixture
def desk(private_environment: Path, tmp_path: Path) -> BatchShell:
    """A shell with three documents in a folder."""
    shell = BatchShell(private_environment, tmp_path / "documents")
    shell.write(sea=SEA, stars=STARS, tea=TEA)
    return shell
