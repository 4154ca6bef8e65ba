"""What every provider offers: one configured endpoint that turns a request into events."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from holychat.domain.events import ReplyEvent
    from holychat.domain.request import ModelInfo, ProviderInfo, RawReply, Reply, ReplyRequest


class Provider(Protocol):
    """One configured endpoint. Everything is asynchronous and one attempt: retries belong to the turn.

    The only errors raised are `ProviderError` and, where a key is needed and there is none, `CredentialError`.
    """

    info: ProviderInfo

    def stream(self, request: ReplyRequest) -> AsyncGenerator[ReplyEvent, None]:
        """The reply as it arrives: `ReplyStarted`, deltas and usage, then `TurnFinished`.

        Use it with `contextlib.aclosing`; closing it closes the socket. After `TurnFinished` keep iterating to the
        end: what remains to be read (at most half a second) lets the next message reuse the connection.

        Raises:
            ProviderError: Nothing was sent, it was refused, or the reply broke off; what was yielded stays good.
        """
        ...

    async def send(self, request: ReplyRequest) -> RawReply:
        """Send a request without streaming and wait for the whole answer, which is left unread.

        It is sent once and never again by itself, whatever happens. An answer that cannot be a reply (a web page, an
        error with a status of success, a body that was cut) is an error here and not later.

        Raises:
            ProviderError: As for `stream`; with `limits` as far as the provider said something, and in `partial` what
                came of a body that broke off or is no reply.
        """
        ...

    def read(self, raw: RawReply) -> Reply:
        """The reply in an answer of `send`, at once or years later. Needs neither a key nor the network.

        Raises:
            ProviderError: It is no reply.
        """
        ...

    async def complete(self, request: ReplyRequest) -> Reply:
        """The whole reply at once, without streaming: `read` of what `send` brings.

        Raises:
            ProviderError: As for `stream`.
        """
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """The models the endpoint offers, sorted by id.

        Raises:
            ProviderError: It cannot be asked or answers with something else.
        """
        ...

    def warnings(self) -> tuple[str, ...]:
        """What a person should know before using the endpoint, for example that the key travels in the clear."""
        ...

    async def warm(self) -> None:
        """Do ahead, off the event loop, what the first request would otherwise wait for. Never fails."""
        ...

    async def aclose(self) -> None:
        """Close every connection. The provider can be used again afterwards."""
        ...
