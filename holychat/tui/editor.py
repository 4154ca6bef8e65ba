"""The composer's text in the person's own editor, while streams go on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from holychat.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from textual.app import App

FALLBACKS = ("nano", "vim", "vi")


def editor_command(environ: Mapping[str, str] = os.environ) -> list[str]:
    """The command of the person's editor: $VISUAL, $EDITOR, else one that is usually there.

    Raises:
        UsageError: None is set or found, or the variable cannot be read as a command.
    """
    import shutil

    for name in ("VISUAL", "EDITOR"):
        if value := environ.get(name, "").strip():
            try:
                return shlex.split(value)
            except ValueError:
                raise UsageError(f"${name} is not a command: {value}", "Set EDITOR, for example to `nano`.") from None
    for fallback in FALLBACKS:
        if shutil.which(fallback):
            return [fallback]
    raise UsageError("No editor found", "Set EDITOR, for example `export EDITOR=nano`.")


async def edit_text(app: App[object] | App[int], text: str, reading: Callable[[Callable[[], str] | None], None]) -> str:
    """The text as it was left in the editor; unchanged when the editor failed.

    The app is suspended and told to hold its painting: without that its writer's queue, which nobody reads meanwhile,
    fills up and blocks the loop. Nothing may be raised inside the suspended block, or the terminal stays suspended.

    Args:
        app: What is suspended.
        text: What to edit.
        reading: Gets what reads the text as it was last saved in the editor, then None when the editor is done.

    Raises:
        UsageError: There is no editor, it cannot be started, it failed, or this terminal cannot be handed over.
    """
    command = editor_command()
    descriptor, name = tempfile.mkstemp(prefix="holychat-", suffix=".md")
    file = Path(name)
    trouble: UsageError | None = None
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        reading(partial(_read_or_nothing, file))
        from textual.app import SuspendNotSupported

        try:
            with app.batch_update(), app.suspend():
                trouble = await _run([*command, name])
        except SuspendNotSupported:
            trouble = UsageError("An editor cannot be opened in this terminal")
        if trouble is not None:
            raise trouble
        return await asyncio.to_thread(_read, file)
    finally:
        reading(None)
        _remove(file)  # here and now: a thread would not be waited for while the app ends


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8", errors="replace").removesuffix("\n")


def _remove(file: Path) -> None:
    file.unlink(missing_ok=True)


def _read_or_nothing(file: Path) -> str:
    try:
        return _read(file)
    except OSError:
        return ""


async def _run(command: list[str]) -> UsageError | None:
    try:
        process = await asyncio.create_subprocess_exec(*command)
    except OSError as error:
        return UsageError(f"Cannot start {command[0]}: {error.strerror}", "Set EDITOR to an editor that is installed.")
    try:
        status = await process.wait()
    except asyncio.CancelledError:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()  # the app ends: nobody would read what it writes from now on
        raise
    return UsageError(f"{command[0]} ended with status {status}; the text is as it was") if status else None
