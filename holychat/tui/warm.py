"""What the first reply needs and the first frame does not."""

from __future__ import annotations

import gc
import importlib

_MODULES = (
    "markdown_it",
    "pygments.lexers",
    "pygments.lexers.python",
    "holychat.tui.screens.chats",
    "holychat.tui.screens.models",
    "holychat.tui.widgets.side_panel",
    "holychat.tui.screens.job",
    "holychat.tui.screens.job_export",
)


def warm_imports() -> None:
    """Import it now; blocking, for a thread."""
    for name in _MODULES:
        importlib.import_module(name)
    importlib.import_module("holychat.tui.markdown.parsing").warm()
    # What was made while starting lives as long as the app: the collector need not look at it again and again, which
    # takes tens of milliseconds out of a frame here and there.
    gc.collect()
    gc.freeze()
