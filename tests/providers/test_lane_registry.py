"""Lanes as the registry makes them: for hosted providers, for servers on this machine, and for the offline one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from holychat.domain.chat import Role
from holychat.domain.request import PromptMessage, ReplyRequest
from holychat.errors import KeyMissing, Unreachable, UsageError
from tests.offline.test_registry import registry_of
from tests.support.loopback import whole

if TYPE_CHECKING:
    from tests.support.loopback import Loopback

HELLO = (PromptMessage(Role.USER, "Hello"),)


async def test_each_lane_is_its_own_and_beside_live_chat(loopback: Loopback) -> None:
    loopback.chat(whole("hi"))
    registry = registry_of(f'[providers.mine]\nbase_url = "{loopback.base_url}"\nmodel = "m"\nneeds_key = false')
    first, second = registry.lane("mine", connections=5), registry.lane("mine", connections=5)
    assert len({id(first), id(second), id(registry.get("mine"))}) == 3
    for provider in (first, second, registry.get("mine")):
        assert (await provider.complete(ReplyRequest("m", HELLO))).text == "hi"
    await first.aclose()
    await second.aclose()
    await registry.aclose()
    assert loopback.connections == 3


async def test_a_lane_needs_the_key_of_its_provider_and_no_other(loopback: Loopback) -> None:
    loopback.chat(whole("hi"))
    settings = f'[providers.mine]\nbase_url = "{loopback.base_url}"\nmodel = "m"\nkey_env = "MINE_API_KEY"'
    without = registry_of(settings, {"OPENAI_API_KEY": "sk-of-openai"}).lane("mine", connections=5)
    with pytest.raises(KeyMissing):
        await without.send(ReplyRequest("m", HELLO))
    assert not loopback.requests
    lane = registry_of(settings, {"MINE_API_KEY": "sk-of-mine"}).lane("mine", connections=5)
    await lane.send(ReplyRequest("m", HELLO))
    await lane.aclose()
    await without.aclose()
    assert loopback.requests[0].headers["authorization"] == "Bearer sk-of-mine"


async def test_the_offline_provider_has_a_lane_as_well() -> None:
    lane = registry_of().lane("offline", connections=50)
    raws = await asyncio.gather(*(lane.send(ReplyRequest("extractive", HELLO)) for _ in range(20)))
    assert all(lane.read(raw).text for raw in raws)
    await lane.aclose()


async def test_a_lane_to_a_server_on_this_machine_finds_address_and_model(loopback: Loopback) -> None:
    loopback.models("small-model")
    loopback.chat(whole("hi"))
    lane = registry_of(servers=(("Ollama", loopback.port),)).lane("local", connections=5)
    raw = await lane.send(ReplyRequest("", HELLO))
    assert lane.read(raw).text == "hi"
    assert loopback.requests[-1].json["model"] == "small-model"
    await lane.aclose()
    fresh = registry_of(servers=()).lane("local", connections=5)
    assert fresh.read(raw).text == "hi", "what was kept is read without the server"
    with pytest.raises(Unreachable):
        await fresh.send(ReplyRequest("", HELLO))


def test_a_provider_that_there_is_not_has_no_lane() -> None:
    with pytest.raises(UsageError):
        registry_of().lane("nobody", connections=5)
