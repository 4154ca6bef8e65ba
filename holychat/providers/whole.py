"""Whole answers: telling a reply from what only looks like a success, and reading it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holychat.domain.request import RawReply
from holychat.providers.limits import rate_limits
from holychat.providers.messages import MessageReader
from holychat.providers.reply import ReplyReader
from holychat.providers.sse import media_type
from holychat.providers.wire_types import WireError, decode_completion

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import httpx

    from holychat.domain.request import Reply
    from holychat.errors import ProviderError
    from holychat.providers.failures import Translator
    from holychat.providers.reader import Reader

_WIRES: tuple[type[Reader], ...] = (ReplyReader, MessageReader)


def raw_reply(
    translator: Translator,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    response: Callable[[], httpx.Response],
) -> RawReply:
    """The answer with a status of success, unread.

    What is no reply is told apart without reading it: a web page, an empty body, one that was cut where nothing says
    how long it should be, an error object.

    Args:
        translator: Makes the errors.
        status: 200 to 299.
        headers: Looked up in lower case.
        body: After decompression.
        response: Makes the answer as httpx knows it, wanted only for an error.

    Raises:
        ProviderError: It is no reply; it carries the body and the limits.
    """
    raw = RawReply(status, body, translator.request_id(headers), rate_limits(headers))
    stripped = body.strip()
    error: ProviderError
    if stripped[:1] not in (b"{", b"["):
        error = translator.not_a_reply(response(), media_type(response()), body)
    elif stripped[-1:] not in (b"}", b"]"):
        error = translator.broken(
            f"The reply of {translator.name} ended early", request_id=raw.request_id, status=status, partial=body
        )
    elif b'"error"' in body and (found := _error_in(translator, raw)) is not None:
        error = found
        error.partial = body
    else:
        return raw
    error.limits = raw.limits
    raise error


def refusal_of(translator: Translator, status: int, body: bytes, request_id: str) -> ProviderError | None:
    """Why an answer that came within a file is no reply; None: it is one, unread."""
    import httpx

    if not 200 <= status < 300:
        response = httpx.Response(status or 500, headers={"x-request-id": request_id} if request_id.isascii() else {})
        return translator.refusal(response, body)
    raw = RawReply(status, body, request_id)
    return _error_in(translator, raw) if b'"error"' in body else None


def read_reply(translator: Translator, raw: RawReply, wire: type[Reader] = ReplyReader) -> Reply:
    """The reply that an answer holds.

    An answer that is not of the wire it is said to be of is read by another one: it may be older than the settings.

    Raises:
        ProviderError: It holds none.
    """
    problem = ""
    for known in (wire, *(other for other in _WIRES if other is not wire)):
        reader = known(translator, raw.request_id)
        try:
            reader.read_whole(raw.body)
        except WireError as error:
            problem = problem or str(error)
        else:
            return reader.reply()
    raise translator.unreadable(problem, raw.request_id)


def _error_in(translator: Translator, raw: RawReply) -> ProviderError | None:
    """The error that stands in place of a reply, as some gateways send it with a 200."""
    try:
        completion = decode_completion(raw.body)
    except WireError:
        return None
    value = completion.error
    if completion.object == "error":
        value = value or {"message": completion.message, "code": completion.code}
    return translator.error_object(value, request_id=raw.request_id, begun=False) if value else None
