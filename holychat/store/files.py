"""The database's file: made private before SQLite touches it, told apart from one that lost its contents."""

from __future__ import annotations

import logging
import os
import sys
import time
from pathlib import Path

from holychat.paths import make_private_directory
from holychat.store.failures import damaged

_log = logging.getLogger(__name__)

_COMPANIONS = ("-wal", "-shm", "-journal")
_NETWORK_FILE_SYSTEMS = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "lustre", "gpfs", "beegfs", "vboxsf",
    "fuse.sshfs", "fuse.glusterfs", "fuse.s3fs", "fuse.rclone", "fuse.vmhgfs-fuse", "davfs", "fuse.davfs2", "virtiofs",
})  # fmt: skip
_NOTE = "Beside this file lies history. Should {name} be empty one day, its contents were lost and not never there.\n"
_RIVAL_SECONDS = 1.0


def prepare(path: Path) -> None:
    """Make the folder (0700) and the file (0600), or make sure that an existing one still holds something.

    SQLite would take a file of length zero for a new database and the person's history would silently be gone, so a
    note beside the file remembers that it once held data.

    Raises:
        StoreDamaged: The file is empty though it once held history, or is not a file.
        OSError: The folder or file cannot be made or entered.
    """
    make_private_directory(path.parent)
    note = _note(path)
    if not path.exists():
        note.unlink(missing_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if not path.is_file():
            raise damaged(path, "it is not a file") from None
        _refuse_emptied(path, note)
    if os.name == "posix" and path.stat().st_mode & 0o077:
        path.chmod(0o600)


def remember_that_data_is_here(path: Path) -> None:
    """Leave the note that `prepare` looks for; called once the database has its tables."""
    note = _note(path)
    if note.exists():
        return
    try:
        descriptor = os.open(note, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(_NOTE.format(name=path.name))
    except OSError:
        _log.warning("cannot write %s", note, exc_info=True)


def move_aside(path: Path) -> Path:
    """Move a database and the files that belong to it out of the way, under a name with the time; nothing is deleted.

    Returns:
        Where the database is now.

    Raises:
        OSError: It cannot be moved.
    """
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%d-%H%M%S')}.damaged")
    for suffix in ("", *_COMPANIONS):
        source = Path(f"{path}{suffix}")
        if source.exists():
            source.rename(f"{aside}{suffix}")
    return aside


def on_network_file_system(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Whether `path` lies on a file system that machines share, where WAL's shared memory does not hold.

    Only Linux tells; elsewhere the answer is no, and SQLite's own refusal of WAL decides.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        table = mounts.read_text(encoding="utf-8", errors="surrogateescape")
        target = path.resolve()
    except OSError:
        return False
    best, kind = -1, ""
    for line in table.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:
            continue
        point = Path(fields[1].replace("\\040", " "))
        # The last of several mounts on one point is the one that is seen.
        if target.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), fields[2]
    return kind in _NETWORK_FILE_SYSTEMS


def _refuse_emptied(path: Path, note: Path) -> None:
    # A rival process that is just making the file leaves it empty for a moment, with an older note perhaps still there.
    deadline = time.monotonic() + _RIVAL_SECONDS
    while note.exists() and path.stat().st_size == 0:
        if time.monotonic() > deadline:
            raise damaged(path, "it is empty, and it once held history")
        time.sleep(0.02)


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name}.holds-data")
