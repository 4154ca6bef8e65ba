"""Every path of holychat, in one place."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOME_VARIABLE = "HOLYCHAT_HOME"


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things live. Folders are made on demand with mode 0700, files with 0600."""

    config: Path
    data: Path
    state: Path
    home: Path | None = None
    """What HOLYCHAT_HOME said, for processes that are started; None: the folders of this system."""

    @classmethod
    def resolve(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """Paths of this person on this system, or all of them under HOLYCHAT_HOME."""
        if home := environ.get(HOME_VARIABLE):
            root = Path(os.path.expanduser(home)).absolute()  # that of Path raises where nobody has the name
            return cls(config=root / "config", data=root / "data", state=root / "state", home=root)
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
    def lists(self) -> Path:
        """Lists of paths that came in on standard input for a job, and tasks that a program submitted."""
        return self.data / "lists"

    @property
    def batches(self) -> Path:
        """Files on their way to and from batch services of providers."""
        return self.data / "batches"

    @property
    def worker_lock(self) -> Path:
        """Locked by the process that works at background jobs, for as long as it lives."""
        return self.state / "worker.lock"

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
    """Write a whole text file with mode 0600; see `private_file`, which writes one piece by piece. Blocking."""
    with private_file(path, overwrite=overwrite) as file:
        file.write(text)


@contextmanager
def private_file(path: Path, *, overwrite: bool = False) -> Iterator[TextIO]:
    """A text file with mode 0600 that is at `path`, whole, once the block has ended well, and never in part. Blocking.

    A full disk or a crash leaves an old file as it was.

    Args:
        path: Where to, in a folder that is there; its last part is not followed where it is a link.
        overwrite: Whether a file that is there may be replaced.

    Yields:
        What to write to, with line feeds as line ends; what UTF-8 cannot carry becomes "?".

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
    if not overwrite and os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    descriptor, name = tempfile.mkstemp(prefix=".holychat-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="replace", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(path)
        else:
            place_new(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def place_new(temporary: Path, path: Path) -> None:
    """Give a finished file its name without ever replacing what is there; it may keep its old name besides. Blocking.

    Raises:
        FileExistsError: Something has that name.
        OSError: It cannot be given.
    """
    try:
        os.link(temporary, path, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # a file system without hard links
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        temporary.replace(path)
