"""Reading a file that goes with a message."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from holychat.domain.chat import AttachmentPart
from holychat.errors import UsageError
from holychat.store.messages import FileText

MAX_BYTES = 4 * 1024 * 1024
"""Largest file that can go with a message; about a million tokens."""


def load_file(path: Path | str) -> FileText:
    """The text of a regular file: UTF-8, or UTF-16 with a byte order mark. Blocking.

    Links are followed: they are the person's own. The file is opened without waiting and looked at afterwards, so that
    a pipe or a device can neither hold us up nor be swapped in after a check.

    Raises:
        UsageError: It cannot be opened, is not a regular file, is larger than MAX_BYTES, or is not text.
    """
    path = Path(os.path.expanduser(path))  # the method of Path raises where nobody has the name
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | getattr(os, "O_NOCTTY", 0))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise UsageError(f"Cannot read {path}: {reason}", "Check the name and that you may read it.") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path} is a folder", "Attach the files in it one by one.")
        if not stat.S_ISREG(mode):
            raise UsageError(f"{path} is not a regular file", "Only regular files can be attached.")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}", "Try again, or copy the file elsewhere.") from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_BYTES:
        raise UsageError(
            f"{path} is larger than {MAX_BYTES // 2**20} MiB", "Attach a part of it; no model reads that much at once."
        )
    text = _decoded(data, path)
    part = AttachmentPart(
        name=path.name, path=str(path.absolute()), sha256=hashlib.sha256(data).hexdigest(), size=len(data)
    )
    return FileText(part, text)


def _decoded(data: bytes, path: Path) -> str:
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise UsageError(f"{path} is not a text file", "Only UTF-8 and UTF-16 text can be attached.")
    return text
