"""Files that live as long as their job: lists of paths from standard input, and tasks that a program submitted."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from holychat.domain.jobs import SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holychat.domain.jobs import Source
    from holychat.paths import Paths

_OURS = (SourceKind.LIST, SourceKind.REQUESTS)


def forget(paths: Paths, sources: Iterable[Source]) -> None:
    """Delete what was written down for a job that is no more; no file of the person's is. Blocking, never fails."""
    for source in sources:
        if source.kind in _OURS and os.path.dirname(source.value) == str(paths.lists):
            with contextlib.suppress(OSError):
                os.unlink(source.value)
