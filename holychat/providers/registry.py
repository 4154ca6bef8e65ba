"""All providers of this installation: the five that are built in and those of config.toml."""

from __future__ import annotations

import dataclasses
import os
import re
from functools import partial
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from holychat.domain.request import ProviderInfo
from holychat.errors import RequestRefused, SettingsError, UsageError
from holychat.providers.http import is_loopback
from holychat.providers.local import USUAL_SERVERS, LocalProvider, LocalServer, find_local_servers
from holychat.text import clean_line

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx

    from holychat.credentials.chain import KeyChain
    from holychat.credentials.secret import Secret
    from holychat.log import Masker
    from holychat.providers.base import Provider
    from holychat.providers.batch_service import BatchService
    from holychat.providers.endpoint import Endpoint
    from holychat.settings import ProviderSettings, Settings

BUILT_IN = (
    ProviderInfo("holysheep", "openai", "https://api.holysheep.ai/v1", "deepseek-v3.2", needs_key=True),
    ProviderInfo("openai", "openai", "https://api.openai.com/v1", "gpt-4.1", needs_key=True),
    ProviderInfo("anthropic", "anthropic", "https://api.anthropic.com", "claude-sonnet-5-5", needs_key=True),
    ProviderInfo("local", "openai", "", "", needs_key=False),
    ProviderInfo("offline", "offline", "", "extractive", needs_key=False),
)
_OFFLINE_URL = "https://offline.invalid/v1"
"""Where requests to the offline provider are addressed; nothing resolves it, its transport answers in the process."""
KINDS = ("openai", "anthropic", "offline")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")


class ProviderRegistry:
    """Knows every provider by name and builds each one when it is first wanted.

    Making a registry does no network, no keyring and imports no HTTP library.

    Raises:
        SettingsError: A `[providers.NAME]` table cannot be used; the title names the field.
    """

    def __init__(
        self,
        settings: Settings,
        keychain: KeyChain,
        masker: Masker,
        environ: Mapping[str, str] = os.environ,
        *,
        local_servers: tuple[tuple[str, int], ...] = USUAL_SERVERS,
    ) -> None:
        self._settings = settings
        self._keychain = keychain
        self._masker = masker
        self._environ = environ
        self._local_servers = local_servers
        self._infos = _merged(settings)
        self._built: dict[str, Provider] = {}
        self._batching: dict[str, Endpoint] = {}

    def infos(self) -> tuple[ProviderInfo, ...]:
        """All providers: the default one first, then the built-in ones, then those of config.toml by name."""
        first = self._settings.chat.provider
        return tuple(sorted(self._infos.values(), key=lambda info: info.name != first))

    def info(self, name: str) -> ProviderInfo:
        """The provider called `name`.

        Raises:
            UsageError: There is none; the hint lists the names there are.
        """
        if name not in self._infos:
            names = ", ".join(self._infos)
            raise UsageError(
                f"There is no provider called {clean_line(name, 60)!r}",
                f"Known are {names}. Another one needs a [providers.NAME] table in config.toml.",
            )
        return self._infos[name]

    def get(self, name: str) -> Provider:
        """The provider called `name`, the same object every time; its connections are made when it is used.

        Raises:
            UsageError: There is none.
        """
        if name not in self._built:
            self._built[name] = self._make(self.info(name))
        return self._built[name]

    def lane(self, name: str, *, connections: int) -> Provider:
        """The provider called `name` with connections of its own, for the many requests of background jobs.

        A new one every time; `send` is what it is good at. Whoever asked for it closes it. The key is the one that the
        ladder has at the moment, looked up again after some seconds and when it was rejected.

        Args:
            name: As in the settings.
            connections: How many requests there can be at once; more would not be held up, only cost more.

        Raises:
            UsageError: There is none.
        """
        return self._make(self.info(name), connections=connections)

    def batches(self, name: str) -> BatchService | None:
        """The batch service of the provider called `name`, if it has one: ask it. None: it surely has none.

        Raises:
            UsageError: There is no such provider.
        """
        info = self.info(name)
        if info.kind == "offline" or not info.base_url:
            return None
        if name not in self._batching:
            self._batching[name] = self._build(info)
        return self._batching[name].batches()

    async def check_key(self, name: str, secret: Secret) -> None:
        """Ask the provider for its models with exactly this key, whatever other keys there are. It costs nothing.

        Raises:
            KeyRejected: The provider does not accept it.
            ProviderError: It could not be checked: no answer, or a server without a list of models.
            UsageError: There is no such provider.
        """
        provider = self._make(self.info(name), secret)
        try:
            await provider.models()
        except RequestRefused as refused:
            if refused.status not in (404, 405):
                raise
            title = f"{clean_line(name, 40)} has no list of models to check a key with"
        else:
            return
        finally:
            await provider.aclose()
        # Anything else that tells a good key from a bad one would cost money.
        raise RequestRefused(title, "The first message will tell whether it works.", provider=name)

    async def find_local(self) -> tuple[LocalServer, ...]:
        """Model servers that answer on the usual ports of this machine; takes a second at most and never raises."""
        return await find_local_servers(self._local_servers)

    async def aclose(self) -> None:
        """Close the connections of every provider that was used."""
        for provider in (*self._built.values(), *self._batching.values()):
            await provider.aclose()

    def _make(self, info: ProviderInfo, secret: Secret | None = None, connections: int | None = None) -> Provider:
        build = partial(self._build, secret=secret, connections=connections)
        if info.kind == "offline" or (info.base_url and info.model):
            return build(info)
        return LocalProvider(info, build, self.find_local, self._local_servers)

    def _build(self, info: ProviderInfo, secret: Secret | None = None, connections: int | None = None) -> Endpoint:
        """A provider that uses `secret`; None: what the ladder has, found anew for each request."""
        # Bound to this provider's own info: no other provider's rung can ever be asked here.
        key = secret or partial(self._key, info)
        on_rejected = partial(self._keychain.reject, info.name) if secret is None else None
        network, masker = self._settings.network, self._masker
        if info.kind == "anthropic":
            from holychat.providers.anthropic import AnthropicProvider

            return AnthropicProvider(
                info,
                key=key,
                on_rejected=on_rejected,
                network=network,
                masker=masker,
                connections=connections,
                context_window=partial(self._context_window, info.name),
            )
        from holychat.providers.openai import OpenAIProvider

        transport: httpx.AsyncBaseTransport | None = None
        if info.kind == "offline":
            from holychat.providers.offline.transport import OfflineTransport

            # It has the methods of a transport without the base class, which would load httpx on the event loop.
            transport = cast("httpx.AsyncBaseTransport", OfflineTransport.from_environment(self._environ))
            info = dataclasses.replace(info, base_url=_OFFLINE_URL)
        return OpenAIProvider(
            info,
            key=key,
            on_rejected=on_rejected,
            network=network,
            masker=masker,
            transport=transport,
            connections=connections,
        )

    def _context_window(self, name: str, model: str) -> int | None:
        from holychat.catalog.prices import PriceBook

        return PriceBook(self._settings.prices).context_window(model, name)

    def _key(self, info: ProviderInfo) -> Secret | None:
        return self._keychain.require_now(info).secret


