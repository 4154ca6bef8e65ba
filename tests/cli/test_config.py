"""`holychat config`."""

from __future__ import annotations

import importlib.resources
import re
import stat
import tomllib
from typing import TYPE_CHECKING

import msgspec
import pytest

from holychat.settings import Settings, parse_settings
from tests.cli.shell import KEY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell


def test_init_writes_a_private_file_where_path_says(shell: Shell) -> None:
    from pathlib import Path

    file = Path(shell.run("config", "path").text.strip())
    assert not file.exists()
    assert shell.run("config", "init").status == 0
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert parse_settings(file.read_text()) == Settings()


@pytest.mark.parametrize("as_link", [False, True])
def test_init_never_overwrites(shell: Shell, private_environment: Path, as_link: bool) -> None:
    file = private_environment / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    if as_link:
        file.symlink_to(private_environment / "nowhere.toml")
    else:
        file.write_text("# mine\n")
    done = shell.run("config", "init")
    assert done.status == 2
    assert "already" in done.error
    assert as_link or file.read_text() == "# mine\n"


def test_the_commented_file_names_every_setting_and_each_line_of_it_is_valid() -> None:
    text = importlib.resources.files("holychat.cli").joinpath("config.toml").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 120
    settings_lines = [re.sub(r"^# (?=\[|\"?[\w.]+\"? = )", "", line) for line in text.splitlines()]
    shown = "\n".join(settings_lines)
    parse_settings(shown)
    written = tomllib.loads(shown)
    for section in ("network", "chat", "jobs", "webhooks", "ui"):
        fields = {field.name for field in msgspec.structs.fields(getattr(Settings(), section))}
        assert set(written[section]) == fields
    provider = msgspec.structs.fields(parse_settings(shown).providers["example"])
    assert set(written["providers"]["example"]) == {field.name for field in provider}


def test_show_tells_where_each_value_comes_from(shell: Shell, private_environment: Path) -> None:
    file = private_environment / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(
        '[network]\nretries = 5\n[chat]\nprovider = "mine"\nmodel = "m"\n[keys]\n"app.quit" = "ctrl+x"\n'
        '[providers.mine]\nbase_url = "http://127.0.0.1:1/v1"\nkey_env = "MINE_API_KEY"\n'
    )
    shell.set(HOLYCHAT_MODEL="other", HOLYSHEEP_BASE_URL="http://127.0.0.1:2/v1", MINE_API_KEY=KEY)
    shown = shell.run("config", "show", "--json").json
    assert shown["network.retries"] == {"value": 5, "source": "config.toml"}
    assert shown["network.idle_timeout"] == {"value": 60.0, "source": "default"}
    assert shown["chat.provider"] == {"value": "mine", "source": "config.toml"}
    assert shown["chat.model"] == {"value": "other", "source": "HOLYCHAT_MODEL"}
    assert shown["chat.temperature"] == {"value": None, "source": "default"}
    assert shown["keys.app.quit"] == {"value": "ctrl+x", "source": "config.toml"}
    assert shown["providers.mine.base_url"]["source"] == "config.toml"
    assert shown["providers.holysheep.base_url"] == {"value": "http://127.0.0.1:2/v1", "source": "HOLYSHEEP_BASE_URL"}
    assert shown["providers.mine.key"] == {"value": "•••", "source": "MINE_API_KEY"}


def test_a_model_set_aside_by_another_provider_names_the_variable_that_did_it(
    shell: Shell, private_environment: Path
) -> None:
    file = private_environment / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text('[chat]\nmodel = "m"\n')
    shell.set(HOLYCHAT_PROVIDER="offline")
    shown = shell.run("config", "show", "--json").json
    assert shown["chat.model"] == {"value": "", "source": "HOLYCHAT_PROVIDER"}


def test_show_is_toml_and_never_shows_a_key(shell: Shell) -> None:
    shell.set(HOLYSHEEP_API_KEY=KEY, HOLYCHAT_MODEL='odd "model"\u202e')
    done = shell.run("config", "show")
    assert done.status == 0
    assert KEY[-20:] not in done.text
    assert tomllib.loads(done.text)["chat"]["model"] == 'odd "model"\u202e'


@pytest.mark.parametrize(
    "text",
    [
        "[network]\nretries = 'two'\n",
        "[nonsense]\n",
        "retries\n",
        '[providers.mine]\nkind = "openai"\n',
        "[chat]\nmax_tokens = 0\n",
        f"[chat]\nmax_tokens = {'9' * 30}\n",
        "[chat]\ntemperature = nan\n",
        "[chat]\ntemperature = -1\n",
        "[chat]\ntemperature = 2.5\n",
    ],
)
def test_settings_that_are_off_are_2_in_two_lines(shell: Shell, private_environment: Path, text: str) -> None:
    file = private_environment / "config" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    done = shell.run("config", "show")
    assert done.status == 2
    assert 1 <= len(done.error.splitlines()) <= 2
