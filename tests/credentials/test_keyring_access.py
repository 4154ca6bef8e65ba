"""The keyring at arm's length: every way it can fail has its own name, and none can hold up the program."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from keyring.backends import chainer, fail, null

from holychat.credentials.keyring_access import KeyringAccess
from holychat.errors import KeyringError, KeyringTrouble
from tests.credentials.backends import Forgetting, Hanging, PlaintextKeyring, Quoting, Working

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from keyring.backend import KeyringBackend

    UseBackend = Callable[[KeyringBackend | None], None]

KEY = "sk-Zq8vN3xW5tR7yU1o"


def trouble_of(call: Callable[[], object]) -> KeyringTrouble:
    with pytest.raises(KeyringError) as caught:
        call()
    assert KEY not in str(caught.value)
    return caught.value.trouble


def test_a_key_is_stored_read_and_deleted(use_backend: UseBackend) -> None:
    use_backend(Working())
    access = KeyringAccess()
    assert access.get("holysheep") is None
    access.set("holysheep", KEY)
    assert access.get("holysheep") == KEY
    assert access.get("openai") is None
    access.delete("holysheep")
    assert access.get("holysheep") is None
    assert trouble_of(lambda: access.delete("holysheep")) is KeyringTrouble.NO_SUCH_KEY


class EmptyChain(chainer.ChainerBackend):
    """A chain that found nothing to chain."""

    priority = -9
    backends = ()


@pytest.mark.parametrize(
    ("backend", "trouble"),
    [
        (null.Keyring(), KeyringTrouble.NULL_BACKEND),
        (fail.Keyring(), KeyringTrouble.NO_BACKEND),
        (EmptyChain(), KeyringTrouble.NULL_BACKEND),
    ],
    ids=["null", "fail", "empty chain"],
)
def test_a_backend_that_keeps_nothing_is_told_apart(
    use_backend: UseBackend, backend: KeyringBackend, trouble: KeyringTrouble
) -> None:
    use_backend(backend)
    access = KeyringAccess()
    assert trouble_of(lambda: access.get("holysheep")) is trouble
    assert trouble_of(lambda: access.set("holysheep", KEY)) is trouble
    assert trouble_of(lambda: access.delete("holysheep")) is trouble
    assert trouble_of(access.describe) is trouble


def test_a_key_that_is_not_given_back_was_not_kept(use_backend: UseBackend) -> None:
    use_backend(Forgetting())
    assert trouble_of(lambda: KeyringAccess().set("holysheep", KEY)) is KeyringTrouble.NOT_KEPT


def test_a_backend_that_writes_plain_text_is_read_but_never_written(use_backend: UseBackend) -> None:
    backend = PlaintextKeyring(openai=KEY)
    use_backend(backend)
    assert KeyringAccess().get("openai") == KEY
    assert trouble_of(lambda: KeyringAccess().set("holysheep", KEY)) is KeyringTrouble.NO_BACKEND
    assert backend.passwords == {"openai": KEY}


def test_what_a_failing_backend_says_is_not_shown(use_backend: UseBackend) -> None:
    use_backend(Quoting())
    assert trouble_of(lambda: KeyringAccess().set("holysheep", KEY)) is KeyringTrouble.BROKEN


def test_a_hanging_keyring_is_left_alone_after_its_time_is_up(
    use_backend: UseBackend, caplog: pytest.LogCaptureFixture
) -> None:
    backend = Hanging()
    use_backend(backend)
    access = KeyringAccess(limit=0.1)
    try:
        with caplog.at_level(logging.WARNING):
            assert trouble_of(lambda: access.get("holysheep")) is KeyringTrouble.TIMED_OUT
        assert "no answer" in caplog.text
        started = time.monotonic()
        assert trouble_of(lambda: access.get("openai")) is KeyringTrouble.TIMED_OUT
        assert trouble_of(lambda: access.set("openai", KEY)) is KeyringTrouble.TIMED_OUT
        assert time.monotonic() - started < 0.1
        assert backend.asked == 1
    finally:
        backend.released.set()


def test_a_hanging_keyring_does_not_keep_the_program_from_ending() -> None:
    program = """
import keyring, threading
from keyring.backend import KeyringBackend
from holychat.credentials.keyring_access import KeyringAccess
from holychat.errors import KeyringError
class Hanging(KeyringBackend):
    priority = 1
    def get_password(self, service, username): threading.Event().wait()
    def set_password(self, service, username, password): pass
keyring.set_keyring(Hanging())
try:
    KeyringAccess(limit=0.1).get("holysheep")
except KeyringError as error:
    print(error.trouble.value)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout) == (0, "timed out\n")


def test_a_backend_that_does_not_exist_is_a_broken_keyring(
    use_backend: UseBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_backend(None)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.module.Keyring")
    assert trouble_of(lambda: KeyringAccess().get("holysheep")) is KeyringTrouble.BROKEN


def test_a_damaged_keyringrc_is_a_broken_keyring(
    use_backend: UseBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    use_backend(None)
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)
    monkeypatch.setattr("keyring.util.platform_.config_root", lambda: tmp_path)
    (tmp_path / "keyringrc.cfg").write_text("no section here\n", encoding="utf-8")
    assert trouble_of(lambda: KeyringAccess().get("holysheep")) is KeyringTrouble.BROKEN


def test_keyring_is_imported_only_when_it_is_asked() -> None:
    program = """
import sys
from holychat.credentials.chain import KeyChain
from holychat.log import Masker
from holychat.settings import Settings
KeyChain(Settings(), Masker())
print("keyring" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
