"""The only place where statuses, error bodies and exceptions of the HTTP layer become errors of holychat.

Everything a server or a library says is masked (known keys, by value), cleaned and cut to a line before it is part of
an error; web pages are never quoted.
"""

from __future__ import annotations

import http
import os
import re
import socket
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from holychat.errors import (
    KeyRejected,
    Outcome,
    OutOfCredit,
    Overloaded,
    ProviderError,
    RateLimited,
    RateLimits,
    ReplyBroken,
    RequestRefused,
    ServerFault,
    Unreachable,
)
from holychat.providers.error_bodies import WireTrouble
from holychat.providers.http import host_of, is_loopback
from holychat.providers.limits import rate_limits
from holychat.providers.waits import retry_after
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from holychat.domain.request import ProviderInfo
    from holychat.log import Masker

_REQUEST_IDS = ("x-request-id", "request-id", "x-generation-id")
_QUOTE = 300
_TEMPERATURE = re.compile(r"\btemperature\b", re.IGNORECASE)


class _Verdict(NamedTuple):
    """What a status means; None leaves what the class of the error has."""

    kind: type[ProviderError]
    title: str
    hint: str
    outcome: Outcome | None = None
    retryable: bool | None = None

    def error(
        self,
        rest: str,
        *,
        provider: str,
        status: int | None,
        request_id: str,
        retry_after: float | None,
        limits: RateLimits | None = None,
    ) -> ProviderError:
        """The error, its title followed by `rest`."""
        return self.kind(
            f"{self.title}{rest if rest.startswith(':') else ' ' + rest}",
            self.hint,
            provider=provider,
            outcome=self.outcome,
            status=status,
            request_id=request_id,
            retryable=self.retryable,
            retry_after=retry_after,
            limits=limits,
        )


