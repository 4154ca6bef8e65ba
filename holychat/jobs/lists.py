"""Lists of paths that came in on standard input: files of ours that live as long as their job."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from holychat.domain.jobs import SourceKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holychat.domain.jobs import Source
    from holychat.paths import Paths


def forget(paths: Paths, sources: Iterable[Source]) -> None:
    """Delete the lists of a job that is no more; a list of the person's own is not touched. Blocking, never fails."""
    for source in sources:
        if source.kind is SourceKind.LIST and os.path.dirname(source.value) == str(paths.lists):
            with contextlib.suppress(OSError):
                os.unlink(source.value)
