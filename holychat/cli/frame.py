"""The one way every command runs: what goes wrong becomes one or two lines on stderr and an exit status.

Errors that a person can do something about are `HolychatError`s and carry their own status. Anything else is a fault of
ours: it goes to the log with its traceback (without locals), and the person is told where that is.
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import click

from holychat.cli.output import ReaderGone, occupy_standard_streams
from holychat.cli.root import root
from holychat.cli.session import Session
from holychat.errors import ExitCode, HolychatError
from holychat.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

READER_GONE = 141
"""128 + SIGPIPE, what a shell sees of any program whose reader left."""


def run(arguments: Sequence[str]) -> int:
    """Run `holychat ARGUMENTS` and return the exit status of the process."""
    occupy_standard_streams()
    session = Session()
    unexpected = _UnexpectedError(session)
    sys.excepthook = unexpected
    threading.excepthook = unexpected.in_thread
    status = _guarded(session, arguments)
    return _flushed(session, status)


def _guarded(session: Session, arguments: Sequence[str]) -> int:
    try:
        result = root.main(list(arguments), prog_name="holychat", standalone_mode=False, obj=session)
    except HolychatError as error:
        session.report(error.title, error.hint)
        return error.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        session.out.notice(error.format_message())
        return error.exit_code
    except click.ClickException as error:
        session.report(error.format_message(), _click_hint(error))
        return error.exit_code
    except click.Abort:
        return ExitCode.INTERRUPTED
    except ReaderGone:
        _abandon_stdout()
        return READER_GONE
    except OSError as error:
        session.report_os_error(error)
        return ExitCode.FAILED
    return result if isinstance(result, int) else ExitCode.DONE


def _click_hint(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"See `{context.command_path} --help`." if context is not None else ""


def _flushed(session: Session, status: int) -> int:
    """The status once everything printed has left the process; a full disk may only show here."""
    if sys.stdout is None:
        return status
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon_stdout()
        return status or READER_GONE
    except OSError as error:
        session.report_os_error(error)
        _abandon_stdout()
        return status or ExitCode.FAILED
    return status


def _abandon_stdout() -> None:
    """Point stdout at nothing, so that the interpreter's last flush does not complain about it again."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


class _UnexpectedError:
    """The last handler: a short message, the log, exit status 1. Installed as `sys.excepthook`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def __call__(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        self._log("unexpected error", kind, error, traceback)
        name = clean(kind.__name__)
        log_file = self._session.paths.log_file
        self._session.report(f"Something went wrong inside holychat ({name}).", f"The details are in {log_file}.")

    def in_thread(self, what: threading.ExceptHookArgs) -> None:
        """The same for a thread, but what it served will tell of it; the program goes on."""
        self._log("unexpected error in a thread", what.exc_type, what.exc_value, what.exc_traceback)

    def _log(
        self, message: str, kind: type[BaseException], error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import logging

        self._session.start_log()
        logging.getLogger("holychat").critical(message, exc_info=(kind, error or kind(), traceback))
