"""`holychat keys`: keys go in without being seen and never come out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import KEY
from tests.support.loopback import Loopback, stream_of

if TYPE_CHECKING:
    from tests.cli.shell import Done, Shell

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def keyring_file(shell: Shell, tmp_path: Path) -> Path:
    """Gives the shell a keyring; returns the file in which that keeps its keys."""
    file = tmp_path / "keyring.json"
    shell.set(
        PYTHON_KEYRING_BACKEND="tests.support.file_keyring.FileKeyring",
        PYTHONPATH=str(ROOT),
        TEST_KEYRING_FILE=str(file),
    )
    return file


def silent(done: Done) -> bool:
    """Whether not even the end of the key is in what was printed."""
    return KEY[-20:] not in (done.out + done.err).decode()


def test_a_key_from_a_pipe_goes_into_the_keyring_and_nowhere_else(
    shell: Shell, keyring_file: Path, private_environment: Path
) -> None:
    done = shell.run("keys", "set", "holysheep", stdin=f"{KEY}\n".encode())
    assert (done.status, silent(done)) == (0, True)
    assert json.loads(keyring_file.read_text()) == {"holychat/holysheep": KEY}
    files = [path for path in private_environment.rglob("*") if path.is_file()]
    assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.mark.pty
def test_a_key_that_is_typed_is_not_shown(shell: Shell, keyring_file: Path) -> None:
    done = shell.run_in_terminal("keys", "set", "holysheep", typed=f"{KEY}\r".encode(), wait_for=b"not shown")
    assert (done.status, silent(done)) == (0, True)
    assert json.loads(keyring_file.read_text()) == {"holychat/holysheep": KEY}


@pytest.mark.pty
def test_ctrl_c_at_the_prompt_ends_with_130(shell: Shell, keyring_file: Path) -> None:
    done = shell.run_in_terminal("keys", "set", "holysheep", typed=b"\x03", wait_for=b"not shown")
    assert done.status == 130
    assert not keyring_file.exists()


@pytest.mark.usefixtures("keyring_file")
def test_a_key_in_the_keyring_is_used_and_status_says_so(shell: Shell, loopback: Loopback) -> None:
    loopback.chat(stream_of("ok"))
    shell.set(HOLYSHEEP_BASE_URL=loopback.base_url)
    shell.run("keys", "set", "holysheep", stdin=KEY.encode())
    assert shell.run("ask", "Hi").status == 0
    assert loopback.requests[0].headers["authorization"] == f"Bearer {KEY}"
    status = shell.run("keys", "status", "holysheep")
    assert (status.status, silent(status)) == (0, True)
    assert status.text.splitlines()[0] == "holysheep: key from keyring"


@pytest.mark.usefixtures("keyring_file")
def test_a_variable_that_comes_first_is_named(shell: Shell) -> None:
    shell.set(HOLYSHEEP_API_KEY="sk-other-0123456789abcdef")
    done = shell.run("keys", "set", "holysheep", stdin=KEY.encode())
    assert "HOLYSHEEP_API_KEY comes first" in done.error
    rungs = shell.run("keys", "status", "--json").json["holysheep"]
    assert [(rung["source"], rung["found"]) for rung in rungs] == [
        ("environment", True), ("keyring", True), ("command", False), ("memory", False),
    ]  # fmt: skip


def test_delete_takes_the_key_away(shell: Shell, keyring_file: Path) -> None:
    shell.run("keys", "set", "openai", stdin=KEY.encode())
    assert shell.run("keys", "delete", "openai").status == 0
    assert json.loads(keyring_file.read_text()) == {}
    again = shell.run("keys", "delete", "openai")
    assert (again.status, "no such key" in again.error) == (3, True)


def test_without_a_keyring_the_other_ways_are_told(shell: Shell) -> None:
    done = shell.run("keys", "set", "holysheep", stdin=KEY.encode())
    assert (done.status, silent(done)) == (3, True)
    assert "HOLYSHEEP_API_KEY" in done.error
    assert "key_command" in done.error
    assert len(done.error.splitlines()) == 2


def test_status_of_one_provider_is_3_without_a_key(shell: Shell) -> None:
    assert shell.run("keys", "status").status == 0
    assert shell.run("keys", "status", "holysheep").status == 3
    assert shell.run("keys", "status", "offline").status == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["set", "holysheep", KEY],
        ["set", KEY],
        ["set", f"--key={KEY}", "holysheep"],
        ["set", "holysheep", f"-k{KEY}"],
        ["delete", KEY],
        ["status", KEY],
    ],
)
def test_a_key_given_as_an_argument_is_refused_and_not_repeated(
    shell: Shell, keyring_file: Path, arguments: list[str]
) -> None:
    done = shell.run("keys", *arguments, stdin=b"sk-another-0123456789")
    assert (done.status, silent(done)) == (2, True)
    assert not keyring_file.exists()


@pytest.mark.parametrize("value", [b"", b"   \n", b"\xff\xfe\x00", "sk-ключ".encode(), b"sk-one\nsk-two"])
def test_what_cannot_be_a_key_is_refused(shell: Shell, keyring_file: Path, value: bytes) -> None:
    assert shell.run("keys", "set", "holysheep", stdin=value).status == 2
    assert not keyring_file.exists()


@pytest.mark.usefixtures("keyring_file")
def test_a_key_command_does_not_get_the_other_keys(shell: Shell, private_environment: Path, tmp_path: Path) -> None:
    seen = tmp_path / "seen.txt"
    script = tmp_path / "give-key"
    script.write_text(f"#!/bin/sh\n(env; ps -ef 2>/dev/null) > {seen}\necho sk-from-command-0123456789\n")
    script.chmod(0o755)
    config = private_environment / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f'[providers.mine]\nbase_url = "http://127.0.0.1:1/v1"\nkey_command = "{script}"\n')
    shell.run("keys", "set", "holysheep", stdin=KEY.encode())
    done = shell.run("keys", "status", "--json")
    assert {rung["source"]: rung["found"] for rung in done.json["mine"]}["command"] is True
    assert KEY not in seen.read_text()
    assert "sk-from-command" not in done.text


def test_the_secret_of_webhooks_is_made_kept_and_shown_once(shell: Shell, keyring_file: Path) -> None:
    done = shell.run("keys", "set", "webhook", "--new")
    secret = done.out.decode().strip()
    assert (done.status, secret[:6]) == (0, "whsec_")
    assert json.loads(keyring_file.read_text()) == {"holychat/webhook": secret}
    status = shell.run("keys", "status", "webhook")
    assert status.status == 0
    assert secret not in status.out.decode() + status.err.decode()


def test_what_is_no_webhook_secret_is_refused(shell: Shell, keyring_file: Path) -> None:
    done = shell.run("keys", "set", "webhook", stdin=b"whsec_c2hvcnQ=\n")
    assert done.status == 2
    assert not keyring_file.exists() or "webhook" not in keyring_file.read_text()
