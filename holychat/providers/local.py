"""Model servers on this machine: finding them, and a provider that uses the one that is there."""

from __future__ import annotations

import asyncio
import dataclasses
from contextlib import aclosing
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from holychat.errors import RequestRefused, Unreachable
from holychat.text import clean_line
from holychat.typed import decode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from holychat.domain.events import ReplyEvent
    from holychat.domain.request import ModelInfo, ProviderInfo, RawReply, Reply, ReplyRequest
    from holychat.providers.base import Provider

USUAL_SERVERS = (("Ollama", 11434), ("llama.cpp", 8080), ("LM Studio", 1234), ("vLLM", 8000))
"""What usually listens where, in the order of preference."""
PROBE_LIMIT = 1.0
"""Seconds that one server may take to list its models; loopback answers in milliseconds."""
_MAX_BODY = 1024 * 1024
_MAX_MODELS = 1000
_NOT_FOR_CHAT = ("embed", "rerank", "whisper", "bge-", "minilm")


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server on loopback that answered GET /v1/models."""

    name: str
    """The software that usually listens on that port: "Ollama", "llama.cpp", "LM Studio", "vLLM"."""
    base_url: str
    models: tuple[str, ...]
    """Model ids in the server's own order; may be empty."""

    @property
    def chat_model(self) -> str:
        """The first model that is not plainly made for something else than chat; "" where there is no model."""
        fits = (model for model in self.models if not any(mark in model.lower() for mark in _NOT_FOR_CHAT))
        return next(fits, self.models[0] if self.models else "")


class _Model(msgspec.Struct):
    id: str


class _ModelList(msgspec.Struct):
    data: list[_Model]


async def find_local_servers(
    candidates: tuple[tuple[str, int], ...] = USUAL_SERVERS, limit: float = PROBE_LIMIT
) -> tuple[LocalServer, ...]:
    """Every candidate that answers like a model server, in the order given, within `limit` seconds. Never raises.

    All ports are asked at once, without proxies, redirects or keys. What answers is only believed if it lists models
    the way the OpenAI interface does: ports 8000 and 8080 belong to all kinds of programs.
    """
    import httpx

    async def probe(client: httpx.AsyncClient, name: str, port: int) -> LocalServer | None:
        base_url = f"http://127.0.0.1:{port}/v1"
        try:
            async with asyncio.timeout(limit), client.stream("GET", f"{base_url}/models") as response:
                if response.status_code != httpx.codes.OK:
                    return None
                body = bytearray()
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _MAX_BODY:
                        return None
            listed = decode(body, _ModelList).data[:_MAX_MODELS]
        except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        ids = dict.fromkeys(model.id for model in listed if model.id)
        return LocalServer(name, base_url, tuple(ids))

    headers = {"Accept": "application/json", "Accept-Encoding": "identity"}
    async with httpx.AsyncClient(trust_env=False, timeout=limit, headers=headers) as client:
        found = await asyncio.gather(*(probe(client, name, port) for name, port in candidates))
    return tuple(server for server in found if server is not None)


class LocalProvider:
    """A provider that finds out at its first use what its settings leave open: the address, the model, or both.

    What was found is kept until it cannot be reached any more; then the next use looks again.
    """

    def __init__(
        self,
        info: ProviderInfo,
        build: Callable[[ProviderInfo], Provider],
        find: Callable[[], Awaitable[tuple[LocalServer, ...]]],
        ports: tuple[tuple[str, int], ...] = USUAL_SERVERS,
    ) -> None:
        self.info = info
        self._build = build
        self._find = find
        self._ports = ports
        self._inner: Provider | None = None
        self._model = info.model
        self._lock = asyncio.Lock()

    async def stream(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """See `Provider.stream`.

        Raises:
            Unreachable: No server answers on the usual ports.
            RequestRefused: The server offers no model.
        """
        inner = await self._resolve()
        try:
            async with aclosing(inner.stream(await self._with_model(inner, request))) as events:
                async for event in events:
                    yield event
        except Unreachable:
            await self._forget()
            raise

    async def send(self, request: ReplyRequest) -> RawReply:
        """See `Provider.send`."""
        inner = self._inner or await self._resolve()
        try:
            return await inner.send(request if request.model else await self._with_model(inner, request))
        except Unreachable:
            await self._forget()
            raise

    def read(self, raw: RawReply) -> Reply:
        """See `Provider.read`."""
        return (self._inner or self._build(self.info)).read(raw)

    async def complete(self, request: ReplyRequest) -> Reply:
        """See `Provider.complete`."""
        return self.read(await self.send(request))

    async def models(self) -> tuple[ModelInfo, ...]:
        """See `Provider.models`."""
        inner = await self._resolve()
        try:
            return await inner.models()
        except Unreachable:
            await self._forget()
            raise

    def warnings(self) -> tuple[str, ...]:
        """See `Provider.warnings`."""
        if self._inner is None and self.info.base_url:
            return self._build(self.info).warnings()
        return self._inner.warnings() if self._inner is not None else ()

    async def warm(self) -> None:
        """See `Provider.warm`. It does not look for a server: that waits until one is wanted."""
        if self._inner is not None or self.info.base_url:
            await (await self._resolve()).warm()
        else:
            await asyncio.to_thread(import_module, "httpx")

    async def aclose(self) -> None:
        """See `Provider.aclose`."""
        if self._inner is not None:
            await self._inner.aclose()

    async def _resolve(self) -> Provider:
        async with self._lock:
            if self._inner is None:
                self._inner = self._build(await self._address())
            return self._inner

    async def _address(self) -> ProviderInfo:
        if self.info.base_url:
            return self.info
        servers = await self._find()
        if not servers:
            ports = ", ".join(f"{name} {port}" for name, port in self._ports)
            raise Unreachable(
                "No model server answers on this machine",
                f"Looked on 127.0.0.1 for {ports}. Start one, or set base_url in [providers.{self.info.name}].",
                provider=self.info.name,
                retryable=False,
            )
        server = next((server for server in servers if server.models), servers[0])
        self._model = self.info.model or server.chat_model
        return dataclasses.replace(self.info, base_url=server.base_url, model=self._model)

    async def _with_model(self, inner: Provider, request: ReplyRequest) -> ReplyRequest:
        if request.model:
            return request
        if not self._model:
            offered = tuple(model.id for model in await inner.models())
            self._model = LocalServer("", "", offered).chat_model
        if not self._model:
            raise RequestRefused(
                f"{clean_line(self.info.name)} offers no model",
                "Load one in the server first, for example `ollama pull qwen3`.",
                provider=self.info.name,
            )
        return dataclasses.replace(request, model=self._model)

    async def _forget(self) -> None:
        inner, self._inner = self._inner, None
        self._model = self.info.model
        if inner is not None:
            await inner.aclose()
