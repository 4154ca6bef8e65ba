"""Arguments that several commands take."""

from __future__ import annotations

import math
import os
from typing import TYPE_CHECKING, Any

import click

from holychat.errors import SettingsError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

LAST = "last"
LARGEST_NUMBER = 2**63 - 1
"""What SQLite can count to."""


def chat_number(text: str) -> int | None:
    """The number of a chat, or None where `text` is not one."""
    return int(text) if text.isascii() and text.isdecimal() and 0 < int(text) <= LARGEST_NUMBER else None


class ChatNumber(click.ParamType[int | None]):
    """A chat's number, or `last`; as a value the number, or None for the last chat."""

    name = "chat"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Read the number."""
        if value == LAST:
            return None
        if (number := chat_number(str(value))) is None:
            self.fail(
                "CHAT is the number of a chat, or `last`. `holychat history list` prints the numbers.", param, ctx
            )
        return number


class TypedText(click.ParamType[str]):
    """Text as it was typed: UTF-8 whatever the locale says, and nothing that could not be stored or sent."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002  # the signature is click's
        """Read the bytes behind the argument again."""
        return os.fsencode(value).decode("utf-8", "replace")


class Temperature(click.FloatRange):
    """A number from 0 on; click alone would let "nan" and "inf" pass, which JSON cannot carry."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a temperature.", param, ctx)
        return number


class ProviderName(click.ParamType[str]):
    """Name of a provider; a shell completes it."""

    name = "provider"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002  # the signature is click's
        """Names that begin like that; none where the settings cannot be read."""
        from click.shell_completion import CompletionItem

        try:
            names = [info.name for info in ctx.find_root().obj.registry.infos()]
        except SettingsError:
            return []
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


CHAT = ChatNumber()
PROVIDER = ProviderName()
TEMPERATURE = Temperature(min=0)
TEXT = TypedText()
