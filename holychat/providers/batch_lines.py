"""Files of requests and of answers, line by line, as OpenAI defined them and other engines read and write them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from holychat.providers.whole import refusal_of
from holychat.providers.wire_types import Dialect, encode_request
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holychat.domain.request import ReplyRequest
    from holychat.errors import ProviderError
    from holychat.providers.failures import Translator

ENDPOINT = "/v1/chat/completions"
_USUAL = Dialect()


class AnswerLine(NamedTuple):
    """What became of one request of a batch."""

    custom_id: str
    status: int
    """Of HTTP; 0 where there was no answer."""
    body: bytes
    request_id: str
    code: str
    """Why there was no answer, such as "batch_expired"; "" else."""
    error: ProviderError | None
    """None: `body` is a reply."""


class _Line(msgspec.Struct):
    custom_id: str
    method: str
    url: str
    body: msgspec.Raw


class _Response(msgspec.Struct):
    status_code: int = 0
    request_id: str | None = None
    body: msgspec.Raw = msgspec.Raw(b"null")


class _Problem(msgspec.Struct):
    code: str | None = None
    message: str | None = None


class _AnswerBody(msgspec.Struct):
    custom_id: str
    id: str | None = None
    response: _Response | None = None
    error: _Problem | None = None


def request_line(custom_id: str, request: ReplyRequest, dialect: Dialect = _USUAL) -> bytes:
    """A request as a line of a file of requests."""
    body = encode_request(request, stream=False, dialect=dialect)
    return msgspec.json.encode(_Line(custom_id, "POST", ENDPOINT, msgspec.Raw(body))) + b"\n"


def answer_lines(translator: Translator, lines: Iterable[bytes]) -> Iterator[AnswerLine]:
    """The lines of a file of answers or of errors, without those that make no sense."""
    for line in lines:
        try:
            body = decode(line, _AnswerBody)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        yield _answer(translator, body)


def _answer(translator: Translator, body: _AnswerBody) -> AnswerLine:
    response, problem = body.response, body.error
    if response is None:
        code = (problem.code if problem else None) or ""
        said = {"code": code, "message": problem.message if problem else None}
        error = translator.error_object(said, request_id=body.id or "", begun=False)
        return AnswerLine(body.custom_id, 0, b"", "", code, error)
    request_id = translator.say(response.request_id or "", 120)
    status, content = response.status_code, bytes(response.body)
    return AnswerLine(
        body.custom_id, status, content, request_id, "", refusal_of(translator, status, content, request_id)
    )
