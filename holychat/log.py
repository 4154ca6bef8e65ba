"""The log file (rotated, private) and the mask that keeps keys out of it and out of everything that is shown."""

from __future__ import annotations

import logging
import logging.handlers
import os
import threading
from typing import TYPE_CHECKING

from holychat.paths import make_private_directory

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

MASK = "•••"
_SHORTEST_SECRET = 8
_TAIL = 20
_MAX_BYTES = 2 * 1024 * 1024


class Masker:
    """Replaces every key that this process knows, by value, in any text.

    One instance is made by the composition root; the key chain adds what it finds, providers and the log pass what
    they are about to say through it. Any thread may add and mask.
    """

    def __init__(self) -> None:
        self._adding = threading.Lock()
        self._secrets: tuple[str, ...] = ()
        """The longest first: one may hold another one."""

    def add(self, secret: str) -> None:
        """Learn a key. Very short ones are passed over: masking them would garble ordinary words."""
        if len(secret) < _SHORTEST_SECRET or secret in self._secrets:
            return
        new = {secret, secret[-_TAIL:]} if len(secret) >= _TAIL + _SHORTEST_SECRET else {secret}
        with self._adding:
            self._secrets = tuple(sorted({*self._secrets, *new}, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Text with every known key masked, also where only its last characters are quoted."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        return text


class _MaskingFormatter(logging.Formatter):
    def __init__(self, masker: Masker) -> None:
        super().__init__("%(asctime)s %(levelname)s %(process)d %(name)s: %(message)s")
        self._masker = masker

    def format(self, record: logging.LogRecord) -> str:
        return self._masker(super().format(record))


class _PrivateFileHandler(logging.handlers.RotatingFileHandler):
    def _open(self):  # type: ignore[no-untyped-def]  # the base class has a private return type
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, self.mode, encoding=self.encoding, errors=self.errors)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # the signature is logging's
        """Lose the record: by default a full disk would put a traceback over what stands on the screen."""


def start_logging(log_file: Path, masker: Masker, environ: Mapping[str, str] = os.environ) -> None:
    """Send the records of this process to `log_file`; HOLYCHAT_LOG sets the level (default WARNING).

    httpx writes whole addresses at INFO and httpcore whole headers at DEBUG, so both stay at WARNING.
    A log that cannot be opened never keeps the program from starting.
    """
    root = logging.getLogger()
    level = environ.get("HOLYCHAT_LOG", "WARNING").upper()
    root.setLevel(level if level in logging.getLevelNamesMapping() else "WARNING")
    for name in ("httpx", "httpcore", "aiohttp", "asyncio", "markdown_it"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        make_private_directory(log_file.parent)
        handler: logging.Handler = _PrivateFileHandler(
            log_file, maxBytes=_MAX_BYTES, backupCount=2, encoding="utf-8", errors="replace", delay=True
        )
    except OSError:
        handler = logging.NullHandler()
    handler.setFormatter(_MaskingFormatter(masker))
    root.handlers[:] = [handler]
