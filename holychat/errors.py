"""Everything that can go wrong in a way a person can do something about.

    HolychatError                     exit
    ├── UsageError                    2    the request itself is off
    │   ├── SettingsError             2    config.toml or an environment variable
    │   └── LimitReached              2    the person's own limit per day or month
    ├── StoreError                    1    the history database
    │   ├── StoreTooNew               1    written by a newer holychat
    │   ├── StoreDamaged              1    not a database, or a broken one
    │   ├── StoreFull                 1    no space left
    │   └── StoreRefused              1    it breaks a rule of the schema
    ├── CredentialError               3
    │   ├── KeyMissing                3    no key found on any rung of the ladder
    │   └── KeyringError              3    why the keyring could not answer: see KeyringTrouble
    └── ProviderError                 5    carries provider, status, request id, outcome, retry_after
        ├── KeyRejected               3    401, 403
        ├── RequestRefused            4    400, 404, 413, 422, refused content, redirects
        │   └── OutOfCredit           4    402, insufficient_quota
        ├── RateLimited               4    429
        ├── Overloaded                5    503, 529
        ├── ServerFault               5    other 5xx, an error object in place of a reply
        ├── Unreachable               5    DNS, connect, TLS, proxy: nothing was sent
        └── ReplyBroken               6    the reply began, or may have begun, and did not end properly

Every error has a `title` (one line, what happened) and a `hint` (what to do about it); both are safe to show after
`text.clean()`. Nothing else may leave the rooms of this package as an exception that a person would have to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class ExitCode(IntEnum):
    """Status of the process, as documented for `holychat ask` and `holychat batch --wait`."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    KEY = 3
    REFUSED = 4
    UNREACHABLE = 5
    CUT_SHORT = 6
    SOME_FAILED = 7
    """A job has ended, or waits, without all of its documents done."""
    SOME_IN_DOUBT = 8
    """Of some documents of a job nobody knows whether they were done and billed."""
    INTERRUPTED = 130


