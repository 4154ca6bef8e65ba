"""Opening what a person or a folder names, so that no pipe, device or swapped file can hold us up."""

from __future__ import annotations

import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holychat.jobs.documents.problems import NOT_A_FILE, DocumentProblem, of_os_error, problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holychat.domain.failures import Failure

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)


@contextmanager
def opened(path: str) -> Iterator[tuple[int, os.stat_result]]:
    """A regular file, open for reading without waiting, and what the system says of it; looked at after opening.

    Raises:
        DocumentProblem: It cannot be opened, or is no regular file.
    """
    try:
        # A socket cannot be opened at all; its own error would be less clear than what it is.
        descriptor = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise DocumentProblem(_of_opening(path, error)) from None
    try:
        about = os.fstat(descriptor)
        if stat.S_ISDIR(about.st_mode):
            raise problem("NotAFile", "It is a folder", "Name it as a source to send the files in it.")
        if not stat.S_ISREG(about.st_mode):
            raise DocumentProblem(NOT_A_FILE)
        yield descriptor, about
    except OSError as error:
        raise DocumentProblem(of_os_error(error)) from None
    finally:
        os.close(descriptor)


def read_up_to(descriptor: int, limit: int) -> bytes:
    """The bytes of an open file, at most `limit`; a file that grows meanwhile ends there.

    Raises:
        OSError: The system could not read it.
    """
    with os.fdopen(descriptor, "rb", closefd=False) as file:
        return file.read(limit)


def _of_opening(path: str, error: OSError | ValueError) -> Failure:
    try:
        if not stat.S_ISREG(mode := os.stat(path).st_mode) and not stat.S_ISDIR(mode):
            return NOT_A_FILE
    except (OSError, ValueError):
        pass
    return of_os_error(error)
