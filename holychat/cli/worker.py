"""`holychat worker`: the process that works at background jobs, in the foreground."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import sys
from typing import TYPE_CHECKING

import click

from holychat.errors import ExitCode, SettingsError, UsageError

if TYPE_CHECKING:
    from holychat.cli.session import Session
    from holychat.jobs.worker import WorkerLock
    from holychat.settings import Settings

_TAKE_SECONDS = 2.0
"""Somebody who only looks whether the lock is free holds it for a moment."""
_TAKE_OVER_SECONDS = 660.0
"""The worker that is there waits for what it has under way."""
_NICENESS = 5
"""Who types goes before who works in the background; where nobody else wants the processor it costs nothing."""
_SWITCH_SECONDS = 0.001
"""How long a thread may compute while the event loop waits; at Python's own 5 ms every answer waits for that."""


@click.command(short_help="Work at background jobs in the foreground, for a service manager.")
@click.option("--stay/--exit-when-idle", default=False, help="Go on when there is nothing to do, or leave (default).")
@click.option("--detached", is_flag=True, hidden=True, help="Say nothing.")
@click.option("--take-over", is_flag=True, hidden=True, help="Wait for the worker that is there to leave.")
@click.option("--keys-from-stdin", is_flag=True, hidden=True, help="Read keys of this session, one line of JSON.")
@click.pass_obj
def worker(session: Session, stay: bool, detached: bool, take_over: bool, keys_from_stdin: bool) -> int:
    """Work at background jobs: send their requests, write down what comes back.

    The app and `holychat batch` start a worker by themselves when there is work, and it leaves some seconds after the
    last job has ended ([jobs] idle_seconds). Run it yourself with --stay where a service manager shall keep it. There
    is one at a time: where another one is at work this one leaves at once, with status 0.

    Log lines go to standard error. SIGTERM or Ctrl+C: nothing more is sent, what is under way has ten seconds to come
    back, and the next worker goes on. A second one ends it at once; what was under way is in doubt then.
    """
    from holychat.jobs.worker import WorkerLock
    from holychat.runner import run

    _look_for_garbage_less_often()
    keys = _keys() if keys_from_stdin else {}
    for value in keys.values():
        session.masker.add(value)
    session.start_log()
    if detached:
        os.nice(_NICENESS)
    else:
        _say_lines(session)
    sys.setswitchinterval(_SWITCH_SECONDS)
    lock = WorkerLock(session.paths)
    if not lock.take(_TAKE_OVER_SECONDS if take_over else _TAKE_SECONDS):
        if not detached:
            session.out.notice("Another worker is at work already; nothing to do here.")
        return ExitCode.DONE
    return run(_work(session, lock, keys, stay=stay))


def _look_for_garbage_less_often() -> None:
    """Requests leave few cycles behind, and looking for them every 700 objects took a tenth of a busy worker's time."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


async def _work(session: Session, lock: WorkerLock, keys: dict[str, str], *, stay: bool) -> int:
    from holychat.jobs.worker import Worker
    from holychat.services import open_services
    from holychat.settings import load_settings

    settings = session.settings
    while True:
        try:
            services = open_services(session.paths, settings, session.environ, masker=session.masker)
        except BaseException:
            lock.release()
            raise
        news = _News(session, settings)
        worker = Worker(services, lock, stay=stay, session_keys=tuple(keys), settings_changed=news)
        try:
            for name, value in keys.items():
                services.keychain.remember(name, value)
            await worker.run()
        finally:
            await services.close()
        if not worker.begins_again:
            return ExitCode.DONE
        # It may have been changed once more since it was looked at; a mistake in it must not end a worker that stays.
        with contextlib.suppress(SettingsError):
            settings = load_settings(session.paths.config_file, session.environ)


class _News:
    """Whether config.toml says something else than it did, and something that can be used. Blocking."""

    def __init__(self, session: Session, settings: Settings) -> None:
        self._session = session
        self._settings = settings
        self._seen = self._stamp()

    def __call__(self) -> bool:
        stamp = self._stamp()
        if stamp == self._seen:
            return False
        self._seen = stamp
        from holychat.settings import load_settings

        try:
            return load_settings(self._session.paths.config_file, self._session.environ) != self._settings
        except SettingsError:
            return False  # half written, or a mistake: whoever made it is told by the next command

    def _stamp(self) -> tuple[int, int]:
        try:
            found = self._session.paths.config_file.stat()
        except OSError:
            return (0, 0)
        return (found.st_mtime_ns, found.st_size)


def _say_lines(session: Session) -> None:
    from holychat.jobs.worker import plain_lines

    desk = logging.getLogger("holychat.jobs")
    desk.setLevel(logging.INFO)
    desk.addHandler(plain_lines(lambda line: session.out.notice(session.masker(line))))


def _keys() -> dict[str, str]:
    try:
        found = json.loads(sys.stdin.readline())
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise UsageError("--keys-from-stdin reads one line of JSON: an object of provider and key")
    return {str(name): str(value) for name, value in found.items()}
