"""The ladder: environment, keyring, command, memory of this run. Each provider has its own rungs and no other's."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from holychat.credentials.answer import KeyAnswer, KeySource, key_missing, three_ways
from holychat.credentials.command import describe_command, key_from_command
from holychat.credentials.keyring_access import KeyringAccess
from holychat.credentials.secret import checked_secret
from holychat.credentials.variables import key_variable
from holychat.errors import CredentialError, KeyringError, KeyringTrouble, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holychat.credentials.secret import Secret
    from holychat.domain.request import ProviderInfo
    from holychat.log import Masker
    from holychat.settings import Settings

_log = logging.getLogger(__name__)


class KeyChain:
    """Finds the key of a provider and tells where it came from. Nothing is ever written to a file.

    Every key found or given is made known to the masker first. Methods that end in a rung that may wait (keyring 5 s,
    command 30 s) block; use `find` on the event loop. Safe to call from several threads.
    """

    def __init__(
        self,
        settings: Settings,
        masker: Masker,
        environ: Mapping[str, str] = os.environ,
        *,
        keyring: KeyringAccess | None = None,
    ) -> None:
        self._settings = settings
        self._masker = masker
        self._environ = environ
        self._keyring = keyring or KeyringAccess()
        self._memory: dict[str, Secret] = {}
        self._found: dict[str, KeyAnswer] = {}
        self._rejected: set[str] = set()
        """Providers that did not accept the key that was typed last."""
        self._lock = threading.RLock()

    def lookup(self, info: ProviderInfo) -> KeyAnswer:
        """The provider's key from the first rung that has one; remembered for the rest of the run. Blocking.

        Never raises: a rung that fails is passed over, and the answer's `problem` and `trouble` say so. That there is
        none is not remembered, so that it helps to unlock the keyring and try again.
        """
        if (known := self._found.get(info.name)) is not None:
            return known
        with self._lock:
            if (known := self._found.get(info.name)) is not None:
                return known
            answer = self._climb(info)
            if answer.usable:
                self._found[info.name] = answer
            return answer

    async def find(self, info: ProviderInfo) -> KeyAnswer:
        """`lookup` off the event loop, in a daemon thread: a keyring that hangs never holds up quitting."""
        if (known := self._found.get(info.name)) is not None:
            return known
        loop = asyncio.get_running_loop()
        future: asyncio.Future[KeyAnswer] = loop.create_future()

        def deliver(answer: KeyAnswer) -> None:
            if not future.done():
                future.set_result(answer)

        def work() -> None:
            answer = self.lookup(info)
            try:
                loop.call_soon_threadsafe(deliver, answer)
            except RuntimeError:  # the loop closed while a rung was waiting
                _log.debug("key of %s found after the loop was closed", info.name)

        threading.Thread(target=work, name=f"key-{info.name}", daemon=True).start()
        return await future

    async def require(self, info: ProviderInfo) -> KeyAnswer:
        """`find`, for those who are about to send.

        Raises:
            KeyMissing: A key is needed and no rung has one; the hint tells the ways that are open.
        """
        return self._usable(info, await self.find(info))

    def require_now(self, info: ProviderInfo) -> KeyAnswer:
        """The blocking twin of `require`."""
        return self._usable(info, self.lookup(info))

    def status(self, info: ProviderInfo) -> tuple[KeyAnswer, ...]:
        """Every rung on its own, in order, asked afresh: what it has, or why it has nothing. Blocking."""
        with self._lock:
            return tuple(rung(info) for rung in self._rungs(info, every=True))

    def remember(self, name: str, value: str) -> None:
        """Keep a key in memory until the program ends. A key of the environment or the keyring still goes first.

        Raises:
            UsageError: The value cannot be a key.
        """
        secret = self._learn(value, "What was given")
        with self._lock:
            self._memory[name] = secret
            self._rejected.discard(name)
            self._found.pop(name, None)

    def use(self, name: str, value: str) -> None:
        """`remember` a key that goes before every other one of this run: who types a key means that one.

        Raises:
            UsageError: The value cannot be a key.
        """
        with self._lock:
            self.remember(name, value)
            self._found[name] = KeyAnswer(self._memory[name], KeySource.MEMORY)

    def session_keys(self) -> dict[str, Secret]:
        """Keys that were typed and are known to this run alone, by provider."""
        return dict(self._memory)

    def forget(self, name: str) -> None:
        """Forget what was typed and found for a provider; the next look asks every rung again. Never blocks."""
        self._memory.pop(name, None)
        self._found.pop(name, None)

    def reject(self, name: str, secret: Secret) -> None:
        """The provider does not accept this key: do not use it again, so that one given meanwhile is found.

        Never blocks: it takes no lock, which a rung that waits for a person may hold.
        """
        known = self._found.get(name)
        if known is not None and known.secret == secret:
            self._found.pop(name, None)
        if self._memory.get(name) == secret:
            self._memory.pop(name, None)
            self._rejected.add(name)

    def store(self, name: str, value: str) -> KeyAnswer:
        """Put a key into the keyring and read it back. Blocking.

        Raises:
            UsageError: The value cannot be a key.
            KeyringError: It is not kept; the hint names the ways that need no keyring.
        """
        secret = self._learn(value, "What was given")
        with self._lock:
            try:
                self._keyring.set(name, secret.reveal())
            except KeyringError as error:
                ways = three_ways(name, key_variable(self._settings, name))
                raise KeyringError(error.trouble, error.title, f"{error.hint} {ways}".strip()) from None
            self._found.pop(name, None)
        return KeyAnswer(secret, KeySource.KEYRING, self._keyring_name())

    def delete(self, name: str) -> None:
        """Delete a key from the keyring and from memory. Blocking.

        Raises:
            KeyringError: The keyring has none (NO_SUCH_KEY) or could not be asked.
        """
        with self._lock:
            self._memory.pop(name, None)
            self._found.pop(name, None)
            self._keyring.delete(name)

    def keyring_description(self) -> str:
        """One line about the keyring for `doctor`: its backend, or why it cannot be used. Blocking."""
        try:
            return self._keyring.describe()
        except KeyringError as error:
            return f"{error.trouble.value}: {error.title}"

    def _usable(self, info: ProviderInfo, answer: KeyAnswer) -> KeyAnswer:
        if not answer.usable:
            raise key_missing(info, answer, key_variable(self._settings, info.name))
        return answer

    def _learn(self, value: str, where: str) -> Secret:
        # The mask comes before the check, so that not even a refused value can get into a log.
        self._masker.add(value.strip())
        return checked_secret(value, where)

    def _climb(self, info: ProviderInfo) -> KeyAnswer:
        trouble: KeyringTrouble | None = None
        problems: list[str] = []
        for rung in self._rungs(info, every=False):
            answer = rung(info)
            if answer.trouble is not KeyringTrouble.NO_SUCH_KEY:
                trouble = answer.trouble or trouble
                if answer.problem:
                    problems.append(answer.problem)
            if answer.secret is not None:
                return replace(answer, trouble=trouble, problem=". ".join(problems))
        source = KeySource.MISSING if info.needs_key else KeySource.NONE_NEEDED
        return KeyAnswer(None, source, "", trouble, ". ".join(problems))

    def _rungs(self, info: ProviderInfo, *, every: bool) -> list[Callable[[ProviderInfo], KeyAnswer]]:
        """The rungs to ask. A provider that needs no key never wakes the keyring, which might open a window."""
        rungs: list[Callable[[ProviderInfo], KeyAnswer]] = []
        if every or key_variable(self._settings, info.name):
            rungs.append(self._from_environment)
        if every or info.needs_key:
            rungs.append(self._from_keyring)
        if every or self._command(info):
            rungs.append(self._from_command)
        return [*rungs, self._from_memory]

    def _from_environment(self, info: ProviderInfo) -> KeyAnswer:
        variable = key_variable(self._settings, info.name)
        value = self._environ.get(variable, "") if variable else ""
        return self._answer(value, KeySource.ENVIRONMENT, variable)

    def _from_keyring(self, info: ProviderInfo) -> KeyAnswer:
        try:
            value = self._keyring.get(info.name)
        except KeyringError as error:
            return KeyAnswer(None, KeySource.KEYRING, "", error.trouble, error.title)
        detail = self._keyring_name()
        if value is None:
            return KeyAnswer(None, KeySource.KEYRING, detail, KeyringTrouble.NO_SUCH_KEY)
        return self._answer(value, KeySource.KEYRING, detail)

    def _from_command(self, info: ProviderInfo) -> KeyAnswer:
        command = self._command(info)
        if not command:
            return KeyAnswer(None, KeySource.COMMAND)
        detail = describe_command(command)
        try:
            return self._answer(key_from_command(command, self._environ), KeySource.COMMAND, detail)
        except CredentialError as error:
            return KeyAnswer(None, KeySource.COMMAND, detail, problem=error.title)

    def _from_memory(self, info: ProviderInfo) -> KeyAnswer:
        problem = "The key that was typed was not accepted" if info.name in self._rejected else ""
        return KeyAnswer(self._memory.get(info.name), KeySource.MEMORY, problem=problem)

    def _answer(self, value: str, source: KeySource, detail: str) -> KeyAnswer:
        if not value.strip():
            return KeyAnswer(None, source, detail)
        try:
            return KeyAnswer(self._learn(value, detail), source, detail)
        except UsageError as error:
            return KeyAnswer(None, source, detail, problem=error.title)

    def _command(self, info: ProviderInfo) -> str | list[str]:
        own = self._settings.providers.get(info.name)
        return own.key_command if own else ""

    def _keyring_name(self) -> str:
        try:
            return self._keyring.describe()
        except KeyringError:
            return "keyring"
