"""A failure as it is kept with a message: what the person was told, without the exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from holychat.errors import HolychatError, Outcome, ProviderError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong with a turn."""

    kind: str
    """Name of the error class, for example "RateLimited"."""
    title: str
    hint: str = ""
    status: int | None = None
    request_id: str = ""
    outcome: str = Outcome.AMBIGUOUS.value

    @property
    def sentences(self) -> str:
        """What happened and what to do about it, in one line."""
        stop = "" if not self.hint or self.title.endswith((".", "?", "!")) else "."
        return f"{self.title}{stop} {self.hint}".strip()

    @classmethod
    def of(cls, error: HolychatError) -> Failure:
        """The failure that an error tells of."""
        if isinstance(error, ProviderError):
            return cls(
                kind=type(error).__name__,
                title=error.title,
                hint=error.hint,
                status=error.status,
                request_id=error.request_id,
                outcome=error.outcome.value,
            )
        return cls(kind=type(error).__name__, title=error.title, hint=error.hint, outcome=Outcome.NEVER_SENT.value)

    @classmethod
    def from_dict(cls, fields: Mapping[str, object]) -> Failure:
        """The failure that `to_dict` wrote; fields of a later version are left out."""
        status = fields.get("status")
        return cls(
            kind=str(fields.get("kind", "")),
            title=str(fields.get("title", "")),
            hint=str(fields.get("hint", "")),
            status=status if isinstance(status, int) else None,
            request_id=str(fields.get("request_id", "")),
            outcome=str(fields.get("outcome", Outcome.AMBIGUOUS.value)),
        )

    def to_dict(self) -> dict[str, str | int | None]:
        """The failure as JSON-ready fields."""
        return {
            "kind": self.kind,
            "title": self.title,
            "hint": self.hint,
            "status": self.status,
            "request_id": self.request_id,
            "outcome": self.outcome,
        }
