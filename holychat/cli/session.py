"""What a command has at hand, each piece made when it is first asked for."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from holychat.cli.output import Output

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from holychat.credentials.chain import KeyChain
    from holychat.log import Masker
    from holychat.paths import Paths
    from holychat.providers.registry import ProviderRegistry
    from holychat.services import Services
    from holychat.settings import Settings

Answer = TypeVar("Answer")


class Session:
    """One run of the command: its environment, settings, output and, where needed, services.

    Nothing here is read, opened or imported before a command asks for it, so that `--version` and `--help` stay as
    quick as they can be and work whatever state the files are in.
    """

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self.environ = environ
        self.out = Output()
        self._logging = False
        self._worker_told = False

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
        from holychat.credentials.chain import KeyChain

        return KeyChain(self.settings, self.masker, self.environ)

    @cached_property
    def registry(self) -> ProviderRegistry:
        """The providers of the settings; none is connected before it is used."""
        from holychat.providers.registry import ProviderRegistry

        return ProviderRegistry(self.settings, self.keychain, self.masker, self.environ)

    def start_log(self) -> None:
        """Begin to write the log file; only what talks to a provider or to the history has something to write."""
        if not self._logging:
            from holychat.log import start_logging

            start_logging(self.paths.log_file, self.masker, self.environ)
            self._logging = True

    def report(self, title: str, hint: str = "") -> None:
        """Tell of an error on stderr: a line on what happened, a line on what to do next."""
        text = f"holychat: {title}\n{hint}" if hint else f"holychat: {title}"
        self.out.notice(self.masker(text))

    def warn(self, warning: str) -> None:
        """Tell on stderr of something that does not stop the command."""
        self.out.notice(self.masker(f"holychat: {warning}"))

    def report_os_error(self, error: OSError) -> None:
        """Tell of a file, folder or device that would not do what was asked."""
        place = f": {error.filename}" if error.filename else ""
        self.report(f"{error.strerror or error}{place}")

    def tell_worker_trouble(self, services: Services) -> None:
        """Say once that background jobs lie where they are, where no worker could be started."""
        if (trouble := services.worker_trouble) is not None and not self._worker_told:
            self.report(trouble.title, trouble.hint)
            self._worker_told = True

    def with_services(self, body: Callable[[Services], Awaitable[Answer]], *, in_memory: bool = False) -> Answer:
        """Run `body` with the history and the providers at hand, and close them whatever happens.

        Args:
            body: What to do.
            in_memory: Begin with an empty history that is gone at the end.

        Raises:
            HolychatError: The history cannot be opened, or what `body` raises.
        """
        from holychat.runner import run
        from holychat.services import open_services

        self.start_log()
        services = open_services(self.paths, self.settings, self.environ, masker=self.masker, in_memory=in_memory)

        async def work() -> Answer:
            try:
                answer = await body(services)
                self.tell_worker_trouble(services)
                return answer
            finally:
                await services.close()

        return run(work())