class Translator:
    """Makes the errors of one provider."""

    def __init__(self, info: ProviderInfo, masker: Masker) -> None:
        self._info = info
        self._masker = masker
        self.name = clean_line(info.name, 40)
        """The provider's, as it is said in errors."""

    def say(self, text: str, limit: int = _QUOTE) -> str:
        """Foreign text as one masked, clean line."""
        return clean_line(self._masker(clean_line(self._masker(text), 4 * limit)), limit)

    def request_id(self, headers: Mapping[str, str]) -> str:
        """The provider's id of a request, clean."""
        return self.say(next((value for name in _REQUEST_IDS if (value := headers.get(name))), ""), 120)

    # Answers

    def refusal(self, response: httpx.Response, body: bytes) -> ProviderError:
        """The error for an answer with a status that is no success; `body` may be cut."""
        status = response.status_code
        if 300 <= status < 400:
            return self._redirect(response)
        trouble = WireTrouble.from_body(body)
        said = self.say(trouble.message or _plain(response, body))
        verdict = self._judge(status, trouble)
        should_retry = response.headers.get("x-should-retry", "").lower()
        if should_retry in ("true", "false") and not issubclass(verdict.kind, KeyRejected | OutOfCredit):
            verdict = verdict._replace(retryable=should_retry == "true")
        wait = retry_after(response.headers)
        return verdict.error(
            f"(HTTP {status}): {said}" if said else f": {_status_line(status, response.reason_phrase)}",
            provider=self.name,
            status=status,
            request_id=self.request_id(response.headers) or self.say(trouble.request_id, 120),
            retry_after=trouble.wait if wait is None else wait,
            limits=rate_limits(response.headers),
        )

    def error_object(self, value: Any, *, request_id: str, begun: bool) -> ProviderError:
        """The error for an error object in place of a reply or, when `begun`, in the middle of one."""
        trouble = WireTrouble.of(value)
        said = self.say(trouble.message) or "no reason was given"
        request_id = request_id or self.say(trouble.request_id, 120)
        verdict = self._judge(trouble.likely_status, trouble)
        if begun:
            title = f"{self.name} broke the reply off: {said}"
            return self.broken(title, verdict.hint, outcome=Outcome.SERVER_FAULT, request_id=request_id)
        return verdict.error(
            f": {said}",
            provider=self.name,
            status=trouble.status,
            request_id=request_id,
            retry_after=trouble.wait,
        )

    def _redirect(self, response: httpx.Response) -> ProviderError:
        target = response.headers.get("location", "")
        pointed = f" to {self.say(target, 200)}" if target else ""
        return RequestRefused(
            f"{self.name} redirects{pointed} (HTTP {response.status_code}); a key and a prompt are never sent on",
            f"If that is the right address, set it as base_url in [providers.{self.name}].",
            provider=self.name,
            status=response.status_code,
            request_id=self.request_id(response.headers),
        )

    def _judge(self, status: int, trouble: WireTrouble) -> _Verdict:
        name = self.name
        if status == 402 or trouble.says_no_credit:
            return _Verdict(
                OutOfCredit, f"The account at {name} has no credit left", "Top it up, or choose another provider."
            )
        if trouble.says_no_model(status):
            hint = f"`holychat models -p {name}` lists what it offers."
            return _Verdict(RequestRefused, f"{name} does not know the model", hint)
        if status == 401:
            return _Verdict(KeyRejected, f"{name} does not accept the key", self._key_hint())
        if status == 403:
            hint = f"The key may lack the right to do this, or the place you are in. {self._key_hint()}"
            return _Verdict(KeyRejected, f"{name} does not allow this", hint)
        if status == 429:
            return _Verdict(RateLimited, f"Too many requests for {name}", "Wait a little, then send again.")
        if status in (503, 529):
            return _Verdict(Overloaded, f"{name} is overloaded", "Wait a little, then send again.")
        if status >= 500 or status == 408:
            return self._fault(status, trouble)
        return _Verdict(RequestRefused, f"{name} refused the request", self._refusal_hint(status, trouble))

    def _fault(self, status: int, trouble: WireTrouble) -> _Verdict:
        if status in (408, 502, 504) or not trouble.said:
            hint = "The request may have been done and billed all the same. Send it again if you like."
            outcome = Outcome.AMBIGUOUS
        else:
            hint, outcome = "The fault is the provider's. Send it again.", Outcome.SERVER_FAULT
        return _Verdict(ServerFault, f"{self.name} failed", hint, outcome, status not in (501, 505))

    def _refusal_hint(self, status: int, trouble: WireTrouble) -> str:
        if status == 413 or trouble.says_too_long:
            return "The conversation or its attachments are too long for the model. Shorten them or start a new chat."
        if status in (404, 405):
            return self._address_hint()
        if status == 400 and _TEMPERATURE.search(trouble.message):
            return "The model does not take the temperature that is set: leave it out, or set another one."
        return "Sending the same again will not help: change the message, the model or the options."

    def _address_hint(self) -> str:
        where = f"Check base_url in [providers.{self.name}]"
        if self._info.kind == "anthropic":
            return f"{where}: behind it come /v1/messages and /v1/models."
        return f"{where}: it usually ends in /v1."

    def _key_hint(self) -> str:
        stores = f"`holychat keys set {self.name}` stores another key"
        return f"{stores}; `holychat keys status` tells whether one from the environment goes before it."

    # Replies that cannot be read

    def broken(
        self,
        title: str,
        hint: str = "Send it again if you like; it may be billed twice.",
        *,
        outcome: Outcome = Outcome.AMBIGUOUS,
        request_id: str = "",
        status: int | None = None,
        retryable: bool = True,
        partial: bytes = b"",
    ) -> ReplyBroken:
        """A reply that began, or may have begun, and did not end properly."""
        return ReplyBroken(
            title,
            hint,
            provider=self.name,
            outcome=outcome,
            status=status,
            request_id=request_id,
            retryable=retryable,
            partial=partial,
        )

    def unreadable(self, reason: str, request_id: str = "") -> ReplyBroken:
        """A reply whose data makes no sense."""
        return self.broken(f"The reply of {self.name} cannot be read: {self.say(reason)}", request_id=request_id)

    def idle(self, seconds: float, *, begun: bool, request_id: str = "") -> ReplyBroken:
        """Nothing came for too long."""
        more = "nothing more" if begun else "nothing"
        hint = "Send it again if you like; it may be billed twice. [network] idle_timeout sets how long to wait."
        return self.broken(f"{self.name} sent {more} for {seconds:g} s", hint, request_id=request_id)

    def cut(self, request_id: str = "") -> ReplyBroken:
        """A stream that ended without saying so."""
        return self.broken(f"The reply of {self.name} ended early: no finish reason was sent", request_id=request_id)

    def not_a_reply(self, response: httpx.Response, media: str, body: bytes) -> ProviderError:
        """A success that carries something else than a reply."""
        what = "a web page" if media == "text/html" or _looks_like_html(body) else f"{self.say(media, 80) or 'nothing'}"
        if not body.strip():
            what = "an empty body"
        return self.broken(
            f"{self.name} answered with {what} in place of a reply (HTTP {response.status_code})",
            self._address_hint(),
            request_id=self.request_id(response.headers),
            status=response.status_code,
            retryable=False,
            partial=body,
        )

    def no_list(self, broken: ReplyBroken) -> ServerFault:
        """A model list that broke like a reply: nothing was made, so nothing is billed or cut short."""
        hint = "Try again; a model can be used by its name without the list." if broken.retryable else broken.hint
        return ServerFault(
            broken.title, hint, provider=self.name, status=broken.status, request_id=broken.request_id,
            retryable=broken.retryable,
        )  # fmt: skip

    # Exceptions

    def bad_key(self) -> KeyRejected:
        """The key holds something that no HTTP header can carry."""
        title = f"The key for {self.name} holds characters that cannot be sent"
        return KeyRejected(title, self._key_hint(), provider=self.name)

    def transport(self, error: Exception, *, begun: bool, request_id: str = "") -> ProviderError:
        """The error for an exception of httpx. Its text is only quoted where it cannot hold a key."""
        import httpx

        name = self.name
        if isinstance(error, httpx.LocalProtocolError):
            # h11 quotes the header it refuses, and that may be the one with the key.
            title = f"The request to {name} cannot be written: a header holds a character that HTTP forbids"
            return RequestRefused(title, self._key_hint(), provider=name, outcome=Outcome.NEVER_SENT)
        if isinstance(error, httpx.ConnectTimeout | httpx.ConnectError | httpx.ProxyError | httpx.PoolTimeout):
            return self._unreachable(error)
        if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
            hint = f"Check base_url in [providers.{name}]."
            return Unreachable(f"The address of {name} is unusable", hint, provider=name, retryable=False)
        reason = self._reason_of(error)
        if begun:
            return self.broken(f"The connection to {name} broke off: {reason}", request_id=request_id)
        return self.broken(f"{name} broke the connection off before the reply: {reason}", request_id=request_id)

    def _reason_of(self, error: Exception) -> str:
        cause = _root_of(error)
        return self.say(str(error) or (isinstance(cause, OSError) and words_of(cause)) or "it was closed", 160)

    def _unreachable(self, error: Exception) -> Unreachable:
        import httpx

        name, host = self.name, self.say(host_of(self._info.base_url), 100)
        where = f"{name} at {host}" if host and host != name else name
        hint = "Check the network and base_url, then send again."
        if is_loopback(self._info.base_url):
            hint = f"Is the server running? Its address is base_url in [providers.{name}]."
        cause = _root_of(error)
        retryable = True
        if isinstance(error, httpx.ProxyError):
            reason = f"the proxy refused: {self.say(str(error), 120)}"
            hint = "Check HTTP_PROXY, HTTPS_PROXY and ALL_PROXY."
        elif isinstance(error, httpx.ConnectTimeout):
            reason = "no connection in time"
        elif isinstance(error, httpx.PoolTimeout):
            reason = "all connections were in use"
        elif isinstance(cause, ssl.SSLError):
            reason, hint = self._tls_reason(cause)
            retryable = False
        elif isinstance(cause, socket.gaierror):
            reason = "the name cannot be resolved"
        else:
            reason = self.say((isinstance(cause, OSError) and words_of(cause)) or str(error) or "no connection", 160)
        return Unreachable(f"Cannot reach {where}: {reason}", hint, provider=name, retryable=retryable)

    def _tls_reason(self, cause: ssl.SSLError) -> tuple[str, str]:
        if isinstance(cause, ssl.SSLCertVerificationError):
            reason = f"its certificate is not trusted ({self.say(cause.verify_message or '', 120)})"
            return reason, "If your network has a certificate authority of its own, name its file in SSL_CERT_FILE."
        reason = f"no secure connection ({self.say(cause.reason or type(cause).__name__, 80)})"
        return (
            reason,
            "Check whether base_url should begin with http:// or https://; SSL_CERT_FILE names own certificates.",
        )


