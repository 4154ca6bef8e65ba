"""A real Secret Service (gnome-keyring on a private D-Bus session): unlocked, locked, silent, and not there at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("dbus-run-session", "gnome-keyring-daemon")

pytestmark = [
    pytest.mark.secret_service,
    pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is what Linux desktops have"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in NEEDED),
        reason="install dbus and gnome-keyring (apt-get install dbus gnome-keyring) to try a real Secret Service",
    ),
]

PROGRAM = """
import json, sys, time
from holychat.credentials.keyring_access import KeyringAccess
from holychat.errors import KeyringError

access = KeyringAccess(limit=float(sys.argv[1]))
calls = {
    "describe": access.describe,
    "get": lambda: access.get("holysheep"),
    "set": lambda: access.set("holysheep", "sk-kept-in-the-keyring"),
    "get other": lambda: access.get("openai"),
    "delete": lambda: access.delete("holysheep"),
}
results = []
for name in sys.argv[2:]:
    started = time.monotonic()
    try:
        result = calls[name]()
    except KeyringError as error:
        result = "trouble: " + error.trouble.value
    results.append([name, result, round(time.monotonic() - started, 3)])
print("RESULTS", json.dumps(results))
"""

SILENT_PROMPTER = """
import contextlib
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

connection = open_dbus_connection(bus="SESSION")
connection.send_and_get_reply(message_bus.RequestName("org.gnome.keyring.SystemPrompter"))
print("READY", flush=True)
with contextlib.suppress(ConnectionError, EOFError):  # ends with the bus
    while True:
        connection.receive()
"""

UNLOCK = "printf 'test\\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1"
START_LOCKED = "gnome-keyring-daemon --start --components=secrets >/dev/null 2>&1"
SILENT = """
"$PYTHON" -c "$SILENT_PROMPTER" > "$HOME/prompter" 2>/dev/null &
while ! grep -q READY "$HOME/prompter"; do sleep 0.05; done
"""


@pytest.fixture
def session(tmp_path: Path) -> Callable[..., list[tuple[str, Any, float]]]:
    """Runs keyring calls in a fresh D-Bus session, in a home directory that lasts as long as the test."""
    home = tmp_path / "home"
    home.mkdir()
    environ = {
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "PATH": os.environ["PATH"],
        "PYTHON": sys.executable,
        "PROGRAM": PROGRAM,
        "SILENT_PROMPTER": SILENT_PROMPTER,
    }
    home.chmod(0o700)

    def run(
        *calls: str, before: str = ":", bus: bool = True, limit: float = 5, **variables: str
    ) -> list[tuple[str, Any, float]]:
        script = f'{before}\nexec "$PYTHON" -c "$PROGRAM" "$@"'
        command = ["dbus-run-session", "--"] if bus else []
        done = subprocess.run(
            [*command, "sh", "-c", script, "sh", str(limit), *calls],
            env=environ | variables,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("RESULTS ")]
        assert lines, done.stderr
        return [tuple(result) for result in json.loads(lines[0].removeprefix("RESULTS "))]

    return run


def results(answered: list[tuple[str, Any, float]]) -> dict[str, Any]:
    return {name: result for name, result, _ in answered}


def test_an_unlocked_keyring_keeps_a_key_over_sessions(session: Callable[..., Any]) -> None:
    first = results(session("describe", "get", "set", before=UNLOCK))
    assert first == {"describe": "SecretService keyring", "get": None, "set": None}
    second = results(session("get", "get other", "delete", before=UNLOCK))
    assert second == {"get": "sk-kept-in-the-keyring", "get other": None, "delete": None}
    third = results(session("get", "delete", before=UNLOCK))
    assert third == {"get": None, "delete": "trouble: no such key"}


def test_a_locked_keyring_is_told_as_locked(session: Callable[..., Any]) -> None:
    session("set", before=UNLOCK)
    answers = results(session("get", "set", "delete", before=START_LOCKED))
    assert answers == {"get": "trouble: locked", "set": "trouble: locked", "delete": "trouble: locked"}


def test_a_keyring_that_was_never_set_up_is_told_as_locked(session: Callable[..., Any]) -> None:
    assert results(session("get", "set", before=START_LOCKED)) == {
        "get": "trouble: locked",
        "set": "trouble: locked",
    }


def test_a_prompt_that_nobody_answers_costs_one_time_limit_and_no_more(session: Callable[..., Any]) -> None:
    session("set", before=UNLOCK)
    answers = session("get", "get", "set", before=START_LOCKED + SILENT, limit=1.5)
    assert [result for _, result, _ in answers] == ["trouble: timed out"] * 3
    first, *rest = [seconds for *_, seconds in answers]
    assert 1.4 < first < 3
    assert max(rest) < 0.5


def test_no_session_bus_means_no_backend(session: Callable[..., Any]) -> None:
    assert results(session("describe", "get", "set", bus=False)) == {
        "describe": "trouble: no backend",
        "get": "trouble: no backend",
        "set": "trouble: no backend",
    }


def test_a_bus_address_that_does_not_exist_means_no_backend(session: Callable[..., Any]) -> None:
    answers = results(session("get", bus=False, DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent/bus"))
    assert answers == {"get": "trouble: no backend"}


def test_the_null_backend_is_told_apart_even_where_a_keyring_runs(session: Callable[..., Any]) -> None:
    answers = session("get", "set", before=UNLOCK, PYTHON_KEYRING_BACKEND="keyring.backends.null.Keyring")
    assert results(answers) == {"get": "trouble: null backend", "set": "trouble: null backend"}


def test_a_chain_without_usable_backends_is_told_apart(session: Callable[..., Any]) -> None:
    chain = "keyring.backends.chainer.ChainerBackend"
    answers = session("get", "set", bus=False, PYTHON_KEYRING_BACKEND=chain)
    assert results(answers) == {"get": "trouble: null backend", "set": "trouble: null backend"}
