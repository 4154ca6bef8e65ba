"""`holychat doctor`: looks at everything holychat stands on, changes nothing, and never fails itself."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import stat
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import click

from holychat import __version__
from holychat.cli.output import is_terminal
from holychat.errors import ExitCode, HolychatError, KeyMissing, KeyRejected, KeyringTrouble, SettingsError
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator
    from pathlib import Path

    from holychat.cli.session import Session
    from holychat.domain.request import ProviderInfo

_PATIENCE = 10.0
"""Seconds that a provider has to answer."""


class Verdict(StrEnum):
    """How a look turned out."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    verdict: Verdict
    topic: str
    text: str


@click.command(short_help="Look at paths, terminal, keyring, history and providers.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--no-network", is_flag=True, help="Do not ask any provider.")
@click.pass_obj
def doctor(session: Session, as_json: bool, no_network: bool) -> int:
    """Look at paths and permissions, terminal, keyring, history and which provider answers. Changes nothing.

    The exit status is 1 where something is wrong.
    """
    findings = []
    for finding in _findings(session, no_network):
        findings.append(finding)
        if not as_json:
            session.out.line(f"{finding.verdict:<9}{finding.topic:<15}{clean_line(finding.text, 400)}")
    if as_json:
        session.out.json([{"verdict": f.verdict, "topic": f.topic, "text": f.text} for f in findings])
    return ExitCode.FAILED if any(finding.verdict is Verdict.PROBLEM for finding in findings) else ExitCode.DONE


def _findings(session: Session, no_network: bool) -> Iterator[Finding]:
    yield Finding(Verdict.OK, "holychat", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    yield from _terminal(session)
    yield from _files(session)
    yield _settings(session)
    yield _history(session)
    yield _sqlite()
    yield _keyring(session)
    if not no_network:
        from holychat.runner import run

        yield from run(_providers(session))


def _terminal(session: Session) -> Iterator[Finding]:
    environ = session.environ
    name = environ.get("TERM", "")
    streams = [
        f"{label} {'is a terminal' if is_terminal(stream) else 'is redirected'}"
        for label, stream in (("stdin", sys.stdin), ("stdout", sys.stdout))
    ]
    size = shutil.get_terminal_size()
    colours = "none wanted (NO_COLOR)" if environ.get("NO_COLOR") else environ.get("COLORTERM") or "as TERM says"
    places = [place for place, variable in (("tmux", "TMUX"), ("ssh", "SSH_TTY")) if environ.get(variable)]
    parts = [f"TERM={name or '(not set)'}", f"{size.columns}x{size.lines}", f"colours: {colours}", *places, *streams]
    yield Finding(Verdict.NOTE if name in ("", "dumb") else Verdict.OK, "terminal", ", ".join(parts))
    encoding = (sys.stdout.encoding if sys.stdout else None) or "unknown"
    verdict = Verdict.OK if encoding.lower().replace("-", "") == "utf8" else Verdict.NOTE
    yield Finding(verdict, "encoding", encoding if verdict is Verdict.OK else f"{encoding}: some text will show as ?")


def _files(session: Session) -> Iterator[Finding]:
    paths = session.paths
    for topic, path in (
        ("settings file", paths.config_file),
        ("data", paths.data),
        ("database", paths.database),
        ("state", paths.state),
        ("log", paths.log_file),
    ):
        yield _permissions(topic, path)


def _permissions(topic: str, path: Path) -> Finding:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Finding(Verdict.OK, topic, f"{path} (not there yet)")
    except OSError as error:
        return Finding(Verdict.PROBLEM, topic, f"{path}: {error.strerror}")
    if not os.access(path, os.R_OK | os.W_OK):
        return Finding(Verdict.PROBLEM, topic, f"{path} cannot be read and written by you")
    if os.name == "posix" and mode & 0o077 and topic != "settings file":
        shown = oct(stat.S_IMODE(mode))[2:]
        return Finding(Verdict.PROBLEM, topic, f"{path} is open to others (mode {shown}); `chmod go= {path}` mends it")
    return Finding(Verdict.OK, topic, str(path))


def _settings(session: Session) -> Finding:
    from holychat.catalog.prices import PriceBook
    from holychat.tui.keymap import check_keymap
    from holychat.tui.themes import check_theme

    try:
        known = {info.name for info in session.registry.infos()}
        PriceBook(session.settings.prices)
    except SettingsError as error:
        from holychat.settings import Settings

        session.settings = Settings()  # so that the rest can still be looked at
        return Finding(Verdict.PROBLEM, "settings", error.title)
    try:
        check_keymap(session.settings.keys)
        check_theme(session.settings.ui.theme)
    except SettingsError as error:  # only the app minds
        return Finding(Verdict.PROBLEM, "settings", error.title)
    chosen = session.settings.chat.provider
    if chosen not in known:
        return Finding(Verdict.PROBLEM, "settings", f"the default provider {chosen!r} does not exist")
    return Finding(Verdict.OK, "settings", f"readable; new chats go to {chosen}")


def _history(session: Session) -> Finding:
    if not session.paths.database.exists():
        return Finding(Verdict.OK, "history", "no chats yet")

    from holychat.store.chats import count
    from holychat.store.database import look_into

    try:
        chats = look_into(session.paths.database, count)
    except HolychatError as error:
        return Finding(Verdict.PROBLEM, "history", _said(error))
    return Finding(Verdict.OK, "history", f"opens; {chats} {'chat' if chats == 1 else 'chats'}")


def _sqlite() -> Finding:
    from holychat.store.database import sqlite_version

    return Finding(Verdict.OK, "SQLite", f"{sqlite_version()}, carried by apsw")


def _keyring(session: Session) -> Finding:
    description = session.keychain.keyring_description()
    usable = not any(description.startswith(f"{trouble.value}:") for trouble in KeyringTrouble)
    return Finding(Verdict.OK if usable else Verdict.NOTE, "keyring", description)


async def _providers(session: Session) -> list[Finding]:
    session.start_log()
    try:
        looks: list[Awaitable[Finding]] = [_provider(session, info) for info in session.registry.infos()]
        return list(await asyncio.gather(*looks))
    finally:
        await session.registry.aclose()


async def _provider(session: Session, info: ProviderInfo) -> Finding:
    topic = clean_line(info.name)
    if warnings := session.registry.get(info.name).warnings():
        return Finding(Verdict.NOTE, topic, f"not asked: {' '.join(warnings)}")
    try:
        async with asyncio.timeout(_PATIENCE):
            models = await session.registry.get(info.name).models()
    except TimeoutError:
        return Finding(Verdict.NOTE, topic, f"did not answer within {_PATIENCE:.0f} s")
    except KeyRejected as error:
        return Finding(Verdict.PROBLEM, topic, session.masker(_said(error)))
    except KeyMissing:
        return Finding(Verdict.NOTE, topic, f"no key; `holychat keys set {info.name}` adds one")
    except HolychatError as error:
        return Finding(Verdict.NOTE, topic, session.masker(_said(error)))
    return Finding(Verdict.OK, topic, f"answers; {len(models)} {'model' if len(models) == 1 else 'models'}")


def _said(error: HolychatError) -> str:
    return f"{error.title}. {error.hint}" if error.hint else error.title
