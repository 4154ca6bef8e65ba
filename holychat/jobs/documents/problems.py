"""Why a document cannot be sent: one wording per cause, so that failures of one cause are shown together."""

from __future__ import annotations

import errno
import os

from holychat.domain.failures import Failure
from holychat.errors import Outcome

DOCS_EXTRA = 'pip install "holychat[docs]"'


class DocumentProblem(Exception):
    """One document cannot be sent; its job goes on.

    Attributes:
        failure: What a person is told, and what is kept with the item.
    """

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.title)
        self.failure = failure


def failure(kind: str, title: str, hint: str = "") -> Failure:
    """A failure of a document: nothing was sent for it."""
    return Failure(kind=kind, title=title, hint=hint, outcome=Outcome.NEVER_SENT.value)


def problem(kind: str, title: str, hint: str = "") -> DocumentProblem:
    """A failure to raise."""
    return DocumentProblem(failure(kind, title, hint))


def of_os_error(error: OSError | ValueError, *, folder: bool = False) -> Failure:
    """What the system's error means for a document or, where `folder` is set, for a folder."""
    code = getattr(error, "errno", None)
    if code in (errno.ENOENT, errno.ENOTDIR):
        return failure("DocumentVanished", "It is not there any more", "Was it moved or deleted after it was listed?")
    if code == errno.ELOOP:
        return failure("LinkLoop", "Links lead in a circle", "It never ends at a file.")
    if code in (errno.EACCES, errno.EPERM):
        what = "folder" if folder else "file"
        return failure(
            f"{what.title()}Forbidden", f"You may not read this {what}", "Change its permissions, or skip it."
        )
    reason = os.strerror(code) if code is not None else str(error)
    return failure("DocumentUnreadable", f"It cannot be read: {reason}", "Try again, or copy it elsewhere.")


EMPTY = failure("DocumentEmpty", "It is empty", "There is nothing to send.")
NOT_A_FILE = failure("NotAFile", "It is a pipe, a device or a socket", "Only regular files are read.")
BINARY = failure("DocumentBinary", "It is not text", "Only text, HTML, PDF and DOCX are read.")
VANISHED = failure("DocumentVanished", "It is not there any more", "Was it moved or deleted after it was listed?")
CHANGED = failure(
    "DocumentChanged", "It was changed after it was listed", "Retry takes it as it is now; nothing was sent."
)


def too_large(limit: int) -> Failure:
    """It has more bytes than `limit`."""
    size = f"{limit / 2**20:,.0f} MiB" if limit >= 2**20 else f"{limit / 1024:,.0f} KiB"
    return failure("DocumentTooLarge", f"It is larger than {size}", "`max_document_bytes` in [jobs] sets the limit.")
