"""What a command has at hand, each piece made when it is first asked for."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING

from holychat.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holychat.credentials.keychain import KeyChain
    from holychat.log import Masker
    from holychat.paths import Paths
    from holychat.providers.registry import ProviderRegistry
    from holychat.settings import Settings


class Session:
    """One run of the command: its environment, settings, output and, where needed, services.

    Nothing here is read, opened or imported before a command asks for it, so that `--version` and `--help` stay as
    quick as they can be and work whatever state the files are in.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = environ
        self.out = Output()
        self._logging = False

    @cached_property
    def paths(self) -> Paths:
        """Where this person's files are."""
        from holychat.paths import Paths

        return Paths.resolve(self.environ)

    @cached_property
    def settings(self) -> Settings:
        """The settings in force.

        Raises:
            SettingsError: config.toml cannot be read or holds something unusable.
        """
        from holychat.settings import load_settings

        return load_settings(self.paths.config_file, self.environ)

    @cached_property
    def masker(self) -> Masker:
        """Knows every key that this run has seen."""
        from holychat.log import Masker

        return Masker()

    @cached_property
    def keychain(self) -> KeyChain:
        """Where keys come from; no rung of the ladder is tried before a key is asked for."""
        from holychat.credentials.keychain import KeyChain

        return KeyChain(self.settings, self.masker, self.environ)

    @cached_property
    def registry(self) -> ProviderRegistry:
        """The providers of the settings; none is connected before it is used."""
        from holychat.providers.registry import ProviderRegistry

        return ProviderRegistry(self.settings, self.keychain, self.masker)

    def start_log(self) -> None:
        """Begin to write the log file; only what talks to a provider or to the history has something to write."""
        if not self._logging:
            from holychat.log import start_logging

            start_logging(self.paths.log_file, self.masker, self.environ)
            self._logging = True
