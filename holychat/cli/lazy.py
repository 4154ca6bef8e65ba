"""Groups of commands whose modules are imported when a command is used or listed."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping


class LazyGroup(click.Group):
    """A group that knows where its commands are: name -> "module:attribute", in the order people meet them.

    Other spellings of a name are understood and not listed.
    """

    def __init__(
        self, *arguments: Any, places: Mapping[str, str], spellings: Mapping[str, str] | None = None, **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._places = places
        self._spellings = spellings or {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # the signature is click's
        """Every command, in order."""
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  # the signature is click's
        """The command of that name, or None."""
        if (place := self._places.get(self._spellings.get(cmd_name, cmd_name))) is None:
            return None
        module, _, name = place.partition(":")
        command = getattr(import_module(module), name)
        assert isinstance(command, click.Command)
        return command
