"""The ladder: the order of its rungs, what each answer tells, and that no provider gets another one's key."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
from typing import TYPE_CHECKING

import pytest
from keyring.backends import fail, null

from holychat.credentials.answer import KeyAnswer, KeySource
from holychat.credentials.chain import KeyChain
from holychat.credentials.command import key_from_command
from holychat.credentials.keyring_access import KeyringAccess
from holychat.domain.request import ProviderInfo
from holychat.errors import CredentialError, ExitCode, KeyMissing, KeyringError, KeyringTrouble, UsageError
from holychat.log import Masker
from holychat.settings import ProviderSettings, Settings
from tests.credentials.backends import Hanging, Working

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyring.backend import KeyringBackend

    UseBackend = Callable[[KeyringBackend | None], None]

HOLYSHEEP = ProviderInfo("holysheep", "openai", "https://api.holysheep.ai/v1", "m", needs_key=True)
OPENAI = ProviderInfo("openai", "openai", "https://api.openai.com/v1", "m", needs_key=True)
THIRD = ProviderInfo("third", "openai", "https://third.example/v1", "m", needs_key=True)
LOCAL = ProviderInfo("local", "openai", "", "", needs_key=False)


def printing(text: str) -> list[str]:
    return [sys.executable, "-c", f"print({text!r})"]


def chain_of(
    environ: dict[str, str] | None = None, *, masker: Masker | None = None, **providers: ProviderSettings
) -> KeyChain:
    return KeyChain(Settings(providers=providers), masker or Masker(), environ or {}, keyring=KeyringAccess(limit=2))


def found(answer: KeyAnswer) -> tuple[str | None, KeySource, str]:
    return (answer.secret.reveal() if answer.secret else None), answer.source, answer.detail


# Order and provenance


def test_the_rungs_are_asked_in_order(use_backend: UseBackend) -> None:
    command = ProviderSettings(key_command=printing("sk-from-command"))
    backend = Working(holysheep="sk-from-keyring")
    use_backend(backend)
    environ = {"HOLYSHEEP_API_KEY": "sk-from-environment"}

    def climb() -> tuple[str | None, KeySource, str]:
        chain = chain_of(environ, holysheep=command)
        chain.remember("holysheep", "sk-from-memory")
        return found(chain.lookup(HOLYSHEEP))

    assert climb() == ("sk-from-environment", KeySource.ENVIRONMENT, "HOLYSHEEP_API_KEY")
    del environ["HOLYSHEEP_API_KEY"]
    assert climb() == ("sk-from-keyring", KeySource.KEYRING, "Working keyring")
    backend.passwords.clear()
    value, source, detail = climb()
    assert (value, source) == ("sk-from-command", KeySource.COMMAND)
    assert detail.startswith("command `python")
    assert "sk-from-command" not in detail
    command = ProviderSettings()
    assert climb() == ("sk-from-memory", KeySource.MEMORY, "")


def test_with_no_key_anywhere_the_answer_is_missing_and_says_how_to_give_one(use_backend: UseBackend) -> None:
    use_backend(Working())
    chain = chain_of()
    answer = chain.lookup(HOLYSHEEP)
    assert answer == KeyAnswer(None, KeySource.MISSING)
    assert not answer.usable
    with pytest.raises(KeyMissing) as caught:
        asyncio.run(chain.require(HOLYSHEEP))
    assert caught.value.exit_code is ExitCode.KEY
    assert "HOLYSHEEP_API_KEY" in caught.value.hint
    assert "holychat keys set holysheep" in caught.value.hint


@pytest.mark.parametrize("backend", [fail.Keyring(), null.Keyring()], ids=["no backend", "null backend"])
def test_without_a_keyring_the_three_other_ways_are_told(use_backend: UseBackend, backend: KeyringBackend) -> None:
    use_backend(backend)
    chain = chain_of()
    with pytest.raises(KeyMissing) as missing:
        asyncio.run(chain.require(HOLYSHEEP))
    with pytest.raises(KeyringError) as unstored:
        chain.store("holysheep", "sk-to-be-stored")
    for hint in (missing.value.hint, unstored.value.hint):
        assert "HOLYSHEEP_API_KEY" in hint
        assert "key_command" in hint
        assert "memory" in hint


def test_an_answer_is_kept_for_the_run_and_given_again_without_asking(use_backend: UseBackend) -> None:
    backend = Working(holysheep="sk-from-keyring")
    use_backend(backend)
    chain = chain_of()
    assert chain.lookup(HOLYSHEEP) is chain.lookup(HOLYSHEEP)
    assert backend.asked == 1


def test_a_key_that_appears_later_is_found_when_asked_again(use_backend: UseBackend) -> None:
    use_backend(fail.Keyring())
    chain = chain_of()
    assert chain.lookup(HOLYSHEEP).trouble is KeyringTrouble.NO_BACKEND
    use_backend(Working(holysheep="sk-from-keyring"))
    assert chain.lookup(HOLYSHEEP).source is KeySource.KEYRING


def test_many_who_ask_at_once_share_one_question_to_the_keyring(use_backend: UseBackend) -> None:
    backend = Working(holysheep="sk-from-keyring")
    use_backend(backend)
    chain = chain_of()

    async def ask() -> list[KeyAnswer]:
        return await asyncio.gather(*(chain.find(HOLYSHEEP) for _ in range(20)))

    assert {answer.source for answer in asyncio.run(ask())} == {KeySource.KEYRING}
    assert backend.asked == 1


def test_status_shows_every_rung(use_backend: UseBackend) -> None:
    use_backend(Working())
    chain = chain_of({"HOLYSHEEP_API_KEY": "sk-environment"}, holysheep=ProviderSettings(key_command="false"))
    chain.remember("holysheep", "sk-from-memory")
    environment, keyring, command, memory = chain.status(HOLYSHEEP)
    assert found(environment) == ("sk-environment", KeySource.ENVIRONMENT, "HOLYSHEEP_API_KEY")
    assert (keyring.source, keyring.secret, keyring.trouble) == (KeySource.KEYRING, None, KeyringTrouble.NO_SUCH_KEY)
    assert (command.source, command.secret, command.detail) == (KeySource.COMMAND, None, "command `false`")
    assert "status 1" in command.problem
    assert found(memory) == ("sk-from-memory", KeySource.MEMORY, "")


# Isolation


def test_a_key_belongs_to_one_provider(use_backend: UseBackend) -> None:
    use_backend(Working(openai="sk-keyring-openai"))
    environ = {"OPENAI_API_KEY": "sk-openai", "THIRD_API_KEY": "sk-third", "HOLYSHEEP_KEY": "sk-sheep", "": "sk-empty"}
    chain = chain_of(environ, openai=ProviderSettings(key_command=printing("sk-command-openai")))
    chain.remember("openai", "sk-memory-openai")
    assert chain.lookup(HOLYSHEEP).source is KeySource.MISSING
    assert chain.lookup(THIRD).source is KeySource.MISSING
    assert found(chain.lookup(OPENAI))[0] == "sk-openai"


def test_a_configured_variable_takes_the_place_of_the_usual_one(use_backend: UseBackend) -> None:
    use_backend(Working())
    environ = {"HOLYSHEEP_API_KEY": "sk-usual", "WORK_KEY": "sk-work", "THIRD": "sk-third"}
    settings = {"holysheep": ProviderSettings(key_env="WORK_KEY"), "third": ProviderSettings(key_env="THIRD")}
    chain = chain_of(environ, **settings)
    assert found(chain.lookup(HOLYSHEEP)) == ("sk-work", KeySource.ENVIRONMENT, "WORK_KEY")
    assert found(chain.lookup(THIRD)) == ("sk-third", KeySource.ENVIRONMENT, "THIRD")


def test_a_provider_that_needs_no_key_does_not_wake_the_keyring(use_backend: UseBackend) -> None:
    backend = Working(local="sk-stored")
    use_backend(backend)
    answer = chain_of({"OPENAI_API_KEY": "sk-openai"}).lookup(LOCAL)
    assert answer == KeyAnswer(None, KeySource.NONE_NEEDED)
    assert answer.usable
    assert backend.asked == 0


# Rungs that fail


def test_a_broken_rung_is_passed_over_and_said(use_backend: UseBackend) -> None:
    use_backend(fail.Keyring())
    chain = chain_of({"HOLYSHEEP_API_KEY": "sk–dash"}, holysheep=ProviderSettings(key_command="/no/such/program x"))
    chain.remember("holysheep", "sk-from-memory")
    answer = chain.lookup(HOLYSHEEP)
    assert found(answer)[:2] == ("sk-from-memory", KeySource.MEMORY)
    assert answer.trouble is KeyringTrouble.NO_BACKEND
    for part in ("HOLYSHEEP_API_KEY", "character 3", "no keyring", "`program …` cannot be started"):
        assert part in answer.problem
    assert "sk–dash" not in answer.problem


def test_looking_for_a_key_never_blocks_the_event_loop(use_backend: UseBackend) -> None:
    backend = Hanging()
    use_backend(backend)
    chain = KeyChain(Settings(), Masker(), {}, keyring=KeyringAccess(limit=0.5))

    async def watch() -> tuple[KeyAnswer, float]:
        longest, last = 0.0, time.monotonic()
        task = asyncio.create_task(chain.find(HOLYSHEEP))
        while not task.done():
            await asyncio.sleep(0.005)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        return task.result(), longest

    try:
        answer, longest = asyncio.run(watch())
    finally:
        backend.released.set()
    assert answer.trouble is KeyringTrouble.TIMED_OUT
    assert longest < 0.3


def test_quitting_while_the_keyring_hangs_is_immediate(use_backend: UseBackend) -> None:
    backend = Hanging()
    use_backend(backend)
    chain = KeyChain(Settings(), Masker(), {}, keyring=KeyringAccess(limit=5))

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(chain.find(HOLYSHEEP), 0.1)

    started = time.monotonic()
    asyncio.run(give_up())
    assert time.monotonic() - started < 2
    backend.released.set()
    for thread in threading.enumerate():
        if thread.name == "key-holysheep":
            thread.join(5)


# Giving and taking away


def test_a_key_that_is_typed_to_be_used_goes_first_until_it_is_forgotten(use_backend: UseBackend) -> None:
    use_backend(Working(holysheep="sk-from-keyring"))
    chain = chain_of({"HOLYSHEEP_API_KEY": "sk-from-environment"})
    assert found(chain.lookup(HOLYSHEEP))[1] is KeySource.ENVIRONMENT
    chain.use("holysheep", "sk-typed-instead")
    assert found(chain.lookup(HOLYSHEEP)) == ("sk-typed-instead", KeySource.MEMORY, "")
    chain.forget("holysheep")
    assert found(chain.lookup(HOLYSHEEP))[:2] == ("sk-from-environment", KeySource.ENVIRONMENT)
    chain.forget("openai")
    assert not chain.lookup(OPENAI).usable


def test_a_rejected_key_is_looked_for_again_and_a_typed_one_is_gone(use_backend: UseBackend) -> None:
    backend = Working(holysheep="sk-stale-one")
    use_backend(backend)
    chain = chain_of()
    stale = chain.lookup(HOLYSHEEP).secret
    assert stale is not None
    backend.passwords["holysheep"] = "sk-stored-meanwhile"
    assert found(chain.lookup(HOLYSHEEP))[0] == "sk-stale-one"
    chain.reject("holysheep", stale)
    assert found(chain.lookup(HOLYSHEEP))[0] == "sk-stored-meanwhile"
    chain.reject("holysheep", stale)  # a reply to a request from before says nothing of the key in use
    backend.passwords.clear()
    assert found(chain.lookup(HOLYSHEEP))[0] == "sk-stored-meanwhile"

    chain.use("openai", "sk-typed-wrong")
    typed = chain.lookup(OPENAI).secret
    assert typed is not None
    chain.reject("openai", typed)
    answer = chain.lookup(OPENAI)
    assert (answer.usable, answer.problem) == (False, "The key that was typed was not accepted")
    chain.use("openai", "sk-typed-right")
    assert chain.lookup(OPENAI).problem == ""


def test_a_stored_key_is_found_at_once_and_gone_when_deleted(use_backend: UseBackend) -> None:
    use_backend(Working())
    chain = chain_of()
    assert chain.lookup(HOLYSHEEP).source is KeySource.MISSING
    assert found(chain.store("holysheep", " sk-new-key\n")) == ("sk-new-key", KeySource.KEYRING, "Working keyring")
    assert found(chain.lookup(HOLYSHEEP)) == ("sk-new-key", KeySource.KEYRING, "Working keyring")
    chain.delete("holysheep")
    assert chain.lookup(HOLYSHEEP).source is KeySource.MISSING
    with pytest.raises(KeyringError) as caught:
        chain.delete("holysheep")
    assert caught.value.trouble is KeyringTrouble.NO_SUCH_KEY


def test_what_cannot_be_a_key_is_neither_kept_nor_stored(use_backend: UseBackend) -> None:
    backend = Working()
    use_backend(backend)
    chain = chain_of()
    for keep in (chain.remember, chain.store):
        with pytest.raises(UsageError):
            keep("holysheep", "sk with spaces")
    assert backend.passwords == {}
    assert chain.lookup(HOLYSHEEP).source is KeySource.MISSING


def test_every_key_is_masked_from_then_on(use_backend: UseBackend) -> None:
    use_backend(Working(openai="sk-from-keyring"))
    masker = Masker()
    chain = chain_of({"HOLYSHEEP_API_KEY": "sk-from-environment"}, masker=masker)
    chain.lookup(HOLYSHEEP)
    chain.lookup(OPENAI)
    chain.remember("third", "sk-from-memory")
    said = masker("sk-from-keyring sk-from-environment sk-from-memory")
    assert "sk-from" not in said


def test_no_key_gets_into_the_log(use_backend: UseBackend, caplog: pytest.LogCaptureFixture) -> None:
    use_backend(Working())
    chain = chain_of(holysheep=ProviderSettings(key_command=printing("sk-from-command")))
    with caplog.at_level(logging.DEBUG):
        chain.store("openai", "sk-from-keyring")
        chain.lookup(HOLYSHEEP)
        chain.lookup(OPENAI)
        chain.remember("third", "sk-from-memory")
        chain.status(HOLYSHEEP)
    assert "sk-from" not in caplog.text


# Commands


def test_a_command_gives_its_first_line(tmp_path: Path) -> None:
    file = tmp_path / "my key.txt"
    file.write_text("sk-first\nlogin: me\n", encoding="utf-8")
    environ = {"PATH": "/usr/bin:/bin"}
    assert key_from_command(["cat", str(file)], environ) == "sk-first"
    assert key_from_command(f'cat "{file}"', environ) == "sk-first"


def test_a_command_never_meets_a_shell(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    line = key_from_command(f"echo $(touch {mark}) ; touch {mark} > /dev/null", {"PATH": "/usr/bin:/bin"})
    assert line.startswith("$(touch")
    assert not mark.exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ([sys.executable, "-c", "import sys; sys.exit('sk-secret-on-stderr')"], "status 1"),
        ([sys.executable, "-c", "pass"], "printed nothing"),
        ([sys.executable, "-c", r"import sys; sys.stdout.buffer.write(b'\xff\xfe')"], "not text"),
        ("'unclosed", "cannot be read"),
        (["/no/such/program"], "cannot be started"),
        (["bad\0name"], "cannot be started"),
        ([], "empty"),
    ],
)
def test_a_command_that_brings_no_key_is_said_without_its_output(
    command: str | list[str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CredentialError) as caught:
        key_from_command(command, {})
    assert said in caught.value.title
    assert "secret" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_command_that_hangs_is_ended_with_its_children(tmp_path: Path) -> None:
    psutil = pytest.importorskip("psutil", reason="psutil comes with the test extra")
    note = tmp_path / "pid"
    script = f"sleep 60 & echo $! > {note}; wait"
    with pytest.raises(CredentialError, match="longer than"):
        key_from_command(["sh", "-c", script], {"PATH": "/usr/bin:/bin"}, limit=0.5)
    child = int(note.read_text(encoding="utf-8"))
    deadline = time.monotonic() + 5
    while psutil.pid_exists(child) and psutil.Process(child).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.01)
