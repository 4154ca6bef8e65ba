"""The files of batches on this disk: requests that were gathered, answers that were fetched. Blocking.

A file of requests gets its name when all that is in it has been written down as sent, so a submission without one was
never handed over.
"""

from __future__ import annotations

import contextlib
import os
from itertools import compress
from typing import TYPE_CHECKING, BinaryIO

from holychat.paths import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

_PART = ".part"
_NAME = "holychat-{token}.jsonl"


def remote_name(token: str) -> str:
    """What the file of a submission is called at the provider."""
    return _NAME.format(token=token)


def token_of(name: str) -> str:
    """The token in the name of a file at the provider; "" where holychat did not name it."""
    before, _, after = _NAME.partition("{token}")
    token = name.removeprefix(before).removesuffix(after)
    return token if name == remote_name(token) and token.isalnum() else ""


class BatchFiles:
    """The folder with the files of all submissions, readable by their owner alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def requests(self, token: str) -> Path:
        """What is handed over."""
        return self._folder / f"{token}.jsonl"

    def output(self, token: str) -> Path:
        """The answers."""
        return self._folder / f"{token}.output.jsonl"

    def errors(self, token: str) -> Path:
        """What was not answered, and why."""
        return self._folder / f"{token}.errors.jsonl"

    def has_requests(self, token: str) -> bool:
        """Whether the file of a submission was finished."""
        return self.requests(token).is_file()

    def begin(self, token: str) -> BinaryIO:
        """A file to gather requests in; it is not there for anybody before `place`."""
        make_private_directory(self._folder)
        return os.fdopen(os.open(self._part(token), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")

    def place(self, token: str, kept: Sequence[bool]) -> int:
        """Finish a file that was written and closed: with the lines that are kept it gets its name; its size in bytes.

        Raises:
            OSError: The disk takes no more; nothing has that name then.
        """
        part = self._part(token)
        if not all(kept):
            shorter = part.with_suffix(".shorter")
            with part.open("rb") as lines, os.fdopen(os.open(shorter, _NEW, 0o600), "wb") as file:
                file.writelines(compress(lines, kept))
            shorter.replace(part)
        with part.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        part.replace(self.requests(token))
        self._sync_folder()
        return size

    def arriving(self, target: Path) -> Path:
        """Where an answer file is written to while it arrives; private, empty, with its folder."""
        make_private_directory(self._folder)
        part = target.with_suffix(_PART)
        os.close(os.open(part, _NEW, 0o600))
        return part

    def arrived(self, target: Path) -> None:
        """It is there, whole."""
        part = target.with_suffix(_PART)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
        self._sync_folder()

    def forget(self, token: str) -> None:
        """Take away all files of a submission that is over, or never began."""
        for path in (self._part(token), self.requests(token), self.output(token), self.errors(token)):
            path.unlink(missing_ok=True)

    def tidy(self, tokens: Collection[str]) -> None:
        """Take away what belongs to none of these submissions: left by a worker that died while it gathered."""
        if not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.name.partition(".")[0] not in tokens or path.suffix in (_PART, ".shorter"):
                with contextlib.suppress(OSError):
                    path.unlink()

    def _part(self, token: str) -> Path:
        return self._folder / f"{token}{_PART}"

    def _sync_folder(self) -> None:
        if os.name == "posix":
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
