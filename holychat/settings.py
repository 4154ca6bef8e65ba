"""Settings: config.toml and the few environment variables that override it.

    [network] connect_timeout idle_timeout retries
    [chat]    provider model system temperature max_tokens
    [providers.NAME] kind base_url model key_env key_command
    [prices.PROVIDER."MODEL"] input output cached batch_input batch_output context
    [limits]  day month
    [jobs]    max_concurrency batch_size requests_per_minute assumed_context max_document_bytes idle_seconds notify_*
    [provider_batch] max_lines max_bytes max_tokens poll_seconds longest_poll_seconds grace_seconds
    [webhooks] allow_loopback allow_private
    [ui]      theme mouse copy_command
    [keys]    "binding.id" = "ctrl+x,f2"

Unknown fields and wrong types are errors that name the field: a typing mistake in a settings file should not be silent.
"""

from __future__ import annotations

import os
import tomllib
from decimal import Decimal  # noqa: TC003  # msgspec reads the annotations while it runs
from typing import TYPE_CHECKING

import msgspec

from holychat.errors import SettingsError
from holychat.typed import convert

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Any

DEFAULT_PROVIDER = "holysheep"
HOSTED = ("holysheep", "openai", "anthropic")
"""Built-in providers whose address a variable of the environment may move, such as OPENAI_BASE_URL."""
MAX_TEMPERATURE = 2
"""What chat completions allow; a larger one is refused by the server or gives noise."""
MAX_TOKENS = 10_000_000
"""Longest reply that can be asked for, in tokens: far above what any model gives."""
MAX_DOLLARS = 1_000_000
MAX_CONCURRENCY = 1000
"""Most requests of a job at once: more connections than that are no faster anywhere."""


class NetworkSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to wait and how often to try again."""

    connect_timeout: float = 10.0
    """Seconds to wait for a connection."""
    idle_timeout: float = 60.0
    """Seconds without a byte of the reply (keep-alive comments do not count) before giving up."""
    retries: int = 2
    """How often a request that brought no text yet is sent again."""

    def __post_init__(self) -> None:
        for name in ("connect_timeout", "idle_timeout"):
            if not 0 < getattr(self, name) <= 86_400:
                raise ValueError(f"{name} must be more than 0 and at most 86400 seconds")
        if not 0 <= self.retries <= 10:
            raise ValueError("retries must be 0 to 10")


class ChatSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a new chat starts with."""

    provider: str = DEFAULT_PROVIDER
    model: str = ""
    """Empty: the provider's own default model."""
    system: str = ""
    temperature: float | None = None
    max_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.temperature is not None and not 0 <= self.temperature <= MAX_TEMPERATURE:
            raise ValueError(f"temperature must be a number from 0 to {MAX_TEMPERATURE:g}")
        if self.max_tokens is not None and not 1 <= self.max_tokens <= MAX_TOKENS:
            raise ValueError(f"max_tokens must be 1 to {MAX_TOKENS}")

    def model_of(self, provider: str) -> str:
        """The model that is asked at a provider where none is named; empty: the provider's own default model."""
        return self.model if provider == self.provider else ""


class ProviderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[providers.NAME]` table. Empty fields keep what is built in for that name."""

    kind: str = ""
    """"openai" (chat completions), "anthropic" (Messages) or "offline"."""
    base_url: str = ""
    model: str = ""
    key_env: str = ""
    """Name of the environment variable that holds the key."""
    key_command: str | list[str] = ""
    """A command that prints the key, for example `pass show holysheep`."""
    needs_key: bool | None = None


class PriceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One `[prices.PROVIDER."MODEL"]` table: US dollars per million tokens; None keeps what is built in."""

    input: Decimal | None = None
    output: Decimal | None = None
    cached: Decimal | None = None
    """Input that the provider had in its cache."""
    batch_input: Decimal | None = None
    batch_output: Decimal | None = None
    """Through the provider's own batch service."""
    context: int | None = None
    """How many tokens the model reads and writes at most."""

    def __post_init__(self) -> None:
        for name in ("input", "output", "cached", "batch_input", "batch_output"):
            _check_dollars(name, getattr(self, name))
        if (self.input is None) != (self.output is None):
            raise ValueError("input and output belong together")
        if (self.batch_input is None) != (self.batch_output is None):
            raise ValueError("batch_input and batch_output belong together")
        if self.context is not None and not 1 <= self.context <= 100_000_000:
            raise ValueError("context must be 1 to 100000000 tokens")


class LimitSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be spent, in US dollars; None: no limit. A job's own limit is given with the job."""

    day: Decimal | None = None
    """From midnight to midnight where the person is."""
    month: Decimal | None = None
    """From the first of the month on."""

    def __post_init__(self) -> None:
        for name in ("day", "month"):
            _check_dollars(name, getattr(self, name))


def _check_dollars(name: str, amount: Decimal | None) -> None:
    if amount is None:
        return
    if not amount.is_finite() or not 0 <= amount <= MAX_DOLLARS:
        raise ValueError(f"{name} must be 0 to {MAX_DOLLARS} dollars")
    if amount * 1_000_000 % 1 != 0:
        raise ValueError(f"{name} must have at most six decimals: money is counted in millionths of a dollar")


class UiSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the app looks and behaves."""

    theme: str = "holychat-dark"
    copy_command: str = ""
    """A command that takes the copied text on its standard input; empty: the first known tool that is there."""
    mouse: bool = True


class JobSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How background jobs are run, where a job does not say otherwise."""

    max_concurrency: int | None = None
    """Requests at once at most; None: found out while running. A fixed 20 is a careful choice."""
    batch_size: int | None = None
    """Documents per batch: the next batch begins when this one has ended; None: no batches."""
    requests_per_minute: dict[str, float] = {}
    """By provider: rate that is known to be allowed; absent: from the provider's headers, or found out."""
    assumed_context: int = 8192
    """Tokens that a model of unknown context is taken to read and write at most."""
    max_document_bytes: int = 32 * 1024 * 1024
    """Largest file that is read as a document."""
    idle_seconds: float = 30.0
    """How long the worker process stays without work."""
    notify_bell: bool = True
    """Ring the terminal's bell when a job ends."""
    notify_osc9: bool = True
    """Ask the terminal for a desktop notification (OSC 9) when a job ends."""
    notify_toast: bool = True
    """Show a notice in the window when a job ends."""

    def __post_init__(self) -> None:
        if self.max_concurrency is not None and not 1 <= self.max_concurrency <= MAX_CONCURRENCY:
            raise ValueError(f"max_concurrency must be 1 to {MAX_CONCURRENCY}")
        if self.batch_size is not None and not 1 <= self.batch_size <= 1_000_000:
            raise ValueError("batch_size must be 1 to 1000000")
        for provider, rate in self.requests_per_minute.items():
            if not 0 < rate <= 1_000_000:
                raise ValueError(f"requests_per_minute of {provider} must be more than 0 and at most 1000000")
        if not 1024 <= self.assumed_context <= 100_000_000:
            raise ValueError("assumed_context must be 1024 to 100000000 tokens")
        if not 1024 <= self.max_document_bytes <= 1024**3:
            raise ValueError("max_document_bytes must be 1024 to 1073741824 bytes (1 GiB)")
        if not 0 <= self.idle_seconds <= 86_400:
            raise ValueError("idle_seconds must be 0 to 86400")


class BatchServiceSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How jobs of low priority use the batch service of a provider that has one."""

    max_lines: int = 50_000
    """Requests in one batch."""
    max_bytes: int = 190_000_000
    """Of the file of one batch: OpenAI takes 200 MB."""
    max_tokens: int | None = None
    """Input of all batches of one model that wait at once; None: found out when the provider says it is too much."""
    poll_seconds: float = 10.0
    """How soon a batch is first asked about; each pause is longer than the one before."""
    longest_poll_seconds: float = 120.0
    grace_seconds: float = 60.0
    """How long a batch that may have been created is looked for before it is created once more."""

    def __post_init__(self) -> None:
        if not 1 <= self.max_lines <= 50_000:
            raise ValueError("max_lines must be 1 to 50000")
        if not 1_000 <= self.max_bytes <= 200_000_000:
            raise ValueError("max_bytes must be 1000 to 200000000")
        if self.max_tokens is not None and self.max_tokens < 1:
            raise ValueError("max_tokens must be 1 or more")
        for name in ("poll_seconds", "longest_poll_seconds", "grace_seconds"):
            if not 0 < getattr(self, name) <= 86_400:
                raise ValueError(f"{name} must be more than 0 and at most 86400 seconds")


class WebhookSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where messages about ended jobs may go besides https on the internet."""

    allow_loopback: bool = False
    """This machine, over http as well."""
    allow_private: bool = False
    """Private networks, over https."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All settings; every field has a default, so an absent file is a valid one."""

    network: NetworkSettings = NetworkSettings()
    chat: ChatSettings = ChatSettings()
    providers: dict[str, ProviderSettings] = {}
    prices: dict[str, dict[str, PriceSettings]] = {}
    limits: LimitSettings = LimitSettings()
    ui: UiSettings = UiSettings()
    jobs: JobSettings = JobSettings()
    provider_batch: BatchServiceSettings = BatchServiceSettings()
    webhooks: WebhookSettings = WebhookSettings()
    keys: dict[str, str] = {}


def load_settings(file: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Settings from `file` (absent: the defaults) with the environment's overrides applied.

    Raises:
        SettingsError: The file cannot be read, is not TOML, or a field is unknown or of the wrong type.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"Cannot read {file}: {error}", "Mend or move the file; defaults need no file.") from None
    return _with_environment(parse_settings(text, str(file)), environ)


def parse_settings(text: str, name: str = "config.toml") -> Settings:
    """Settings from the text of a TOML file.

    Raises:
        SettingsError: The text is not TOML, or a field is unknown or of the wrong type.
    """
    hint = "Mend the file, or move it away; `holychat config init` then writes a commented one."
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{name}: {error}", hint) from None
    try:
        return convert(tables, Settings)
    except msgspec.ValidationError as error:
        wrong = _wrong_price(tables.get("prices")) if "$.prices" in str(error) else ""
        raise SettingsError(f"{name}: {wrong or _worded(error)}", hint) from None


def _wrong_price(prices: Any) -> str:
    """Which price is wrong, by its name, which a validation error does not tell; "" where none is."""
    for provider, models in prices.items() if isinstance(prices, dict) else ():
        for model, row in models.items() if isinstance(models, dict) else ():
            if isinstance(row, dict) and any(isinstance(value, dict) for value in row.values()):
                whole = f"{model}.{next(key for key, value in row.items() if isinstance(value, dict))}"
                return (
                    f'prices.{provider}.{whole}: a name with a dot is written in quotes, [prices.{provider}."{whole}"]'
                )
            try:
                convert(row, PriceSettings)
            except msgspec.ValidationError as error:
                what, _, field = str(error).partition(" - at `$")
                return f'prices.{provider}."{model}"{field.rstrip("`")}: {_worded(what)}'
    return ""


def _worded(error: object) -> str:
    return str(error).replace("Object contains unknown field", "there is no setting")


def _with_environment(settings: Settings, environ: Mapping[str, str]) -> Settings:
    chat = settings.chat
    if provider := environ.get("HOLYCHAT_PROVIDER"):
        # A model that belongs to the configured provider means nothing to another one.
        chat = msgspec.structs.replace(chat, provider=provider, model=chat.model if provider == chat.provider else "")
    if model := environ.get("HOLYCHAT_MODEL"):
        chat = msgspec.structs.replace(chat, model=model)
    providers = dict(settings.providers)
    for name in HOSTED:
        if base_url := environ.get(f"{name.upper()}_BASE_URL"):
            own = providers.get(name, ProviderSettings())
            providers[name] = msgspec.structs.replace(own, base_url=base_url)
    return msgspec.structs.replace(settings, chat=chat, providers=providers)
