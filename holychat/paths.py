"""Every path of holychat, in one place."""

from __future__ import annotations

import errno
import os
import tempfile
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


def write_private_file(path: Path, text: str, *, overwrite: bool = False) -> None:
    """Write a whole text file with mode 0600, so that a full disk or a crash leaves an old one as it was. Blocking.

    Args:
        path: Where to, in a folder that is there; its last part is not followed where it is a link.
        text: The text; what UTF-8 cannot carry becomes "?".
        overwrite: Whether a file that is there may be replaced.

    Raises:
        FileExistsError: There is something already, and it may not be replaced.
        IsADirectoryError: It is a folder.
        OSError: It cannot be written, or is no file that could be replaced.
        ValueError: The path holds a NUL.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if overwrite and path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is a device or a pipe", str(path))
    if not overwrite:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    temporary: Path | None = None
    try:
        descriptor, name = tempfile.mkstemp(prefix=".holychat-", dir=path.parent)
        temporary = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if not overwrite:
            path.unlink(missing_ok=True)
        raise