class Outcome(StrEnum):
    """What is known of a request that did not succeed: decides what may be done next, and at whose cost."""

    NEVER_SENT = "never_sent"
    """DNS, connect, TLS, pool: no byte of the request left. Retrying is free."""
    REFUSED = "refused"
    """429, 503, 529: the provider turned it away. Retrying after a wait is free."""
    FATAL = "fatal"
    """400, 404, 413, 422: the same request will fail again."""
    AUTH = "auth"
    """401, 402, 403, insufficient_quota: nothing will work until the person acts."""
    SERVER_FAULT = "server_fault"
    """500 with the provider's own error: a few retries may help."""
    AMBIGUOUS = "ambiguous"
    """Read timeout, reset after sending, 408, 502, 504, HTML, truncation: may have been done and billed."""


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What a provider says of its limits with an answer, a refusal as well as a reply; None where it says nothing.

    It is a hint: some servers send a constant 0 as what remains.
    """

    requests_per_minute: float | None = None
    requests_remaining: float | None = None
    requests_reset_s: float | None = None
    """Seconds until all of them are there again, which is later than the next one."""
    tokens_per_minute: float | None = None
    tokens_remaining: float | None = None
    tokens_reset_s: float | None = None


class HolychatError(Exception):
    """Base of all errors that are shown to a person.

    Attributes:
        title: One line that says what happened.
        hint: What to do about it; may be empty.
    """

    exit_code: ExitCode = ExitCode.FAILED

    def __init__(self, title: str, hint: str = "") -> None:
        super().__init__(title)
        self.title = title
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.title}\n{self.hint}" if self.hint else self.title


class UsageError(HolychatError):
    """The request itself is off: a bad option, an unreadable file, an unknown provider."""

    exit_code = ExitCode.USAGE


class SettingsError(UsageError):
    """config.toml or an environment variable holds something unusable; the title names the field."""


class LimitReached(UsageError):
    """The request could cost more than what is left of a limit that the person set; nothing was sent or stored."""


class JobPaused(HolychatError):
    """A job whose answers are awaited does not go on before somebody does what the hint says. What is done is kept."""


class StoreError(HolychatError):
    """The history database could not do what was asked; nothing was half done."""


class StoreTooNew(StoreError):
    """The database was written by a newer holychat."""


class StoreDamaged(StoreError):
    """The database file is not a database, or is damaged; it is never deleted.

    `holychat history move-aside` keeps it under another name.
    """


class StoreFull(StoreError):
    """No space left where the database lives; reading still works."""


class StoreRefused(StoreError):
    """What was to be stored breaks a rule of the schema: a fault of ours, and trying again does not help."""


class CredentialError(HolychatError):
    """A key could not be had or kept."""

    exit_code = ExitCode.KEY


class KeyMissing(CredentialError):
    """No rung of the ladder (environment, keyring, command, this run's memory) has a key for the provider."""


class KeyringTrouble(StrEnum):
    """Why the keyring of the operating system could not answer."""

    NO_BACKEND = "no backend"
    LOCKED = "locked"
    TIMED_OUT = "timed out"
    NULL_BACKEND = "null backend"
    NOT_KEPT = "not kept"
    """Writing seemed to work, reading back gave something else."""
    NO_SUCH_KEY = "no such key"
    BROKEN = "broken"
    """Anything else a backend may throw."""


class KeyringError(CredentialError):
    """The keyring could not answer; `trouble` tells why."""

    def __init__(self, trouble: KeyringTrouble, title: str, hint: str = "") -> None:
        super().__init__(title, hint)
        self.trouble = trouble


class ProviderError(HolychatError):
    """A provider could not be reached, refused, or answered with something unusable.

    Attributes:
        provider: Name of the provider as in the settings.
        outcome: What is known of the request's fate.
        status: HTTP status, or None where there was no answer.
        request_id: The provider's own id of the request, cleaned, or "".
        retryable: Whether the same request may succeed when sent again.
        retry_after: Seconds to wait before that, as told by the provider, or None.
        limits: What the provider said of its limits with the answer, or None.
        partial: The beginning of a body that broke off or is no reply, as far as it came.
    """

    exit_code = ExitCode.UNREACHABLE
    default_outcome: Outcome = Outcome.AMBIGUOUS
    default_retryable: bool = False

    def __init__(
        self,
        title: str,
        hint: str = "",
        *,
        provider: str = "",
        outcome: Outcome | None = None,
        status: int | None = None,
        request_id: str = "",
        retryable: bool | None = None,
        retry_after: float | None = None,
        limits: RateLimits | None = None,
        partial: bytes = b"",
    ) -> None:
        super().__init__(title, hint)
        self.provider = provider
        self.outcome = self.default_outcome if outcome is None else outcome
        self.status = status
        self.request_id = request_id
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.limits = limits
        self.partial = partial


class KeyRejected(ProviderError):
    """The provider does not accept the key (401, 403)."""

    exit_code = ExitCode.KEY
    default_outcome = Outcome.AUTH


class RequestRefused(ProviderError):
    """The provider will not do this request, now or later (400, 404, 413, 422, a redirect)."""

    exit_code = ExitCode.REFUSED
    default_outcome = Outcome.FATAL


class OutOfCredit(RequestRefused):
    """The account has no credit or quota left (402, insufficient_quota)."""

    default_outcome = Outcome.AUTH


class RateLimited(ProviderError):
    """Too many requests (429); `retry_after` tells how long to wait where the provider says it."""

    exit_code = ExitCode.REFUSED
    default_outcome = Outcome.REFUSED
    default_retryable = True


class Overloaded(ProviderError):
    """The provider is overloaded (503, 529)."""

    default_outcome = Outcome.REFUSED
    default_retryable = True


class ServerFault(ProviderError):
    """The provider failed (other 5xx) or sent an error in place of a reply."""

    default_outcome = Outcome.SERVER_FAULT
    default_retryable = True


class Unreachable(ProviderError):
    """No connection: DNS, connect, TLS, proxy. Nothing was sent."""

    default_outcome = Outcome.NEVER_SENT
    default_retryable = True


class ReplyBroken(ProviderError):
    """The reply stalled, broke off, ended without a finish reason, or could not be read.

    What had arrived is kept. Where nothing had arrived a retry may help, at the risk of paying twice.
    """

    exit_code = ExitCode.CUT_SHORT
    default_outcome = Outcome.AMBIGUOUS
    default_retryable = True
