"""A provider's batch service, as OpenAI defined it: files of requests in, files of answers out.

https://platform.openai.com/docs/api-reference/batch. Every method is one attempt; what may be done after a failure is
told by its outcome, as for replies. Whether a host has the service is asked, never assumed: `is_offered`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar
from urllib.parse import quote

import msgspec

from holychat.domain.batches import RemoteBatch, RemoteFile
from holychat.errors import ReplyBroken, RequestRefused, ServerFault
from holychat.providers.batch_lines import ENDPOINT, answer_lines, request_line
from holychat.providers.exchange import Exchange
from holychat.providers.wire_types import Dialect
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    import httpx

    from holychat.domain.request import ReplyRequest
    from holychat.providers.batch_lines import AnswerLine
    from holychat.providers.failures import Translator
    from holychat.providers.http import HttpPool

SUBMISSION_FIELD = "holychat_submission"
"""Name of the metadata field that says which submission a batch belongs to."""
WINDOW = "24h"
_SECONDS = 60.0
_UPLOAD_SECONDS = 1_800.0
"""While a file is uploaded nothing comes back."""
_RESULTS_LIMIT = 4 * 1024 * 1024 * 1024
_NOT_OFFERED = (404, 405, 501)
_PAGE = 100
_OPENAI = "api.openai.com"
_MOST_PAGES = 1_000


_Body = TypeVar("_Body")


class _ErrorBody(msgspec.Struct):
    code: str | None = None
    message: str | None = None
    line: int | None = None


class _Errors(msgspec.Struct):
    data: list[_ErrorBody] | None = None


class _Counts(msgspec.Struct):
    total: int = 0
    completed: int = 0
    failed: int = 0


class _BatchBody(msgspec.Struct):
    id: str
    status: str
    input_file_id: str | None = None
    output_file_id: str | None = None
    error_file_id: str | None = None
    created_at: int | None = None
    expires_at: int | None = None
    request_counts: _Counts | None = None
    metadata: dict[str, Any] | None = None
    errors: _Errors | None = None

    def batch(self) -> RemoteBatch:
        counts = self.request_counts or _Counts()
        token = (self.metadata or {}).get(SUBMISSION_FIELD, "")
        found = (self.errors.data if self.errors else None) or []
        return RemoteBatch(
            id=self.id,
            status=self.status,
            token=token if isinstance(token, str) else "",
            input_file_id=self.input_file_id or "",
            output_file_id=self.output_file_id or "",
            error_file_id=self.error_file_id or "",
            total=counts.total,
            completed=counts.completed,
            failed=counts.failed,
            created_s=self.created_at or 0,
            expires_s=self.expires_at,
            errors=tuple((error.code or "", error.message or "", error.line) for error in found),
        )


class _FileBody(msgspec.Struct):
    id: str
    filename: str = ""
    bytes: int | None = None
    created_at: int | None = None

    def file(self) -> RemoteFile:
        return RemoteFile(self.id, self.filename, self.bytes or 0, self.created_at or 0)


class _BatchPage(msgspec.Struct):
    data: list[_BatchBody]
    has_more: bool = False


class _FilePage(msgspec.Struct):
    data: list[_FileBody]
    has_more: bool = False


class BatchService:
    """The batch service of one endpoint. All methods raise `ProviderError`, or `CredentialError` without a key.

    Args:
        pool: The endpoint's connections.
        translator: Makes its errors.
        headers: Those of a request, with the key, but without a content type.
    """

    has_files: ClassVar[bool] = True
    """Requests are handed over as a file, before the order, and a batch carries the token of its submission."""
    probe_path: ClassVar[str] = "/batches?limit=1"
    page: ClassVar[type[Any]] = _BatchPage

    def __init__(
        self, pool: HttpPool, translator: Translator, headers: Callable[[], Awaitable[Mapping[str, str]]]
    ) -> None:
        self._pool = pool
        self._translator = translator
        self._headers = headers
        self._dialects: dict[str, Dialect] = {}

    async def is_offered(self) -> bool:
        """Ask whether the endpoint has a batch service; it costs nothing."""
        try:
            await self._json("GET", self.probe_path, shape=self.page)
        except (RequestRefused, ServerFault) as error:
            if error.status in _NOT_OFFERED:
                return False
            raise
        except ReplyBroken as broken:
            # A web page, or JSON of another shape: something answers there, and it is no batch service.
            if broken.status is None or broken.status >= 400:
                raise
            return False
        return True

    def line(self, custom_id: str, request: ReplyRequest) -> bytes:
        """A request as a line of a file of requests."""
        return request_line(custom_id, request, self._dialect(request.model))

    def learn(self, model: str, said: str) -> bool:
        """After a line was refused: whether the same request can be put otherwise, which it is from now on."""
        dialect = self._dialect(model).after_refusal(said, b'"max_tokens"')
        if dialect is not None:
            self._dialects[model] = dialect
        return dialect is not None

    def answers(self, lines: Iterable[bytes]) -> Iterator[AnswerLine]:
        """The lines of a file of answers or of errors, without those that make no sense."""
        return answer_lines(self._translator, lines)

    def rejection(self, batch: RemoteBatch) -> RequestRefused:
        """Why a batch was rejected whole, in the provider's words."""
        code, message, line = batch.errors[0] if batch.errors else ("", "", None)
        where = "" if line is None else f" (line {line})"
        said = self._translator.say(message or code) or "no reason was given"
        return RequestRefused(
            f"{self._translator.name} rejected the batch{where}: {said}",
            "Retry when the reason is mended.",
            provider=self._translator.name,
        )

    async def upload(self, name: str, content: Path) -> RemoteFile:
        """Hand over a file of requests, JSON Lines.

        Args:
            name: What it is called at the provider; holds the token of its submission.
            content: Where it is on this machine; read piece by piece.
        """
        with content.open("rb") as file:
            body = await self._json(
                "POST",
                "/files",
                shape=_FileBody,
                seconds=_UPLOAD_SECONDS,
                data={"purpose": "batch"},
                files={"file": (name, file, "application/jsonl")},
            )
        return body.file()

    async def create(self, file_id: str, token: str, content: Path) -> RemoteBatch:  # noqa: ARG002  # see `has_files`
        """Have the requests of an uploaded file worked at within 24 hours.

        Args:
            file_id: The file's, where there is one at the provider.
            token: Of the submission.
            content: Where the file is on this machine, for a service that takes no files.
        """
        order = {
            "input_file_id": file_id,
            "endpoint": ENDPOINT,
            "completion_window": WINDOW,
            "metadata": {SUBMISSION_FIELD: token},
        }
        return (await self._json("POST", "/batches", shape=_BatchBody, json=order)).batch()

    async def get(self, batch_id: str) -> RemoteBatch:
        """Where a batch stands."""
        return (await self._json("GET", f"/batches/{as_path(batch_id)}", shape=_BatchBody)).batch()

    async def cancel(self, batch_id: str) -> RemoteBatch:
        """Ask for a batch to be ended; what is done by then is kept and charged."""
        return (await self._json("POST", f"/batches/{as_path(batch_id)}/cancel", shape=_BatchBody)).batch()

    async def batches(self) -> AsyncGenerator[RemoteBatch, None]:
        """All batches of the account, newest first, as lazily as they are asked for."""
        after = ""
        for _ in range(_MOST_PAGES):
            page = await self._json("GET", f"/batches?limit={_PAGE}{after}", shape=_BatchPage)
            for body in page.data:
                yield body.batch()
            if not page.has_more or not page.data:
                return
            after = f"&after={as_path(page.data[-1].id)}"

    async def token_of(self, batch: RemoteBatch) -> str | None:
        """Which submission a batch belongs to; "": none of ours; None: it cannot be told, at least not yet."""
        return batch.token

    async def files(self) -> AsyncGenerator[RemoteFile, None]:
        """All files of the account that belong to batches, both requests and results."""
        for purpose in ("batch", "batch_output"):
            after = ""
            for _ in range(_MOST_PAGES):
                path = f"/files?purpose={purpose}&limit={_PAGE}{after}"
                page = await self._json("GET", path, shape=_FilePage)
                for body in page.data:
                    yield body.file()
                if not page.has_more or not page.data:
                    break
                after = f"&after={as_path(page.data[-1].id)}"

    async def download(self, file_id: str, target: Path) -> int:
        """Write a file of the provider to `target`, whole, and give its size in bytes."""
        return await self._download(f"/files/{as_path(file_id)}/content", target)

    async def delete_file(self, file_id: str) -> bool:
        """Delete a file at the provider; False where it was gone already."""
        return await self._delete(f"/files/{as_path(file_id)}")

    async def _download(self, path: str, target: Path) -> int:
        exchange = Exchange(self._pool, self._translator, _SECONDS)
        try:
            await exchange.open(await self._request("GET", path))
            with target.open("wb") as file:
                return await exchange.save(file, _RESULTS_LIMIT)
        finally:
            await exchange.close()

    async def _delete(self, path: str) -> bool:
        exchange = Exchange(self._pool, self._translator, _SECONDS)
        try:
            await exchange.open(await self._request("DELETE", path))
        except RequestRefused as refused:
            if refused.status != 404:
                raise
            return False
        finally:
            await exchange.close()
        return True

    def _dialect(self, model: str) -> Dialect:
        if model not in self._dialects:
            # OpenAI itself knows the old name for its older models only, and a batch finds that out hours later.
            self._dialects[model] = Dialect(max_completion_tokens=self._pool.url("").host == _OPENAI)
        return self._dialects[model]

    async def _json(
        self,
        method: str,
        path: str,
        *,
        shape: type[_Body],
        seconds: float = _SECONDS,
        **sent: Any,
    ) -> _Body:
        exchange = Exchange(self._pool, self._translator, seconds)
        try:
            await exchange.open(await self._request(method, path, **sent))
            raw = await exchange.raw()
        finally:
            await exchange.close()
        problem = ""
        try:
            return decode(raw.body, shape)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            problem = str(error)
        unreadable = self._translator.unreadable(problem, raw.request_id)
        unreadable.status = raw.status
        raise unreadable

    async def _request(
        self, method: str, path: str, *, more: Mapping[str, str] | None = None, **sent: Any
    ) -> httpx.Request:
        """A request; `more` are further headers, the rest is what httpx takes."""
        client = await self._pool.client()
        headers = {**await self._headers(), **(more or {})}
        return client.build_request(method, self._pool.url(path), headers=headers, **sent)


def as_path(name: str) -> str:
    """An id as one part of a path: it comes from a server."""
    return quote(name, safe="")
