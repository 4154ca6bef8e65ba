"""`holychat config`: where the settings file is, a commented one to start from, and what is in force."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from holychat.errors import UsageError
from holychat.settings import HOSTED

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from holychat.cli.session import Session
    from holychat.settings import Settings

_SECTIONS = ("network", "chat", "limits", "jobs", "provider_batch", "webhooks", "ui", "keys")


@click.group()
def config() -> None:
    """Settings: where they are and what is in force."""


@config.command(short_help="Print where the settings file is.")
@click.pass_obj
def path(session: Session) -> None:
    """Print where the settings file is, or would be."""
    session.out.line(str(session.paths.config_file))


@config.command(short_help="Write a commented settings file.")
@click.pass_obj
def init(session: Session) -> None:
    """Write a commented settings file; one that is there already is never touched."""
    from importlib.resources import files

    from holychat.paths import make_private_directory, write_private_file

    file = session.paths.config_file
    if file.exists() or file.is_symlink():
        raise UsageError(f"There is a settings file already: {file}", "Edit it, or move it away first.")
    make_private_directory(file.parent)
    write_private_file(file, files("holychat.cli").joinpath("config.toml").read_text(encoding="utf-8"))
    session.out.line(str(file))


@config.command(short_help="Print what is in force and why.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def show(session: Session, as_json: bool) -> None:
    """Print every setting in force and where it comes from. Keys are never shown."""
    values = tuple(settings_in_force(session))
    if as_json:
        session.out.json(
            {
                f"{value.section}.{value.name}": {"value": _plain(value.value), "source": value.source}
                for value in values
            }
        )
        return
    session.out.line(f"# {session.paths.config_file}{'' if session.paths.config_file.exists() else ' (not there)'}")
    section = ""
    for value in values:
        if value.section != section:
            section = value.section
            session.out.line(f"\n[{section}]")
        session.out.line(value.toml())


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting in force."""

    section: str
    name: str
    value: Any
    """None where it is left to the provider."""
    source: str
    """"default", "config.toml", or the environment variable that decides."""

    def toml(self) -> str:
        """The setting as a line of TOML, with its source as a comment."""
        from holychat.cli.output import to_json

        name = self.name if self.name.replace("_", "").replace("-", "").isalnum() else to_json(self.name)
        if self.value is None:
            decided = "not set" if self.section in ("jobs", "limits", "provider_batch") else "left to the provider"
            return f"# {name}: {decided}".ljust(50) + f"  # {self.source}"
        return f"{name} = {_toml_value(self.value)}".ljust(50) + f"  # {self.source}"


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _toml_value(value: Any) -> str:
    from holychat.cli.output import to_json

    if isinstance(value, list):
        return f"[{', '.join(map(to_json, value))}]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{to_json(name)} = {to_json(item)}" for name, item in value.items()) + " }"
    return to_json(_plain(value))


def settings_in_force(session: Session) -> Iterator[Setting]:
    """Every setting, section by section, with where it comes from; providers last.

    Raises:
        SettingsError: The settings cannot be read.
    """
    settings = session.settings
    written = _written(session)
    for section in _SECTIONS:
        own = written.get(section, {})
        group = getattr(settings, section)
        names = group if isinstance(group, dict) else group.__struct_fields__
        for name in names:
            value = group[name] if isinstance(group, dict) else getattr(group, name)
            source = _override(settings, session.environ, section, name) or (
                "config.toml" if name in own else "default"
            )
            yield Setting(section, name, value, source)
    for provider, models in settings.prices.items():
        for model, row in models.items():
            for name in row.__struct_fields__:
                if (value := getattr(row, name)) is not None:
                    yield Setting(f'prices.{provider}."{model}"', name, value, "config.toml")
    yield from _providers(session, written.get("providers", {}))


def _written(session: Session) -> dict[str, Any]:
    try:
        return tomllib.loads(session.paths.config_file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def _override(settings: Settings, environ: Mapping[str, str], section: str, name: str) -> str:
    """The environment variable that decides a setting of `[chat]`, or ""."""
    if section != "chat":
        return ""
    if name == "provider" and environ.get("HOLYCHAT_PROVIDER"):
        return "HOLYCHAT_PROVIDER"
    if name == "model" and environ.get("HOLYCHAT_MODEL"):
        return "HOLYCHAT_MODEL"
    if name == "model" and not settings.chat.model and environ.get("HOLYCHAT_PROVIDER"):
        return "HOLYCHAT_PROVIDER"  # it set aside a model that belongs to another provider
    return ""


def _providers(session: Session, written: Mapping[str, Any]) -> Iterator[Setting]:
    for info in session.registry.infos():
        section = f"providers.{info.name}"
        own = written.get(info.name, {})
        address_variable = f"{info.name.upper()}_BASE_URL"
        for name, value in (("kind", info.kind), ("base_url", info.base_url), ("model", info.model)):
            source = "config.toml" if own.get(name) else "built in"
            if name == "base_url" and info.name in HOSTED and session.environ.get(address_variable):
                source = address_variable
            yield Setting(section, name, value, source)
        yield Setting(section, "needs_key", info.needs_key, "config.toml" if "needs_key" in own else "built in")
        yield from _key(session, section, info.name, own)


def _key(session: Session, section: str, provider: str, own: Mapping[str, Any]) -> Iterator[Setting]:
    """Where a provider's key comes from; the keyring and commands are only asked by `keys status`."""
    from holychat.credentials.variables import key_variable
    from holychat.log import MASK

    if variable := key_variable(session.settings, provider):
        yield Setting(section, "key_env", variable, "config.toml" if own.get("key_env") else "built in")
        if session.environ.get(variable):
            yield Setting(section, "key", MASK, variable)
    if command := own.get("key_command"):
        yield Setting(section, "key_command", command, "config.toml")
