"""Anthropic's Message Batches behind the door of `batch_service`.

https://platform.claude.com/docs/en/api/creating-message-batches. Two things are otherwise than at OpenAI: requests go
along with the order, so there are no files of requests, and a batch carries nothing of ours but the custom_ids of its
requests, which are told again only with its results. Whose a batch is that nobody heard of is therefore known once it
has ended, and not before: see `token_of`.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from holychat.domain.batches import BatchStatus, RemoteBatch, RemoteFile
from holychat.errors import Overloaded, RateLimited, RequestRefused
from holychat.providers.batch_lines import AnswerLine
from holychat.providers.batch_service import BatchService, as_path
from holychat.providers.exchange import Exchange
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from holychat.domain.request import ReplyRequest
    from holychat.providers.failures import Translator
    from holychat.providers.http import HttpPool

_ROOT = "/v1/messages/batches"
_SECONDS = 60.0
_ORDER_SECONDS = 1_800.0
"""While the requests are sent nothing comes back."""
_PIECE = 1024 * 1024
_LINE_LIMIT = 64 * 1024 * 1024
_PAGE = 100
_MOST_PAGES = 1_000
_HEAD, _TAIL = b'{"requests":[', b"]}"
_STATUSES = {
    "in_progress": BatchStatus.IN_PROGRESS.value,
    "canceling": BatchStatus.CANCELLING.value,
    # Whatever became of its requests: each has a line that says it.
    "ended": BatchStatus.COMPLETED.value,
}
_NO_FILE = "-"
_NOT_DONE = {"canceled": "batch_cancelled", "expired": "batch_expired"}


class _Counts(msgspec.Struct):
    processing: int = 0
    succeeded: int = 0
    errored: int = 0
    canceled: int = 0
    expired: int = 0


class _BatchBody(msgspec.Struct):
    id: str
    processing_status: str
    request_counts: _Counts | None = None
    created_at: str | None = None
    expires_at: str | None = None
    results_url: str | None = None

    def batch(self) -> RemoteBatch:
        counts = self.request_counts or _Counts()
        failed = counts.errored + counts.canceled + counts.expired
        return RemoteBatch(
            id=self.id,
            status=_STATUSES.get(self.processing_status, self.processing_status),
            # Its results are fetched by its own name: an address that a server gives is never sent a key.
            output_file_id=self.id if self.results_url else "",
            total=counts.processing + counts.succeeded + failed,
            completed=counts.succeeded,
            failed=failed,
            created_s=_seconds(self.created_at) or 0,
            expires_s=_seconds(self.expires_at),
        )


class _BatchPage(msgspec.Struct):
    data: list[_BatchBody]
    has_more: bool = False


class _Result(msgspec.Struct):
    type: str
    message: msgspec.Raw = msgspec.Raw(b"null")
    error: Any = None


class _Line(msgspec.Struct):
    custom_id: str
    result: _Result


class _Request(msgspec.Struct):
    custom_id: str
    params: msgspec.Raw


class MessageBatches(BatchService):
    """The Message Batches of one endpoint.

    Args:
        pool: The endpoint's connections.
        translator: Makes its errors.
        headers: Those of a request, with the key, but without a content type.
        body: The body of a request for a reply.
        learn: After a request was refused with such words: whether it can be put otherwise, which it is from now on.
    """

    has_files: ClassVar[bool] = False
    probe_path: ClassVar[str] = f"{_ROOT}?limit=1"
    page: ClassVar[type[Any]] = _BatchPage

    def __init__(
        self,
        pool: HttpPool,
        translator: Translator,
        headers: Callable[[], Awaitable[Mapping[str, str]]],
        body: Callable[[ReplyRequest], bytes],
        learn: Callable[[str, str], bool],
    ) -> None:
        super().__init__(pool, translator, headers)
        self._body = body
        self._learn = learn
        self._tokens: dict[str, str] = {}
        """Of batches that have ended, by their id."""

    def line(self, custom_id: str, request: ReplyRequest) -> bytes:
        """See `BatchService.line`."""
        return msgspec.json.encode(_Request(custom_id, msgspec.Raw(self._body(request)))) + b"\n"

    def learn(self, model: str, said: str) -> bool:
        """See `BatchService.learn`."""
        return self._learn(model, said)

    def answers(self, lines: Iterable[bytes]) -> Iterator[AnswerLine]:
        """See `BatchService.answers`."""
        for line in lines:
            try:
                body = decode(line, _Line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            yield self._answer(body.custom_id, body.result)

    async def upload(self, name: str, content: Path) -> RemoteFile:
        """Nothing is handed over before the order; the file that comes of it stands for none."""
        return RemoteFile(_NO_FILE, name, (await asyncio.to_thread(content.stat)).st_size, 0)

    async def create(self, file_id: str, token: str, content: Path) -> RemoteBatch:  # noqa: ARG002  # see `content`
        """See `BatchService.create`: all requests in one body, read piece by piece."""
        size = (await asyncio.to_thread(content.stat)).st_size
        length = len(_HEAD) + size - 1 + len(_TAIL)
        body = await self._json(
            "POST",
            _ROOT,
            shape=_BatchBody,
            seconds=_ORDER_SECONDS,
            more={"Content-Type": "application/json", "Content-Length": str(length)},
            content=_order(content, size),
        )
        return body.batch()

    async def get(self, batch_id: str) -> RemoteBatch:
        """See `BatchService.get`."""
        return (await self._json("GET", f"{_ROOT}/{as_path(batch_id)}", shape=_BatchBody)).batch()

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """See `BatchService.cancel`."""
        return (await self._json("POST", f"{_ROOT}/{as_path(batch_id)}/cancel", shape=_BatchBody)).batch()

    async def batches(self) -> AsyncGenerator[RemoteBatch, None]:
        """See `BatchService.batches`."""
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self._json("GET", f"{_ROOT}?limit={_PAGE}{after}", shape=_BatchPage)
            for body in page.data:
                yield body.batch()
            if not page.has_more or not page.data:
                return
            after = f"&after_id={as_path(page.data[-1].id)}"

    async def token_of(self, batch: RemoteBatch) -> str | None:
        """See `BatchService.token_of`: by the first line of its results, where there are any yet."""
        if not batch.output_file_id:
            return None
        if batch.id not in self._tokens:
            first = next(self.answers([await self._first_line(batch.output_file_id)]), None)
            if first is None:
                return None
            self._tokens[batch.id] = first.custom_id.rpartition("-")[0]
        return self._tokens[batch.id]

    async def files(self) -> AsyncGenerator[RemoteFile, None]:
        """There are none."""
        nothing: Sequence[RemoteFile] = ()
        for file in nothing:
            yield file

    async def download(self, file_id: str, target: Path) -> int:
        """See `BatchService.download`."""
        return await self._download(f"{_ROOT}/{as_path(file_id)}/results", target)

    async def delete_file(self, file_id: str) -> bool:
        """Delete a batch that has ended, with its results; False where it was gone already."""
        if file_id == _NO_FILE:
            return False
        return await self._delete(f"{_ROOT}/{as_path(file_id)}")

    async def _first_line(self, batch_id: str) -> bytes:
        exchange, line = Exchange(self._pool, self._translator, _SECONDS), _FirstLine()
        try:
            await exchange.open(await self._request("GET", f"{_ROOT}/{as_path(batch_id)}/results"))
            await exchange.save(line, _LINE_LIMIT)
        except _EnoughRead:
            pass
        except RequestRefused as refused:
            if refused.status != 404:
                raise
        finally:
            await exchange.close()
        return b"".join(line.pieces).partition(b"\n")[0]

    def _answer(self, custom_id: str, result: _Result) -> AnswerLine:
        if result.type == "succeeded":
            return AnswerLine(custom_id, 200, bytes(result.message), "", "", None)
        code = _NOT_DONE.get(result.type, "")
        said = {"code": code, "message": f"the request was {result.type}"} if code else result.error
        error = self._translator.error_object(said, request_id="", begun=False)
        status = 429 if isinstance(error, RateLimited | Overloaded) else 0
        return AnswerLine(custom_id, status, b"", error.request_id, code, error)


class _EnoughRead(Exception):
    """A whole line is there."""


class _FirstLine:
    """A file that takes no more than a line."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writelines(self, pieces: Iterable[bytes]) -> None:
        """Keep what belongs to the first line.

        Raises:
            _EnoughRead: It is there.
        """
        for piece in pieces:
            self.pieces.append(piece)
            if b"\n" in piece:
                raise _EnoughRead


async def _order(content: Path, size: int) -> AsyncGenerator[bytes, None]:
    """The body of an order: lines of requests, with commas for the line ends between them."""
    yield _HEAD
    with await asyncio.to_thread(content.open, "rb") as file:
        left = size - 1  # without the end of the last line
        while left > 0 and (piece := await asyncio.to_thread(file.read, min(_PIECE, left))):
            left -= len(piece)
            yield piece.replace(b"\n", b",")
    yield _TAIL


def _seconds(moment: str | None) -> int | None:
    try:
        return None if moment is None else int(datetime.fromisoformat(moment).timestamp())
    except (ValueError, OverflowError):
        return None
