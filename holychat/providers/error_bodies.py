"""The many ways in which servers word an error."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from holychat.providers.waits import seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_NO_CREDIT = frozenset(
    {
        "insufficient_quota", "insufficient_user_quota", "insufficient_balance", "insufficient_credits",
        "billing_hard_limit_reached", "billing_not_active", "credit_balance_too_low", "billing_error",
    }
)  # fmt: skip
_NO_CREDIT_TEXT = re.compile(
    # Anthropic says both with a 400 and the type of any other bad request.
    r"credit balance is too low|reached your specified (API|workspace API) usage limits",
    re.IGNORECASE,
)
_NO_MODEL = frozenset({"model_not_found", "model_not_exist", "invalid_model", "model_not_available"})
_NO_MODEL_TEXT = re.compile(
    r"model\b.{0,120}\b(not found|not exist|does not exist|unknown|no available)"
    r"|(unknown|no such|invalid|not a valid) model\b|no available channel|^model: \S+$",
    re.IGNORECASE | re.DOTALL,
)
_TOO_LONG = re.compile(r"context.{0,20}(length|window|size|limit)|too many tokens|prompt is too long", re.IGNORECASE)
_STATUSES = (
    (401, {"invalid_api_key", "authentication_error", "unauthenticated"}),
    (403, {"permission_error"}),
    (404, {"not_found_error"}),
    (413, {"request_too_large"}),
    (429, {"rate_limit_exceeded", "rate_limit_error", "too_many_requests", "resource_exhausted"}),
    (503, {"overloaded_error", "unavailable", "service_unavailable"}),
    (504, {"timeout_error"}),
    (400, {"invalid_request_error", "context_length_exceeded", "content_filter", "invalid_argument"}),
)


@dataclass(frozen=True, slots=True)
class WireTrouble:
    """What an error object says, whichever dialect it is written in; everything may be empty."""

    message: str = ""
    codes: frozenset[str] = frozenset()
    """Its code, type and status, in lower case."""
    status: int | None = None
    """An HTTP status given as a number in the body."""
    wait: float | None = None
    """Seconds, from Google's RetryInfo."""
    request_id: str = ""
    said: bool = False
    """The provider itself worded an error object; a bare status or a web page may come from anything on the way."""

    @classmethod
    def of(cls, value: Any) -> WireTrouble:
        """From the `error` field or a whole error body: an object, a string, or a list with one of them."""
        if isinstance(value, list):
            value = next((entry for entry in value if isinstance(entry, dict)), value[0] if value else "")
        if not isinstance(value, dict):
            return cls(message=value if isinstance(value, str) else "" if value is None else json.dumps(value))
        inner = value.get("error")
        if inner:
            found = cls.of(inner)
            request_id = value.get("request_id")
            return cls(
                message=found.message or _text(value.get("message")),
                codes=found.codes | _codes(value),
                status=found.status,
                wait=found.wait,
                request_id=request_id if isinstance(request_id, str) else found.request_id,
                said=True,
            )
        code = value.get("code")
        status = int(code) if isinstance(code, int) or (isinstance(code, str) and re.fullmatch(r"\d{3}", code)) else 0
        return cls(
            message=_message(value),
            codes=_codes(value),
            status=status if 400 <= status <= 599 else None,
            wait=_retry_info(value.get("details")),
            said=True,
        )

    @property
    def likely_status(self) -> int:
        """The HTTP status that the error would have had in place of a 200."""
        if self.status is not None:
            return self.status
        return next((status for status, words in _STATUSES if self.codes & words), 500)

    @property
    def says_no_credit(self) -> bool:
        """The account is empty, whatever the status is."""
        return bool(self.codes & _NO_CREDIT) or bool(_NO_CREDIT_TEXT.search(self.message))

    @property
    def says_too_long(self) -> bool:
        """The prompt does not fit the model."""
        return "context_length_exceeded" in self.codes or bool(_TOO_LONG.search(self.message))

    def says_no_model(self, status: int) -> bool:
        """The model is unknown: by its code, or with a 400 or 404 by the words."""
        return bool(self.codes & _NO_MODEL) or (status in (400, 404) and bool(_NO_MODEL_TEXT.search(self.message)))

    @classmethod
    def from_body(cls, body: bytes) -> WireTrouble:
        """From the body of an error answer; nothing where it is not JSON."""
        try:
            return cls.of(json.loads(body))
        except (ValueError, RecursionError):
            return cls()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, dict | list) else ""


def _message(value: Mapping[str, Any]) -> str:
    message = next((text for name in ("message", "detail", "msg") if (text := _text(value.get(name)))), "")
    metadata = value.get("metadata")
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    # OpenRouter's own words are "Provider returned error"; what the provider said is in the metadata.
    return f"{message}: {raw}" if isinstance(raw, str) and raw else message


def _codes(value: Mapping[str, Any]) -> frozenset[str]:
    fields = (value.get(name) for name in ("code", "type", "status"))
    return frozenset(field.lower() for field in fields if isinstance(field, str))


def _retry_info(details: Any) -> float | None:
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and "retryDelay" in detail:
            return seconds_of(str(detail["retryDelay"]).removesuffix("s"))
    return None
