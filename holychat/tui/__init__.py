"""What people see. Importing this imports no Textual; `run` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holychat.log import Masker
    from holychat.paths import Paths
    from holychat.settings import Settings


def run(
    paths: Paths,
    settings: Settings,
    *,
    chat: int | None = None,
    resume: bool = False,
    provider: str | None = None,
    model: str | None = None,
    masker: Masker | None = None,
) -> int:
    """Run the app in this terminal until it ends.

    Args:
        paths: Where things live.
        settings: The person's settings.
        chat: Id of a chat to open.
        resume: Open the newest chat.
        provider: Whom the chat asks, and new ones of this run; None: as it is, or as the settings say.
        model: The same for the model.
        masker: What masks keys in the log.

    Returns:
        The exit status: 0, 1 after a crash, 128 + n after signal n.

    Raises:
        SettingsError: Theme or keys of the settings cannot be used; nothing was painted.
    """
    # Textual paints on a grid of 60 a second, on which a typed key or a first token waits up to 17 ms though nothing
    # else is to do. Replies have their own, slower clock, so a finer grid paints sooner and not more.
    os.environ.setdefault("TEXTUAL_FPS", "240")

    from holychat.tui.app import StartWith, run_app

    return run_app(paths, settings, StartWith(chat, resume, provider, model), masker)