def kind_of(name: str, settings: Settings) -> str:
    """One of `KINDS`, as the settings have it, else as built in."""
    own = settings.providers.get(name)
    built_in = next((info.kind for info in BUILT_IN if info.name == name), "openai")
    return (own.kind if own is not None else "") or built_in


def _merged(settings: Settings) -> dict[str, ProviderInfo]:
    infos = {info.name: info for info in BUILT_IN}
    for name in [*infos, *sorted(set(settings.providers) - set(infos))]:
        if (own := settings.providers.get(name)) is not None:
            infos[name] = _configured(name, own, infos.get(name))
    return infos


def _configured(name: str, own: ProviderSettings, built_in: ProviderInfo | None) -> ProviderInfo:
    table = f"[providers.{clean_line(name, 60)}]"
    if not _NAME.fullmatch(name):
        raise SettingsError(f"{table}: a name has letters, digits, '-', '_' and '.', at most 40 of them")
    if name == "webhook":
        raise SettingsError(f"{table}: that name belongs to the secret of webhooks", "Give the provider another one.")
    kind = own.kind or (built_in.kind if built_in else "openai")
    if kind not in KINDS:
        raise SettingsError(f'{table}: kind is "{clean_line(kind, 40)}", it can be "openai", "anthropic" or "offline"')
    base_url = (own.base_url or (built_in.base_url if built_in else "")).strip().rstrip("/")
    if base_url:
        _check_url(table, base_url)
    elif kind != "offline" and built_in is None:
        example = "https://llm.example.com/anthropic" if kind == "anthropic" else "http://127.0.0.1:11434/v1"
        raise SettingsError(f"{table} needs a base_url", f'For example base_url = "{example}".')
    model = own.model or (built_in.model if built_in else "") or ("extractive" if kind == "offline" else "")
    return ProviderInfo(name, kind, base_url, model, _needs_key(own, built_in, kind, base_url))


def _needs_key(own: ProviderSettings, built_in: ProviderInfo | None, kind: str, base_url: str) -> bool:
    """As configured; else as built in; else whenever the settings name a key or the server is another machine."""
    if own.needs_key is not None:
        return own.needs_key
    if own.key_env or own.key_command:
        return True
    if built_in is not None and built_in.kind == kind:
        return built_in.needs_key
    return kind != "offline" and not is_loopback(base_url)


def _check_url(table: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise SettingsError(f'{table}: base_url "{clean_line(url, 80)}" is not an http or https address')
    if parts.username or parts.password:
        raise SettingsError(f"{table}: base_url holds a user name or password", "Use key_env or `holychat keys set`.")
    if parts.fragment:
        raise SettingsError(f"{table}: base_url holds a '#', which never reaches a server")