def words_of(error: OSError) -> str:
    """What the system says of an error; libraries put addresses as they are inside Python into its text."""
    if error.errno and not isinstance(error, ssl.SSLError | socket.gaierror):  # these have numbers of their own
        return os.strerror(error.errno)
    return error.strerror or str(error)


def _root_of(error: BaseException) -> BaseException:
    """The innermost exception that says why a connection failed: a TLS or name error before any other."""
    best: BaseException = error
    current: BaseException | None = error
    for _ in range(12):
        if isinstance(current, BaseExceptionGroup):
            current = current.exceptions[0]
            continue
        if isinstance(current, ssl.SSLError | socket.gaierror):
            return current
        if isinstance(current, OSError) and current.strerror:
            best = current
        if current is None:
            break
        current = current.__cause__ or current.__context__
    return best


def _status_line(status: int, phrase: str) -> str:
    try:
        phrase = phrase or http.HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    return f"HTTP {status} {phrase}".rstrip()


def _looks_like_html(body: bytes) -> bool:
    return body[:512].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _plain(response: httpx.Response, body: bytes) -> str:
    """The first line of a short plain-text error, as proxies send it; "" for web pages and the like."""
    if not response.headers.get("content-type", "text/plain").lower().startswith("text/plain"):
        return ""
    if _looks_like_html(body) or len(body) > 4096:
        return ""
    return body.decode("utf-8", "replace").strip().partition("\n")[0]
