"""Arguments that several commands take."""

from __future__ import annotations

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


class JobNumber(click.ParamType[int | None]):
    """A job's number, or `last`; as a value the number, or None for the newest job."""

    name = "job"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Read the number."""
        if value == LAST:
            return None
        if (number := chat_number(str(value))) is None:
            self.fail("JOB is the number of a job, or `last`. `holychat batch list` prints the numbers.", param, ctx)
        return number


class OutOption(click.Option):
    """Where something is written: `--out` in every help, and `--output` for those who have that in their fingers."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The line of the help, with one spelling."""
        record = super().get_help_record(ctx)
        return None if record is None else (record[0].replace(", --output", ""), record[1])


OUT_NAMES = ("-o", "--out", "--output", "out")
"""What an `OutOption` is declared with."""


class Dollars(click.ParamType[int]):
    """An amount of money such as 2.50; as a value whole micro-dollars."""

    name = "dollars"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the amount."""
        from decimal import Decimal, InvalidOperation

        from holychat.settings import MAX_DOLLARS

        try:
            micros = Decimal(str(value).strip().removeprefix("$")) * 1_000_000
        except InvalidOperation:
            micros = Decimal(-1)
        if not micros.is_finite() or not 0 <= micros <= MAX_DOLLARS * 1_000_000 or micros % 1:
            self.fail(f"{value} is no amount of dollars; 2.50 is one.", param, ctx)
        return int(micros)


class TypedText(click.ParamType[str]):
    """Text as it was typed: UTF-8 whatever the locale says, and nothing that could not be stored or sent."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ARG002  # the signature is click's
        """Read the bytes behind the argument again."""
        return os.fsencode(value).decode("utf-8", "replace")


class Temperature(click.ParamType[float]):
    """A number from 0 to what the settings allow; the library that reads settings waits until a number was given."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the number."""
        from holychat.settings import MAX_TEMPERATURE

        number: float = click.FLOAT.convert(value, param, ctx)
        if not 0 <= number <= MAX_TEMPERATURE:  # "nan" is never in between
            self.fail(f"{value} is no temperature; it goes from 0 to {MAX_TEMPERATURE:g}.", param, ctx)
        return number


class TokenLimit(click.ParamType[int]):
    """A number of tokens, from 1 to what the settings allow."""

    name = "tokens"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        from holychat.settings import MAX_TOKENS

        number: int = click.INT.convert(value, param, ctx)
        if not 1 <= number <= MAX_TOKENS:
            self.fail(f"{value} is no number of tokens; it goes from 1 to {MAX_TOKENS}.", param, ctx)
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
DOLLARS = Dollars()
JOB = JobNumber()
PROVIDER = ProviderName()
TEMPERATURE = Temperature()
TEXT = TypedText()
TOKENS = TokenLimit()
