"""What a benchmark found, as a file that a later one can be held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from holychat.benchmark.figures import Figures  # noqa: TC001  # msgspec reads the annotations while it runs
from holychat.errors import UsageError
from holychat.typed import decode

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
"""Of the file; another one is refused rather than misread."""
_MOST_BYTES = 10_000_000


class ModelReport(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both roads of one model; None: that road was not gone."""

    model: str
    live: Figures | None = None
    batch: Figures | None = None


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole benchmark."""

    format: int
    holychat: str
    """Version of the program."""
    measured_at: str
    """ISO 8601, UTC."""
    provider: str
    prompts: int
    """Different prompts."""
    max_tokens: int
    """Longest answer that was asked for."""
    concurrency: int | None
    """Requests at once of the batch road; None: found out while running."""
    models: tuple[ModelReport, ...]
    spent_micros: int
    """What was spent in all, requests without a known price left out."""
    spent_estimated: bool = False
    interrupted: bool = False

    @property
    def measured(self) -> bool:
        """Whether anything was answered at all."""
        roads = (road for model in self.models for road in (model.live, model.batch) if road is not None)
        return any(road.answered for road in roads)


def encode(report: Report) -> str:
    """The report as JSON for a file."""
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"


def load(path: Path) -> Report:
    """The report in a file. Blocking.

    Raises:
        UsageError: There is none that this program understands.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES)
    except OSError as error:
        raise UsageError(f"Cannot read {path}: {error.strerror}") from None
    hint = "`holychat bench --save FILE` writes one that can be compared."
    try:
        known = decode(data, _Format).format
    except msgspec.MsgspecError:
        raise UsageError(f"{path} is no benchmark of holychat", hint) from None
    if known != FORMAT:
        raise UsageError(f"{path} has format {known} of another version of holychat", hint)
    try:
        return decode(data, Report)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path} is no benchmark of holychat: {error}", hint) from None


class _Format(msgspec.Struct):
    format: int
