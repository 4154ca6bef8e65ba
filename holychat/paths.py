"""Every path of holychat, in one place."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

HOME_VARIABLE = "HOLYCHAT_HOME"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things live. Folders are made on demand with mode 0700, files with 0600."""

    config: Path
    data: Path
    state: Path

    @classmethod
    def resolve(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """Paths of this person on this system, or all of them under HOLYCHAT_HOME."""
        if home := environ.get(HOME_VARIABLE):
            root = Path(os.path.expanduser(home)).absolute()  # that of Path raises where nobody has the name
            return cls(config=root / "config", data=root / "data", state=root / "state")
        from platformdirs import PlatformDirs

        dirs = PlatformDirs("holychat", appauthor=False)
        return cls(
            config=Path(dirs.user_config_dir),
            data=Path(dirs.user_data_dir),
            state=Path(dirs.user_state_dir),
        )

    @property
    def config_file(self) -> Path:
        """The person's settings, TOML."""
        return self.config / "config.toml"

    @property
    def database(self) -> Path:
        """Chats and jobs, SQLite."""
        return self.data / "holychat.db"

    @property
    def locks(self) -> Path:
        """One locked file per process that is writing a reply."""
        return self.state / "locks"

    @property
    def log_file(self) -> Path:
        """The log; rotated."""
        return self.state / "holychat.log"


def make_private_directory(path: Path) -> Path:
    """Make a folder (and its parents) that only its owner can enter; tighten it if it is already there."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o700)
    return path


def write_private_file(path: Path, text: str) -> None:
    """Write a whole text file with mode 0600, so that a full disk or a crash leaves the old one as it was."""
    make_private_directory(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
