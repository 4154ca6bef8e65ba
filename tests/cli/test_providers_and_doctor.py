"""`holychat models`, `providers` and `doctor`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import KEY
from tests.support.loopback import Loopback, Script, error_reply, json_reply

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell


def test_models_are_one_per_line_and_clean(connected: Shell, loopback: Loopback) -> None:
    loopback.models("b-model", "a-model\x1b[31m")
    done = connected.run("models")
    assert (done.status, done.text.splitlines()) == (0, ["a-model\ufffd[31m", "b-model"])


def test_what_models_warns_of_is_told_like_everything_else(shell: Shell) -> None:
    shell.set(HOLYSHEEP_BASE_URL="http://holysheep.invalid/v1", HOLYSHEEP_API_KEY=KEY)
    assert shell.run("models").error.startswith("holychat: The key of holysheep goes to holysheep.invalid over plain")


def test_models_as_json_tell_what_is_known(connected: Shell, loopback: Loopback) -> None:
    loopback.models("gpt-4.1", "nobody-knows-it")
    models = connected.run("models", "--json").json
    assert [model["id"] for model in models] == ["gpt-4.1", "nobody-knows-it"]
    assert models[0]["context_window"] > 100_000
    assert models[1]["context_window"] is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (json_reply({"data": [{"id": 5}]}), "$.data[0].id"),
        (Script(200, [("Content-Type", "text/html")], [b"<html>Please log in</html>"]), "base_url"),
    ],
)
def test_a_list_that_is_none_is_5_and_nothing_is_said_of_bills(
    connected: Shell, loopback: Loopback, answer: Script, said: str
) -> None:
    loopback.on("/v1/models", answer, method="GET")
    done = connected.run("models")
    assert (done.status, done.out) == (5, b"")
    assert said in done.error
    assert "billed" not in done.error


def test_models_of_anthropic_are_asked_for_with_its_own_key(shell: Shell, loopback: Loopback) -> None:
    shell.set(ANTHROPIC_BASE_URL=loopback.url, ANTHROPIC_API_KEY=KEY, OPENAI_API_KEY="sk-of-openai")
    loopback.models("claude-sonnet-5-5", "claude-haiku-4-5-20251001")
    models = shell.run("models", "-p", "anthropic", "--json").json
    assert [model["usd_per_million"]["output"] for model in models] == [5.0, 10.0]
    (request,) = loopback.requests
    assert (request.path, request.query, request.headers["x-api-key"]) == ("/v1/models", "limit=1000", KEY)
    assert "authorization" not in request.headers


def test_models_of_a_provider_without_a_key_are_3(shell: Shell) -> None:
    assert shell.run("models", "-p", "openai").status == 3
    assert shell.run("models", "-p", "nosuch").status == 2
    assert shell.run("models", "-p", "offline").text == "extractive\n"


def test_providers_have_the_default_first(shell: Shell, private_environment: Path) -> None:
    config = private_environment / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[chat]\nprovider = "mine"\n[providers.mine]\nbase_url = "http://127.0.0.1:1/v1"\n')
    found = shell.run("providers", "--json").json
    names = [provider["name"] for provider in found]
    assert names == ["mine", "holysheep", "openai", "anthropic", "local", "offline"]
    assert [provider["name"] for provider in found if provider["default"]] == ["mine"]
    assert shell.run("providers").text.splitlines()[0].split()[:3] == ["*", "mine", "http://127.0.0.1:1/v1"]


def verdicts(shell: Shell, *options: str) -> dict[str, tuple[str, str]]:
    return {
        finding["topic"]: (finding["verdict"], finding["text"])
        for finding in shell.run("doctor", "--json", *options).json
    }


def test_doctor_finds_a_sound_installation_sound_and_makes_nothing(shell: Shell, private_environment: Path) -> None:
    done = shell.run("doctor", "--no-network")
    assert (done.status, done.err) == (0, b"")
    for topic in ("holychat", "terminal", "settings", "database", "SQLite", "keyring"):
        assert topic in done.text
    assert not private_environment.exists()


def test_doctor_tells_which_provider_answers(connected: Shell, loopback: Loopback) -> None:
    loopback.models("one", "two")
    found = verdicts(connected)
    assert found["holysheep"] == ("ok", "answers; 2 models")
    assert found["offline"][0] == "ok"
    for name in ("openai", "anthropic"):
        assert found[name][0] == "note"
        assert f"keys set {name}" in found[name][1]


def test_doctor_calls_a_rejected_key_a_problem_and_does_not_show_it(connected: Shell, loopback: Loopback) -> None:
    loopback.on("/v1/models", error_reply(401, f"bad key {KEY}"), method="GET")
    done = connected.run("doctor")
    assert done.status == 1
    assert KEY[-20:] not in done.text + done.error


def test_doctor_finds_what_is_open_to_others(shell: Shell, private_environment: Path) -> None:
    (private_environment / "data").mkdir(parents=True, mode=0o755)
    (private_environment / "data").chmod(0o755)
    verdict, text = verdicts(shell, "--no-network")["data"]
    assert verdict == "problem"
    assert "chmod go=" in text


def test_doctor_only_looks_at_a_history(shell: Shell, private_environment: Path) -> None:
    shell.run("ask", "-p", "offline", "Hello")
    data = private_environment / "data"
    data.chmod(0o755)
    (data / "holychat.db").chmod(0o644)
    (data / ".holychat.db.holds-data").unlink()
    for _ in range(2):
        found = verdicts(shell, "--no-network")
        assert (found["data"][0], found["database"][0]) == ("problem", "problem")
        assert found["history"] == ("ok", "opens; 1 chat")
    assert not (data / ".holychat.db.holds-data").exists()


def test_doctor_sends_no_key_in_the_clear(shell: Shell, private_environment: Path) -> None:
    config = private_environment / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text('[network]\nconnect_timeout = 0.2\n[providers.far]\nbase_url = "http://192.0.2.1:9/v1"\n')
    verdict, text = verdicts(shell)["far"]
    assert (verdict, text.partition(":")[0]) == ("note", "not asked")
    assert "plain http" in text


@pytest.mark.parametrize(
    "text",
    [
        "[nonsense]\n",
        '[chat]\nprovider = "nosuch"\n',
        '[providers.x]\nkind = "openai"\n',
        '[keys]\n"chat.nosuch" = "f2"\n',
        '[keys]\n"chat.new" = "ctrl+s"\n',
        '[ui]\ntheme = "nosuch"\n',
    ],
)
def test_doctor_survives_settings_that_are_off(shell: Shell, private_environment: Path, text: str) -> None:
    config = private_environment / "config" / "config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(text)
    done = shell.run("doctor", "--json", "--no-network")
    assert (done.status, done.err) == (1, b"")
    assert "problem" in {finding["verdict"] for finding in done.json}


def test_doctor_survives_a_damaged_history(shell: Shell, private_environment: Path) -> None:
    database = private_environment / "data" / "holychat.db"
    database.parent.mkdir(parents=True, mode=0o700)
    database.write_bytes(b"no database " * 1000)
    found = verdicts(shell, "--no-network")
    assert found["history"][0] == "problem"
