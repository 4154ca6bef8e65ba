"""The registry: which providers there are, what overrides what, whose key goes where, and servers on this machine."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from holychat.credentials.chain import KeyChain
from holychat.credentials.secret import Secret
from holychat.domain.chat import Role
from holychat.domain.events import ReplyStarted
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.errors import KeyMissing, KeyRejected, RequestRefused, SettingsError, Unreachable, UsageError
from holychat.log import Masker
from holychat.providers.registry import ProviderRegistry
from holychat.settings import Settings, load_settings, parse_settings
from tests.support.loopback import FOREVER, Loopback, Script, error_reply, json_reply, stream_of, whole

if TYPE_CHECKING:
    from pathlib import Path

HELLO = (PromptMessage(Role.USER, "Hello"),)
KEYS = {"HOLYSHEEP_API_KEY": "sk-of-holysheep", "OPENAI_API_KEY": "sk-of-openai", "MINE_API_KEY": "sk-of-mine"}


def registry_of(
    settings: Settings | str = "", environ: dict[str, str] | None = None, servers: tuple[tuple[str, int], ...] = ()
) -> ProviderRegistry:
    settings = parse_settings(settings) if isinstance(settings, str) else settings
    masker = Masker()
    environ = environ or {}
    return ProviderRegistry(settings, KeyChain(settings, masker, environ), masker, environ, local_servers=servers)


# Which there are


def test_five_providers_are_built_in_and_the_default_one_comes_first() -> None:
    assert [info.name for info in registry_of().infos()] == ["holysheep", "openai", "anthropic", "local", "offline"]
    assert registry_of('[chat]\nprovider = "local"').infos()[0].name == "local"
    holysheep, openai, anthropic, local, offline = registry_of().infos()
    assert (holysheep.base_url, holysheep.model) == ("https://api.holysheep.ai/v1", "deepseek-v3.2")
    assert (openai.base_url, openai.model) == ("https://api.openai.com/v1", "gpt-4.1")
    assert (anthropic.base_url, anthropic.model) == ("https://api.anthropic.com", "claude-sonnet-5-5")
    assert [info.needs_key for info in (holysheep, openai, anthropic, local, offline)] == [True] * 3 + [False] * 2


def test_settings_change_a_built_in_provider_field_by_field() -> None:
    info = registry_of('[providers.openai]\nmodel = "gpt-4o"').info("openai")
    assert (info.base_url, info.model, info.needs_key) == ("https://api.openai.com/v1", "gpt-4o", True)
    info = registry_of('[providers.local]\nbase_url = "http://127.0.0.1:9/v1/"').info("local")
    assert (info.base_url, info.needs_key) == ("http://127.0.0.1:9/v1", False)


def test_the_environment_moves_the_hosted_ones(tmp_path: Path) -> None:
    environ = {
        "HOLYSHEEP_BASE_URL": "https://sheep.example/v1",
        "OPENAI_BASE_URL": "https://ai.example/v1",
        "ANTHROPIC_BASE_URL": "https://ant.example",
    }
    registry = registry_of(load_settings(tmp_path / "none.toml", environ))
    assert registry.info("holysheep").base_url == "https://sheep.example/v1"
    assert registry.info("openai").base_url == "https://ai.example/v1"
    assert registry.info("anthropic").base_url == "https://ant.example"


@pytest.mark.parametrize(
    ("table", "needs_key"),
    [
        ('base_url = "https://llm.example/v1"', True),
        ('kind = "anthropic"\nbase_url = "https://llm.example"', True),
        ('kind = "anthropic"\nbase_url = "http://localhost:9"', False),
        ('base_url = "https://llm.example/v1"\nneeds_key = false', False),
        ('base_url = "http://localhost:9/v1"', False),
        ('base_url = "http://[::1]:9/v1"', False),
        ('base_url = "http://localhost:9/v1"\nkey_env = "X"', True),
        ('kind = "offline"', False),
    ],
)
def test_a_configured_provider_needs_a_key_unless_it_is_on_this_machine(table: str, needs_key: bool) -> None:
    assert registry_of(f"[providers.mine]\n{table}").info("mine").needs_key is needs_key


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('[providers.mine]\nmodel = "m"', "needs a base_url"),
        ('[providers.mine]\nkind = "anthropic"', "needs a base_url"),
        ('[providers.mine]\nbase_url = "ftp://llm.example"', "not an http"),
        ('[providers.mine]\nbase_url = "llm.example/v1"', "not an http"),
        ('[providers.mine]\nbase_url = "https://me:secret@llm.example/v1"', "user name or password"),
        ('[providers.mine]\nbase_url = "https://llm.example:port/v1"', "not an http"),
        ('[providers.mine]\nkind = "telepathy"\nbase_url = "https://llm.example/v1"', "kind"),
        ('[providers."my own"]\nbase_url = "https://llm.example/v1"', "name"),
    ],
)
def test_a_table_that_cannot_be_used_is_an_error_that_names_it(toml: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        registry_of(toml)
    assert said in caught.value.title
    assert "[providers.m" in caught.value.title
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("kind", "ending"), [("openai", '/v1".'), ("anthropic", '.com/anthropic".')])
def test_an_example_of_an_address_is_one_of_that_kind(kind: str, ending: str) -> None:
    with pytest.raises(SettingsError) as caught:
        registry_of(f'[providers.mine]\nkind = "{kind}"')
    assert caught.value.hint.endswith(ending)


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(UsageError) as caught:
        registry_of().info("holyship\x1b[31m")
    assert "holysheep, openai, anthropic, local, offline" in caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_a_provider_is_made_once() -> None:
    registry = registry_of()
    assert registry.get("holysheep") is registry.get("holysheep")
    assert registry.get("holysheep").info == registry.info("holysheep")


# Whose key


async def test_each_provider_gets_its_own_key_and_no_other(loopback: Loopback) -> None:
    loopback.chat(whole("Hi"))
    toml = "".join(
        f'[providers.{name}]\nbase_url = "{loopback.base_url}"\nmodel = "m"\n{more}\n'
        for name, more in {
            "holysheep": "",
            "openai": "",
            "mine": 'key_env = "MINE_API_KEY"',
            "open": "",
            "local": "",
        }.items()
    )
    registry = registry_of(toml, KEYS)
    for name in ("holysheep", "openai", "mine", "open", "local"):
        await registry.get(name).complete(ReplyRequest("m", HELLO))
    await registry.aclose()
    sent = [request.headers.get("authorization") for request in loopback.requests]
    assert sent == ["Bearer sk-of-holysheep", "Bearer sk-of-openai", "Bearer sk-of-mine", None, None]


async def test_a_key_is_checked_by_its_value_whatever_the_ladder_holds(loopback: Loopback) -> None:
    registry = registry_of(f'[providers.mine]\nbase_url = "{loopback.base_url}"\nkey_env = "MINE_API_KEY"', KEYS)
    loopback.models("m")
    await registry.check_key("mine", Secret("sk-pasted"))
    loopback.on("/v1/models", error_reply(401, "no such key"), method="GET")
    with pytest.raises(KeyRejected):
        await registry.check_key("mine", Secret("sk-pasted-wrong"))
    loopback.on("/v1/models", error_reply(404, "not found"), method="GET")
    with pytest.raises(RequestRefused, match="no list of models"):
        await registry.check_key("mine", Secret("sk-pasted"))
    sent = [(request.path, request.headers.get("authorization")) for request in loopback.requests]
    assert sent == [("/v1/models", f"Bearer sk-pasted{rest}") for rest in ("", "-wrong", "")]


@pytest.mark.parametrize(("status", "second"), [(401, "sk-new-one"), (403, "sk-old-one")])
async def test_a_key_that_was_not_accepted_is_looked_for_again(loopback: Loopback, status: int, second: str) -> None:
    loopback.chat(error_reply(status, "no"), whole("Hi"))
    environ = {"MINE_API_KEY": "sk-old-one"}
    toml = f'[providers.mine]\nbase_url = "{loopback.base_url}"\nmodel = "m"\nkey_env = "MINE_API_KEY"'
    registry = registry_of(toml, environ)
    with pytest.raises(KeyRejected):
        await registry.get("mine").complete(ReplyRequest("m", HELLO))
    environ["MINE_API_KEY"] = "sk-new-one"
    await registry.get("mine").complete(ReplyRequest("m", HELLO))
    await registry.aclose()
    assert loopback.requests[-1].headers["authorization"] == f"Bearer {second}"


async def test_without_its_own_key_a_provider_sends_nothing(loopback: Loopback) -> None:
    loopback.chat(whole("Hi"))
    toml = f'[providers.mine]\nbase_url = "{loopback.base_url}"\nmodel = "m"\nneeds_key = true'
    registry = registry_of(toml, KEYS)
    with pytest.raises(KeyMissing, match="No key for mine"):
        await registry.get("mine").complete(ReplyRequest("m", HELLO))
    await registry.aclose()
    assert loopback.requests == []


def test_plain_http_to_another_machine_is_warned_about() -> None:
    registry = registry_of('[providers.openai]\nbase_url = "http://ai.example/v1"')
    assert "plain http" in registry.get("openai").warnings()[0]
    assert registry_of().get("openai").warnings() == ()
    without_model = registry_of('[providers.mine]\nbase_url = "http://ai.example/v1"')
    assert "plain http" in without_model.get("mine").warnings()[0]


# Servers on this machine


def port_of(server: Loopback) -> int:
    return int(server.base_url.rpartition(":")[2].partition("/")[0])


async def test_servers_that_list_models_are_found_and_others_passed_over(loopback: Loopback) -> None:
    loopback.models("nomic-embed-text", "qwen3:8b")
    with Loopback() as website, Loopback() as silent:
        website.on("/v1/models", json_reply({"hello": "world"}), method="GET")
        silent.on("/v1/models", Script(200, pieces=[FOREVER]), method="GET")
        candidates = (("A", port_of(silent)), ("B", port_of(website)), ("Ollama", port_of(loopback)), ("C", 9))
        started = time.monotonic()
        (found,) = await registry_of(servers=candidates).find_local()
        assert time.monotonic() - started < 3
    assert (found.name, found.base_url) == ("Ollama", f"http://127.0.0.1:{port_of(loopback)}/v1")
    assert set(found.models) == {"nomic-embed-text", "qwen3:8b"}
    assert found.chat_model == "qwen3:8b"


async def test_probing_uses_no_proxy_and_sends_no_key(loopback: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    loopback.models("qwen3")
    assert await registry_of(servers=(("Ollama", port_of(loopback)),)).find_local()
    assert "authorization" not in loopback.requests[0].headers


async def test_the_local_provider_talks_to_the_server_it_finds(loopback: Loopback) -> None:
    loopback.models("bge-m3", "qwen3")
    loopback.chat(stream_of("Hel", "lo"))
    registry = registry_of(servers=(("none", 9), ("Ollama", port_of(loopback))))
    local = registry.get("local")
    events = [event async for event in local.stream(ReplyRequest("", HELLO))]
    assert isinstance(events[0], ReplyStarted)
    assert [model.id for model in await local.models()] == ["bge-m3", "qwen3"]
    await registry.aclose()
    (asked,) = [request for request in loopback.requests if request.method == "POST"]
    assert asked.json["model"] == "qwen3"
    assert "authorization" not in asked.headers


async def test_many_first_messages_look_for_the_server_once(loopback: Loopback) -> None:
    loopback.models("qwen3")
    loopback.chat(whole("Hi"))
    registry = registry_of(servers=(("Ollama", port_of(loopback)),))
    await asyncio.gather(*(registry.get("local").complete(ReplyRequest("", HELLO)) for _ in range(5)))
    await registry.aclose()
    assert sum(request.path == "/v1/models" for request in loopback.requests) == 1


async def test_with_no_server_the_ports_are_named() -> None:
    registry = registry_of(servers=(("Ollama", 9), ("vLLM", 13)))
    with pytest.raises(Unreachable) as caught:
        await registry.get("local").complete(ReplyRequest("", HELLO))
    assert "Ollama 9, vLLM 13" in caught.value.hint
    assert not caught.value.retryable


async def test_a_server_that_went_away_is_looked_for_again(loopback: Loopback) -> None:
    loopback.models("second")
    loopback.chat(whole("Hi"))
    with Loopback() as first:
        first.models("first")
        first.chat(whole("Hi"))
        registry = registry_of(servers=(("A", port_of(first)), ("B", port_of(loopback))))
        await registry.get("local").complete(ReplyRequest("", HELLO))
    with pytest.raises(Unreachable):
        await registry.get("local").complete(ReplyRequest("", HELLO))
    await registry.get("local").complete(ReplyRequest("", HELLO))
    await registry.aclose()
    assert loopback.requests[-1].json["model"] == "second"


async def test_a_server_without_models_is_told_so(loopback: Loopback) -> None:
    loopback.models()
    registry = registry_of(servers=(("Ollama", port_of(loopback)),))
    with pytest.raises(RequestRefused, match="no model"):
        await registry.get("local").complete(ReplyRequest("", HELLO))
    await registry.aclose()


async def test_a_configured_provider_without_a_model_takes_the_first_one_offered(loopback: Loopback) -> None:
    loopback.models("text-embedding-3", "llama")
    loopback.chat(whole("Hi"))
    registry = registry_of(f'[providers.mine]\nbase_url = "{loopback.base_url}"')
    await registry.get("mine").complete(ReplyRequest("", HELLO))
    await registry.aclose()
    assert loopback.requests[-1].json["model"] == "llama"
