"""The client of a provider's batch service, against one on loopback."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

from holychat.errors import Outcome, ProviderError, RequestRefused
from tests.providers.tools import provider
from tests.support.batch_server import BatchServer, Plan
from tests.support.loopback import Loopback, Script, json_reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with BatchServer() as server:
        yield server


def requests_file(folder: Path, *custom_ids: str) -> Path:
    file = folder / "requests.jsonl"
    lines = [
        {
            "custom_id": name,
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"model": "m", "messages": [{"role": "user", "content": f"about {name}"}]},
        }
        for name in custom_ids
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


async def test_a_file_goes_out_and_its_answers_come_back(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(running=0.0, bad_lines=frozenset({"b"}))
    asked = provider(server.base_url)
    service = asked.batches()
    assert await service.is_offered()
    file = await service.upload("holychat-token.jsonl", requests_file(tmp_path, "a", "b", "c"))
    batch = await service.create(file.id, "token", tmp_path)
    assert (batch.token, batch.input_file_id) == ("token", file.id)
    ended = await service.get(batch.id)
    assert (ended.status, ended.has_ended) == ("completed", True)
    size = await service.download(ended.output_file_id, tmp_path / "out.jsonl")
    content = (tmp_path / "out.jsonl").read_bytes()
    assert size == len(content)
    assert [json.loads(line)["custom_id"] for line in content.splitlines()] == ["a", "c"]
    assert [batch.token async for batch in service.batches()] == ["token"]
    assert {file.name async for file in service.files()} == {"holychat-token.jsonl", "output.jsonl", "errors.jsonl"}
    assert await service.delete_file(file.id)
    assert not await service.delete_file(file.id)
    await asked.aclose()


async def test_lists_are_paged(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(running=0.0)
    asked = provider(server.base_url)
    service = asked.batches()
    file = await service.upload("f.jsonl", requests_file(tmp_path, "a"))
    for number in range(230):
        server.create({"input_file_id": file.id, "metadata": {"holychat_submission": str(number)}})
    assert [batch.token async for batch in service.batches()] == [str(number) for number in reversed(range(230))]
    assert server.requests.count("GET /batches") == 3
    await asked.aclose()


async def test_a_host_without_the_service_is_told_apart(server: BatchServer, loopback: Loopback) -> None:
    server.plan = Plan(offered=False)
    asked = provider(server.base_url)
    assert not await asked.batches().is_offered()
    await asked.aclose()
    page = Script(200, {"content-type": "text/html"}, [b"<html>Welcome</html>"])
    loopback.on("/v1/batches", page, method="GET")
    asked = provider(loopback.base_url)
    assert not await asked.batches().is_offered()
    loopback.on("/v1/batches", json_reply({"error": {"message": "no"}}, status=501), method="GET")
    assert not await asked.batches().is_offered()
    loopback.on("/v1/batches", json_reply({"error": {"message": "no"}}, status=401), method="GET")
    with pytest.raises(ProviderError):
        await asked.batches().is_offered()
    await asked.aclose()


async def test_an_answer_that_never_comes_leaves_the_fate_open(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(torn={"POST /files": 1, "POST /batches": 1})
    asked = provider(server.base_url)
    service = asked.batches()
    with pytest.raises(ProviderError) as torn:
        await service.upload("f.jsonl", requests_file(tmp_path, "a"))
    assert torn.value.outcome is Outcome.AMBIGUOUS
    (file,) = [file async for file in service.files()]
    with pytest.raises(ProviderError) as torn:
        await service.create(file.id, "token", tmp_path)
    assert torn.value.outcome is Outcome.AMBIGUOUS
    assert [batch.token async for batch in service.batches()] == ["token"]
    await asked.aclose()


async def test_a_refusal_says_that_nothing_was_taken_on(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(refused={"POST /files": 1})
    asked = provider(server.base_url)
    with pytest.raises(ProviderError) as refused:
        await asked.batches().upload("f.jsonl", requests_file(tmp_path, "a"))
    assert refused.value.outcome is Outcome.REFUSED
    with pytest.raises(RequestRefused):
        await asked.batches().create("file-nowhere", "token", tmp_path)
    await asked.aclose()


async def test_a_rejected_file_says_why(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(outcome="failed", failed_code="token_limit_exceeded")
    asked = provider(server.base_url)
    file = await asked.batches().upload("f.jsonl", requests_file(tmp_path, "a"))
    batch = await asked.batches().create(file.id, "token", tmp_path)
    assert (batch.status, batch.errors) == ("failed", (("token_limit_exceeded", "The file was rejected.", 1),))
    await asked.aclose()


async def test_a_cancelled_batch_keeps_what_was_done(server: BatchServer, tmp_path: Path) -> None:
    server.plan = Plan(running=0.05, validating=30)
    asked = provider(server.base_url)
    service = asked.batches()
    file = await service.upload("f.jsonl", requests_file(tmp_path, "a", "b"))
    batch = await service.create(file.id, "token", tmp_path)
    assert (await service.cancel(batch.id)).status == "cancelling"
    deadline = time.monotonic() + 10
    while not (ended := await service.get(batch.id)).has_ended:
        assert time.monotonic() < deadline
    assert ended.status == "cancelled"
    assert ended.output_file_id
    assert ended.error_file_id
    await asked.aclose()


async def test_ids_from_a_server_cannot_leave_their_place_in_a_path(server: BatchServer) -> None:
    asked = provider(server.base_url)
    with pytest.raises(RequestRefused):
        await asked.batches().get("../files/x?y=1")
    assert server.requests[-1].startswith("GET /batches/..%2Ffiles%2Fx%3Fy=1".replace("=", "%3D"))
    await asked.aclose()
