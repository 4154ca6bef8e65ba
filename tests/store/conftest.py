"""A database of its own for every test of the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from holychat.store.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database of the test lies; its folder is not made yet."""
    return tmp_path / "data" / "holychat.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    """An open, empty database."""
    database = Database.open(path)
    yield database
    database.close()
